# K3s on maia: an agent, as hosts/fleet.toml says. What only maia needs goes below, for example
# `services.k3s.extraFlags = [ "--kubelet-arg=max-pods=200" ];`, which adds to the common flags.
{
  imports = [ ../common/k3s/agent.nix ];
}
