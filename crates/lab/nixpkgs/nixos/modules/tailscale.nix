# services.tailscale. A unit that is there and does nothing: the mesh is the lab's own bridge.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkEnableOption mkOption types;
  cfg = config.services.tailscale;
  flags =
    description:
    mkOption {
      type = types.listOf types.str;
      default = [ ];
      inherit description;
    };
in
{
  options.services.tailscale = {
    enable = mkEnableOption "the Tailscale client daemon";
    package = lib.mkPackageOption pkgs "tailscale" { };
    port = mkOption {
      type = types.port;
      default = 41641;
      description = "The port of the tunnel.";
    };
    interfaceName = mkOption {
      type = types.str;
      default = "tailscale0";
      description = "The tunnel's interface.";
    };
    openFirewall = mkOption {
      type = types.bool;
      default = false;
      description = "Whether the port is open.";
    };
    authKeyFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      description = "A file with the key to log in with.";
    };
    useRoutingFeatures = mkOption {
      type = types.enum [
        "none"
        "client"
        "server"
        "both"
      ];
      default = "none";
      description = "Settings for subnet routers and exit nodes.";
    };
    permitCertUid = mkOption {
      type = types.nullOr types.nonEmptyStr;
      default = null;
      description = "Who may fetch certificates.";
    };
    extraUpFlags = flags "More flags of `tailscale up`.";
    extraSetFlags = flags "More flags of `tailscale set`.";
    extraDaemonFlags = flags "More flags of tailscaled.";
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    networking.firewall.allowedUDPPorts = lib.mkIf cfg.openFirewall [ cfg.port ];
    systemd.services.tailscaled = {
      description = "Tailscale (stand-in of the rehearsal lab)";
      wantedBy = [ "multi-user.target" ];
      stopIfChanged = false;
      serviceConfig = {
        Type = "exec";
        ExecStart = "/usr/bin/sleep infinity";
        Restart = "on-failure";
      };
    };
  };
}
