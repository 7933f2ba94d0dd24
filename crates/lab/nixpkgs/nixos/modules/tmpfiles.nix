# systemd.tmpfiles: folders and files made by systemd-tmpfiles. Written to /etc/tmpfiles.d and applied at
# activation (NixOS does it by a unit; the result is the same).
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.systemd.tmpfiles;
  field =
    default: description:
    mkOption {
      type = types.str;
      inherit default description;
    };
  rule = types.submodule (
    { name, ... }:
    {
      options = {
        type = field name "What to do: d, f, L+ …";
        mode = field "-" "The mode.";
        user = field "-" "The owner.";
        group = field "-" "The group.";
        age = field "-" "When to remove.";
        argument = field "" "The argument.";
      };
    }
  );
  line =
    path: r:
    "'${r.type}' '${path}' '${r.mode}' '${r.user}' '${r.group}' '${r.age}' ${r.argument}";
  fileOf = lib.concatMapAttrsStringSep "" (
    path: rules: lib.concatStrings (lib.mapAttrsToList (_: r: line path r + "\n") rules)
  );
in
{
  options.systemd.tmpfiles = {
    rules = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "Lines of tmpfiles.d.";
    };
    settings = mkOption {
      type = types.attrsOf (types.attrsOf (types.attrsOf rule));
      default = { };
      description = "The same, by file, path and type.";
    };
  };

  config = {
    environment.etc = lib.mkMerge [
      (lib.mkIf (cfg.rules != [ ]) {
        "tmpfiles.d/00-nixos.conf".text = lib.concatLines cfg.rules;
      })
      (lib.mapAttrs' (
        name: paths: lib.nameValuePair "tmpfiles.d/${name}.conf" { text = fileOf paths; }
      ) (lib.filterAttrs (_: paths: paths != { }) cfg.settings))
    ];
    system.activationScripts.tmpfiles = {
      deps = [
        "etc"
        "users"
      ];
      text = ''
        for file in /etc/static/tmpfiles.d/*.conf; do
          if [ -e "$file" ]; then systemd-tmpfiles --create "$file"; fi
        done
      '';
    };
  };
}
