# Types made of other types. Elements are merged one by one, each at its own place (loc), so an error
# names systemd.services.k3s.after and not systemd.
{ lib, types }:
let
  inherit (builtins)
    all
    concatMap
    filter
    head
    isAttrs
    isList
    isPath
    length
    map
    mapAttrs
    ;
  inherit (lib)
    mergeDefinitions
    mergeEqualOption
    mergeOneOption
    showOption
    ;
  inherit (types) mkOptionType;

  quote = lib.showValue 1;
  words = type: if type.composed or false then "(${type.description})" else type.description;

  composed = rec {
    listOf =
      element:
      mkOptionType {
        name = "listOf";
        composed = true;
        description = "list of ${words element}";
        check = isList;
        inherit element;
        rebuild = listOf;
        emptyValue.value = [ ];
        merge =
          loc: defs:
          let
            elements = lib.concatLists (
              lib.imap1 (
                n: def:
                lib.imap1 (
                  m: value:
                  mergeDefinitions (loc ++ [ "[definition ${toString n}-entry ${toString m}]" ]) element [
                    {
                      inherit (def) file;
                      inherit value;
                    }
                  ]
                ) def.value
              ) defs
            );
          in
          map (e: e.value) (filter (e: e.isDefined) elements);
      };
    nonEmptyListOf = element: addCheck (listOf element) (l: l != [ ]) // { description = "non-empty list of ${words element}"; };

    attrsOf = element: attrsWith false element;
    lazyAttrsOf = element: attrsWith true element;
    # Not lazy: an attribute whose only definitions are under a false condition is left out.
    attrsWith =
      lazy: element:
      mkOptionType {
        name = if lazy then "lazyAttrsOf" else "attrsOf";
        composed = true;
        description = "${lib.optionalString lazy "lazy "}attribute set of ${words element}";
        check = isAttrs;
        inherit element;
        rebuild = attrsWith lazy;
        emptyValue.value = { };
        merge =
          loc: defs:
          let
            merged = lib.zipAttrsWith (name: mergeDefinitions (loc ++ [ name ]) element) (
              concatMap (
                def:
                map (mapAttrs (_: value: { inherit (def) file; inherit value; })) (
                  lib.pushDownProperties def.value
                )
              ) defs
            );
          in
          mapAttrs (_: m: m.value) (if lazy then merged else lib.filterAttrs (_: m: m.isDefined) merged);
      };

    nullOr =
      element:
      mkOptionType {
        name = "nullOr";
        composed = true;
        description = "null or ${words element}";
        check = value: value == null || element.check value;
        inherit element;
        rebuild = nullOr;
        emptyValue.value = null;
        merge =
          loc: defs:
          let
            nulls = filter (def: def.value == null) defs;
          in
          if nulls == [ ] then
            element.merge loc defs
          else if length nulls == length defs then
            null
          else
            throw "The option `${showOption loc}' is defined both null and not null, in ${lib.showFiles (lib.getFiles defs)}.";
      };

    either =
      a: b:
      mkOptionType {
        name = "either";
        composed = true;
        description = "${words a} or ${words b}";
        check = value: a.check value || b.check value;
        merge =
          loc: defs:
          if all (def: a.check def.value) defs then
            a.merge loc defs
          else if all (def: b.check def.value) defs then
            b.merge loc defs
          else
            mergeOneOption loc defs;
      };
    oneOf = candidates: builtins.foldl' either (head candidates) (builtins.tail candidates);

    enum =
      values:
      types.scalar "enum" (
        if length values == 1 then
          "value ${quote (head values)} (singular enum)"
        else
          "one of ${lib.concatMapStringsSep ", " quote values}"
      ) (value: lib.elem value values);

    coercedTo =
      from: f: to:
      to
      // {
        name = "coercedTo";
        description = "${words to} or ${words from} convertible to it";
        check = value: (from.check value && to.check (f value)) || to.check value;
        merge =
          loc: defs:
          to.merge loc (map (def: if from.check def.value then def // { value = f def.value; } else def) defs);
      };

    uniq = unique { message = ""; };
    unique = _: element: element // { merge = loc: defs: element.merge loc [ { inherit (head defs) file; value = mergeOneOption loc defs; } ]; };
    addCheck = element: check: element // { check = value: element.check value && check value; };

    submodule =
      modules:
      submoduleWith {
        modules = lib.toList modules;
        shorthandOnlyDefinesConfig = true;
      };
    submoduleWith =
      {
        modules,
        specialArgs ? { },
        shorthandOnlyDefinesConfig ? false,
        ...
      }@given:
      mkOptionType {
        name = "submodule";
        description = "submodule";
        check = value: isAttrs value || lib.isFunction value || isPath value;
        emptyValue.value = { };
        submodule = given;
        merge =
          loc: defs:
          let
            name = lib.last loc;
            asModule =
              def:
              if isAttrs def.value && shorthandOnlyDefinesConfig then
                {
                  _file = def.file;
                  config = def.value;
                }
              else
                lib.setDefaultModuleLocation def.file def.value;
          in
          (lib.evalModules {
            modules =
              modules
              ++ [
                {
                  _module.args.name = lib.mkOptionDefault name;
                }
              ]
              ++ map asModule defs;
            inherit specialArgs;
            prefix = loc;
          }).config;
      };
    deferredModule = mkOptionType {
      name = "deferredModule";
      description = "module";
      check = value: isAttrs value || lib.isFunction value || isPath value;
      merge = _: defs: { imports = map (def: lib.setDefaultModuleLocation def.file def.value) defs; };
    };

    # One option declared twice: submodules are united, equal names accepted, else null.
    mergeTypes =
      a: b:
      if a.name != b.name then
        null
      else if a ? submodule then
        submoduleWith (a.submodule // { modules = a.submodule.modules ++ b.submodule.modules; })
      else if a ? rebuild then
        (
          let
            element = mergeTypes a.element b.element;
          in
          if element == null then null else a.rebuild element
        )
      else
        a;
  };
in
composed
