# One option: its declarations made one, and its definitions made one value.
#
# The order of the steps is the whole point: decide conditions, keep the strongest priority, order what
# is left, check each against the type, let the type merge them, apply.
{ lib }:
let
  inherit (builtins)
    concatMap
    filter
    head
    map
    ;
  inherit (lib)
    dischargeProperties
    filterOverrides
    getFiles
    getValues
    mkOptionDefault
    showDefs
    showFiles
    showOption
    sortProperties
    ;

  # The declarations at one place in the tree, merged: { file, options }… → one option.
  mergeDeclarations =
    loc: declarations:
    let
      merge =
        acc: declaration:
        let
          option = declaration.options;
          clash = filter (name: acc ? ${name} && option ? ${name}) [
            "default"
            "apply"
            "example"
          ];
          types =
            if !(acc ? type) then
              option.type or lib.types.unspecified
            else if option ? type then
              lib.types.mergeTypes acc.type option.type
            else
              acc.type;
        in
        if clash != [ ] || types == null then
          throw "The option `${showOption loc}' in `${declaration.file}' is already declared in ${showFiles acc.declarations}."
        else
          acc
          // option
          // {
            type = types;
            declarations = acc.declarations ++ [ declaration.file ];
          };
      first = head declarations;
    in
    builtins.foldl' merge (
      first.options
      // {
        inherit loc;
        type = first.options.type or lib.types.unspecified;
        declarations = [ first.file ];
      }
    ) (builtins.tail declarations);

  evaluateOption =
    loc: option: defs:
    let
      withDefault =
        defs
        ++ lib.optional (option ? default) {
          file = head option.declarations;
          value = mkOptionDefault option.default;
        };
      merged =
        if (option.readOnly or false) && lib.length withDefault > 1 then
          throw "The option `${showOption loc}' is read-only, but it's set multiple times. Definition values:${showDefs defs}"
        else
          mergeDefinitions loc option.type withDefault;
    in
    option
    // {
      value =
        let
          value = builtins.addErrorContext "while evaluating the option `${showOption loc}':" merged.value;
        in
        if option ? apply then option.apply value else value;
      inherit (merged) isDefined;
      highestPrio = merged.priority;
      definitions = getValues merged.defs;
      files = getFiles merged.defs;
      definitionsWithLocations = merged.defs;
    };

  # The heart: definitions of one option (or of one element of one) → its value.
  mergeDefinitions =
    loc: type: defs:
    let
      decided = concatMap dischargeProperties defs;
      strongest = filterOverrides decided;
      ordered = sortProperties strongest.values;
      wrong = filter (def: !(type.check def.value)) ordered;
      merged =
        if wrong == [ ] then
          type.merge loc ordered
        else
          throw "A definition for option `${showOption loc}' is not of type `${type.description}'. Definition values:${showDefs wrong}";
    in
    rec {
      defs = ordered;
      inherit (strongest) priority;
      isDefined = ordered != [ ];
      value =
        if isDefined then
          merged
        else
          type.emptyValue.value
            or (throw "The option `${showOption loc}' was accessed but has no value defined. Try setting the option.");
    };
in
{
  inherit evaluateOption mergeDeclarations mergeDefinitions;
}
