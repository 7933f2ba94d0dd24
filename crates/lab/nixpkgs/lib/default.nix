# `lib`, as far as host files use it. Same names and meanings as nixpkgs' lib, written anew.
let
  lists = import ./lists.nix;
  attrs = import ./attrs.nix;
  strings = import ./strings.nix { inherit lists; };
  properties = import ./properties.nix { inherit lists; };
  options = import ./options.nix { inherit lib; };
  modules = import ./modules.nix { inherit lib; };
  types = import ./types.nix { inherit lib; };

  lib =
    builtins
    // lists
    // attrs
    // strings
    // properties
    // options
    // modules
    // {
      inherit types;

      id = x: x;
      const = x: _: x;
      flip =
        f: a: b:
        f b a;
      pipe = builtins.foldl' (value: f: f value);
      warn = message: builtins.trace "evaluation warning: ${message}";
      warnIf = condition: message: if condition then lib.warn message else lib.id;
      throwIf = condition: message: if condition then throw message else lib.id;
      throwIfNot = condition: lib.throwIf (!condition);
      boolToString = value: if value then "true" else "false";
      importJSON = file: builtins.fromJSON (builtins.readFile file);
      importTOML = file: builtins.fromTOML (builtins.readFile file);
      isFunction = value: builtins.isFunction value || (value ? __functor);
      versionOlder = a: b: builtins.compareVersions b a == 1;
      versionAtLeast = a: b: !(lib.versionOlder a b);
      min = a: b: if a < b then a else b;
      max = a: b: if a > b then a else b;
      mod = a: b: a - b * (a / b);
      version = "26.05-rehearsal";
      trivial.release = "26.05";
      platforms.linux = lib.systems.doubles.linux;
      systems.doubles.linux = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      systems.flakeExposed = lib.systems.doubles.linux;
    };
in
lib
