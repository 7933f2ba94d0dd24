# What is said about the system as a whole, and where the modules leave what they built.
{
  config,
  lib,
  options,
  ...
}:
let
  inherit (lib) mkOption types;
in
{
  options.system = {
    stateVersion = mkOption {
      type = types.str;
      default = lib.trivial.release;
      apply =
        version:
        lib.warnIf (options.system.stateVersion.highestPrio == (lib.mkOptionDefault { }).priority)
          "system.stateVersion is not set, defaulting to ${version}. Read why this matters on https://nixos.org/manual/nixos/stable/options.html#opt-system.stateVersion."
          version;
      description = "The NixOS release this machine was installed with.";
    };
    name = mkOption {
      type = types.str;
      default = if config.networking.hostName == "" then "unnamed" else config.networking.hostName;
      description = "The name in the system's store path.";
    };
    nixos = {
      label = mkOption {
        type = types.strMatching "[a-zA-Z0-9:_.-]*";
        default = config.system.nixos.version;
        description = "The label in the system's store path and in the boot menu.";
      };
      version = mkOption {
        type = types.str;
        default = lib.version;
        description = "The version: it says that this is a rehearsal.";
      };
      release = mkOption {
        type = types.str;
        default = lib.trivial.release;
        description = "The release.";
      };
      distroId = mkOption {
        type = types.str;
        default = "nixos";
        description = "ID in /etc/os-release.";
      };
      tags = mkOption {
        type = types.listOf types.str;
        default = [ ];
        description = "Words for the label.";
      };
    };
    configurationRevision = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "The revision of the repository the system was built from.";
    };
    build = mkOption {
      type = types.submodule { freeformType = types.lazyAttrsOf types.unspecified; };
      default = { };
      description = "What the modules built: toplevel, etc …";
    };
    extraSystemBuilderCmds = mkOption {
      type = types.lines;
      default = "";
      description = "More commands for the build of the system.";
    };
    extraDependencies = mkOption {
      type = types.listOf types.pathInStore;
      default = [ ];
      description = "More paths that belong to the system.";
    };
    checks = mkOption {
      type = types.listOf types.package;
      default = [ ];
      description = "Packages whose build must succeed for the system's to.";
    };
    autoUpgrade = mkOption {
      type = types.attrsOf types.anything;
      default = { };
      description = "Of no effect here.";
    };
  };

  config.assertions = [
    {
      assertion = builtins.match "[0-9]{2}\\.[0-9]{2}" config.system.stateVersion != null;
      message = "${config.system.stateVersion} is an invalid value for 'system.stateVersion'; it must be in the format \"YY.MM\",\nwhich corresponds to a prior release of NixOS.";
    }
  ];
}
