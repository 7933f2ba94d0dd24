# How definitions become values. See ../tests.nix.
{ lib }:
let
  inherit (lib)
    mkAfter
    mkBefore
    mkDefault
    mkForce
    mkIf
    mkMerge
    mkOption
    mkOrder
    types
    ;
  evaluate = modules: (lib.evalModules { inherit modules; }).config;
  option = type: { options.x = mkOption { inherit type; }; };
  # The value of an option of that type with those definitions, each from a module of its own.
  merged = type: definitions: (evaluate ([ (option type) ] ++ map (x: { inherit x; }) definitions)).x;

  element = types.submodule (
    { name, ... }:
    {
      options = {
        a = mkOption {
          type = types.int;
          default = 1;
        };
        n = mkOption {
          type = types.str;
          default = name;
        };
        l = mkOption {
          type = types.listOf types.str;
          default = [ ];
        };
      };
    }
  );
  freeform = types.submodule {
    freeformType = types.attrsOf (types.either types.int types.str);
    options.k = mkOption {
      type = types.int;
      default = 5;
    };
  };
  strings = types.listOf types.str;
  declaring = name: type: { options.x = mkOption { type = types.attrsOf (types.submodule { options.${name} = mkOption { inherit type; default = 1; }; }); }; };
in
{
  # Priorities, conditions, orders.
  "a plain definition beats a default" = [ (merged types.int [ 1 (mkDefault 2) ]) 1 ];
  "mkForce beats a plain definition" = [ (merged types.int [ 1 (mkForce 2) ]) 2 ];
  "mkForce below a condition" = [ (merged types.int [ 1 (mkIf true (mkForce 2)) ]) 2 ];
  "equal definitions agree" = [ (merged types.int [ 1 1 ]) 1 ];
  "different definitions conflict" = [ (merged types.int [ 1 2 ]) "fails" ];
  "later modules come first, orders decide" = [
    (merged strings [ [ "a" ] (mkBefore [ "b" ]) (mkAfter [ "c" ]) [ "d" ] (mkOrder 600 [ "e" ]) ])
    [ "b" "e" "d" "a" "c" ]
  ];
  "imports come before what imports them" = [
    (evaluate [
      (option strings)
      {
        imports = [
          { x = [ "i1" ]; }
          {
            x = [ "i2" ];
            imports = [ { x = [ "i3" ]; } ];
          }
        ];
        x = [ "root" ];
      }
    ]).x
    [ "i3" "i2" "i1" "root" ]
  ];
  "conditions and unions" = [
    (merged (types.listOf types.int) [ (mkIf false [ 1 ]) (mkIf true [ 2 ]) (mkMerge [ [ 3 ] (mkIf true [ 4 ]) ]) ])
    [ 3 4 2 ]
  ];
  "conditions inside a list" = [ (merged (types.listOf types.int) [ [ 1 (mkIf false 2) (mkIf true 3) ] ]) [ 1 3 ] ];
  "conditions around a module" = [
    (evaluate [
      {
        options.a.b = mkOption {
          type = types.int;
          default = 1;
        };
        options.a.c = mkOption { type = types.int; };
      }
      (mkIf true { a.c = 3; })
      { config = mkMerge [ { a.b = mkForce 9; } ]; }
    ])
    { a = { b = 9; c = 3; }; }
  ];

  # Types.
  "a wrong type" = [ (merged types.int [ "s" ]) "fails" ];
  "a wrong type in a list" = [ (merged strings [ [ 1 ] ]) "fails" ];
  "lines are joined" = [ (merged types.lines [ "a" "b" ]) "b\na" ];
  "enum refuses" = [ (merged (types.enum [ "a" "b" ]) [ "c" ]) "fails" ];
  "port refuses 70000" = [ (merged types.port [ 70000 ]) "fails" ];
  "path refuses a relative one" = [ (merged types.path [ "rel" ]) "fails" ];
  "path" = [ (merged types.path [ "/abs" ]) "/abs" ];
  "nonEmptyStr refuses" = [ (merged types.nonEmptyStr [ "" ]) "fails" ];
  "coercedTo" = [ (merged (types.coercedTo types.int toString types.str) [ 5 ]) "5" ];
  "uniq refuses two" = [ (merged (types.uniq types.int) [ 1 1 ]) "fails" ];
  "nullOr" = [ (merged (types.nullOr types.int) [ null null ]) null ];
  "nullOr refuses both" = [ (merged (types.nullOr types.int) [ null 2 ]) "fails" ];
  "either, lists add up" = [ (merged (types.either types.str strings) [ [ "a" ] [ "b" ] ]) [ "b" "a" ] ];
  "either refuses a mixture" = [ (merged (types.either types.str strings) [ "a" [ "b" ] ]) "fails" ];
  "anything merges sets" = [ (merged types.anything [ { a.b = 1; } { a.c = [ 1 ]; } ]) { a = { b = 1; c = [ 1 ]; }; } ];
  "anything refuses two lists" = [ (merged types.anything [ { a = [ 1 ]; } { a = [ 2 ]; } ]) "fails" ];
  "attrsOf leaves out false conditions" = [
    (merged (types.attrsOf types.int) [ { a = mkIf false 1; b = mkDefault 2; } { b = 3; } ])
    { b = 3; }
  ];
  "attrsOf is empty by default" = [ (merged (types.attrsOf types.int) [ ]) { } ];
  "listOf is empty by default" = [ (merged (types.listOf types.int) [ ]) [ ] ];
  "an int has no default" = [ (merged types.int [ ]) "fails" ];

  # Submodules.
  "submodules" = [
    (merged (types.attrsOf element) [ { u = { }; v.a = 3; } { v.l = [ "x" ]; w.a = mkForce 4; } { w.l = mkIf false [ "q" ]; } ])
    {
      u = { a = 1; n = "u"; l = [ ]; };
      v = { a = 3; n = "v"; l = [ "x" ]; };
      w = { a = 4; n = "w"; l = [ ]; };
    }
  ];
  "submodules under conditions" = [
    (merged (types.attrsOf element) [ (mkIf true { u.a = mkDefault 7; }) { u = mkIf false { a = 9; }; } { z = mkIf false { }; } ])
    { u = { a = 7; n = "u"; l = [ ]; }; }
  ];
  "a submodule refuses an unknown option" = [ (merged (types.attrsOf element) [ { u.b = 1; } ]) "fails" ];
  "a freeform submodule takes it" = [ (merged freeform [ { q = 1; r = "s"; } ]) { k = 5; q = 1; r = "s"; } ];
  "a freeform submodule checks it" = [ (merged freeform [ { q = true; } ]) "fails" ];
  "declared twice, options united" = [
    (evaluate [ (declaring "a" types.int) (declaring "b" types.int) { x.q = { }; } ]).x
    { q = { a = 1; b = 1; }; }
  ];
  "declared twice with different types" = [
    (evaluate [ (option types.int) (option types.str) { x = 1; } ]).x
    "fails"
  ];

  # Modules.
  "an unknown option" = [ (evaluate [ (option types.int) { y = 1; x = 2; } ]) "fails" ];
  "config beside other attributes" = [ (evaluate [ (option types.int) { config.x = 1; foo = 2; } ]) "fails" ];
  "read-only" = [
    (evaluate [
      {
        options.x = mkOption {
          type = types.int;
          readOnly = true;
          default = 1;
        };
      }
      { x = 2; }
    ]).x
    "fails"
  ];
  "arguments from _module.args" = [
    (evaluate [ (option types.int) ({ foo, ... }: { x = foo; }) { _module.args.foo = 3; } ]).x
    3
  ];
  "an argument nobody gives" = [ (evaluate [ (option types.int) ({ foo, ... }: { x = foo; }) ]).x "fails" ];
  "apply" = [
    (evaluate [
      {
        options.x = mkOption {
          type = types.int;
          default = 2;
          apply = x: x * 2;
        };
      }
    ]).x
    4
  ];
  "disabledModules" = [
    (evaluate [
      (option (types.listOf types.int))
      { key = "k"; x = [ 1 ]; }
      { disabledModules = [ { key = "k"; } ]; x = [ 2 ]; }
    ]).x
    [ 2 ]
  ];
}
