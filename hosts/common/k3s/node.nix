# What servers and agents share: containerd, the node's place in the network, and the firewall.
{
  lib,
  fleet,
  hostName,
  ...
}:
let
  cluster = import ./cluster.nix { inherit lib fleet; };
  inherit (cluster) interface;
  host = fleet.hosts.${hostName};
  overTailscale = interface == "tailscale0";
in
{
  services.k3s = {
    enable = true;
    # A list, not `toString [ … ]`: a host's own k3s.nix can then add flags of its own.
    extraFlags = [
      "--container-runtime-endpoint=/run/containerd/containerd.sock"
      "--node-ip=${cluster.nodeIp hostName}"
    ]
    # With --node-ip alone flannel would still pick the interface of the default route.
    ++ lib.optional (interface != null) "--flannel-iface=${interface}"
    # Taints are taken at the node's first registration only; labels at each start, added and changed but never
    # removed. The rest is for `kubectl taint` and `kubectl label`.
    ++ map (taint: "--node-taint=${taint}") (host.taints or [ ])
    ++ map (label: "--node-label=${label}") (host.labels or [ ]);
  };

  # K3s brings its CNI plugins and writes flannel's configuration, but an external containerd has to be
  # told where. The cgroup driver is left alone: the kubelet asks containerd for it.
  virtualisation.containerd = {
    enable = true;
    settings.plugins."io.containerd.grpc.v1.cri".cni = {
      bin_dir = "/var/lib/rancher/k3s/data/current/bin";
      conf_dir = "/var/lib/rancher/k3s/agent/etc/cni/net.d";
    };
  };

  systemd.services.k3s =
    let
      before = [ "containerd.service" ] ++ lib.optional overTailscale "tailscaled.service";
    in
    {
      wants = before;
      after = before;
    };
  services.tailscale.enable = lib.mkIf overTailscale (lib.mkDefault true);

  # The K3s module opens no port. 10250 is the kubelet, 8472/udp is flannel's VXLAN: not authenticated,
  # so never open to the public. cni0 and flannel.1 carry the pods' own traffic, DNS included.
  networking.firewall = lib.mkMerge [
    { trustedInterfaces = [ "cni0" "flannel.1" ]; }
    (cluster.openPorts {
      allowedTCPPorts = [ 10250 ];
      allowedTCPPortRanges = lib.optional (host.node_ports or false) {
        from = 30000;
        to = 32767;
      };
    })
    (
      if interface != null then
        { interfaces.${interface}.allowedUDPPorts = [ 8472 ]; }
      else
        # No interface to bind to: bind to the cluster's addresses instead.
        {
          extraCommands = "iptables -A nixos-fw -p udp -s ${cluster.network} --dport 8472 -j nixos-fw-accept";
        }
    )
  ];
}
