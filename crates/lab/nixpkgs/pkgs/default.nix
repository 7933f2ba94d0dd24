# The packages of the miniature nixpkgs: links to the machine's own Debian programs, and stand-ins.
#
# `pkgs.NAME` exists for what this project's hosts use and for what people put into
# environment.systemPackages most. Anything else is an evaluation error ("attribute … missing"): add it
# to debian.nix, or rehearse without it.
{
  lib,
  system,
  overlays ? [ ],
  config ? { },
}:
let
  base =
    self:
    let
      builders = import ./builders.nix { inherit lib system; };
    in
    builders
    // import ./debian.nix { inherit lib builders; }
    // import ./stand-ins.nix {
      inherit lib builders;
      inherit (self) linked;
    }
    // {
      inherit lib config system;
      formats = import ./formats.nix { inherit lib builders; };

      stdenv = {
        inherit system;
        shell = "/bin/bash";
        hostPlatform = self.hostPlatform;
        buildPlatform = self.hostPlatform;
        isLinux = true;
        isDarwin = false;
        mkDerivation =
          attrs:
          builders.build (
            {
              name = "${attrs.pname or "package"}-${attrs.version or "0"}";
              buildCommand = throw "the miniature nixpkgs has no stdenv phases: give ${attrs.name or attrs.pname or "the derivation"} a buildCommand, or rehearse without it";
            }
            // attrs
          );
      };
      stdenvNoCC = self.stdenv;
      hostPlatform = {
        inherit system;
        isLinux = true;
        isDarwin = false;
        isx86_64 = lib.hasPrefix "x86_64" system;
        isAarch64 = lib.hasPrefix "aarch64" system;
      };
      runtimeShell = "/bin/bash";

      callPackage =
        package: arguments:
        let
          f = if lib.isFunction package then package else import package;
        in
        f (builtins.intersectAttrs (lib.functionArgs f) self // arguments);
      callPackages = self.callPackage;

      # A kernel can't be exchanged on a rehearsal machine; naming one is fine.
      linuxPackages = {
        kernel = self.emptyDirectory // {
          version = "6.12.0";
        };
      };
      linuxPackages_latest = self.linuxPackages;
      linuxPackages_hardened = self.linuxPackages;
    };

  # The packages see themselves after all overlays, as in nixpkgs.
  self = builtins.foldl' (previous: overlay: previous // overlay self previous) (base self) overlays;
in
self
