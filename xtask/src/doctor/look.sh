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
section cni
# Where containerd looks for the network's configuration its own says; one that K3s brings is K3s' affair.
config=$(systemctl show --property ExecStart --value containerd.service | grep -oE -- '--config[= ][^ ;]+' | tail -n 1)
if [ -n "$config" ]; then
  folder=$(sed -nE "s/^[[:space:]]*conf_dir[[:space:]]*=[[:space:]]*[\"']([^\"']+).*/\1/p" "${config#--config?}" 2> /dev/null | tail -n 1)
  for file in "${folder:=/etc/cni/net.d}"/*.conf "$folder"/*.conflist "$folder"/*.json; do
    [ -s "$file" ] && echo "$(($(date +%s) - $(stat --dereference --format %Y "$file"))) $file"
  done
fi
section firewall; { iptables -w 2 -S nixos-fw || nft list chain inet nixos-fw input-allow; } 2> /dev/null
[ -n "$2" ] || exit 0

section secret; stat --dereference --format '%s %a %U' "$1" 2> /dev/null
section token; [ -r "$1" ] && form "$1"
section digest; digest "$1"
section version; timeout 10 k3s --version 2> /dev/null
section settings
# Of K3s' configuration files only these, without the endpoint's value: there are tokens and passwords in such files.
config=$(systemctl show --property ExecStart --value k3s.service k3s-agent.service | grep -oE -- ' --config[= ][^ ;]+' | tail -n 1)
config=${config#?--config?}
for file in "${config:=/etc/rancher/k3s/config.yaml}" "$config".d/*.yaml "$config".d/*.yml; do
  [ -r "$file" ] && sed -E 's/(^|[[:space:]])#.*//' "$file"
done | tr -d "\"'" | grep -oE '(flannel-backend|flannel-conf)[+]? *: *[^][{}, ]+|datastore-endpoint'
files=$(systemctl show --property EnvironmentFiles --value k3s.service | sed 's/ (.*//')
{ systemctl show --property Environment --value k3s.service; cat $files < /dev/null 2> /dev/null; } | grep -o K3S_DATASTORE_ENDPOINT
section certificates; timeout 20 k3s certificate check 2>&1
[ "$2" = server ] || exit 0

server=/var/lib/rancher/k3s/server
section server-token; digest "$server/token"
section agent-token; digest "$server/agent-token"
section agent-token-kind; stat --format %F "$server/agent-token" 2> /dev/null
section ca; cat "$server/tls/server-ca.crt" 2> /dev/null
section ca-hash; sha256sum < "$server/tls/server-ca.crt" 2> /dev/null
section datastore
[ -e "$server/cred/passwd" ] && echo ran
[ -d "$server/db/etcd/member" ] && echo etcd
[ -e "$server/db/state.db" ] && echo sqlite
section member; cat "$server/db/etcd/name" 2> /dev/null
section etcd
ask() { curl --disable --noproxy '*' --silent --connect-timeout 3 --max-time 5 "$@"; }
health() { ask http://127.0.0.1:2381/health; }
said=$(health)
# Members that elect a leader have none for some seconds.
for pause in 4 4; do case $said in *'"health":"false"'*) sleep $pause; said=$(health) ;; esac; done
echo "$said"
section members
tls=$server/tls/etcd
member() { ask --cacert "$tls/server-ca.crt" --cert "$tls/server-client.crt" --key "$tls/server-client.key" "$@"; }
list() { member --http1.1 --data '{}' "$1/v3/cluster/member/list"; }
# K3s before 1.28 has all on one port.
[ -r "$tls/server-client.key" ] && { members=$(list https://127.0.0.1:2382) || members=$(list https://127.0.0.1:2379); } && echo "$members"
section answers
for url in $(printf %s "$members" | grep -oE '"clientURLs": *\["[^"]+' | sed 's/.*"//'); do
  { member --output /dev/null "$url/health"; echo "$url $?"; } &
done
wait
section readyz; timeout 20 k3s kubectl get --raw '/readyz?verbose' 2>&1
exit 0
