# networking.firewall. Evaluated and checked as NixOS does; the unit only tells, in the journal, what it
# would open. No packet is filtered: the rehearsal's network has no way out anyway.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.networking.firewall;
  sorted = ports: lib.unique (lib.sort lib.lessThan ports);

  portOptions =
    let
      ports =
        description:
        mkOption {
          type = types.listOf types.port;
          default = [ ];
          apply = sorted;
          inherit description;
        };
      ranges =
        description:
        mkOption {
          type = types.listOf (types.attrsOf types.port);
          default = [ ];
          inherit description;
        };
    in
    {
      allowedTCPPorts = ports "Open TCP ports.";
      allowedUDPPorts = ports "Open UDP ports.";
      allowedTCPPortRanges = ranges "Open ranges of TCP ports.";
      allowedUDPPortRanges = ranges "Open ranges of UDP ports.";
    };
  flag =
    default: description:
    mkOption {
      type = types.bool;
      inherit default description;
    };
  shell =
    description:
    mkOption {
      type = types.lines;
      default = "";
      inherit description;
    };

  rules =
    interface: ports:
    let
      range = r: "${toString r.from}-${toString r.to}";
      say = protocol: port: "accept ${protocol} ${port} on ${interface}";
    in
    map (p: say "tcp" (toString p)) ports.allowedTCPPorts
    ++ map (r: say "tcp" (range r)) ports.allowedTCPPortRanges
    ++ map (p: say "udp" (toString p)) ports.allowedUDPPorts
    ++ map (r: say "udp" (range r)) ports.allowedUDPPortRanges;
  allRules =
    map (interface: "accept everything on ${interface}") cfg.trustedInterfaces
    ++ rules "any interface" cfg
    ++ lib.concatLists (lib.mapAttrsToList rules cfg.interfaces)
    ++ lib.optional (cfg.extraCommands != "") cfg.extraCommands;
  tell = pkgs.writeShellScript "firewall-start" ''
    echo 'stand-in of the rehearsal lab: no packet is filtered. The rules would be:'
    cat <<'end of the rules'
    ${lib.concatStringsSep "\n" allRules}
    end of the rules
  '';
in
{
  options.networking.firewall = portOptions // {
    enable = flag true "Whether to filter packets.";
    interfaces = mkOption {
      type = types.attrsOf (types.submodule { options = portOptions; });
      default = { };
      description = "Ports open on one interface only.";
    };
    trustedInterfaces = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "Interfaces from which all is accepted.";
    };
    allowPing = flag true "Whether to answer pings.";
    logRefusedConnections = flag false "Whether to log what is refused.";
    logRefusedPackets = flag false "Whether to log all that is refused.";
    rejectPackets = flag false "Whether to say so when refusing.";
    checkReversePath = mkOption {
      type = types.either types.bool (
        types.enum [
          "strict"
          "loose"
        ]
      );
      default = true;
      description = "Whether an answer must leave where the packet came in.";
    };
    extraCommands = shell "More iptables commands.";
    extraStopCommands = shell "More iptables commands, on stop.";
    extraInputRules = shell "More nftables rules.";
    extraForwardRules = shell "More nftables rules.";
    filterForward = flag false "Whether to filter what is forwarded.";
    package = mkOption {
      type = types.package;
      default = pkgs.iptables;
      description = "The packet filter.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.filterForward -> config.networking.nftables.enable;
        message = "filterForward only works with the nftables based firewall";
      }
      {
        assertion = config.networking.nftables.enable -> cfg.extraCommands == "";
        message = "extraCommands is incompatible with the nftables based firewall: ${cfg.extraCommands}";
      }
    ];
    networking.firewall.trustedInterfaces = [ "lo" ];
    systemd.services.firewall = {
      description = "Firewall (stand-in of the rehearsal lab)";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-pre.target" ];
      before = [ "network-pre.target" ];
      reloadIfChanged = true;
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        ExecStart = "${tell}";
        ExecReload = "${tell}";
      };
    };
  };
}
