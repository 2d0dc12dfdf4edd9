#!/usr/bin/env bash
# Boots the lab and stays for the guest's whole life, reboots included: boot.sh TREE MACHINE. Everything it makes
# (mounts, network, devices) lives in namespaces of its own and is gone when it ends, however it ends.
set -euo pipefail

tree=$1
machine=$2
readonly REBOOT=133 # the status of systemd-nspawn when the guest asks for a reboot
readonly DIRECTORIES=(/home /var/lib/docker /var/lib/containerd /var/lib/containers /var/tmp)

# The guest needs the unified hierarchy; a machine with the older layout still lets it be mounted, without controllers.
enter_cgroup() {
  if [[ $(stat -f -c %T /sys/fs/cgroup) != cgroup2fs ]]; then
    umount -R /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
  fi
  clear_cgroup # a supervisor that was killed leaves it, maybe with a guest in it
  mkdir "$cgroup"
  echo $$ > "$cgroup/cgroup.procs"
}

# Ends what still runs in the group, then removes it: a guest outlives a killed systemd-nspawn.
clear_cgroup() {
  local tries
  for ((tries = 0; tries < 50; tries++)); do
    [[ -d $cgroup ]] || return 0
    echo 1 > "$cgroup/cgroup.kill"
    find "$cgroup" -depth -type d -exec rmdir {} + 2> /dev/null && return
    sleep 0.1
  done
  echo "processes in $cgroup do not end"
}

# shellcheck disable=SC2317 # the trap below calls it
leave_cgroup() {
  echo $$ > /sys/fs/cgroup/cgroup.procs
  clear_cgroup
}

# The tree stays as it was made: changes go to the upper layer, which 'destroy' throws away. The engines' storage and
# the home lie beside it, for an overlay file system can't be the upper layer of another.
mount_root() {
  local directory
  mount -t overlay overlay -o "lowerdir=$tree,upperdir=$machine/upper,workdir=$machine/work" "$machine/root"
  for directory in "${DIRECTORIES[@]}"; do mount --bind "$machine/storage$directory" "$machine/root$directory"; done
  mount --bind "$machine/../test-venv" "$machine/root/opt/test-venv"
}

make_devices() {
  mount -t tmpfs -o mode=0755 tmpfs "$machine/devices"
  mknod -m 0666 "$machine/devices/tun" c 10 200
}

# A network of the lab's own, joined to the machine's by pasta: the guest reaches out, nothing reaches in. The pasta is
# the tree's, for Debian 12's sends packets without ACK, which Docker's NAT drops, so that nothing in a container gets an
# answer. --runas 0: as root it would become 'nobody', who may not enter the network it is given. --mtu: larger packets
# would not pass Docker's bridge.
make_network() {
  local tries libraries
  libraries=$(dirname "$tree"/usr/lib/*/ld-linux*.so.*)
  touch "$network"
  unshare --net="$network" ip link set lo up
  setpriv --pdeathsig KILL "$libraries"/ld-linux*.so.* --library-path "$libraries" "$tree/usr/bin/pasta" \
    --runas 0 --foreground --quiet --mtu 1500 --config-net --netns-only --no-map-gw \
    --tcp-ports none --udp-ports none --tcp-ns none --udp-ns none --netns "$network" 9>&- &
  for ((tries = 0; tries < 50; tries++)); do
    if [[ -n $(nsenter --net="$network" ip route show default) ]]; then return; fi
    sleep 0.1
  done
  echo "pasta gave the guest no way out: builds in it can't install packages"
}

# systemd-resolved on the machine listens on a loopback address, which is another one in the guest.
resolver() {
  if grep -q '^nameserver 127\.' /etc/resolv.conf; then echo replace-uplink; else echo replace-host; fi
}

# --system-call-filter: runc and crun need keyring and bpf calls. API_VFS_WRITABLE: a rootless engine may only mount
# /proc where nothing hides parts of it.
boot_once() {
  SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_NSPAWN_API_VFS_WRITABLE=yes setpriv --pdeathsig TERM \
    systemd-nspawn --quiet --boot --directory="$machine/root" --hostname=ticket-lab --register=no --keep-unit \
    --capability=all --system-call-filter='@keyring bpf' --network-namespace-path="$network" \
    --resolv-conf="$(resolver)" --link-journal=no --timezone=off --console=read-only \
    --bind="$machine/devices/tun:/dev/net/tun" < /dev/null 9>&-
}

exec 9> "$machine/lock"
flock -n 9 || { echo "another lab runs already"; exit 75; }
echo $$ > "$machine/pid"
cgroup=/sys/fs/cgroup/ticket-lab-$(sha256sum <<< "$machine" | cut -c1-8)
network=$machine/devices/network
mount --make-rprivate /
mount_root
make_devices
make_network
enter_cgroup
trap leave_cgroup EXIT
while :; do
  status=0
  boot_once || status=$?
  ((status == REBOOT)) || break
done
exit "$status"
