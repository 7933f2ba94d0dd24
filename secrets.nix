# Who can decrypt what. Read by `cargo xtask` and by agenix.
#
# People and hosts come from hosts/fleet.toml, so a key stands in one place only. To give a new
# secret to some of them, add a line at the end; then `cargo xtask secrets edit secrets/NAME.age`.
let
  fleet = builtins.fromTOML (builtins.readFile ./hosts/fleet.toml);

  users = fleet.admins or { };

  # Lazy on purpose: a host without a key stops only the rules that need that host.
  systems = builtins.mapAttrs (
    name: host:
    host.ssh_host_key or (throw ''
      host "${name}" has no ssh_host_key in hosts/fleet.toml, so nothing can be encrypted to it.
      hint: cargo xtask init'')
  ) fleet.hosts;

  withRole =
    role:
    map (name: systems.${name}) (
      builtins.filter (name: (fleet.hosts.${name}.role or "") == role) (builtins.attrNames fleet.hosts)
    );

  # Without an admin nobody could ever read, edit or re-encrypt a secret again.
  adminKeys =
    if users == { } then
      throw ''
        [admins] in hosts/fleet.toml is empty, so nobody could read a secret after writing it.
        hint: cargo xtask init''
    else
      builtins.attrValues users;
  k3sServers = withRole "server";
  k3sAgents = withRole "agent";

  # Several servers must share one agent token, so then all of them read it from this secret. A single
  # server makes the token itself (hosts/common/k3s/agent-token.nix) and has no need to decrypt the copy.
  agentTokenServers = if builtins.length k3sServers > 1 then k3sServers else [ ];
in
{
  # The right to join the control plane, and the key of the datastore's secrets.
  "secrets/k3s-server-token.age".publicKeys = adminKeys ++ k3sServers;

  # The right to join as a worker.
  "secrets/k3s-agent-token.age".publicKeys = adminKeys ++ k3sAgents ++ agentTokenServers;
}
