#!/usr/bin/env bash
# Installs the backend as a rootless systemd service (a quadlet), or takes it away again. Run it as often as you like.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

readonly QUADLET_FLOOR=5.0
SERVICE=ticket-backend # with --instance NAME: ticket-backend-NAME, in every name of a unit, volume, secret and file
WANTED_PORT=''         # --port
QUADLETS=(
  ticket-backend.container ticket-backend-backup.container
  ticket-backend-data.volume ticket-backend-uploads.volume ticket-backend-memories.volume
)
UNITS=(ticket-backend-backup.timer ticket-backend-backup-failed.service)

usage() {
  cat <<USAGE
Usage: install-quadlet.sh [--user NAME] [--instance NAME] [--port PORT] [--force]
       install-quadlet.sh --uninstall [--delete-data] [--user NAME] [--instance NAME]

Puts the units of systemd/ in place, makes the administrator's token, keeps the user's session alive after logout and
over reboots, starts the service, waits until it is healthy, and says where logs, data and token are.
  --force        overwrite units that you have edited (they are kept beside as *.yours)
  --uninstall    stop and remove the service; volumes, token, settings, backups and your drop-ins stay
  --delete-data  ... and remove volumes, token and settings too
  --user NAME    called by root: whose service it is (default ticket-backend)
  --instance N   another one beside the first: the service ticket-backend-N with volumes, token, settings and backups of its own
  --port PORT    the port on this machine's loopback address (default 8000, or what was installed last)
USAGE
}

main() {
  local action=install force=no delete=no
  while (($#)); do
    case $1 in
      --force) force=yes ;;
      --uninstall) action=uninstall ;;
      --delete-data) delete=yes ;;
      --user) WANTED_USER=${2:-}; [[ -n $WANTED_USER ]] || die "--user needs a name"; shift ;;
      --instance) choose_instance "${2:-}"; shift ;;
      --port) WANTED_PORT=${2:-}; shift ;;
      -h | --help) usage; return ;;
      *) die "unknown option $1; see install-quadlet.sh --help" ;;
    esac
    shift
  done
  [[ $action == uninstall || $delete == no ]] || die "--delete-data goes with --uninstall"
  need_systemd_and_podman
  if [[ $action == install ]]; then install_service; else uninstall_service; fi
}

choose_instance() {
  [[ $1 =~ ^[a-z0-9]{1,32}$ && ! $1 =~ ^(backup|data|uploads|memories)$ ]] \
    || die "--instance needs a name of lower-case letters and digits that is no part of the service's own names, not '$1'"
  SERVICE=ticket-backend-$1
}

need_systemd_and_podman() {
  local version
  [[ -d /run/systemd/system ]] || die "this machine does not run systemd; use backend/scripts/run-prod.sh"
  command -v podman > /dev/null || die "needs Podman $QUADLET_FLOOR or newer; install it"
  choose_owner
  version=$(podman_version)
  at_least "${version:-0}" "$QUADLET_FLOOR" \
    || die "needs Podman $QUADLET_FLOOR or newer for its readiness check, and this is ${version:-unknown}; use backend/scripts/run-prod.sh"
  user_systemctl show-environment > /dev/null 2>&1 \
    || die "$OWNER has no systemd session; log in as $OWNER, or as root: loginctl enable-linger $OWNER"
  readonly UNIT=$SERVICE.service SECRET=$SERVICE-admin-token
  QUADLET_DIRECTORY=$OWNER_HOME/.config/containers/systemd
  UNIT_DIRECTORY=$OWNER_HOME/.config/systemd/user
  SETTINGS=$OWNER_HOME/.config/$SERVICE/$SERVICE.env
  INSTALLED=$OWNER_HOME/.config/$SERVICE/installed
}

user_systemctl() { as_owner systemctl --user "$@"; }
owner_podman() { as_owner podman "$@"; }

# ---- Installing ---------------------------------------------------------------------------------------------------

install_service() {
  local name
  owner_podman image exists "$IMAGE:latest" || die "there is no image $IMAGE:latest of $OWNER; build it: ENGINE=podman backend/scripts/build.sh"
  as_owner mkdir -p "$QUADLET_DIRECTORY" "$UNIT_DIRECTORY" "$INSTALLED"
  make_units
  for name in "${QUADLETS[@]}"; do put "$name" "$QUADLET_DIRECTORY"; done
  for name in "${UNITS[@]}"; do put "$name" "$UNIT_DIRECTORY"; done
  if [[ ! -e $SETTINGS ]]; then as_owner tee "$SETTINGS" < "$ROOT/systemd/ticket-backend.env" > /dev/null; fi
  make_secret
  [[ -e /var/lib/systemd/linger/$OWNER ]] || loginctl enable-linger "$OWNER" \
    || log "could not enable lingering: the service stops when $OWNER logs out; as root: loginctl enable-linger $OWNER"
  user_systemctl daemon-reload
  log "starting $UNIT (minutes, where a large database is brought up to date)"
  BEFORE=$(as_owner journalctl --user -u "$UNIT" -n 1 -o cat --show-cursor --no-pager 2> /dev/null | sed -n 's/^-- cursor: //p')
  user_systemctl reset-failed "$UNIT" 2> /dev/null || true # it may have given up before, over what is mended now
  user_systemctl restart "$UNIT" || die "$UNIT did not get healthy: $(why_not_started)"
  wait_until_reachable
  user_systemctl enable --now --quiet "$SERVICE-backup.timer"
  say_installed
}

# The units as this instance has them, in $WORK/units. The image and the label that keeps volumes are everybody's.
make_units() {
  local name port=$WANTED_PORT
  [[ -n $port ]] || port=$(as_owner sed -nE 's/^PublishPort=.*:([0-9]+):[0-9]+$/\1/p' "$INSTALLED/$SERVICE.container" 2> /dev/null | head -n 1 || true)
  port=${port:-8000}
  if [[ ! $port =~ ^[1-9][0-9]{0,4}$ ]] || ((port > 65535)); then die "--port must be a whole number from 1 to 65535, not '$port'"; fi
  mkdir -p "$WORK/units"
  for name in "${QUADLETS[@]}" "${UNITS[@]}"; do
    sed -E -e "s#(localhost/)?ticket-backend(\.keep)?#\1@SERVICE@\2#g; s#localhost/@SERVICE@#localhost/ticket-backend#g; s#@SERVICE@\.keep#ticket-backend.keep#g" \
      -e "s#@SERVICE@#$SERVICE#g; s#^(PublishPort=.*:)8000:#\1$port:#" "$ROOT/systemd/$name" > "$WORK/units/$(name_of "$name")"
  done
}

name_of() { echo "${1/#ticket-backend/$SERVICE}"; }

# A unit that differs from what was installed last was edited, and is not ours to overwrite.
put() {
  local name target last
  name=$(name_of "$1") target=$2/$(name_of "$1") last=$INSTALLED/$(name_of "$1")
  if [[ -e $target ]] && ! as_owner cmp -s "$target" - < "$WORK/units/$name"; then
    if ! as_owner cmp -s "$target" "$last"; then
      [[ $force == yes ]] || die "$target was edited; take your changes to a drop-in ($target.d/*.conf), or overwrite it with --force"
      keep_edited "$target"
    fi
  fi
  as_owner tee "$target" < "$WORK/units/$name" > /dev/null
  as_owner tee "$last" < "$WORK/units/$name" > /dev/null
}

keep_edited() {
  as_owner cp "$1" "$1.yours"
  log "kept your edited unit as $1.yours"
}

make_secret() {
  if owner_podman secret exists "$SECRET"; then return 0; fi
  od -An -N32 -tx1 /dev/urandom | tr -d ' \n' | owner_podman secret create "$SECRET" - > /dev/null
  log "made the administrator's token, the Podman secret $SECRET"
}

# The last error of this start, not of an earlier one; some of Podman's end in a colon, and the next line says it.
why_not_started() {
  local line
  line=$(as_owner journalctl --user -u "$UNIT" ${BEFORE:+"--after-cursor=$BEFORE"} -o cat --no-pager 2> /dev/null \
    | sed -nE '/^(ticket-backend|Error): .*:$/{N;s/\n/ /;p;d}; /^(ticket-backend|Error): |^Failed to bind/p' | tail -n 1)
  echo "${line:-see journalctl --user -u $UNIT}"
}

# Healthy inside is not yet reachable: the port, which a drop-in may have changed, must lead to it.
wait_until_reachable() {
  local published
  published=$(owner_podman port "$SERVICE" | sed -n '1s/.* -> //p')
  if [[ -z $published ]]; then URL='no published port'; return 0; fi
  PORT=${published##*:}
  HOST=$(TICKET_BIND=${published%:*} reachable_host)
  URL=http://$HOST:$PORT
  [[ $HOST != *:* ]] || URL="http://[$HOST]:$PORT"
  wait_for 10 answers_through_the_port \
    || die "$UNIT is healthy, but nothing answers on $URL: does PublishPort= lead to API_PORT of $SETTINGS?"
}

answers_through_the_port() { [[ $(health_status) == 200 ]]; }

say_installed() {
  cat <<SAID
Ticket Backend is $(user_systemctl is-active "$UNIT") and healthy: $URL
Token:    podman secret inspect --showsecret --format '{{.SecretData}}' $SECRET
Settings: $SETTINGS     (then: systemctl --user restart $SERVICE)
Logs:     journalctl --user -u $SERVICE
Data:     volumes $SERVICE-data, $SERVICE-uploads, $SERVICE-memories; every night backed up to $OWNER_HOME/$SERVICE-backups
SAID
}

# ---- Taking it away -------------------------------------------------------------------------------------------------

uninstall_service() {
  local name
  user_systemctl disable --now --quiet "$SERVICE-backup.timer" 2> /dev/null || true
  # Those of the volumes too: one that stays active would not make its volume, with its label, at the next installation.
  user_systemctl stop "$SERVICE-backup.service" "$UNIT" "$SERVICE"-{data,uploads,memories}-volume.service 2> /dev/null || true
  for name in "${QUADLETS[@]}"; do take_away "$name" "$QUADLET_DIRECTORY"; done
  for name in "${UNITS[@]}"; do take_away "$name" "$UNIT_DIRECTORY"; done
  as_owner rm -rf "$INSTALLED"
  user_systemctl daemon-reload
  user_systemctl reset-failed "$UNIT" 2> /dev/null || true
  if [[ $delete == yes ]]; then
    owner_podman volume rm -f "$SERVICE-data" "$SERVICE-uploads" "$SERVICE-memories" > /dev/null
    owner_podman secret rm "$SECRET" > /dev/null 2>&1 || true
    as_owner rm -f "$SETTINGS"
    log "removed the service, its data, its token and its settings; backups stay"
  else
    log "removed the service; its volumes, its token and $SETTINGS stay"
  fi
  say_left
}

# Drop-ins are nobody's but yours: they stay, do nothing without the unit, and count again at the next installation.
say_left() {
  local directory
  for directory in "$QUADLET_DIRECTORY/$SERVICE"*.d "$UNIT_DIRECTORY/$SERVICE"*.d; do
    if [[ -d $directory ]]; then log "your drop-ins stay: $directory"; fi
  done
}

take_away() {
  local target last
  target=$2/$(name_of "$1") last=$INSTALLED/$(name_of "$1")
  if [[ -e $target && -e $last ]] && ! as_owner cmp -s "$target" "$last"; then keep_edited "$target"; fi
  as_owner rm -f "$target"
}

main "$@"
