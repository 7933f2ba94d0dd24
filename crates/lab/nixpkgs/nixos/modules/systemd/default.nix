# systemd.services and its kin → one folder of unit files, etc/systemd/system.
#
# One build for all units (nixpkgs has one each): a rehearsal builds every host, and each build costs
# some 30 ms. On the machine they are linked one by one beside Debian's own (setup-etc.py), and units
# on which the machine itself stands can't be replaced.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.systemd;
  kinds = import ./unit-options.nix { inherit lib pkgs; };
  text = import ./unit-text.nix { inherit lib pkgs; };

  # The way in and the base of the rehearsal machine. Options for them are checked and not applied.
  machineOwns = [
    "dbus.service"
    "ssh.service"
    "ssh.socket"
    "sshd.service"
    "sshd.socket"
    "sshd@.service"
    "systemd-journald.service"
    "systemd-logind.service"
    "systemd-networkd.service"
    "systemd-resolved.service"
  ];

  timersOfServices = lib.mapAttrs (_: service: {
    wantedBy = [ "timers.target" ];
    timerConfig.OnCalendar = service.startAt;
  }) (lib.filterAttrs (_: service: service.enable && service.startAt != [ ]) cfg.services);

  unitsOf =
    kind: write:
    lib.mapAttrsToList (
      name: unit:
      {
        inherit (unit) name enable wantedBy requiredBy upheldBy aliases;
        text = write name unit;
      }
    ) cfg.${kind};
  units = lib.filter (unit: !(lib.elem unit.name machineOwns)) (
    unitsOf "services" (text.services cfg.globalEnvironment)
    ++ lib.concatMap (kind: unitsOf kind text.${kind}) [
      "targets"
      "slices"
      "timers"
      "paths"
      "sockets"
    ]
  );

  links =
    unit: directory: targets:
    lib.concatMapStrings (target: ''
      mkdir -p $out/'${target}.${directory}'
      ln -s '../${unit.name}' $out/'${target}.${directory}'/
    '') targets;

  unitFiles = pkgs.runCommand "system-units" { } ''
    mkdir -p $out
    ${lib.concatMapStrings (unit: ''
      ${
        if unit.enable then
          "cat > $out/'${unit.name}' <<'end of the unit file'\n${unit.text}\nend of the unit file"
        else
          "ln -s /dev/null $out/'${unit.name}'"
      }
      ${links unit "wants" unit.wantedBy}
      ${links unit "requires" unit.requiredBy}
      ${links unit "upholds" unit.upheldBy}
      ${lib.concatMapStrings (alias: "ln -s '${unit.name}' $out/'${alias}'\n") unit.aliases}
    '') units}
  '';
in
{
  options.systemd =
    lib.mapAttrs (
      kind: type:
      mkOption {
        inherit type;
        default = { };
        description = "systemd ${kind}.";
      }
    ) kinds
    // {
      globalEnvironment = mkOption {
        type = types.attrsOf (
          types.nullOr (
            types.oneOf [
              types.str
              types.path
              types.package
            ]
          )
        );
        default = { };
        description = "Environment variables of all services.";
      };
      package = mkOption {
        type = types.package;
        default = pkgs.systemd;
        description = "systemd. The machine runs Debian's.";
      };
      settings = mkOption {
        type = types.attrsOf types.anything;
        default = { };
        description = "Of no effect here.";
      };
      extraConfig = mkOption {
        type = types.lines;
        default = "";
        description = "Of no effect here.";
      };
      network = mkOption {
        type = types.attrsOf types.anything;
        default = { };
        description = "Of no effect here: the lab's network stays.";
      };
      user = mkOption {
        type = types.attrsOf types.anything;
        default = { };
        description = "Units of users: of no effect here.";
      };
      coredump = mkOption {
        type = types.attrsOf types.anything;
        default = { };
        description = "Of no effect here.";
      };
    };

  config = {
    systemd.timers = timersOfServices;
    # Restarted by every switch, as in NixOS, for what must run again before anything is restarted.
    systemd.targets.sysinit-reactivation.description = "Reactivate sysinit units";
    environment.etc."systemd/system".source = unitFiles;
  };
}
