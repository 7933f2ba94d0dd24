# environment.systemPackages: what a login finds in /run/current-system/sw/bin.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  strings =
    description:
    mkOption {
      type = types.attrsOf (
        types.oneOf [
          types.str
          types.int
          types.path
          (types.listOf types.str)
        ]
      );
      default = { };
      inherit description;
    };
in
{
  options = {
    environment = {
      systemPackages = mkOption {
        type = types.listOf types.package;
        default = [ ];
        description = "Packages on every login's PATH.";
      };
      defaultPackages = mkOption {
        type = types.listOf types.package;
        default = [ ];
        description = "Packages that are there unless taken away.";
      };
      pathsToLink = mkOption {
        type = types.listOf types.str;
        default = [ ];
        description = "Folders of the packages that are linked. Here: all.";
      };
      extraInit = mkOption {
        type = types.lines;
        default = "";
        description = "Shell commands of each login. Not run here.";
      };
      variables = strings "Environment variables of each login. Not set here.";
      sessionVariables = strings "Environment variables of each session. Not set here.";
      shellAliases = mkOption {
        type = types.attrsOf (types.nullOr types.str);
        default = { };
        description = "Aliases. Not set here.";
      };
    };
    system.path = mkOption {
      type = types.package;
      readOnly = true;
      default = pkgs.buildEnv {
        name = "system-path";
        paths = config.environment.systemPackages ++ config.environment.defaultPackages;
      };
      description = "The packages, united.";
    };
  };
}
