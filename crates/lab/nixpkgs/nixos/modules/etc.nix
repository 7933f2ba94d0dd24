# environment.etc: files under /etc, linked through /etc/static as in NixOS (pkgs/activation/setup-etc.py).
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  files = lib.filter (file: file.enable) (lib.attrValues config.environment.etc);

  entry =
    { name, config, ... }:
    {
      options = {
        enable = mkOption {
          type = types.bool;
          default = true;
          description = "Whether the file is there.";
        };
        target = mkOption {
          type = types.str;
          default = name;
          description = "Its path under /etc.";
        };
        text = mkOption {
          type = types.nullOr types.lines;
          default = null;
          description = "Its content.";
        };
        source = mkOption {
          type = types.path;
          description = "The file it links to.";
        };
        mode = mkOption {
          type = types.str;
          default = "symlink";
          description = "`symlink`, or the mode of a copy.";
        };
        uid = mkOption {
          type = types.int;
          default = 0;
          description = "The owner of a copy.";
        };
        gid = mkOption {
          type = types.int;
          default = 0;
          description = "The group of a copy.";
        };
        user = mkOption {
          type = types.str;
          default = "+${toString config.uid}";
          description = "The owner of a copy, by name.";
        };
        group = mkOption {
          type = types.str;
          default = "+${toString config.gid}";
          description = "The group of a copy, by name.";
        };
      };
      config.source = lib.mkIf (config.text != null) (
        lib.mkDefault (pkgs.writeText "etc-${baseNameOf name}" config.text)
      );
    };
in
{
  options.environment.etc = mkOption {
    type = types.attrsOf (types.submodule entry);
    default = { };
    description = "Files under /etc.";
  };

  config.system.build.etc = pkgs.runCommand "etc" { } ''
    place() { # source target mode user group
      mkdir -p "$out/etc/$(dirname "$2")"
      if [ -e "$out/etc/$2" ] || [ -L "$out/etc/$2" ]; then
        echo "duplicate entry $2 -> $1"
        exit 1
      fi
      ln -s "$1" "$out/etc/$2"
      if [ "$3" != symlink ]; then
        echo "$3" > "$out/etc/$2.mode"
        echo "$4" > "$out/etc/$2.uid"
        echo "$5" > "$out/etc/$2.gid"
      fi
    }
    mkdir -p $out/etc
    ${lib.concatMapStringsSep "\n" (
      file:
      "place "
      + lib.escapeShellArgs [
        "${file.source}"
        file.target
        file.mode
        file.user
        file.group
      ]
    ) files}
  '';
}
