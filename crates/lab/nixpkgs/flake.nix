# The rehearsal's MINIATURE nixpkgs: a stand-in, not nixpkgs.
#
# `cargo xtask rehearse` evaluates the user's flake.nix and hosts/ unchanged, with this flake in the
# place of nixpkgs (--override-input nixpkgs path:…). It has `lib.nixosSystem` with a module system of
# its own, the NixOS options that this project's hosts and ordinary host files set, and a few packages.
# Names, types, defaults and unit files follow the real modules, so an option that is misspelt or of the
# wrong type is refused here as there; an option that this miniature does not know is refused too.
#
# What it can't tell: whether real software starts. Packages are links to the machine's own Debian
# programs or stand-ins; builders are /bin/bash with /usr/bin:/bin on the PATH, so builds need
# `sandbox = false`. A system built from it activates on rehearsal machines only: it refuses where
# /etc/xtask-rehearsal does not exist.
#
#   lib/       the functions and the module system      tests.nix   its self-checks
#   nixos/     lib.nixosSystem, the options             pkgs/       the packages and stand-ins
{
  description = "Miniature nixpkgs of the rehearsal lab (a stand-in)";

  outputs =
    { self }:
    let
      lib = import ./lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
    in
    {
      lib = lib // {
        nixosSystem = import ./nixos { inherit lib; };
      };
      legacyPackages = lib.genAttrs systems (system: import ./pkgs { inherit lib system; });
    };
}
