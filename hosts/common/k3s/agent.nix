# A K3s agent: it runs workloads, and joins with a token that can do no more than that.
{
  config,
  lib,
  fleet,
  ...
}:
let
  cluster = import ./cluster.nix { inherit lib fleet; };
in
{
  imports = [ ./node.nix ];

  age.secrets.k3s-agent-token = {
    file = cluster.secretFile "k3s-agent-token" "cargo xtask bootstrap-cluster";
    owner = "root";
    group = "root";
    mode = "0400";
  };

  services.k3s = {
    role = "agent";
    tokenFile = config.age.secrets.k3s-agent-token.path;
    serverAddr = cluster.joinAddress;
  };
}
