# A K3s server: the control plane, and a node like any other.
{
  config,
  lib,
  fleet,
  hostName,
  ...
}:
let
  cluster = import ./cluster.nix { inherit lib fleet; };
  inherit (cluster) severalServers;
  isFirst = hostName == cluster.firstServer;
  # Every name and address under which a client reaches the API server.
  tlsSans = [
    "${hostName}.${cluster.domain}"
    (cluster.nodeIp hostName)
  ]
  ++ (fleet.hosts.${hostName}.tls_sans or [ ]);
in
{
  imports = [
    ./node.nix
    ./agent-token.nix
  ];

  age.secrets.k3s-server-token = {
    file = cluster.secretFile "k3s-server-token" "cargo xtask bootstrap-cluster";
    owner = "root";
    group = "root";
    mode = "0400";
  };

  services.k3s = {
    role = "server";
    tokenFile = config.age.secrets.k3s-server-token.path;
    # One server alone keeps K3s' sqlite; several need the embedded etcd, which the first one starts.
    clusterInit = severalServers && isFirst;
    serverAddr = lib.mkIf (severalServers && !isFirst) cluster.joinAddress;
    extraFlags = [
      "--disable=traefik"
      "--disable=local-storage"
    ]
    ++ map (san: "--tls-san=${san}") tlsSans;
  };

  networking.firewall = lib.mkMerge [
    (cluster.openPorts { allowedTCPPorts = [ 6443 ]; })
    # etcd, among servers.
    (lib.mkIf severalServers (
      cluster.openPorts {
        allowedTCPPorts = [
          2379
          2380
        ];
      }
    ))
  ];
}
