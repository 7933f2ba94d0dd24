# lib.nixosSystem: modules → { config, options, pkgs, extendModules }, as nixpkgs' own gives it.
{ lib }:
{
  system ? null,
  modules ? [ ],
  specialArgs ? { },
  pkgs ? null,
  ...
}:
let
  evaluated = lib.evalModules {
    modules =
      modules
      ++ import ./modules/module-list.nix
      ++ [
        {
          _file = "nixosSystem";
          config = lib.mkMerge [
            (lib.mkIf (system != null) { nixpkgs.system = lib.mkDefault system; })
            (lib.mkIf (pkgs != null) { _module.args.pkgs = lib.mkForce pkgs; })
          ];
        }
      ];
    specialArgs = {
      modulesPath = toString ./modules;
    }
    // specialArgs;
    unknownOptionHint = ''

      hint: this is the rehearsal's miniature nixpkgs. If the real NixOS has this option, add it to crates/lab/nixpkgs/nixos/modules/.'';
  };
in
evaluated
// {
  inherit (evaluated._module.args) pkgs;
  inherit lib;
}
