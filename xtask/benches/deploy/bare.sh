#!/bin/sh
# The same work as `cargo xtask deploy`, as a careful person would script it: pinned keys, one build for all hosts, one ssh
# master a host, the boot default set before the switch. Without gates, lock and way back, which no script has by accident.
#
#   bare.sh local|target JOBS HOST=ADDRESS…
#
# In the flake's folder. FLAKE_ARGS: what `nix build` takes besides; KNOWN_HOSTS: the pinned keys. JOBS 1 is a plain loop.
set -eu

# Called by xargs, once a host.
if [ "$1" = one ]; then
  place=$2 folder=$3 destination=root@$4 path=$5
  options="-o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile=$KNOWN_HOSTS -o ConnectTimeout=3"
  options="$options -o ControlPath=$folder/%C"
  # shellcheck disable=SC2029,SC2086 # words, some of them ours
  there() { ssh $options "$destination" "$@"; }
  there -fN -o ControlMaster=yes -o ControlPersist=600 -E "$folder/log"
  trap 'there -q -O exit' EXIT
  export NIX_SSHOPTS="$options -o ControlMaster=no"
  nix-copy-closure --to "$destination" "$path" 2>> "$folder/log"
  [ "$place" = local ] || path=$(there "nix-store --realise $path" 2>> "$folder/log")
  there "nix-env -p /nix/var/nix/profiles/system --set $path && $path/bin/switch-to-configuration switch" \
    2>> "$folder/log"
  exit
fi

place=$1 jobs=$2
shift 2
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT

system=config.system.build.toplevel
# shellcheck disable=SC2086 # words
case $place in
  local)
    kind=-v
    for host in "$@"; do echo ".#nixosConfigurations.${host%%=*}.$system"; done |
      xargs nix build --no-link --json $FLAKE_ARGS
    ;;
  target)
    kind=-e
    names=$(for host in "$@"; do printf ' "%s"' "${host%%=*}"; done)
    nix eval --json $FLAKE_ARGS .#nixosConfigurations --apply "c: map (n: c.\${n}.$system.drvPath) [$names ]"
    ;;
esac > "$folder/json"

# In which order nix tells them is its own affair.
for host in "$@"; do
  path=$(grep -o "/nix/store/[a-z0-9]*-nixos-system-${host%%=*}-[^\"]*" "$folder/json" | grep "$kind" '\.drv$')
  echo "${host#*=} $path"
done | xargs -P "$jobs" -L 1 "$0" one "$place" "$folder"
