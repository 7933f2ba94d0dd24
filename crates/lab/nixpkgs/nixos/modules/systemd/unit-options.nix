# The options of one unit: what all kinds share, and what services, timers, sockets … have besides.
# Types and defaults are those of nixpkgs' systemd-unit-options.
{ lib, pkgs }:
let
  inherit (lib) mkOption types;

  unitName = types.strMatching "[a-zA-Z0-9@%:_.\\-]+[.](service|socket|device|mount|automount|swap|target|path|timer|scope|slice)";
  units =
    description:
    mkOption {
      type = types.listOf unitName;
      default = [ ];
      inherit description;
    };
  flag =
    default: description:
    mkOption {
      type = types.bool;
      inherit default description;
    };
  shell =
    description:
    mkOption {
      type = types.lines;
      default = "";
      inherit description;
    };

  # A line of a unit file, or several: all lists, which add up, or all single values, which must agree.
  unitOption = types.mkOptionType {
    name = "systemd option";
    merge =
      loc: defs:
      if lib.isList (lib.head defs).value then
        lib.concatMap (
          def:
          if lib.isList def.value then
            def.value
          else
            throw "The definitions for systemd unit options should be either all lists, representing repeatable options, or all non-lists, but for the option ${lib.showOption loc}, the definitions are a mix of list and non-list ${lib.showDefs defs}"
        ) defs
      else
        lib.mergeEqualOption loc defs;
  };
  section =
    description:
    mkOption {
      type = types.attrsOf unitOption;
      default = { };
      inherit description;
    };

  oneOf =
    field: values: attrs:
    !(attrs ? ${field})
    || (lib.isAttrs attrs.${field})
    || lib.elem attrs.${field} values
    || builtins.trace "Systemd Service field `${field}' cannot have value `${toString attrs.${field}}'." false;
  validService =
    attrs:
    oneOf "Type" [
      "exec"
      "simple"
      "forking"
      "oneshot"
      "dbus"
      "notify"
      "notify-reload"
      "idle"
    ] attrs
    && oneOf "Restart" [
      "no"
      "on-success"
      "on-failure"
      "on-abnormal"
      "on-abort"
      "on-watchdog"
      "always"
    ] attrs;

  common = {
    options = {
      enable = flag true "false: the unit is masked, a link to /dev/null.";
      name = mkOption {
        type = types.str;
        description = "The unit's file name.";
      };
      description = mkOption {
        type = types.singleLineStr;
        default = "";
        description = "The unit's description.";
      };
      documentation = mkOption {
        type = types.listOf types.str;
        default = [ ];
        description = "Where to read more.";
      };
      wantedBy = units "Units that want this one.";
      requiredBy = units "Units that require this one.";
      upheldBy = units "Units that keep this one running.";
      aliases = units "More names of this unit.";
      requires = units "Requires=";
      wants = units "Wants=";
      upholds = units "Upholds=";
      after = units "After=";
      before = units "Before=";
      bindsTo = units "BindsTo=";
      partOf = units "PartOf=";
      conflicts = units "Conflicts=";
      requisite = units "Requisite=";
      onFailure = units "OnFailure=";
      onSuccess = units "OnSuccess=";
      unitConfig = section "Lines of [Unit].";
      startLimitBurst = mkOption {
        type = types.nullOr types.int;
        default = null;
        description = "StartLimitBurst=";
      };
      startLimitIntervalSec = mkOption {
        type = types.nullOr types.int;
        default = null;
        description = "StartLimitIntervalSec=";
      };
      restartTriggers = mkOption {
        type = types.listOf types.unspecified;
        default = [ ];
        description = "When one of these changes, the unit is restarted.";
      };
      reloadTriggers = mkOption {
        type = types.listOf unitOption;
        default = [ ];
        description = "When one of these changes, the unit is reloaded.";
      };
      overrideStrategy = mkOption {
        type = types.enum [
          "asDropinIfExists"
          "asDropin"
        ];
        default = "asDropinIfExists";
        description = "How a unit of the same name is treated.";
      };
    };
  };

  service =
    { config, name, ... }:
    {
      options = {
        serviceConfig = mkOption {
          type = types.addCheck (types.attrsOf unitOption) validService;
          default = { };
          description = "Lines of [Service].";
        };
        environment = mkOption {
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
          description = "Environment variables.";
        };
        path = mkOption {
          type = types.listOf (
            types.oneOf [
              types.package
              types.str
            ]
          );
          default = [ ];
          description = "Packages on the unit's PATH.";
        };
        script = shell "The main process, in shell; `set -e` is on.";
        scriptArgs = mkOption {
          type = types.str;
          default = "";
          description = "Arguments of the script.";
        };
        preStart = shell "Before the main process.";
        postStart = shell "After the main process has started.";
        reload = shell "On reload.";
        preStop = shell "On stop.";
        postStop = shell "After the main process has ended.";
        enableStrictShellChecks = flag false "Whether shellcheck is asked. It is not, here.";
        restartIfChanged = flag true "Whether a switch restarts the unit when it changed.";
        reloadIfChanged = flag false "Whether a switch reloads the unit instead.";
        stopIfChanged = flag true "Whether a switch stops it under the old configuration and starts it under the new.";
        notSocketActivated = flag false "Whether a switch treats it as not started by a socket.";
        startAt = mkOption {
          type = types.either types.str (types.listOf types.str);
          default = [ ];
          apply = lib.toList;
          description = "When a timer starts it.";
        };
      };
      config =
        let
          job = phase: text: "${pkgs.writeShellScriptBin "${name}-${phase}" "set -e\n\n${text}"}/bin/${name}-${phase}";
        in
        {
          name = "${name}.service";
          path = lib.mkAfter [
            pkgs.coreutils
          ];
          environment.PATH = lib.mkIf (
            config.path != [ ]
          ) "${lib.makeBinPath (lib.unique config.path)}:${lib.makeSearchPath "sbin" (lib.unique config.path)}";
          serviceConfig = lib.mkMerge [
            (lib.mkIf (config.preStart != "") { ExecStartPre = [ (job "pre-start" config.preStart) ]; })
            (lib.mkIf (config.script != "") {
              ExecStart = "${job "start" config.script} ${config.scriptArgs}";
            })
            (lib.mkIf (config.postStart != "") { ExecStartPost = [ (job "post-start" config.postStart) ]; })
            (lib.mkIf (config.reload != "") { ExecReload = job "reload" config.reload; })
            (lib.mkIf (config.preStop != "") { ExecStop = job "pre-stop" config.preStop; })
            (lib.mkIf (config.postStop != "") { ExecStopPost = job "post-stop" config.postStop; })
          ];
        };
    };

  other =
    suffix: options:
    { name, ... }:
    {
      inherit options;
      config.name = "${name}.${suffix}";
    };
  submodule = extra: types.attrsOf (types.submodule [ common extra ]);
  strings =
    description:
    mkOption {
      type = types.listOf types.str;
      default = [ ];
      inherit description;
    };
in
{
  services = submodule service;
  targets = submodule (other "target" { });
  slices = submodule (other "slice" { sliceConfig = section "Lines of [Slice]."; });
  timers = submodule (other "timer" { timerConfig = section "Lines of [Timer]."; });
  paths = submodule (other "path" { pathConfig = section "Lines of [Path]."; });
  sockets = submodule (
    other "socket" {
      socketConfig = section "Lines of [Socket].";
      listenStreams = strings "ListenStream=";
      listenDatagrams = strings "ListenDatagram=";
    }
  );
}
