let
  systems = builtins.mapAttrs (name: host: host.key) fleet.hosts;
  k3sServers = map (n: systems.${n}) [ "ocean" ];
  k3sAgents = with systems; [ maia ] ++ k3sServers;
in rec { inherit (systems) ocean; }
