# What a host says about itself, in sections. Reads only. $1: its secret; $2: "server", "agent" or "". Standard input: a salt.
# Of a token leave the host: its form, the CA's hash in it (which is public), and a digest of salt and password.
export LC_ALL=C
salt=$(cat)
section() { printf '\n== %s\n' "$1"; }

# The password of a token file, as K3s takes it apart.
password() { tr -d '[:space:]' < "$1" | sed -E 's/^K10[^:]*::(server|node)://'; }
digest() { [ -r "$1" ] && { printf %s "$salt"; password "$1"; } | sha256sum | cut -d' ' -f1; }
# empty, malformed, a form and a hash. Only `server` and `node` are told of a user: another one may be half a password.
form() {
  token=$(tr -d '[:space:]' < "$1")
  case $token in
    '') echo empty ;;
    K3S10::*) echo k3s10 ;;
    K10*::*)
      hash=${token#K10}; hash=${hash%%::*}; credentials=${token#*::}
      case ${#hash} in 0 | 64) ;; *) echo malformed; return ;; esac
      case $credentials in server:?*) user=server ;; node:?*) user=node ;; *) echo malformed; return ;; esac
      echo "$user $hash" ;;
    K10*) echo malformed ;;
    *) echo short ;;
  esac
}

section clock; date +%s
section room
for path in /nix/store /var/lib/rancher /var/lib/rancher/k3s/server/db /var/lib/containerd /run; do
  [ -e "$path" ] && echo "$path $(timeout 5 df --block-size=1 --output=avail,iavail,itotal,target "$path" | tail -n 1)"
done
section failed; systemctl list-units --state=failed --plain --no-legend --no-pager
section timer; systemctl is-active xtask-rollback.timer xtask-rollback.service
section systems; readlink -m /run/current-system /nix/var/nix/profiles/system
section interfaces; ls /sys/class/net
section addresses; ip -o addr show
section tailscale; systemctl is-active tailscaled.service; timeout 5 tailscale status --json --peers=false 2> /dev/null
section containerd; systemctl is-active containerd.service; [ -S /run/containerd/containerd.sock ] && echo socket
section firewall; { iptables -w 2 -S nixos-fw || nft list chain inet nixos-fw input-allow; } 2> /dev/null
[ -n "$2" ] || exit 0

section secret; stat --dereference --format '%s %a %U' "$1" 2> /dev/null
section token; [ -r "$1" ] && form "$1"
section digest; digest "$1"
section version; timeout 10 k3s --version 2> /dev/null
section certificates; timeout 20 k3s certificate check 2>&1
[ "$2" = server ] || exit 0

server=/var/lib/rancher/k3s/server
section server-token; digest "$server/token"
section agent-token; digest "$server/agent-token"
section agent-token-kind; stat --format %F "$server/agent-token" 2> /dev/null
section ca; cat "$server/tls/server-ca.crt" 2> /dev/null
section ca-hash; sha256sum < "$server/tls/server-ca.crt" 2> /dev/null
section readyz; timeout 20 k3s kubectl get --raw '/readyz?verbose' 2>&1
exit 0
