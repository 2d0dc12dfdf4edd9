#!/usr/bin/env bash
# Makes the lab's root file system: recipe.sh TREE. A change of this file or of guest/ makes a new tree.
set -euo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
tree=$1
ca_bundle=${2:-}

packages=(
  # An ordinary Debian server: systemd with user sessions, and what the scripts and tests call.
  systemd systemd-sysv dbus dbus-user-session libpam-systemd
  ca-certificates curl git iproute2 nftables procps python3 python3-pip python3-venv shellcheck
  # Rootless Podman as Debian ships it, without fuse: the kernel's own overlay file system.
  podman podman-compose buildah crun passt netavark aardvark-dns uidmap catatonit
  # Docker Engine with BuildKit and Compose.
  docker.io docker-cli docker-buildx docker-compose iptables
)

# These would change settings of the machine's kernel, which the guest shares, or wait for hardware it lacks.
masked=(
  systemd-sysctl.service systemd-binfmt.service systemd-modules-load.service systemd-pstore.service
  systemd-timesyncd.service apt-daily.timer apt-daily-upgrade.timer
)

make_tree() {
  local include
  include=$(IFS=, && echo "${packages[*]}")
  mmdebstrap --quiet --mode=root --variant=minbase --include="$include" \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' trixie "$tree" < /dev/null
}

add_user() {
  chroot "$tree" useradd --uid 1000 --user-group --groups docker --create-home --shell /bin/bash ticket
  echo ticket:100000:65536 | tee "$tree/etc/subuid" > "$tree/etc/subgid"
  install -d "$tree/var/lib/systemd/linger" "$tree/var/log/journal"
  touch "$tree/var/lib/systemd/linger/ticket" # the user's services start at boot, as on a server
}

# The second podman-compose the project supports; its two libraries are Debian's.
add_newer_compose() {
  install -m 0644 "$here/podman-compose.txt" "$tree/tmp/podman-compose.txt"
  chroot "$tree" python3 -m venv --system-site-packages /opt/podman-compose-1.6
  chroot "$tree" /opt/podman-compose-1.6/bin/pip install --quiet --no-cache-dir --no-deps --require-hashes \
    --requirement /tmp/podman-compose.txt
  rm "$tree/tmp/podman-compose.txt"
}

make_tree
cp -rT "$here/guest" "$tree"
if [[ -n $ca_bundle ]]; then install -m 0644 "$ca_bundle" "$tree/etc/ssl/certs/ca-certificates.crt"; fi
install -m 0644 "$(readlink -f /etc/resolv.conf)" "$tree/etc/resolv.conf" # for pip; nspawn writes it anew at each boot
add_user
add_newer_compose
rm -f "$tree/etc/machine-id"
systemd-machine-id-setup --root="$tree" > /dev/null 2>&1
systemctl --root="$tree" --quiet mask "${masked[@]}"
# Where the machine's directories are mounted (boot.sh).
install -d "$tree/opt/test-venv" "$tree/var/lib/docker" "$tree/var/lib/containerd" "$tree/var/lib/containers"
