#!/usr/bin/env bash
# Builds the image with the engine of this machine.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<USAGE
Usage: build.sh [--dev] [--local-base] [--no-cache] [--renew-base] [--user NAME]

Builds $IMAGE:latest from the Containerfile.
  --dev         tag it :dev, as run-dev.sh does
  --local-base  where the base image can't be pulled, make a stand-in from Debian's packages
  --no-cache    build every layer again
  --renew-base  first write today's digest of the base image's tag to backend/scripts/base-image.txt, for production builds
  --user NAME   called by root: the unprivileged user whose Podman builds (default ticket-backend)

Environment, or .env: ENGINE=podman|docker, PYTHON_IMAGE (base image), PIP_CA_FILE (CA bundle of a proxy that opens TLS).
USAGE
}

main() {
  local renew=no
  while (($#)); do
    case $1 in
      --dev) TAG=dev ;;
      --no-cache) BUILD_OPTIONS+=(--no-cache) ;;
      --local-base) LOCAL_BASE=yes ;;
      --renew-base) renew=yes ;;
      --user) WANTED_USER=${2:-}; [[ -n $WANTED_USER ]] || die "--user needs a name"; shift ;;
      -h | --help) usage; return ;;
      *) die "unknown option $1; see build.sh --help" ;;
    esac
    shift
  done
  load_settings
  find_engine build || die "$NO_ENGINE; 'backend/scripts/run-dev.sh --install' installs rootless Podman"
  share_source
  if [[ $renew == yes ]]; then renew_base; fi
  build_image
}

main "$@"
