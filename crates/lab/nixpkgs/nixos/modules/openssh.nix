# services.openssh. Evaluated and checked; but the machine keeps Debian's own sshd, whose configuration is
# the lab's (it is the way in, and a broken one would end the rehearsal). What is applied: the keys that
# may log in, in /etc/ssh/authorized_keys.d/USER, which the lab's sshd reads as NixOS' does.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.openssh;
  flag =
    default: description:
    mkOption {
      type = types.bool;
      inherit default description;
    };
  setting =
    type: default: description:
    mkOption {
      type = types.nullOr type;
      inherit default description;
    };

  settings = types.submodule {
    freeformType = types.attrsOf (
      types.nullOr (
        types.oneOf [
          types.bool
          types.int
          types.str
          types.path
          (types.listOf types.str)
        ]
      )
    );
    options = {
      PermitRootLogin = setting (types.enum [
        "yes"
        "without-password"
        "prohibit-password"
        "forced-commands-only"
        "no"
      ]) "prohibit-password" "Whether root may log in.";
      PasswordAuthentication = setting types.bool true "Whether passwords are accepted.";
      KbdInteractiveAuthentication = setting types.bool true "Whether keyboard-interactive is accepted.";
      X11Forwarding = setting types.bool false "X11 forwarding.";
      UseDns = setting types.bool false "Reverse look-ups.";
      LogLevel = setting types.str "INFO" "The log level.";
      AllowUsers = setting (types.listOf types.str) null "Users that may log in.";
      AllowGroups = setting (types.listOf types.str) null "Groups that may log in.";
    };
  };

  withKeys = lib.filter (
    user: user.openssh.authorizedKeys.keys ++ user.openssh.authorizedKeys.keyFiles != [ ]
  ) (lib.attrValues config.users.users);
in
{
  options.services.openssh = {
    enable = flag false "Whether to run sshd.";
    package = mkOption {
      type = types.package;
      default = pkgs.openssh;
      description = "OpenSSH.";
    };
    startWhenNeeded = flag false "Whether a socket starts it.";
    openFirewall = flag true "Whether its ports are open.";
    allowSFTP = flag true "Whether SFTP is on.";
    authorizedKeysInHomedir = flag true "Whether ~/.ssh/authorized_keys is read.";
    authorizedKeysFiles = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "More files with keys.";
    };
    ports = mkOption {
      type = types.listOf types.port;
      default = [ 22 ];
      description = "Its ports.";
    };
    listenAddresses = mkOption {
      type = types.listOf (types.attrsOf types.anything);
      default = [ ];
      description = "Its addresses.";
    };
    hostKeys = mkOption {
      type = types.listOf types.attrs;
      default = [
        {
          type = "rsa";
          bits = 4096;
          path = "/etc/ssh/ssh_host_rsa_key";
        }
        {
          type = "ed25519";
          path = "/etc/ssh/ssh_host_ed25519_key";
        }
      ];
      description = "Its host keys; also what agenix decrypts with.";
    };
    extraConfig = mkOption {
      type = types.lines;
      default = "";
      description = "More of sshd_config.";
    };
    settings = mkOption {
      type = settings;
      default = { };
      description = "sshd_config.";
    };
    knownHosts = mkOption {
      type = types.attrsOf (types.attrsOf types.anything);
      default = { };
      description = "Keys of other hosts.";
    };
  };

  config = lib.mkIf cfg.enable {
    networking.firewall.allowedTCPPorts = lib.mkIf cfg.openFirewall cfg.ports;
    environment.etc = lib.listToAttrs (
      map (
        user:
        lib.nameValuePair "ssh/authorized_keys.d/${user.name}" {
          mode = "0444";
          source = pkgs.writeText "${user.name}-authorized_keys" (
            lib.concatLines (
              user.openssh.authorizedKeys.keys ++ map builtins.readFile user.openssh.authorizedKeys.keyFiles
            )
          );
        }
      ) withKeys
    );
  };
}
