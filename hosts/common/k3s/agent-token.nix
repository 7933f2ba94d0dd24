# Where a server's agent token comes from.
#
# K3s has a token for agents only if it is given one; otherwise agents would hold the server token,
# and with it the right to join servers and to decrypt the datastore's keys. So:
#
# One server makes it itself, before K3s first starts, and nobody else ever writes it. `cargo xtask
# bootstrap-cluster` copies what K3s then shows in server/agent-token into secrets/k3s-agent-token.age.
#
# Several servers need the same token, so all of them read that secret instead.
#
# The trap: a server that already ran WITHOUT an agent token must not simply be given one. Its first
# restart would work and its second would die (`cred/passwd newer than datastore`). K3s must not be
# left without the file either: it would wait for it for ever. So in that case this unit leaves an
# EMPTY file, which K3s reads as "no agent token" and goes on exactly as before, and says so in the
# journal each time. The way out is deliberate: `k3s token rotate`, see the runbook.
{
  config,
  lib,
  fleet,
  ...
}:
let
  cluster = import ./cluster.nix { inherit lib fleet; };
  # Outside of /var/lib/rancher/k3s, which people delete to start over.
  tokenFile = "/var/lib/rancher/k3s-agent-token";
in
{
  config = lib.mkMerge [
    (lib.mkIf cluster.severalServers {
      age.secrets.k3s-agent-token = {
        file = cluster.secretFile "k3s-agent-token" "cargo xtask bootstrap-cluster";
        owner = "root";
        group = "root";
        mode = "0400";
      };
      services.k3s.agentTokenFile = config.age.secrets.k3s-agent-token.path;
    })

    (lib.mkIf (!cluster.severalServers) {
      services.k3s.agentTokenFile = tokenFile;

      systemd.services.k3s-agent-token = {
        description = "K3s agent token, made once";
        before = [ "k3s.service" ];
        requiredBy = [ "k3s.service" ];
        # It runs whenever K3s starts, and is done at once. No RemainAfterExit: a change of this script
        # must not stop it, because that would stop K3s, which requires it.
        serviceConfig.Type = "oneshot";
        # K3s that is restarted a few times in a row must not fail for this unit's sake.
        unitConfig.StartLimitIntervalSec = 0;
        script = ''
          umask 077
          token_file=${tokenFile}
          server=/var/lib/rancher/k3s/server

          if [ -s "$token_file" ]; then
            exit 0
          fi

          # Whole or not at all, also through a power cut: written beside it, synced, renamed, synced.
          install_token() {
            mkdir -p -m 0755 "$(dirname "$token_file")"
            new=$(mktemp "$token_file.XXXXXX")
            cat > "$new"
            sync "$new"
            mv -f "$new" "$token_file"
            sync "$(dirname "$token_file")"
          }

          if ! [ -e "$server/token" ] && ! [ -e "$server/cred/passwd" ]; then
            token=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
            if [ "''${#token}" -ne 64 ]; then
              echo "<3>made no agent token: /dev/urandom gave too little"
              exit 1
            fi
            printf '%s\n' "$token" | install_token
            echo "made the agent token $token_file; K3s has not run here before"
            exit 0
          fi

          # K3s ran here with an agent token, and only our copy of it is gone: K3s keeps its own.
          if [ -f "$server/agent-token" ] && ! [ -L "$server/agent-token" ]; then
            token=$(sed -n 's/^K10[0-9a-f]*::node://p' "$server/agent-token")
            if [ -n "$token" ]; then
              printf '%s\n' "$token" | install_token
              echo "<4>$token_file was missing; restored it from $server/agent-token"
              exit 0
            fi
          fi

          : | install_token
          echo "<4>K3s already ran here without an agent token, so none is added: its second restart would fail."
          echo "<4>Agents go on using the server token, as before. To give them one of their own: docs/runbook.md"
        '';
      };
    })
  ];
}
