# shellcheck shell=bash
# shellcheck disable=SC2034 # the scripts use what is set here
# What build.sh, run-dev.sh and run-prod.sh share: whose containers they are, which engine runs them, and one clear
# line for every failure. Sourced, never run. Nothing here runs a container or the application as root: called by
# root, Podman and podman-compose are started as an unprivileged user (OWNER).

umask 022
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
PROGRAM=$(basename "$0")
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

readonly IMAGE=localhost/ticket-backend
readonly PROBE_IMAGE=localhost/ticket-backend-probe
readonly PODMAN_FLOOR=4.3 PODMAN_COMPOSE_FLOOR=1.3.0 DOCKER_FLOOR=23 DOCKER_COMPOSE_FLOOR=2.24
readonly BUILD_MIB=1024 # free space a build needs: base image, environment, source
readonly BASE_PIN=$ROOT/backend/scripts/base-image.txt # the base image of production builds by its digest, if it is there
readonly SICK_SECONDS=60 PROGRESS_SECONDS=10 # how long /health may say that something is wrong; how often a wait is told
readonly SHARED_MOUNTS=/run/ticket-backend

HEALTHY_SECONDS=600 # as the quadlet waits: a new schema on a large database takes minutes
readonly PASSED=backend/scripts/passed.env
WANTED_USER=''  # --user
INSTALL=no      # --install
LOCAL_BASE=no   # --local-base
ADOPT=no        # --adopt
OWNER=''        # whose containers they are
OWNER_HOME=''
RUN_AS=()       # command prefix that turns root into OWNER; empty for everybody else
SOURCE=''       # the checkout as OWNER sees it
ENGINE_NAME=''  # podman or docker
NO_ENGINE=''    # why there is none
COMPOSE=()      # the compose command of that engine
BUILD_OPTIONS=() # more for the engine's build
TAG=latest      # of $IMAGE: dev or latest
COMPOSE_FILE=compose.prod.yaml
COMPOSE_FILES=() # -f options of that file and of your override
PROJECT=ticket-backend
HOST='' PORT='' URL='' # where the published port is reached

log() { printf '%s: %s\n' "$PROGRAM" "$*" >&2; }
die() { log "$*"; exit 1; }

# shellcheck source-path=SCRIPTDIR source=settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

# ---- The published port ----------------------------------------------------------------------------------------------

# Sets PORT and URL, and says at once if the port is none. Engines want an IPv6 address in brackets.
read_port() {
  local host bind
  bind=$(setting TICKET_BIND '')
  if [[ $bind == *:* && $bind != \[* ]]; then export TICKET_BIND="[$bind]"; fi
  PORT=$(setting API_PORT 8000)
  if [[ ! $PORT =~ ^[1-9][0-9]{0,4}$ ]] || ((PORT > 65535)); then
    die "API_PORT must be a whole number from 1 to 65535, not '$PORT'"
  fi
  HOST=$(reachable_host)
  host=$HOST
  [[ $host != *:* ]] || host="[$host]"
  URL=http://$host:$PORT
}

# Where this machine reaches the published port.
reachable_host() {
  local bind
  bind=$(setting TICKET_BIND 127.0.0.1)
  case $bind in
    0.0.0.0) echo 127.0.0.1 ;;
    :: | '[::]') echo ::1 ;;
    *) tr -d '[]' <<< "$bind" ;;
  esac
}

# ---- Whose containers they are --------------------------------------------------------------------------------------

# Sets OWNER and RUN_AS. For root it makes the user, where there is none, and what a session would have given it.
choose_owner() {
  if [[ -n $OWNER ]]; then
    ((EUID != 0)) || set_run_as # an engine that was looked at since may have taken it back
    return 0
  fi
  if ((EUID != 0)); then
    OWNER=$(id -un)
    [[ -z $WANTED_USER || $WANTED_USER == "$OWNER" ]] || die "--user $WANTED_USER needs root; you are $OWNER"
    OWNER_HOME=${HOME:?HOME is not set}
    [[ -n ${XDG_RUNTIME_DIR:-} || ! -O /run/user/$EUID ]] || export XDG_RUNTIME_DIR=/run/user/$EUID
    return 0
  fi
  OWNER=${WANTED_USER:-ticket-backend}
  [[ $OWNER =~ ^[a-z_][a-z0-9_-]{0,31}$ ]] || die "'$OWNER' is no user name; give --user NAME"
  [[ $OWNER != root ]] || die "nothing is run as root; give --user another NAME, or none for ticket-backend"
  id "$OWNER" > /dev/null 2>&1 || make_owner
  OWNER_HOME=$(getent passwd "$OWNER" | cut -d: -f6)
  give_subordinate_ids
  give_runtime_directory
  set_run_as
}

make_owner() {
  log "making the user $OWNER, who will own the containers"
  useradd --create-home --user-group --home-dir "/home/$OWNER" --comment 'Ticket Backend' --shell /usr/sbin/nologin "$OWNER" \
    || die "could not make the user $OWNER; make one and name it with --user NAME"
}

# Rootless Podman maps the container's users to a range that is the owner's alone.
give_subordinate_ids() {
  local first
  if grep -q "^$OWNER:" /etc/subuid 2> /dev/null && grep -q "^$OWNER:" /etc/subgid 2> /dev/null; then return 0; fi
  first=$(cat /etc/subuid /etc/subgid 2> /dev/null | awk -F: '$2 + $3 > first { first = $2 + $3 } END { print (first < 100000 ? 100000 : first) }')
  log "giving $OWNER the subordinate ids $first-$((first + 65535))"
  usermod --add-subuids "$first-$((first + 65535))" --add-subgids "$first-$((first + 65535))" "$OWNER" \
    || die "could not give $OWNER subordinate ids; add '$OWNER:$first:65536' to /etc/subuid and /etc/subgid"
}

# With systemd a lingering session, so that containers outlive this shell; without it just the directory.
give_runtime_directory() {
  local uid directory
  uid=$(id -u "$OWNER")
  directory=/run/user/$uid
  if [[ -d /run/systemd/system ]] && command -v loginctl > /dev/null; then
    [[ -e /var/lib/systemd/linger/$OWNER ]] || log "keeping a session for $OWNER, so that its containers stay up (loginctl enable-linger)"
    loginctl enable-linger "$OWNER" || die "loginctl could not start a session for $OWNER; look at 'systemctl status systemd-logind'"
    wait_for 15 test -S "$directory/bus" || log "$OWNER's session has no D-Bus; install dbus-user-session if Podman complains about cgroups"
  else
    mkdir -p /run/user
    [[ -d $directory ]] || install -d -m 0700 -o "$OWNER" -g "$(id -g "$OWNER")" "$directory"
  fi
}

set_run_as() {
  local uid gid bus
  uid=$(id -u "$OWNER")
  gid=$(id -g "$OWNER")
  bus=/run/user/$uid/bus
  RUN_AS=(
    setpriv "--reuid=$uid" "--regid=$gid" --init-groups --
    env -u XDG_CONFIG_HOME -u XDG_DATA_HOME -u XDG_CACHE_HOME -u XDG_STATE_HOME -u DBUS_SESSION_BUS_ADDRESS
    "HOME=$OWNER_HOME" "USER=$OWNER" "LOGNAME=$OWNER" "XDG_RUNTIME_DIR=/run/user/$uid"
  )
  [[ ! -S $bus ]] || RUN_AS+=("DBUS_SESSION_BUS_ADDRESS=unix:path=$bus")
}

as_owner() { (cd / && exec "${RUN_AS[@]}" "$@"); }

# For what only root may do on behalf of an ordinary user, such as installing packages.
as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo > /dev/null; then
    sudo "$@"
  else
    die "this needs root and there is no sudo: run '$*' as root"
  fi
}

wait_for() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.2
  done
}

# ---- Which engine ---------------------------------------------------------------------------------------------------

engine() { (cd "${SOURCE:-/}" && exec "${RUN_AS[@]}" "$ENGINE_NAME" "$@"); }
# The project is named, since podman-compose lets the file's own name win over COMPOSE_PROJECT_NAME.
compose() { (cd "$SOURCE" && exec "${RUN_AS[@]}" "${COMPOSE[@]}" -p "$PROJECT" "$@"); }

# Docker's daemon is root's business, so its client runs as whoever called; the container runs as UID 1000 all the same.
use_engine() {
  ENGINE_NAME=$1
  if [[ $ENGINE_NAME == docker ]]; then RUN_AS=(); elif [[ $EUID == 0 && -n $OWNER ]]; then set_run_as; fi
}

at_least() { [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]; }

# Takes the first engine that really runs a container, and has compose where that is needed ($1). Names those passed over.
find_engine() {
  local candidate reason reasons=()
  case ${ENGINE:-} in
    '' | podman | docker) ;;
    *) die "ENGINE must be podman or docker, not '$ENGINE'" ;;
  esac
  for candidate in ${ENGINE:-podman docker}; do
    if [[ $candidate == podman ]] && command -v podman > /dev/null; then choose_owner; fi
    use_engine "$candidate"
    if reason=$(why_not "$candidate" "$1") && [[ -z $reason ]]; then
      [[ $1 != compose ]] || find_compose "$candidate"
      if ((${#reasons[@]})); then log "passed over: ${reasons[*]}"; fi
      log "engine: $(engine_title)"
      return 0
    fi
    reasons+=("$candidate (${reason:-it failed without a word})")
  done
  ENGINE_NAME=''
  NO_ENGINE="no engine that works: ${reasons[*]}"
  return 1
}

engine_title() {
  if [[ $ENGINE_NAME == docker ]]; then
    echo "Docker $(docker version --format '{{.Server.Version}}' 2> /dev/null)"
  else
    echo "rootless Podman $(podman_version) of $OWNER"
  fi
}

podman_version() { as_owner podman --version 2> /dev/null | grep -oE '[0-9]+(\.[0-9]+)+' | head -n 1; }

# Prints why this engine can't be used; nothing if it can.
why_not() {
  local name=$1 needs=$2 version
  command -v "$name" > /dev/null || { echo 'not installed'; return; }
  if [[ $name == podman ]]; then
    version=$(podman_version)
    at_least "${version:-0}" "$PODMAN_FLOOR" || { echo "version ${version:-unknown}, needs $PODMAN_FLOOR or newer"; return; }
    prepare_podman
  else
    version=$(docker version --format '{{.Server.Version}}' 2> "$WORK/version") \
      || { echo "installed, but its daemon does not answer: $(last_line "$WORK/version")"; return; }
    at_least "$version" "$DOCKER_FLOOR" || { echo "version $version, needs $DOCKER_FLOOR or newer"; return; }
  fi
  [[ $needs != compose ]] || why_not_compose "$name" || return 0
  probe || echo "installed, but it can't run a container: $(last_line "$WORK/probe")"
}

# What a container engine says last is what went wrong; what comes before is noise.
last_line() { grep -v '^[[:space:]]*$' "$1" | tail -n 1 | cut -c1-300; }

# Runs a container for real, from an image of nothing but this machine's own shell: no registry is needed for that.
probe() {
  local shell libraries
  if ! engine image inspect "$PROBE_IMAGE" > /dev/null 2>&1; then
    shell=$(readlink -f /bin/sh)
    mapfile -t libraries < <(ldd "$shell" 2> /dev/null | grep -oE '/[^ )]+')
    tar -C / -chf "$WORK/probe.tar" bin/sh "${libraries[@]#/}" 2> "$WORK/probe" || return 1
    engine import - "$PROBE_IMAGE" < "$WORK/probe.tar" > "$WORK/probe" 2>&1 || return 1
  fi
  engine run --rm --pull=never "$PROBE_IMAGE" /bin/sh -c : > "$WORK/probe" 2>&1
}

# ---- Compose --------------------------------------------------------------------------------------------------------

private_compose() { printf '%s\n' "$OWNER_HOME/.local/share/ticket-backend/podman-compose"; }

podman_compose_version() {
  as_owner "$1" --version 2> /dev/null | sed -n 's/^podman-compose version:\{0,1\} *//p' | head -n 1
}

docker_compose_version() { docker compose version --short 2> /dev/null | tr -d v; }

why_not_compose() {
  local version found=''
  find_compose "$1" && return 0
  if [[ $1 == podman ]]; then
    version=$(podman_compose_version podman-compose)
    [[ -z $version ]] || found=" (podman-compose $version is there)"
    echo "it runs, but needs podman-compose $PODMAN_COMPOSE_FLOOR or newer$found; '$PROGRAM --install' gets it"
  else
    version=$(docker_compose_version)
    [[ -z $version ]] || found=" (Compose $version is there)"
    echo "it runs, but needs Docker Compose $DOCKER_COMPOSE_FLOOR or newer$found"
  fi
  return 1
}

find_compose() {
  local candidate version
  COMPOSE=()
  if [[ $1 == docker ]]; then
    version=$(docker_compose_version)
    [[ -z $version ]] || ! at_least "$version" "$DOCKER_COMPOSE_FLOOR" || COMPOSE=(docker compose)
  else
    for candidate in podman-compose "$(private_compose)/bin/podman-compose"; do
      version=$(podman_compose_version "$candidate")
      if [[ -n $version ]] && at_least "$version" "$PODMAN_COMPOSE_FLOOR"; then COMPOSE=("$candidate"); break; fi
    done
  fi
  ((${#COMPOSE[@]}))
}

# ---- Podman on a machine that nobody prepared -------------------------------------------------------------------------

on_cgroup_v1() { [[ $(stat -f -c %T /sys/fs/cgroup 2> /dev/null) != cgroup2fs ]]; }

# Only root can, and only root must: an ordinary user's Podman is that user's own business.
prepare_podman() {
  ((EUID == 0)) || return 0
  if [[ -c /dev/net/tun ]] && ! as_owner test -w /dev/net/tun; then
    log "letting users open /dev/net/tun, which rootless networks need (chmod 0666, as udev does)"
    chmod 0666 /dev/net/tun
  fi
  configure_podman
}

# Writes defaults that Podman gets wrong on bare machines, and only where nobody has configured anything.
configure_podman() {
  local directory=$OWNER_HOME/.config/containers
  if [[ ! -e $directory/storage.conf && ! -e /etc/containers/storage.conf && ! -e $OWNER_HOME/.local/share/containers ]] \
    && at_least "$(uname -r)" 5.13; then
    log "Podman keeps images in overlay file systems ($directory/storage.conf); its own choice here copies every layer"
    as_owner mkdir -p "$directory"
    printf '[storage]\ndriver = "overlay"\n' | as_owner tee "$directory/storage.conf" > /dev/null
  fi
  if on_cgroup_v1 && [[ ! -e $directory/containers.conf ]] && command -v runc > /dev/null; then
    log "Podman uses runc ($directory/containers.conf); crun refuses this machine's cgroups of version 1"
    as_owner mkdir -p "$directory"
    printf '[engine]\nruntime = "runc"\n' | as_owner tee "$directory/containers.conf" > /dev/null
  fi
}

# ---- The checkout as the owner sees it --------------------------------------------------------------------------------

readable_by_owner() {
  local directory=$1 hidden
  as_owner test -r "$directory/compose.yaml" -a -r "$directory/Containerfile" || return 1
  hidden=$(as_owner find "$directory/backend" ! -readable ! -path '*/__pycache__*' -print -quit 2>&1)
  [[ -z $hidden ]] || return 1
  [[ ! -e $directory/.env ]] || as_owner test -r "$directory/.env" \
    || die "$ROOT/.env can't be read by $OWNER, who runs the containers; give it to that user: chown $OWNER '$ROOT/.env'"
}

# Podman keeps one mount namespace for all of its user's containers, and what is mounted later may not show in it.
seen_by_podman() { as_owner podman unshare test -r "$1/compose.yaml" 2> /dev/null; }

# A checkout that the owner can't reach (below /root, say) is shown to it through a read-only mount, or copied.
share_source() {
  SOURCE=$ROOT
  if ((EUID != 0)) || [[ $ENGINE_NAME == docker ]] || readable_by_owner "$ROOT"; then return 0; fi
  SOURCE=$SHARED_MOUNTS/$(basename "$ROOT")-$(cksum <<< "$ROOT" | cut -d' ' -f1)
  if mount_source && readable_by_owner "$SOURCE" && source_reaches_podman; then return 0; fi
  copy_source
}

source_reaches_podman() {
  [[ $ENGINE_NAME == podman ]] || return 0
  seen_by_podman "$SOURCE" && return 0
  [[ -z $(as_owner podman ps -q) ]] && as_owner podman system migrate > /dev/null 2>&1 && seen_by_podman "$SOURCE"
}

mount_source() {
  if ! mountpoint -q "$SHARED_MOUNTS"; then
    mkdir -p "$SHARED_MOUNTS"
    # A shared mount of its own, so that later ones below it reach a Podman that already runs.
    mount -t tmpfs -o mode=0755,size=1m,nosuid,nodev tmpfs "$SHARED_MOUNTS" && mount --make-shared "$SHARED_MOUNTS" || return 1
  fi
  if mountpoint -q "$SOURCE" 2> /dev/null && [[ $SOURCE/compose.yaml -ef $ROOT/compose.yaml ]]; then return 0; fi
  umount --lazy "$SOURCE" 2> /dev/null || true
  mkdir -p "$SOURCE"
  log "$OWNER can't read $ROOT and gets a read-only mount of it, $SOURCE"
  mount --bind -o ro,nosuid,nodev "$ROOT" "$SOURCE" 2> "$WORK/mount" || { log "can't mount it: $(last_line "$WORK/mount")"; return 1; }
}

copy_source() {
  local extra
  SOURCE=$OWNER_HOME/.local/share/ticket-backend/source
  log "$OWNER can't read $ROOT; it gets a copy, $SOURCE: run this again after a change, it is not reloaded by itself"
  rm -rf "$SOURCE"
  as_owner mkdir -p "$SOURCE"
  mapfile -t extra < <(cd "$ROOT" && find . -maxdepth 1 \( -name .env -o -name secrets -o -name 'compose.override.y*ml' \))
  tar -C "$ROOT" -c --exclude=__pycache__ backend Containerfile .dockerignore compose.yaml compose.prod.yaml "${extra[@]}" \
    | (cd "$SOURCE" && tar -x --no-same-owner && chmod -R u=rwX,go=rX . && chown -R "$OWNER:" .)
}

# ---- Installing Podman -------------------------------------------------------------------------------------------------

install_podman() {
  local id
  id=$(. /etc/os-release 2> /dev/null && echo " ${ID:-} ${ID_LIKE:-} ")
  case $id in
    *' debian '* | *' ubuntu '*) install_on_debian ;;
    *' fedora '* | *' rhel '*) install_on_fedora ;;
    *) die "--install knows Debian, Ubuntu and Fedora; here, install podman $PODMAN_FLOOR and podman-compose $PODMAN_COMPOSE_FLOOR (or newer) yourself" ;;
  esac
  choose_owner
  install_podman_compose
  configure_podman
}

install_on_debian() {
  # iptables: netavark of Debian 12 calls it, its package only recommends it, and without it says "Permission denied".
  local packages=(podman uidmap netavark aardvark-dns iptables ca-certificates python3-venv)
  if on_cgroup_v1; then packages+=(runc); else packages+=(crun); fi
  [[ ! -d /run/systemd/system ]] || packages+=(dbus-user-session)
  apt_refresh
  if [[ $(candidate podman) == [1-4].* ]]; then packages+=(slirp4netns); else packages+=(passt); fi
  if at_least "$(candidate podman-compose)" "$PODMAN_COMPOSE_FLOOR"; then packages+=(podman-compose); fi
  apt_install "${packages[@]}"
}

candidate() { apt-cache policy "$1" | sed -n 's/^ *Candidate: *\([0-9]*:\)\{0,1\}\([0-9.]*\).*/\2/p' | grep . || echo 0; }

apt_refresh() {
  as_root apt-get -qq update < /dev/null > "$WORK/apt" 2>&1 \
    || die "apt-get update failed: $(last_line "$WORK/apt"); is Debian's archive within reach?"
}

apt_install() {
  log "installing $*"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -y install --no-install-recommends "$@" < /dev/null > "$WORK/apt" 2>&1 \
    || die "apt-get could not install $*: $(last_line "$WORK/apt")"
}

install_on_fedora() {
  log "installing podman and podman-compose"
  as_root dnf -y install podman podman-compose python3 < /dev/null > "$WORK/dnf" 2>&1 \
    || die "dnf could not install podman and podman-compose: $(last_line "$WORK/dnf")"
}

# From PyPI, each file checked against podman-compose.txt, where the distribution's is missing or too old.
install_podman_compose() {
  local directory
  find_compose podman && return 0
  directory=$(private_compose)
  log "installing podman-compose into $directory"
  {
    as_owner python3 -m venv --clear "$directory" \
      && as_owner env "PIP_CERT=$(ca_bundle)" "$directory/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir \
        --require-hashes -r /dev/stdin < "$ROOT/backend/scripts/podman-compose.txt"
  } > "$WORK/pip" 2>&1 || die "could not install podman-compose: $(last_line "$WORK/pip")"
  find_compose podman || die "podman-compose was installed into $directory and does not run; try '$directory/bin/podman-compose --version'"
}

# What this machine trusts: on networks whose proxy opens TLS, its certificate is in there.
ca_bundle() {
  local bundle
  if [[ -n ${PIP_CA_FILE:-} && $PIP_CA_FILE != /dev/null ]]; then
    as_owner test -r "$PIP_CA_FILE" || die "PIP_CA_FILE names $PIP_CA_FILE, which ${OWNER:-$(id -un)} can't read"
    echo "$PIP_CA_FILE"
    return
  fi
  for bundle in "${PIP_CERT:-}" "${SSL_CERT_FILE:-}" \
    /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem; do
    if [[ -n $bundle && -r $bundle ]] && as_owner test -r "$bundle"; then echo "$bundle"; return; fi
  done
  echo /dev/null
}

# ---- Building -----------------------------------------------------------------------------------------------------------

build_image() {
  local options bundle
  check_disk
  if [[ $TAG == latest ]]; then pin_base_image; fi
  get_base_image
  options=(--file Containerfile --tag "$IMAGE:$TAG" --build-arg "PYTHON_IMAGE=$PYTHON_IMAGE")
  mapfile -t -O "${#options[@]}" options < <(label_options; proxy_options)
  bundle=$(ca_bundle)
  options+=(--secret "id=pip_ca,src=$bundle")
  if [[ $ENGINE_NAME == podman ]]; then
    options+=(--pull=never)
  else
    need_buildx
    export BUILDX_NO_DEFAULT_ATTESTATIONS=1 # its times would give an unchanged image another id in containerd's store
  fi
  log "building $IMAGE:$TAG"
  engine build "${options[@]}" "${BUILD_OPTIONS[@]}" . < /dev/null 2>&1 | tee "$WORK/build" | { grep -v '^--> ' >&2 || true; } \
    || die "$(why_failed "$WORK/build" 'the build failed; the engine has said why above')"
  log "built $IMAGE:$TAG"
}

label_options() {
  local version revision=unknown created=1970-01-01T00:00:00Z
  version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$ROOT/backend/__init__.py")
  if git -C "$ROOT" rev-parse HEAD > /dev/null 2>&1; then
    revision=$(git -C "$ROOT" rev-parse HEAD)
    [[ -z $(git -C "$ROOT" status --porcelain -- backend Containerfile) ]] || revision+=-modified
    created=$(TZ=UTC git -C "$ROOT" log -1 --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ)
  fi
  printf -- '--build-arg\n%s\n' "VERSION=${version:-0}" "REVISION=$revision" "CREATED=$created"
}

# A production build takes the base image by the digest that build.sh --renew-base wrote, if it is of the same name and tag.
pin_base_image() {
  local pinned=''
  [[ -r $BASE_PIN ]] || return 0
  pinned=$(tr -d '[:space:]' < "$BASE_PIN")
  [[ $pinned =~ ^[^@]+@sha256:[0-9a-f]{64}$ ]] \
    || die "$BASE_PIN must hold one line such as $PYTHON_IMAGE@sha256:…; make it anew: backend/scripts/build.sh --renew-base"
  if [[ ${pinned%@*} == "$PYTHON_IMAGE" ]]; then PYTHON_IMAGE=$pinned; fi
}

# Pulls what the tag names today and writes its digest, the one for every architecture where there is one.
renew_base() {
  local tag=${PYTHON_IMAGE%@*} name found digest=''
  log "pulling $tag"
  engine pull "$tag" < /dev/null > "$WORK/pull" 2>&1 || die "can't pull $tag: $(last_line "$WORK/pull"); the digest stays as it is"
  while read -r found; do
    name=${tag%:*}@$found
    [[ -n $digest ]] || digest=$found
    if engine manifest inspect "$name" 2> /dev/null | grep -q '"manifests"'; then digest=$found; break; fi
  done < <(engine image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$tag" | sed -n 's/.*@//p')
  [[ -n $digest ]] || die "$ENGINE_NAME knows no digest of $tag: was it made here, not pulled?"
  printf '%s\n' "$tag@$digest" > "$BASE_PIN"
  log "production builds take $tag@$digest from now on ($BASE_PIN)"
}

# Podman hands them on by itself; both engines leave these out of the image and of the cache's key.
proxy_options() {
  local name
  [[ $ENGINE_NAME == docker ]] || return 0
  for name in HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy; do
    [[ -z ${!name:-} ]] || printf -- '--build-arg\n%s\n' "$name"
  done
}

need_buildx() {
  docker buildx version > /dev/null 2>&1 \
    || die "Docker builds this only with BuildKit; install its buildx plugin (package docker-buildx or docker-buildx-plugin)"
}

check_disk() {
  local store free
  if [[ $ENGINE_NAME == podman ]]; then
    store=$(engine info --format '{{.Store.GraphRoot}}' 2> /dev/null)
  else
    store=$(engine info --format '{{.DockerRootDir}}' 2> /dev/null)
  fi
  [[ -d $store ]] || return 0
  free=$(df --output=avail -BM "$store" 2> /dev/null | tail -n 1 | tr -dc 0-9)
  [[ -z $free ]] || ((free >= BUILD_MIB)) \
    || die "no disk space: $free MiB free in $store, a build needs $BUILD_MIB; make room, for example with '$ENGINE_NAME system prune'"
}

get_base_image() {
  engine image inspect "$PYTHON_IMAGE" > /dev/null 2>&1 && return 0
  log "pulling $PYTHON_IMAGE"
  engine pull "$PYTHON_IMAGE" < /dev/null > "$WORK/pull" 2>&1 && return 0
  log "can't pull $PYTHON_IMAGE: $(last_line "$WORK/pull")"
  [[ $LOCAL_BASE == yes || $INSTALL == yes ]] \
    || die "the base image $PYTHON_IMAGE is out of reach; check the network, name another with PYTHON_IMAGE, or add --local-base to make a stand-in from Debian's packages"
  make_local_base
}

make_local_base() {
  local options=(--load "${RUN_AS[*]} $ENGINE_NAME")
  if [[ $INSTALL == yes ]]; then
    ((EUID == 0)) || command -v mmdebstrap > /dev/null || { apt_refresh; apt_install mmdebstrap debian-archive-keyring; }
    ((EUID != 0)) || options=(--install "${options[@]}")
  fi
  (cd / && PYTHON_IMAGE=$PYTHON_IMAGE bash "$ROOT/backend/scripts/local-base.sh" "${options[@]}" 2> >(grep -vE '^(Getting|Copying|Writing|Storing) ' >&2)) \
    || die "could not make a stand-in for $PYTHON_IMAGE; local-base.sh has said why above"
}

# One line for what an engine said at length; $2 if none of it is known.
why_failed() {
  if grep -qi 'no space left on device' "$1"; then
    echo "no disk space; make room, for example with '$ENGINE_NAME system prune'"
  elif grep -qiE 'address already in use|port is already allocated' "$1"; then
    port_taken
  elif grep -qE 'CERTIFICATE_VERIFY_FAILED|SSLError' "$1"; then
    echo "a proxy seems to open TLS here: name its CA bundle with PIP_CA_FILE=/path/to/bundle.pem"
  elif grep -qE 'NewConnectionError|Could not find a version|No matching distribution|ReadTimeoutError' "$1"; then
    echo "pip can't fetch the packages in backend/requirements.txt; check the network (behind a proxy: HTTPS_PROXY, PIP_CA_FILE)"
  elif grep -qE 'pinging container registry|failed to resolve source metadata|pull access denied' "$1"; then
    echo "the base image $PYTHON_IMAGE is out of reach; check the network, or add --local-base to make a stand-in from Debian's packages"
  else
    echo "$2"
  fi
}

# ---- Starting -----------------------------------------------------------------------------------------------------------

port_taken() { echo "port $PORT of $HOST is taken; stop what listens there, or choose another: API_PORT=$((PORT + 1)) $PROGRAM"; }

check_port() {
  local first
  if [[ $ENGINE_NAME == podman ]] && first=$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start 2> /dev/null) && ((PORT < first)); then
    die "rootless Podman can't publish port $PORT, only those from $first on; choose another with API_PORT"
  fi
  [[ -z $(running_container) ]] || return 0 # it is ours, and compose replaces it
  if is_open; then die "$(port_taken)"; fi
}

is_open() { (exec 3<> "/dev/tcp/$HOST/$PORT") 2> /dev/null; }

running_container() {
  engine ps --quiet --filter "label=com.docker.compose.project=$PROJECT" --filter label=com.docker.compose.service=backend | head -n 1
}

any_container() {
  engine ps --all --quiet --filter "label=com.docker.compose.project=$PROJECT" --filter label=com.docker.compose.service=backend | head -n 1
}

# Starts the service of $COMPOSE_FILE and returns when /health answers 200 through the published port. A container that
# runs and was made of the same is left alone; another is replaced, since podman-compose looks at neither image nor .env
# and no engine at what is in a secret.
start_service() {
  local recreate=()
  PIP_CA_FILE=$(ca_bundle)
  TICKET_FINGERPRINT=$(fingerprint)
  export PIP_CA_FILE PYTHON_IMAGE TICKET_FINGERPRINT
  : > "$WORK/up"
  if [[ -n $(running_container) ]] && is_current; then
    log "nothing has changed; it goes on running ($COMPOSE_FILE)"
  else
    if [[ -n $(any_container) ]] && ! is_current; then
      recreate=(--force-recreate)
      log "image, settings, secrets or compose file have changed: replacing the container"
    fi
    log "starting ($COMPOSE_FILE)"
    compose "${COMPOSE_FILES[@]}" up -d --no-build "${recreate[@]}" < /dev/null > "$WORK/up" 2>&1 || { cat "$WORK/up" >&2; die "$(why_failed "$WORK/up" 'compose could not start it; it has said why above')"; }
  fi
  wait_until_healthy
}

# As long as a database may take that is brought up to date; something that answers and is not well gets a minute.
wait_until_healthy() {
  local status='' started=$SECONDS sick=0 told=$SECONDS
  until status=$(health_status) && [[ $status == 200 ]]; do
    die_if_stopped
    if [[ -z $status ]]; then sick=0; elif ((sick == 0)); then sick=$SECONDS; fi
    if ((SECONDS - started >= HEALTHY_SECONDS || (sick && SECONDS - sick >= SICK_SECONDS))); then
      engine logs --tail 20 "$(any_container)" >&2 || true
      die "not healthy after $((SECONDS - started)) s (/health: ${status:-no answer}); its last lines are above (TICKET_WAIT_SECONDS is how long to wait)"
    fi
    if ((SECONDS - told >= PROGRESS_SECONDS)); then
      told=$SECONDS
      engine logs --tail 1 "$(any_container)" > "$WORK/logs" 2>&1 || true
      log "not healthy yet after $((SECONDS - started)) of $HEALTHY_SECONDS s; its last line: $(last_line "$WORK/logs")"
    fi
    sleep 0.3
  done
}

# The status of /health as the world sees it: no health timer, curl or Python needed.
health_status() {
  local line
  exec 3<> "/dev/tcp/$HOST/$PORT" || return 1
  printf 'GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
  read -r -t 5 -u 3 _ line _ || line=''
  exec 3>&-
  printf '%s\n' "$line"
} 2> /dev/null

# A refusal to start is one line of the application's, and that line is the answer.
die_if_stopped() {
  local container state code restarts line
  container=$(any_container)
  [[ -n $container ]] || { cat "$WORK/up" >&2; die "$(why_failed "$WORK/up" 'compose started no container; it has said why above')"; }
  read -r state code restarts < <(engine inspect --format '{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}' "$container" 2> /dev/null) || return 0
  if [[ $state != exited && $state != stopped && $state != dead && $state != restarting ]] && ((${restarts:-0} == 0)); then return 0; fi
  code=$(exit_code "$container")
  if [[ $state == running || $state == restarting ]] && ((code != 78 && code != 74 && ${restarts:-0} <= 2)); then return 0; fi
  engine logs --tail 5 "$container" > "$WORK/logs" 2>&1 || true
  compose "${COMPOSE_FILES[@]}" down > /dev/null 2>&1 || true
  line=$(grep '^ticket-backend: ' "$WORK/logs" | tail -n 1 || true)
  if [[ -n $line ]] && ((code == 78 || code == 74)); then
    log "$line"
    exit "$code"
  fi
  cat "$WORK/logs" >&2
  die "it stopped with exit code $code; its last lines are above"
}

# What it ended with. Between two tries Podman says 0, so what it noted of each end goes first, and a look at the right moment second.
exit_code() {
  local code='' tries
  if [[ $ENGINE_NAME == podman ]]; then
    code=$(as_owner timeout 10 podman events --stream=false --since 10m --filter event=died --filter "container=$1" --format '{{.ContainerExitCode}}' 2> /dev/null | tail -n 1)
  fi
  for ((tries = 0; tries < 20; tries++)); do
    if [[ $code =~ ^[0-9]+$ ]] && ((code > 0)); then break; fi
    code=$(engine inspect --format '{{.State.ExitCode}}' "$1" 2> /dev/null || true)
    sleep 0.05
  done
  echo "${code:-0}"
}

stop_service() {
  log "stopping ($COMPOSE_FILE); the data stays in its volumes"
  compose "${COMPOSE_FILES[@]}" down > "$WORK/down" 2>&1 || { cat "$WORK/down" >&2; die "compose could not stop it; it has said why above"; }
  if [[ $SOURCE == "$SHARED_MOUNTS"/* ]]; then umount "$SOURCE" 2> /dev/null || true; fi
}

show_logs() {
  local container
  container=$(any_container)
  [[ -n $container ]] || die "nothing of $COMPOSE_FILE is there; start it with $PROGRAM"
  engine logs --follow "$container"
}

# Ready to paste. $1 is the token, or what prints it; $2 says how to stop it.
say_ready() {
  cat <<READY
Ticket Backend is healthy: $URL   (the API: $URL/docs)
File a ticket:
  curl -sS $URL/api/tickets -H "Authorization: Bearer $1" -H 'Content-Type: application/json' \\
    -d '{"title": "Printer jams", "description": "Second floor, tray 2.", "severity": "medium", "category": "hardware"}'
$2
READY
}
