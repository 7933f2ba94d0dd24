# Which packages: the platform, the overlays, and `pkgs` as an argument of every module.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.nixpkgs;
  platform = if lib.isString cfg.hostPlatform then cfg.hostPlatform else cfg.hostPlatform.system;
in
{
  options.nixpkgs = {
    hostPlatform = mkOption {
      type = types.either types.str types.attrs;
      default = cfg.system;
      description = "The platform the system runs on.";
    };
    system = mkOption {
      type = types.str;
      default = throw "Neither nixpkgs.hostPlatform nor the legacy option nixpkgs.system has been set.\nYou can set nixpkgs.hostPlatform in hardware-configuration.nix by re-running\na recent version of nixos-generate-config.";
      description = "The older word for hostPlatform.";
    };
    config = mkOption {
      type = types.attrsOf types.anything;
      default = { };
      description = "nixpkgs' own configuration (allowUnfree …): of no effect here.";
    };
    overlays = mkOption {
      type = types.listOf types.raw;
      default = [ ];
      description = "Changes to the packages.";
    };
  };

  config._module.args.pkgs = import ../../pkgs {
    inherit lib;
    system = platform;
    inherit (cfg) config overlays;
  };
}
