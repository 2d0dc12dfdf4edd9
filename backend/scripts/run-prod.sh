#!/usr/bin/env bash
# Runs the backend for production: the code baked into the image, compose.prod.yaml, the admin's token from a file.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

readonly STOP='Logs: backend/scripts/run-prod.sh --logs     Stop: backend/scripts/run-prod.sh --stop     (the data stays)'

usage() {
  cat <<USAGE
Usage: run-prod.sh [--no-build] [--local-base] [--adopt] [--user NAME] [--stop | --logs]

Builds $IMAGE:latest, starts compose.prod.yaml and waits until it is healthy.
  --no-build    run the image that is there
  --local-base  where the base image can't be pulled, make a stand-in from Debian's packages
  --adopt       go on with containers and tickets that another checkout has started
  --user NAME   called by root: the unprivileged user who runs the container (default ticket-backend)
  --stop        stop and remove the container; the data stays
  --logs        follow its logs

The admin's token is read from secrets/admin_token (made if missing), or from the file that ADMIN_TOKEN_FILE_ON_HOST
names. Limits: TICKET_MEMORY (512m), TICKET_CPUS (1.0), TICKET_PIDS (256); 0 switches one off. TICKET_FILES (8192): open files.
All may stand in .env, changes of compose.prod.yaml in compose.override.yaml. What has changed replaces the container, nothing else does.
It waits for TICKET_WAIT_SECONDS (600), since a new version may have to bring a large database up to date.
USAGE
}

main() {
  local action=start build=yes
  while (($#)); do
    case $1 in
      --no-build) build=no ;;
      --local-base) LOCAL_BASE=yes ;;
      --adopt) ADOPT=yes ;;
      --user) WANTED_USER=${2:-}; [[ -n $WANTED_USER ]] || die "--user needs a name"; shift ;;
      --stop | --logs) action=${1#--} ;;
      -h | --help) usage; return ;;
      *) die "unknown option $1; see run-prod.sh --help" ;;
    esac
    shift
  done
  load_settings
  read_port
  choose_compose_files
  find_engine compose || die "$NO_ENGINE; 'backend/scripts/run-dev.sh --install' installs rootless Podman"
  case $action in
    stop) share_source; claim_project; stop_service ;;
    logs) share_source; claim_project; show_logs ;;
    start) start ;;
  esac
}

start() {
  TOKEN_FILE=$(setting ADMIN_TOKEN_FILE_ON_HOST ./secrets/admin_token)
  make_token
  share_source
  claim_project
  check_port
  check_token
  drop_missing_limits
  if [[ $build == yes ]]; then
    build_image
  else
    engine image inspect "$IMAGE:$TAG" > /dev/null 2>&1 || die "there is no image $IMAGE:$TAG; leave out --no-build"
  fi
  start_service
  say_ready "\$(cat '$(token_path "$ROOT")')" "$STOP"
}

# ---- The admin's token ------------------------------------------------------------------------------------------------

# Compose takes a relative path from the compose file's directory; so do we. $1 is that directory.
token_path() { if [[ $TOKEN_FILE == /* ]]; then echo "$TOKEN_FILE"; else echo "$1/${TOKEN_FILE#./}"; fi; }

# Only the directory keeps others out: inside, UID 1000 is another user than the file's, and must read it all the same.
make_token() {
  local path owner
  path=$(token_path "$ROOT")
  if [[ -n $(setting ADMIN_TOKEN '') ]]; then log "ADMIN_TOKEN is for development; production reads the token from $path"; fi
  [[ ! -e $path ]] || return 0
  [[ $TOKEN_FILE == ./secrets/admin_token ]] || die "$path, which ADMIN_TOKEN_FILE_ON_HOST names, is not there; make it: openssl rand -hex 32 > '$path'"
  owner=$(id -un)
  if [[ $ENGINE_NAME == podman ]]; then owner=$OWNER; fi
  install -d -m 0700 -o "$owner" "$ROOT/secrets"
  od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > "$path"
  chown "$owner" "$path"
  chmod 0444 "$path"
  log "made the admin's token: $path (mode 0444 in a directory that only $owner can enter)"
}

check_token() {
  local path
  path=$(token_path "$SOURCE")
  if [[ $ENGINE_NAME == podman ]]; then
    as_owner test -r "$path" || die "$OWNER, who runs the container, can't read the admin's token $path; do: chown $OWNER '$path' (and its directory)"
  fi
  [[ -n ${PODMAN_USERNS:-} ]] || [[ -n $(find "$path" -perm -004) ]] || [[ $ENGINE_NAME == docker && $(stat -c %u "$path") == 1000 ]] \
    || die "the container (UID 1000) can't read the admin's token $path; do: chmod 0444 '$path' and keep others out of its directory: chmod 0700"
}

# ---- Limits -----------------------------------------------------------------------------------------------------------

# An engine refuses to start a container with a limit whose controller it hasn't got. Better one limit less, and said.
drop_missing_limits() {
  local available missing=()
  available=" $(controllers) "
  [[ $available == *' memory '* ]] || { export TICKET_MEMORY=0; missing+=(memory); }
  [[ $available == *' cpu '* ]] || { export TICKET_CPUS=0; missing+=(cpu); }
  [[ $available == *' pids '* ]] || { export TICKET_PIDS=0; missing+=(pids); }
  drop_unreachable_files
  ((${#missing[@]} == 0)) || log "without limits on: ${missing[*]} (no such cgroup controller for $OWNER here; on systemd: Delegate=cpu memory pids for user@.service)"
}

# A rootless engine can't give a container more descriptors than its user has.
drop_unreachable_files() {
  local wanted most
  wanted=$(setting TICKET_FILES 8192)
  [[ $ENGINE_NAME == podman ]] || return 0
  most=$(as_owner bash -c 'ulimit -Hn')
  [[ $most != unlimited ]] && ((most < wanted)) || return 0
  export TICKET_FILES=$most
  log "with $most open files in place of $wanted: $OWNER may not have more"
}

controllers() {
  if [[ $ENGINE_NAME == podman ]]; then
    engine info --format '{{range .Host.CgroupControllers}}{{.}} {{end}}' 2> /dev/null
  else
    engine info --format '{{if .MemoryLimit}}memory {{end}}{{if .CPUCfsQuota}}cpu {{end}}{{if .PidsLimit}}pids {{end}}' 2> /dev/null
  fi
}

main "$@"
