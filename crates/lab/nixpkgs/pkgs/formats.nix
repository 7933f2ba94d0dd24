# pkgs.formats: a type for settings, and a generator for the file.
{ lib, builders }:
let
  inherit (lib) types;
  inherit (builders) writeText;

  value =
    (types.nullOr (
      types.oneOf [
        types.bool
        types.int
        types.float
        types.str
        types.path
        (types.attrsOf value)
        (types.listOf value)
      ]
    ))
    // {
      description = "value of JSON, YAML or TOML";
    };
  table = types.attrsOf value;

  # { a.b.c = 1; } → "[a.b]\nc = 1": scalars first, because a table's header ends the one before.
  tomlTable =
    path: set:
    let
      isTable = v: lib.isAttrs v && !(lib.isStringLike v);
      key = k: if builtins.match "[A-Za-z0-9_-]+" k != null then k else builtins.toJSON k;
      scalars = lib.filterAttrs (_: v: v != null && !(isTable v)) set;
      tables = lib.filterAttrs (_: isTable) set;
    in
    lib.optionalString (path != [ ] && scalars != { }) "\n[${lib.concatMapStringsSep "." key path}]\n"
    + lib.concatStrings (lib.mapAttrsToList (k: v: "${key k} = ${builtins.toJSON v}\n") scalars)
    + lib.concatStrings (lib.mapAttrsToList (k: tomlTable (path ++ [ k ])) tables);

  json = {
    type = table;
    generate = name: data: writeText name (builtins.toJSON data);
  };
in
{
  json = _: json;
  # Every JSON text is YAML too.
  yaml = _: json;
  yaml_1_2 = _: json;
  toml = _: {
    type = table;
    generate = name: data: writeText name (tomlTable [ ] data);
  };
  keyValue = _: {
    type = types.attrsOf (types.nullOr (types.oneOf [ types.bool types.int types.float types.str types.path ]));
    generate =
      name: data:
      writeText name (lib.concatStrings (lib.mapAttrsToList (k: v: "${k}=${toString v}\n") data));
  };
}
