# virtualisation.containerd: options, configuration and unit as in NixOS; the daemon is a stand-in, or Debian's beside a real
# K3s. That one is told what runc may not do in a container, and takes the rehearsal's images.
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
  isReal = (import ../../pkgs/rehearsal.nix).k3s != [ ];
  # Each containerd asks for another version of the pause image, and there is no registry: the one that was imported is every one.
  importImages = pkgs.writeShellScript "import-images" ''
    for image in /opt/images/*.tar; do
      [ ! -e "$image" ] || ctr -n k8s.io images import "$image"
    done
    wanted=$(containerd --config ${configFile} config dump | sed -n 's/^ *sandbox_image = "\(.*\)"$/\1/p')
    there=$(ctr -n k8s.io images list --quiet | grep /pause: | head -n 1)
    case $there in
      "" | "$wanted") ;;
      *) ctr -n k8s.io images tag "$there" "$wanted" || true ;;
    esac
  '';
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
        plugins."io.containerd.grpc.v1.cri" = {
          cni.bin_dir = lib.mkOptionDefault "${pkgs.cni-plugins}/bin";
        }
        // lib.optionalAttrs isReal { restrict_oom_score_adj = true; };
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
        ExecStartPost =
if isReal then "${importImages}" else null;
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
