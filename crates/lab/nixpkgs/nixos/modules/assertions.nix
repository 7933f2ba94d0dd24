# `assertions` and `warnings`: asked for when the system is built (toplevel.nix).
{ lib, ... }:
let
  inherit (lib) mkOption types;
in
{
  options = {
    assertions = mkOption {
      type = types.listOf types.unspecified;
      default = [ ];
      description = "{ assertion, message }: what must hold for the configuration to be built.";
    };
    warnings = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "Said at evaluation.";
    };
    meta = mkOption {
      type = types.attrsOf types.raw;
      default = { };
      description = "Maintainers and documentation of a module: of no effect here.";
    };
  };
}
