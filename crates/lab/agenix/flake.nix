# The rehearsal's stand-in for agenix: its NixOS module, by the names of the real flake.
{
  description = "agenix's NixOS module, for the rehearsal lab (a stand-in)";

  # Declared because the user's flake.nix says agenix.inputs.nixpkgs.follows = "nixpkgs".
  inputs.nixpkgs.url = "nixpkgs";

  outputs =
    { self, ... }:
    {
      nixosModules.age = ./age.nix;
      nixosModules.default = self.nixosModules.age;
    };
}
