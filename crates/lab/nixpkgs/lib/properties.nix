# What wraps a definition's value: conditions (mkIf), unions (mkMerge), priorities (mkForce, mkDefault)
# and orders (mkBefore, mkAfter). The numbers are nixpkgs' own: the lower priority number wins.
{ lists }:
let
  inherit (builtins)
    concatMap
    filter
    foldl'
    isAttrs
    map
    ;
  typeOf = value: if isAttrs value then value._type or "" else "";
  setValue = def: value: def // { inherit value; };
in
rec {
  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };
  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  mkOptionDefault = mkOverride 1500; # an option's own default
  mkDefault = mkOverride 1000;
  defaultOverridePriority = 100; # a plain definition
  mkImageMediaOverride = mkOverride 60;
  mkForce = mkOverride 50;
  mkVMOverride = mkOverride 10;

  mkOrder = priority: content: {
    _type = "order";
    inherit priority content;
  };
  mkBefore = mkOrder 500;
  defaultOrderPriority = 1000;
  mkAfter = mkOrder 1500;

  mkAssert =
    condition: message: content:
    if condition then content else throw "\nFailed assertion: ${message}";

  # { a = …; } under any wrapping → the plain attribute sets in it, with conditions and priorities moved
  # down to each attribute. So a condition is asked only when the attribute it guards is.
  pushDownProperties =
    value:
    let
      type = typeOf value;
      into = wrap: map (builtins.mapAttrs (_: wrap)) (pushDownProperties value.content);
    in
    if type == "merge" then
      concatMap pushDownProperties value.contents
    else if type == "if" then
      into (mkIf value.condition)
    else if type == "override" then
      into (mkOverride value.priority)
    else if type == "order" then
      into (mkOrder value.priority)
    else
      [ value ];

  # One definition → the definitions left when its conditions are decided and its unions are split.
  dischargeProperties =
    def:
    let
      type = typeOf def.value;
    in
    if type == "merge" then
      concatMap (value: dischargeProperties (setValue def value)) def.value.contents
    else if type == "if" then
      (if def.value.condition then dischargeProperties (setValue def def.value.content) else [ ])
    else
      [ def ];

  priorityOf = def: if typeOf def.value == "override" then def.value.priority else defaultOverridePriority;

  # Only the definitions of the strongest priority, unwrapped. Wrappings nest: mkForce (mkIf …).
  filterOverrides =
    defs:
    let
      strongest = foldl' (best: def: if priorityOf def < best then priorityOf def else best) 9999 defs;
      unwrap = def: if typeOf def.value == "override" then setValue def def.value.content else def;
    in
    {
      priority = strongest;
      values = map unwrap (filter (def: priorityOf def == strongest) defs);
    };

  # Stable: definitions of equal order keep their places.
  sortProperties =
    defs:
    let
      order = def: if typeOf def.value == "order" then def.value.priority else defaultOrderPriority;
      unwrap = def: if typeOf def.value == "order" then setValue def def.value.content else def;
    in
    if builtins.any (def: typeOf def.value == "order") defs then
      map unwrap (lists.sortOn order defs)
    else
      defs;
}
