# users.users and users.groups. Missing ones are made at activation; none is ever changed or removed, and
# root and the other users of the Debian base stay as they are.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.users;
  nullable =
    type: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit description;
    };
  flag =
    description:
    mkOption {
      type = types.bool;
      default = false;
      inherit description;
    };

  user =
    { name, config, ... }:
    {
      options = {
        name = mkOption {
          type = types.passwdEntry types.str;
          default = name;
          description = "The login name.";
        };
        enable = mkOption {
          type = types.bool;
          default = true;
          description = "Whether the user exists.";
        };
        description = mkOption {
          type = types.passwdEntry types.str;
          default = "";
          description = "The full name.";
        };
        uid = nullable types.int "The user id.";
        isNormalUser = flag "Whether this is a person.";
        isSystemUser = flag "Whether this is a service.";
        group = mkOption {
          type = types.str;
          default = if config.isNormalUser then "users" else "";
          description = "The primary group.";
        };
        extraGroups = mkOption {
          type = types.listOf types.str;
          default = [ ];
          description = "More groups.";
        };
        home = mkOption {
          type = types.path;
          default = if config.isNormalUser then "/home/${name}" else "/var/empty";
          description = "The home folder.";
        };
        createHome = flag "Whether to make the home folder.";
        shell = nullable (types.either types.shellPackage types.path) "The login shell. Here: /bin/bash.";
        useDefaultShell = flag "Whether to use the default shell.";
        hashedPassword = nullable types.str "The password, hashed. Not set here.";
        hashedPasswordFile = nullable types.str "A file with the hashed password. Not read here.";
        initialPassword = nullable types.str "The first password. Not set here.";
        initialHashedPassword = nullable types.str "The first password, hashed. Not set here.";
        password = nullable types.str "The password. Not set here.";
        packages = mkOption {
          type = types.listOf types.package;
          default = [ ];
          description = "Packages of this user. Not installed here.";
        };
        linger = flag "Whether the user's units run without a login.";
        openssh.authorizedKeys = {
          keys = mkOption {
            type = types.listOf types.singleLineStr;
            default = [ ];
            description = "Keys that may log in as this user.";
          };
          keyFiles = mkOption {
            type = types.listOf types.path;
            default = [ ];
            description = "Files with such keys.";
          };
        };
      };
    };

  group =
    { name, ... }:
    {
      options = {
        name = mkOption {
          type = types.str;
          default = name;
          description = "The group's name.";
        };
        gid = nullable types.int "The group id.";
        members = mkOption {
          type = types.listOf types.str;
          default = [ ];
          description = "Its members.";
        };
      };
    };

  made = lib.filter (u: u.enable && u.name != "root") (lib.attrValues cfg.users);
in
{
  options.users = {
    users = mkOption {
      type = types.attrsOf (types.submodule user);
      default = { };
      description = "Users.";
    };
    groups = mkOption {
      type = types.attrsOf (types.submodule group);
      default = { };
      description = "Groups.";
    };
    mutableUsers = mkOption {
      type = types.bool;
      default = true;
      description = "Whether users may be changed by hand.";
    };
    defaultUserShell = mkOption {
      type = types.either types.path types.shellPackage;
      default = "/bin/bash";
      description = "The default shell.";
    };
    allowNoPasswordLogin = mkOption {
      type = types.bool;
      default = false;
      description = "Whether a system without any password is accepted.";
    };
  };

  config = {
    users.users.root = {
      uid = 0;
      group = "root";
      home = "/root";
    };
    # agenix gives its folder to this group.
    users.groups = {
      root.gid = 0;
      wheel.gid = 1;
      users.gid = 100;
      keys.gid = 96;
    };

    assertions = lib.concatMap (u: [
      {
        assertion = u.isNormalUser != u.isSystemUser;
        message = "Exactly one of users.users.${u.name}.isSystemUser and users.users.${u.name}.isNormalUser must be set.";
      }
      {
        assertion = u.group != "";
        message = "users.users.${u.name}.group is unset. This used to default to nogroup, but this is unsafe.";
      }
    ]) made;

    system.activationScripts.groups = {
      deps = [ ];
      # A group id that Debian uses for something else gives way to the next free one.
      text = lib.concatMapStrings (g: ''
        if ! getent group ${g.name} > /dev/null; then
          groupadd --system ${lib.optionalString (g.gid != null) "--gid ${toString g.gid}"} ${g.name} 2> /dev/null ||
            groupadd --system ${g.name}
        fi
      '') (lib.attrValues cfg.groups);
    };
    system.activationScripts.users = {
      deps = [ "groups" ];
      text = lib.concatMapStrings (u: ''
        if ! getent passwd ${u.name} > /dev/null; then
          useradd ${
            lib.escapeShellArgs (
              lib.optional u.isSystemUser "--system"
              ++ lib.optionals (u.uid != null) [
                "--uid"
                (toString u.uid)
              ]
              ++ [
                "--gid"
                u.group
                "--home-dir"
                u.home
                (if u.isNormalUser || u.createHome then "--create-home" else "--no-create-home")
                "--shell"
                "/bin/bash"
                u.name
              ]
            )
          }
        fi
        ${lib.concatMapStrings (g: "usermod --append --groups ${g} ${u.name}\n") u.extraGroups}
      '') made;
    };
  };
}
