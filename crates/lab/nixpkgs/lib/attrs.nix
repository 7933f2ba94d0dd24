# Functions over attribute sets.
let
  inherit (builtins)
    attrNames
    concatMap
    foldl'
    head
    isAttrs
    listToAttrs
    map
    tail
    ;
in
rec {
  nameValuePair = name: value: { inherit name value; };
  mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
  mapAttrs' = f: set: listToAttrs (mapAttrsToList f set);
  attrsToList = mapAttrsToList nameValuePair;
  genAttrs = names: f: listToAttrs (map (name: nameValuePair name (f name)) names);
  filterAttrs =
    test: set:
    listToAttrs (
      concatMap (name: if test name set.${name} then [ (nameValuePair name set.${name}) ] else [ ]) (
        attrNames set
      )
    );
  concatMapAttrs = f: set: foldl' (merged: next: merged // next) { } (mapAttrsToList f set);
  mergeAttrsList = foldl' (merged: next: merged // next) { };
  optionalAttrs = condition: set: if condition then set else { };
  recursiveUpdate =
    a: b:
    if !(isAttrs a && isAttrs b) then
      b
    else
      a // builtins.mapAttrs (name: value: if a ? ${name} then recursiveUpdate a.${name} value else value) b;
  attrByPath =
    path: default: set:
    if path == [ ] then
      set
    else if isAttrs set && set ? ${head path} then
      attrByPath (tail path) default set.${head path}
    else
      default;
  hasAttrByPath =
    path: set: path == [ ] || (isAttrs set && set ? ${head path} && hasAttrByPath (tail path) set.${head path});
  getAttrFromPath = path: attrByPath path (throw "cannot find attribute `${builtins.concatStringsSep "." path}'");
  setAttrByPath = path: value: if path == [ ] then value else { ${head path} = setAttrByPath (tail path) value; };
  getAttrs = names: set: genAttrs names (name: set.${name});
  mapAttrsRecursive =
    f:
    let
      go = path: builtins.mapAttrs (name: value: if isAttrs value then go (path ++ [ name ]) value else f (path ++ [ name ]) value);
    in
    go [ ];
  foldlAttrs =
    f: start: set:
    foldl' (acc: name: f acc name set.${name}) start (attrNames set);
  zipAttrs = zipAttrsWith (_: values: values);
  # The builtin came with nix 2.6, and is lazy in the values.
  zipAttrsWith = builtins.zipAttrsWith;
  isDerivation = value: isAttrs value && (value.type or null) == "derivation";
  getBin = package: package.bin or package;
  getOutput = output: package: package.${output} or package;
}
