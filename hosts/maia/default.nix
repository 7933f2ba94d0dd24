# maia: a K3s agent. Its addresses, keys and role stand in ../fleet.toml.
#
# What belongs to the machine itself (disks, boot loader, kernel modules) goes into
# hardware-configuration.nix, as the machine says it:
#
#   ssh root@maia.mercury nixos-generate-config --show-hardware-config > hosts/maia/hardware-configuration.nix
#   git add hosts/maia/hardware-configuration.nix
#
# plus its boot loader, for example `boot.loader.systemd-boot.enable = true;` in this file. Nothing
# is guessed here: until then NixOS itself refuses to build maia and names what it misses.
{ lib, ... }:
{
  imports = [
    ../common/base.nix
    ../common/optional/agenix.nix
    ./k3s.nix
  ]
  ++ lib.optional (builtins.pathExists ./hardware-configuration.nix) ./hardware-configuration.nix;

  # The NixOS release this host was installed with. Not to be raised on upgrades.
  system.stateVersion = "25.11";
}
