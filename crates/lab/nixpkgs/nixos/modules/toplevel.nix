# config.system.build.toplevel: the system, one store path that refers to all the rest.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  inherit (config.system) build;

  switch = pkgs.pythonStandIn "switch-to-configuration-stand-in" ../../pkgs/switch-to-configuration;

  system =
    pkgs.runCommand "nixos-system-${config.system.name}-${config.system.nixos.label}"
      {
        inherit (config.system) extraDependencies;
        passedChecks = config.system.checks;
      }
      ''
        mkdir -p $out/bin
        printf %s ${lib.escapeShellArg config.system.nixos.label} > $out/nixos-version
        printf %s ${lib.escapeShellArg pkgs.stdenv.hostPlatform.system} > $out/system
        printf %s 'systemd ${toString config.system.rehearsal.initInterfaceVersion}' > $out/init-interface-version
        ln -s ${build.etc}/etc $out/etc
        ln -s ${config.system.path} $out/sw
        ln -s ${config.systemd.package} $out/systemd

        for script in activate dry-activate; do
          [ $script = activate ] && source=${build.activate} || source=${build.dryActivate}
          sed "s|@out@|$out|g" $source > $out/$script
          chmod +x $out/$script
        done

        sed "s|@out@|$out|g" ${../../pkgs/activation/init.sh} > $out/init
        printf '#!/bin/sh\n# Stand-in for switch-to-configuration.\nexport OUT=%s TOPLEVEL=%s\nexec %s "$@"\n' \
          $out $out '${switch}' > $out/bin/switch-to-configuration
        chmod +x $out/init $out/bin/switch-to-configuration
        ${config.system.extraSystemBuilderCmds}
      '';

  failed = map (a: a.message) (lib.filter (a: !a.assertion) config.assertions);
  checked =
    if failed != [ ] then
      throw "\nFailed assertions:\n${lib.concatMapStringsSep "\n" (m: "- ${m}") failed}"
    else
      builtins.foldl' (result: warning: lib.warn warning result) system config.warnings;
in
{
  options.system.rehearsal.initInterfaceVersion = mkOption {
    type = types.int;
    default = 2;
    description = "Another number than the running system's makes a switch ask for a reboot (exit code 100).";
  };
  config.system.build.toplevel = checked;
}
