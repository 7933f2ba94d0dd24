# Self-checks of the miniature nixpkgs. Prints the failures; an empty list is a pass:
#
#   nix-instantiate --eval --strict --store dummy:// crates/lab/nixpkgs/tests.nix
#
# The expectations on the module system are what nixpkgs' own `lib` answers to the same questions
# (compared once, with lib of June 2026); those on units and flags were read in nixpkgs' modules.
let
  lib = import ./lib;
  checks = import ./tests/module-system.nix { inherit lib; } // import ./tests/nixos.nix { inherit lib; };

  # A check is [ actual expected ]; `fails` expects an error.
  outcome =
    name: check:
    let
      actual = builtins.tryEval (builtins.deepSeq (builtins.elemAt check 0) (builtins.elemAt check 0));
      expected = builtins.elemAt check 1;
      value = if actual.success then actual.value else "fails";
    in
    if value == expected then
      [ ]
    else
      [
        {
          inherit name expected;
          actual = value;
        }
      ];
in
builtins.concatLists (builtins.attrValues (builtins.mapAttrs outcome checks))
