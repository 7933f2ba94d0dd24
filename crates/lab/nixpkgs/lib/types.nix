# Types: what a definition may be, and how several become one value.
#
#   check        of one definition, shallow: elements are checked when they are merged
#   merge        loc: [ { file, value } ]: value
#   description  for the error message
#   emptyValue   { value } or { }: the value where nothing is defined
{ lib }:
let
  inherit (builtins)
    all
    head
    isAttrs
    isBool
    isFloat
    isInt
    isList
    isString
    length
    map
    match
    ;
  inherit (lib)
    getValues
    mergeDefinitions
    mergeEqualOption
    mergeOneOption
    ;

  quote = lib.showValue 1;

  composed = import ./types-composed.nix { inherit lib types; };
  inherit (composed) addCheck either lazyAttrsOf;

  types = composed // rec {
    mkOptionType =
      {
        name,
        description ? name,
        check ? _: true,
        merge ? mergeLoosely,
        emptyValue ? { },
        ...
      }@type:
      {
        _type = "option-type";
        inherit
          name
          description
          check
          merge
          emptyValue
          ;
      }
      // type;

    scalar =
      name: description: check:
      mkOptionType {
        inherit name description check;
        merge = mergeEqualOption;
      };

    bool = scalar "bool" "boolean" isBool;
    int = scalar "int" "signed integer" isInt;
    float = scalar "float" "floating point number" isFloat;
    str = scalar "str" "string" isString;
    nonEmptyStr = scalar "nonEmptyStr" "non-empty string" (s: isString s && match "[ \t\n]*" s == null);
    singleLineStr =
      scalar "singleLineStr" "(optionally newline-terminated) single-line string" (
        s: isString s && match "[^\n\r]*\n?" s != null
      )
      // {
        merge = loc: defs: lib.removeSuffix "\n" (mergeEqualOption loc defs);
      };
    strMatching =
      pattern:
      scalar "strMatching ${quote pattern}" "string matching the pattern ${pattern}" (
        s: isString s && match pattern s != null
      );
    passwdEntry = entry: addCheck entry (s: match "[^:\n]*" s != null) // { inherit (entry) description; };

    ints = rec {
      between =
        low: high:
        scalar "intBetween" "integer between ${toString low} and ${toString high} (both inclusive)" (
          i: isInt i && i >= low && i <= high
        );
      positive = scalar "positiveInt" "positive integer, meaning >0" (i: isInt i && i > 0);
      unsigned = scalar "unsignedInt" "unsigned integer, meaning >=0" (i: isInt i && i >= 0);
      u8 = between 0 255;
      u16 = between 0 65535 // {
        description = "16 bit unsigned integer; between 0 and 65535 (both inclusive)";
      };
      u32 = between 0 4294967295;
    };
    port = ints.u16;
    number = either int float;

    separatedString =
      separator:
      mkOptionType {
        name = "separatedString";
        description =
          if separator == "\n" then
            "strings concatenated with \"\\n\""
          else
            "strings concatenated with ${quote separator}";
        check = isString;
        merge = _: defs: lib.concatStringsSep separator (getValues defs);
      };
    lines = separatedString "\n";
    commas = separatedString ",";
    envVar = separatedString ":";

    path = scalar "path" "absolute path" (
      p: lib.isStringLike p && builtins.substring 0 1 (toString p) == "/"
    );
    pathInStore = scalar "pathInStore" "path in the Nix store" lib.isStorePath;
    package =
      scalar "package" "package" (p: lib.isDerivation p || lib.isStorePath p)
      // {
        merge = loc: defs: mergeOneOption loc defs;
      };
    shellPackage = package;

    raw = mkOptionType {
      name = "raw";
      description = "raw value";
      merge = mergeOneOption;
    };
    unspecified = mkOptionType {
      name = "unspecified";
      description = "unspecified value";
      merge = mergeLoosely;
    };
    # Any value; attribute sets are merged, all else must be equal.
    anything = mkOptionType {
      name = "anything";
      merge =
        loc: defs:
        if all (def: isAttrs def.value && !(lib.isStringLike def.value)) defs then
          (lazyAttrsOf anything).merge loc defs
        else if all (def: lib.isFunction def.value) defs then
          mergeOneOption loc defs
        else
          mergeEqualOption loc defs;
    };
    attrs = mkOptionType {
      name = "attrs";
      description = "attribute set";
      check = isAttrs;
      merge = _: defs: builtins.foldl' (acc: def: acc // def.value) { } defs;
      emptyValue.value = { };
    };
    functionTo =
      element:
      mkOptionType {
        name = "functionTo";
        description = "function that evaluates to a(n) ${element.description}";
        check = lib.isFunction;
        merge =
          loc: defs: argument:
          (mergeDefinitions (loc ++ [ "<function body>" ]) element (
            map (def: def // { value = def.value argument; }) defs
          )).value;
      };
  };

  mergeLoosely =
    loc: defs:
    let
      values = getValues defs;
    in
    if length values == 1 then
      head values
    else if all isList values then
      lib.concatLists values
    else if all isAttrs values then
      builtins.foldl' lib.recursiveUpdate { } values
    else
      mergeEqualOption loc defs;
in
types
