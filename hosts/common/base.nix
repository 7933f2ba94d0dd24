# What every host has, in the cluster or not: its name, and a way in for the next deploy.
{
  lib,
  fleet,
  hostName,
  ...
}:
let
  admins = fleet.admins or { };
in
{
  networking.hostName = hostName;

  # As a default, so a hardware-configuration.nix may say the same.
  nixpkgs.hostPlatform = lib.mkDefault (fleet.hosts.${hostName}.system or "x86_64-linux");

  # A host that nobody can log in to can't be repaired by another deploy.
  assertions = [
    {
      assertion = admins != { };
      message = ''
        [admins] in hosts/fleet.toml is empty: deploying ${hostName} would lock everybody out.
        hint: cargo xtask init'';
    }
  ];
  users.users.root.openssh.authorizedKeys.keys = builtins.attrValues admins;

  services.openssh = {
    enable = true;
    settings = {
      PermitRootLogin = "prohibit-password";
      PasswordAuthentication = false;
      KbdInteractiveAuthentication = false;
    };
  };

  # For build_on = "target" and for `nix` at the host's own prompt.
  nix.settings.experimental-features = [
    "nix-command"
    "flakes"
  ];
}
