# A unit's options → the text of its file, as nixpkgs writes it: sections and keys in the same order, so
# what a unit file shows on a rehearsal machine is what it shows on the real one.
{ lib, pkgs }:
let
  inherit (lib)
    concatStrings
    mapAttrsToList
    optionalAttrs
    optionalString
    ;

  word = value: if lib.isBool value then lib.boolToString value else toString value;
  lines =
    section:
    concatStrings (
      mapAttrsToList (key: value: concatStrings (map (v: "${key}=${word v}\n") (lib.toList value))) section
    );

  triggers =
    key: name: values:
    optionalAttrs (values != [ ]) {
      ${key} = "${pkgs.writeText "${key}-${name}" (
        toString (map (v: if lib.isPath v then "${v}" else v) (lib.flatten values))
      )}";
    };
  list = key: values: optionalAttrs (values != [ ]) { ${key} = toString values; };
  number = key: value: optionalAttrs (value != null) { ${key} = toString value; };

  unitSection =
    name: unit:
    lines (
      unit.unitConfig
      // list "Requires" unit.requires
      // list "Wants" unit.wants
      // list "Upholds" unit.upholds
      // list "After" unit.after
      // list "Before" unit.before
      // list "BindsTo" unit.bindsTo
      // list "PartOf" unit.partOf
      // list "Conflicts" unit.conflicts
      // list "Requisite" unit.requisite
      // list "OnFailure" unit.onFailure
      // list "OnSuccess" unit.onSuccess
      // list "Documentation" unit.documentation
      // optionalAttrs (unit.description != "") { Description = unit.description; }
      // number "StartLimitBurst" unit.startLimitBurst
      // number "StartLimitIntervalSec" unit.startLimitIntervalSec
      // triggers "X-Restart-Triggers" name unit.restartTriggers
      // triggers "X-Reload-Triggers" name unit.reloadTriggers
    );

  file = name: unit: body: ''
    [Unit]
    ${unitSection name unit}
    ${body}'' + optionalString (unit.wantedBy != [ ]) ''

    [Install]
    WantedBy=${toString unit.wantedBy}
  '';
in
{
  services =
    globalEnvironment: name: unit:
    file name unit (
      "[Service]\n"
      + concatStrings (
        mapAttrsToList (
          key: value: optionalString (value != null) "Environment=${builtins.toJSON "${key}=${value}"}\n"
        ) (globalEnvironment // unit.environment)
      )
      + (
        if unit.reloadIfChanged then
          "X-ReloadIfChanged=true\n"
        else
          optionalString (!unit.restartIfChanged) "X-RestartIfChanged=false\n"
      )
      + optionalString (!unit.stopIfChanged) "X-StopIfChanged=false\n"
      + optionalString unit.notSocketActivated "X-NotSocketActivated=true\n"
      + lines unit.serviceConfig
    );
  targets = name: unit: "[Unit]\n${unitSection name unit}";
  slices = name: unit: file name unit "[Slice]\n${lines unit.sliceConfig}";
  timers = name: unit: file name unit "[Timer]\n${lines unit.timerConfig}";
  paths = name: unit: file name unit "[Path]\n${lines unit.pathConfig}";
  sockets =
    name: unit:
    file name unit (
      "[Socket]\n"
      + lines unit.socketConfig
      + lines {
        ListenStream = unit.listenStreams;
        ListenDatagram = unit.listenDatagrams;
      }
    );
}
