# The cluster as hosts/fleet.toml tells it, for the modules beside this file. A plain function, not a
# module: it decides, they configure. Every refusal names the table to mend.
{ lib, fleet }:
rec {
  inherit (fleet.cluster) domain;

  # Named: K3s and its ports are bound to it. null: to no interface.
  interface = fleet.cluster.interface or null;
  network = fleet.cluster.network;

  nodeIp =
    name:
    fleet.hosts.${name}.node_ip or (throw ''
      host "${name}" has a role in the cluster but no node_ip in hosts/fleet.toml.
      hint: node_ip = "its address within ${network}"'');

  servers = lib.attrNames (lib.filterAttrs (_: host: (host.role or "") == "server") fleet.hosts);
  severalServers = lib.length servers > 1;

  # The server that starts the cluster, which all others join.
  firstServer =
    let
      named = fleet.cluster.first_server or null;
    in
    if servers == [ ] then
      throw ''no host of hosts/fleet.toml has role = "server"''
    else if named != null then
      (
        if lib.elem named servers then
          named
        else
          throw ''first_server = "${named}" in hosts/fleet.toml is not a host with role = "server"''
      )
    else if severalServers then
      throw ''
        hosts/fleet.toml has several servers (${lib.concatStringsSep ", " servers}): say which one starts the cluster.
        hint: first_server = "${lib.head servers}" in [cluster]''
    else
      lib.head servers;

  joinAddress = "https://${nodeIp firstServer}:6443";

  # Open ports, on the cluster's interface where one is named.
  openPorts = ports: if interface == null then ports else { interfaces.${interface} = ports; };

  # An encrypted file of secrets/. The flake sees only what git knows, hence the hint.
  secretFile =
    name: remedy:
    let
      file = ../../../secrets + "/${name}.age";
    in
    if lib.pathExists file then
      file
    else
      throw ''
        secrets/${name}.age does not exist.
        hint: ${remedy}; if the file is there, `git add -N secrets/${name}.age`: flakes see only what git knows.'';
}
