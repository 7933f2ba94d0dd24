# system.activationScripts: pieces of shell, ordered by their deps, run at each switch and at boot.
#
# As in NixOS a failing command does not stop the script: the piece is named, the rest still runs, the
# new system becomes the current one, and the exit code is 1. That is how a secret that can't be
# decrypted looks, and what a deploy has to notice.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;

  piece = types.submodule {
    options = {
      text = mkOption {
        type = types.lines;
        description = "The commands.";
      };
      deps = mkOption {
        type = types.listOf types.str;
        default = [ ];
        description = "Pieces that come before.";
      };
      supportsDryActivation = mkOption {
        type = types.bool;
        default = false;
        description = "Whether it may run in a dry activation, with NIXOS_ACTION=dry-activate.";
      };
    };
  };
  pieces = lib.mapAttrs (
    _: p:
    if lib.isString p then
      {
        text = p;
        deps = [ ];
        supportsDryActivation = false;
      }
    else
      p
  ) config.system.activationScripts;

  # Depth first, in the order of names: each piece after its deps, once.
  ordered =
    let
      visit =
        done: name:
        if lib.elem name done then
          done
        else
          builtins.foldl' visit done (
            (pieces.${name} or (throw "activation script snippet `${name}' is a dependency, but does not exist")).deps
          )
          ++ [ name ];
    in
    builtins.foldl' visit [ ] (lib.attrNames pieces);

  block =
    name:
    lib.optionalString (pieces.${name}.text != "") ''
      #### Activation script snippet ${name}:
      _localstatus=0
      ${pieces.${name}.text}
      if (( _localstatus > 0 )); then
        printf "Activation script snippet '%s' failed (%s)\n" "${name}" "$_localstatus"
      fi
    '';

  script = names: ending: ''
    #!/bin/bash
    # Stand-in: activates a system of the rehearsal's miniature nixpkgs.
    systemConfig='@out@'
    export PATH=/usr/sbin:/usr/bin:/sbin:/bin

    ${builtins.readFile ../../pkgs/activation/only-on-rehearsal-machines.sh}
    _status=0
    trap "_status=1 _localstatus=\$?" ERR
    umask 0022

    ${lib.concatMapStringsSep "\n" block names}
    ${ending}
  '';
in
{
  options.system = {
    activationScripts = mkOption {
      type = types.attrsOf (types.either types.str piece);
      default = { };
      description = "Pieces of the activation script.";
    };
    userActivationScripts = mkOption {
      type = types.attrsOf (types.either types.str piece);
      default = { };
      description = "Pieces run for each user. Not run here.";
    };
  };

  config = {
    system.activationScripts = {
      # The file systems are the container's own.
      specialfs = "";
      etc = {
        deps = [
          "users"
          "groups"
        ];
        text = ''
          echo "setting up /etc..."
          /usr/bin/python3 -I -S ${../../pkgs/activation/setup-etc.py} "$systemConfig/etc"
        '';
      };
    };
    system.build.activate = pkgs.writeText "activate" (
      script ordered ''
        # The last thing: this is now the current system.
        ln -sfn "$(readlink -f "$systemConfig")" /run/current-system
        exit $_status
      ''
    );
    system.build.dryActivate = pkgs.writeText "dry-activate" (
      script (lib.filter (name: pieces.${name}.supportsDryActivation) ordered) "exit $_status\n"
    );
  };
}
