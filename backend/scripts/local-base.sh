#!/usr/bin/env bash
# Makes a stand-in for the base image from Debian's packages, for machines that reach no image registry.
# It has what the Containerfile uses of python:3.11-slim: Debian bookworm, Python 3.11 and pip in /usr/local/bin.
set -euo pipefail

readonly PROGRAM=local-base.sh
readonly KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
readonly STAMP_LABEL=ticket-backend.stand-in
IMAGE=${PYTHON_IMAGE:-docker.io/library/python:3.11-slim}
partial='' # the half-made file, removed however the script ends

usage() {
  cat <<USAGE
Usage: $PROGRAM [--install] [--fresh] OUT.tar
       $PROGRAM [--install] [--fresh] --load ENGINE_COMMAND [OUT.tar]

Makes the root file system of a stand-in for $IMAGE.
  OUT.tar                write it there
  --load ENGINE_COMMAND  import it into an engine under that very name; ENGINE_COMMAND is 'podman', 'docker' or
                         such a command with words before it ('runuser -u me -- podman')
  --install              first install the missing Debian packages (as root)
  --fresh                make it again even if it is cached, to take up security updates
  --stamp                print the stamp that labels the imported image ($STAMP_LABEL), and do nothing else

PYTHON_IMAGE names the image (default docker.io/library/python:3.11-slim). An image of that name that is not a
stand-in is never replaced. The file is cached in \${XDG_CACHE_HOME:-~/.cache}/ticket-backend.
USAGE
}

log() { printf '%s: %s\n' "$PROGRAM" "$*" >&2; }
die() { log "$*"; exit 1; }

# The recipe is the function that makes the tar, so its hash says whether a cached one is what it would make.
stamp() { declare -f make_tar | sha256sum | cut -c1-12; }

missing_packages() {
  command -v mmdebstrap > /dev/null || echo mmdebstrap
  [[ -r $KEYRING ]] || echo debian-archive-keyring
  if ((EUID != 0)); then command -v newuidmap > /dev/null || echo uidmap; fi
}

need_tools() {
  local missing
  mapfile -t missing < <(missing_packages)
  ((${#missing[@]})) || return 0
  command -v apt-get > /dev/null \
    || die "needs ${missing[*]}, which only Debian and Ubuntu package; use a machine that reaches an image registry instead"
  [[ $install == yes ]] || die "needs ${missing[*]}; run 'apt-get install ${missing[*]}' as root, or this script as root with --install"
  ((EUID == 0)) || die "--install needs root to run 'apt-get install ${missing[*]}'"
  log "installing ${missing[*]}"
  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends "${missing[@]}"; } \
    < /dev/null > /dev/null || die "apt-get could not install ${missing[*]}; its own message is above"
}

# Root makes the tree in a chroot; anyone else in a user namespace of their own.
choose_mode() {
  if ((EUID == 0)); then mode=root; return; fi
  grep -q "^$(id -un):" /etc/subuid 2> /dev/null \
    || die "$(id -un) has no range in /etc/subuid, so only root can make the base image here"
  unshare --user true 2> /dev/null \
    || die "this kernel gives $(id -un) no user namespace, so only root can make the base image here"
  mode=unshare
}

# Two runs on one day from the same archive give the same bytes: nothing in the tar is newer than midnight. (An
# older date would also change the packages' own files, and Python would find its bytecode stale.)
make_tar() {
  local out=$1
  local hooks=(
    "--customize-hook=mkdir -p \"\$1/usr/local/bin\""
    "--customize-hook=for n in python python3 python3.11; do ln -sf /usr/bin/python3.11 \"\$1/usr/local/bin/\$n\"; done"
    "--customize-hook=for n in pip pip3; do ln -sf /usr/bin/pip3 \"\$1/usr/local/bin/\$n\"; done"
    "--customize-hook=rm -rf \"\$1/usr/lib/python3.11/EXTERNALLY-MANAGED\" \"\$1/etc/hostname\" \"\$1/etc/resolv.conf\""
    "--customize-hook=rm -rf \"\$1\"/var/log/* \"\$1\"/var/cache/ldconfig \"\$1\"/var/lib/apt/lists/*"
  )
  need_tools
  choose_mode
  log "making the stand-in base image from Debian's packages; this takes about half a minute"
  partial=$out.partial.$$
  trap 'rm -f "$partial"' EXIT
  SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(($(date +%s) / 86400 * 86400))} mmdebstrap --quiet --mode="$mode" \
    --variant=minbase --format=tar --include=ca-certificates,python3.11,python3.11-venv,python3-pip \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    "${hooks[@]}" bookworm "$partial" < /dev/null \
    || die "mmdebstrap failed; its own message is above (no disk space, or Debian's archive out of reach?)"
  mv -f "$partial" "$out"
}

# Sets $tar to a tar made by this very recipe.
cached_tar() {
  local directory=${XDG_CACHE_HOME:-${HOME:?HOME is not set}/.cache}/ticket-backend old
  mkdir -p "$directory" 2> /dev/null || die "cannot make $directory to keep the image in; set XDG_CACHE_HOME to a folder of yours"
  tar=$directory/base-$(stamp).tar
  [[ $fresh == yes || ! -s $tar ]] || return 0
  make_tar "$tar"
  for old in "$directory"/base-*.tar; do [[ $old == "$tar" ]] || rm -f "$old"; done
}

# Prints the stamp of the engine's image of that name: empty if there is none, '-' if it is no stand-in.
loaded_stamp() {
  "${engine[@]}" image inspect --format "{{with index .Config.Labels \"$STAMP_LABEL\"}}{{.}}{{else}}-{{end}}" "$IMAGE" 2> /dev/null || true
}

load() {
  local found output
  "${engine[@]}" version > /dev/null 2>&1 || die "'${engine[*]} version' fails: the engine is missing or not running"
  found=$(loaded_stamp)
  case $found in
    -) log "$IMAGE is already there and is no stand-in; kept as it is"; return ;;
    "$(stamp)") [[ $fresh == yes ]] || { log "$IMAGE is already there (stand-in $found)"; return; } ;;
  esac
  [[ -n $tar ]] || cached_tar
  output=$("${engine[@]}" import \
    --change 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin' --change 'ENV LANG=C.UTF-8' \
    --change 'CMD ["python3"]' --change "LABEL $STAMP_LABEL=$(stamp)" - "$IMAGE" < "$tar" 2>&1) \
    || die "'${engine[*]} import' failed: ${output##*$'\n'}"
  log "$IMAGE is now a stand-in made of Debian's packages (stamp $(stamp))"
}

main() {
  local install=no fresh=no mode='' tar='' out='' engine=()
  while (($#)); do
    case $1 in
      --install) install=yes ;;
      --fresh) fresh=yes ;;
      --load) [[ -n ${2:-} ]] || die "--load needs the engine's command, such as podman"; read -ra engine <<< "$2"; shift ;;
      --stamp) stamp; return ;;
      -h | --help) usage; return ;;
      -*) die "unknown option $1; see $PROGRAM --help" ;;
      *) [[ -z $out ]] || die "one OUT.tar is enough; see $PROGRAM --help"; out=$1 ;;
    esac
    shift
  done
  if [[ -n $out ]]; then
    cached_tar
    cp --reflink=auto "$tar" "$out"
  elif ((${#engine[@]} == 0)); then
    usage >&2
    return 64
  fi
  ((${#engine[@]} == 0)) || load
}

main "$@"
