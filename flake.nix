# Every host of hosts/fleet.toml is one NixOS system: nixosConfigurations.<host>.
#
# Nothing of a host is written here. What the fleet is stands in hosts/fleet.toml, which
# `cargo xtask` reads too; what a host does stands in hosts/<host>/. Adding a host changes
# neither this file nor any other host.
{
  description = "A NixOS + K3s cluster in one repository, operated by cargo xtask";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    agenix = {
      url = "github:ryantm/agenix";
      inputs.nixpkgs.follows = "nixpkgs";
    };
  };

  outputs =
    { nixpkgs, ... }@inputs:
    let
      fleet = builtins.fromTOML (builtins.readFile ./hosts/fleet.toml);

      # Flakes see only files that git knows: the usual cause of a missing folder is a missing `git add`.
      hostDirectory =
        hostName:
        let
          directory = ./hosts + "/${hostName}";
        in
        if builtins.pathExists (directory + "/default.nix") then
          directory
        else
          throw ''
            hosts/fleet.toml has [hosts.${hostName}], but hosts/${hostName}/default.nix does not exist.
            hint: write it, or `git add -N hosts/${hostName}`: flakes see only what git knows.'';

      nixosHost =
        hostName: _settings:
        nixpkgs.lib.nixosSystem {
          specialArgs = { inherit inputs fleet hostName; };
          modules = [ (hostDirectory hostName) ];
        };
    in
    {
      nixosConfigurations = builtins.mapAttrs nixosHost fleet.hosts;

      # The tools that `cargo xtask` drives, for a machine that has only nix: `nix develop`.
      devShells = nixpkgs.lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (system: {
        default =
          let
            pkgs = nixpkgs.legacyPackages.${system};
          in
          pkgs.mkShell {
            packages = [
              pkgs.cargo
              pkgs.rustc
              pkgs.git
              pkgs.openssh
              pkgs.nixos-rebuild-ng
            ];
          };
      });
    };
}
