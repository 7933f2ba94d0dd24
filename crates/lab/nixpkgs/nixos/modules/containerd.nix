# virtualisation.containerd: options, configuration and unit as in NixOS; the daemon is a stand-in.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.virtualisation.containerd;
  toml = pkgs.formats.toml { };
  configFile = if cfg.configFile == null then toml.generate "containerd.toml" cfg.settings else cfg.configFile;
in
{
  options.virtualisation.containerd = {
    enable = lib.mkEnableOption "the containerd container runtime";
    configFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      description = "containerd's configuration, in place of settings.";
    };
    settings = mkOption {
      inherit (toml) type;
      default = { };
      description = "containerd.toml";
    };
    args = mkOption {
      type = types.attrsOf types.str;
      default = { };
      description = "More arguments.";
    };
  };

  config = lib.mkIf cfg.enable {
    warnings = lib.optional (
      cfg.configFile != null
    ) "`virtualisation.containerd.configFile` is deprecated. use `virtualisation.containerd.settings` instead.";
    virtualisation.containerd = {
      args.config = "${configFile}";
      settings = {
        version = 2;
        plugins."io.containerd.grpc.v1.cri".cni.bin_dir = lib.mkOptionDefault "${pkgs.cni-plugins}/bin";
      };
    };
    environment.systemPackages = [ pkgs.containerd ];

    systemd.services.containerd = {
      description = "containerd - container runtime";
      wantedBy = [ "multi-user.target" ];
      after = [
        "network.target"
        "local-fs.target"
        "dbus.service"
      ];
      path = [
        pkgs.containerd
        pkgs.runc
        pkgs.iptables
      ];
      serviceConfig = {
        Delegate = "yes";
        ExecStart = "${pkgs.containerd}/bin/containerd ${
          lib.concatStringsSep " " (lib.mapAttrsToList (name: value: "--${name} ${value}") cfg.args)
        }";
        KillMode = "process";
        Type = "notify";
        Restart = "always";
        RestartSec = "10";
        LimitNPROC = "infinity";
        LimitCORE = "infinity";
        TasksMax = "infinity";
        StateDirectory = "containerd";
        RuntimeDirectory = "containerd";
        RuntimeDirectoryPreserve = "yes";
      };
      unitConfig = {
        StartLimitBurst = "16";
        StartLimitIntervalSec = "120s";
      };
    };
  };
}
