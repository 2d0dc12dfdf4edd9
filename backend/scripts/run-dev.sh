#!/usr/bin/env bash
# Runs the backend for development: in a container with hot reload, or from a virtual environment where no engine works.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

TAG=dev
COMPOSE_FILE=compose.yaml
PROJECT=ticket-backend-dev
readonly STOP='Logs: backend/scripts/run-dev.sh --logs     Stop: backend/scripts/run-dev.sh --stop     (the data stays)'

usage() {
  cat <<USAGE
Usage: run-dev.sh [--install] [--local-base] [--adopt] [--user NAME] [--stop | --logs]

Builds the image, starts it with your sources mounted (a saved change is live at once), waits until it is healthy.
  --install     first install rootless Podman and podman-compose if no engine works (Debian, Ubuntu, Fedora),
                and make the base image from Debian's packages if it can't be pulled
  --local-base  only the latter
  --adopt       go on with containers and tickets that another checkout has started
  --user NAME   called by root: the unprivileged user who runs the container (default ticket-backend)
  --stop        stop and remove the container; the data stays
  --logs        follow its logs

Settings come from the shell or from .env (see backend/.env.docker.example), changes of compose.yaml from
compose.override.yaml; what has changed replaces the container. TICKET_WAIT_SECONDS (600): how long to wait. ENGINE=podman|docker chooses the engine.
USAGE
}

main() {
  local action=start
  while (($#)); do
    case $1 in
      --install) INSTALL=yes ;;
      --local-base) LOCAL_BASE=yes ;;
      --adopt) ADOPT=yes ;;
      --user) WANTED_USER=${2:-}; [[ -n $WANTED_USER ]] || die "--user needs a name"; shift ;;
      --stop | --logs) action=${1#--} ;;
      -h | --help) usage; return ;;
      *) die "unknown option $1; see run-dev.sh --help" ;;
    esac
    shift
  done
  load_settings
  read_port
  choose_compose_files
  if ! find_engine compose; then
    if [[ $action != start || -n ${ENGINE:-} && $INSTALL == no ]]; then die "$NO_ENGINE"; fi
    if [[ $INSTALL == no ]]; then run_without_engine; return; fi
    log "$NO_ENGINE; installing rootless Podman"
    install_podman
    find_engine compose || die "$NO_ENGINE"
  fi
  share_source
  claim_project
  case $action in
    stop) stop_service ;;
    logs) show_logs ;;
    start) start ;;
  esac
}

start() {
  check_port
  check_modes
  build_image
  start_service
  say_ready "$(dev_token engine exec "$(any_container)" cat /app/data/admin-token)" "$STOP"
}

# The token that development makes for itself; $@ prints it. One that you have set is not shown.
dev_token() { if [[ -n $(setting ADMIN_TOKEN '') ]]; then echo '<your ADMIN_TOKEN>'; else "$@"; fi; }

# UID 1000 in the container is nobody in particular to the host, unless the engine maps it.
check_modes() {
  local hidden
  [[ -z ${PODMAN_USERNS:-} && ! ($ENGINE_NAME == docker && $EUID == 1000) ]] || return 0
  hidden=$(find "$SOURCE/backend" ! -perm -004 ! -name __pycache__ ! -name '*.pyc' -print -quit)
  [[ -z $hidden ]] || die "the container can't read ${hidden#"$SOURCE/"}, which others may not read; do: chmod -R o+rX '$ROOT/backend'"
}

# ---- Without an engine ------------------------------------------------------------------------------------------------

run_without_engine() {
  local state=$ROOT server data uploads memories
  log "$NO_ENGINE"
  log "so it runs from a virtual environment, not in a container ('run-dev.sh --install' would install rootless Podman)"
  choose_owner
  share_source
  if ((EUID == 0)); then state=$OWNER_HOME/.local/share/ticket-backend; fi
  if [[ -n ${API_HOST:-} ]]; then
    export TICKET_BIND=$API_HOST
    read_port
  fi
  if is_open; then die "$(port_taken)"; fi
  make_environment "$state/.venv"
  data=$(below "$state" "${DATA_DIR:-data}")
  uploads=$(below "$state" "${UPLOAD_DIR:-uploads}")
  memories=$(below "$state" "${MEMORY_DIR:-memories}")
  as_owner mkdir -p "$data" "$uploads" "$memories" || die "$OWNER can't make the directories that DATA_DIR, UPLOAD_DIR and MEMORY_DIR name"
  log "starting as $OWNER, data in $state"
  (cd "$SOURCE" && exec "${RUN_AS[@]}" env ENVIRONMENT=development "API_HOST=$HOST" "API_PORT=$PORT" \
    "DATA_DIR=$data" "UPLOAD_DIR=$uploads" "MEMORY_DIR=$memories" PYTHONDONTWRITEBYTECODE=1 \
    "$state/.venv/bin/python" -m backend serve --reload) &
  server=$!
  trap 'kill "$server" 2> /dev/null || true; rm -rf "$WORK"' EXIT
  wait_for "$HEALTHY_SECONDS" healthy_or_gone "$server" || die "not healthy after $HEALTHY_SECONDS s; its last lines are above"
  if kill -0 "$server" 2> /dev/null; then
    say_ready "$(dev_token as_owner cat "$data/admin-token")" "Stop: Ctrl-C     (the data stays in $state)"
  fi
  wait "$server"
}

below() { if [[ $2 == /* ]]; then echo "$2"; else echo "$1/${2#./}"; fi; }

healthy_or_gone() { ! kill -0 "$1" 2> /dev/null || [[ $(health_status) == 200 ]]; }

# Holds exactly what backend/requirements.txt locks; made again when that file has changed.
make_environment() {
  local environment=$1 locked=$ROOT/backend/requirements.txt python
  if as_owner cmp -s "$environment/locked.txt" - < "$locked"; then return 0; fi
  python=$(find_python) || die "needs Python 3.11 or newer; install it, or let 'run-dev.sh --install' install rootless Podman"
  log "making the virtual environment $environment"
  {
    [[ -x $environment/bin/pip ]] || as_owner "$python" -m venv "$environment"
    as_owner env "PIP_CERT=$(ca_bundle)" "$environment/bin/pip" install --quiet --disable-pip-version-check --require-hashes \
      -r /dev/stdin < "$locked"
    as_owner tee "$environment/locked.txt" < "$locked" > /dev/null
  } > "$WORK/pip" 2>&1 || die "could not make it: $(last_line "$WORK/pip") (Debian and Ubuntu: is python3-venv installed?)"
}

find_python() {
  local python
  for python in python3 python3.13 python3.12 python3.11; do
    if as_owner "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then echo "$python"; return; fi
  done
  return 1
}

main "$@"
