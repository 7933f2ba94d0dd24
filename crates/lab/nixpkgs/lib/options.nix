# Declaring options, and saying in words what is wrong with a value.
{ lib }:
let
  inherit (builtins)
    concatStringsSep
    isAttrs
    isBool
    isFloat
    isFunction
    isInt
    isList
    isPath
    isString
    ;
in
rec {
  mkOption = attrs: attrs // { _type = "option"; };
  isOption = value: isAttrs value && (value._type or "") == "option";

  mkEnableOption =
    name:
    mkOption {
      default = false;
      example = true;
      description = "Whether to enable ${name}.";
      type = lib.types.bool;
    };

  mkPackageOption =
    pkgs: name:
    {
      default ? name,
      nullable ? false,
      ...
    }:
    let
      path = lib.toList default;
    in
    mkOption {
      type = if nullable then lib.types.nullOr lib.types.package else lib.types.package;
      default = if default == null then null else lib.getAttrFromPath path pkgs;
      defaultText = literalExpression "pkgs.${concatStringsSep "." path}";
      description = "The ${concatStringsSep "." (lib.toList name)} package to use.";
    };

  literalExpression = text: {
    _type = "literalExpression";
    inherit text;
  };
  literalMD = literalExpression;
  mdDoc = text: text;

  # services.k3s.role; a part that is no plain word is quoted: systemd.services."a b"
  showOption =
    loc:
    let
      part = p: if builtins.match "[a-zA-Z_][a-zA-Z0-9_'-]*|<.*>|\\*" p != null then p else builtins.toJSON p;
    in
    concatStringsSep "." (map part loc);

  showFiles = files: lib.concatMapStringsSep " and " (file: "`${file}'") files;

  showDefs =
    defs:
    lib.concatMapStrings (def: ''

      - In `${def.file}': ${showValue 2 def.value}'') defs;

  # A value in one line, not deeper than asked: enough to recognise it in an error.
  showValue =
    depth: value:
    if isString value then
      builtins.toJSON (builtins.unsafeDiscardStringContext value)
    else if isInt value || isFloat value || isPath value then
      toString value
    else if isBool value then
      lib.boolToString value
    else if value == null then
      "null"
    else if isFunction value then
      "<function>"
    else if lib.isDerivation value then
      "<derivation ${value.name or "?"}>"
    else if isList value then
      if value == [ ] then "[ ]" else if depth == 0 then "[ … ]" else "[ ${lib.concatMapStringsSep " " (showValue (depth - 1)) value} ]"
    else if value == { } then
      "{ }"
    else if depth == 0 then
      "{ … }"
    else
      "{ ${concatStringsSep " " (lib.mapAttrsToList (name: v: "${name} = ${showValue (depth - 1) v};") value)} }";

  # Merge functions, the vocabulary of types.nix.
  mergeOneOption =
    loc: defs:
    if builtins.length defs == 1 then
      (builtins.head defs).value
    else
      throw "The option `${showOption loc}' is defined multiple times while it's expected to be unique.\nDefinition values:${showDefs defs}\nUse `lib.mkForce value` or `lib.mkDefault value` to change the priority on any of these definitions.";

  mergeEqualOption =
    loc: defs:
    let
      first = builtins.head defs;
      differing = builtins.filter (def: def.value != first.value) defs;
    in
    if builtins.length defs == 1 || differing == [ ] then
      first.value
    else
      throw "The option `${showOption loc}' has conflicting definition values:${
        showDefs [
          first
          (builtins.head differing)
        ]
      }\nUse `lib.mkForce value` or `lib.mkDefault value` to change the priority on any of these definitions.";

  getValues = map (def: def.value);
  getFiles = map (def: def.file);
}
