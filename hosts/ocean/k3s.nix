# K3s on ocean: a server, as hosts/fleet.toml says. What only ocean needs goes below, for example
# `services.k3s.extraFlags = [ "--kubelet-arg=max-pods=200" ];`, which adds to the common flags.
{
  imports = [ ../common/k3s/server.nix ];
}
