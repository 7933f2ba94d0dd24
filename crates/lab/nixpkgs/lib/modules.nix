# The module system: many modules, each declaring options and defining values, become one `config`.
#
#   collect   follow `imports`, call the functions, normalise to { file, options, config }
#   merge     walk the tree of declarations; beside it the definitions that reach each option
#   evaluate  one option: definitions.nix
#
# What nobody declared is an error that names option and file. Laziness is what makes it work: a module
# may ask for `config` while config is being made, as long as no value depends on itself.
{ lib }:
let
  inherit (builtins)
    any
    attrNames
    concatMap
    filter
    head
    isAttrs
    isPath
    isString
    map
    mapAttrs
    ;
  inherit (lib)
    getFiles
    isOption
    pushDownProperties
    showDefs
    showFiles
    showOption
    ;
  inherit (import ./definitions.nix { inherit lib; }) evaluateOption mergeDeclarations mergeDefinitions;

  # Arguments by name, each looked up only when used: `pkgs` and the like come from _module.args and need
  # config; `lib` and specialArgs are there before, and may decide `imports`.
  callModule =
    file: args: f:
    f (
      args
      // mapAttrs (
        name: _:
        args.${name} or (args.config._module.args.${name}
          or (throw "The module `${file}' asks for the argument `${name}', which is given neither by specialArgs nor by _module.args.")
        )
      ) (lib.functionArgs f)
    );

  structural = [
    "_class"
    "_file"
    "key"
    "imports"
    "disabledModules"
    "options"
    "config"
    "meta"
    "freeformType"
  ];

  normalise =
    file: key: module:
    let
      explicit = module ? config || module ? options;
      extra = attrNames (removeAttrs module structural);
      plain = removeAttrs module (filter (name: name != "config" && name != "options") structural);
    in
    if explicit && extra != [ ] then
      throw "Module `${file}' has an unsupported attribute `${head extra}'. This is caused by introducing a top-level `config' or `options' attribute. Add configuration attributes immediately on the top level instead, or move all of them into the explicit `config' attribute."
    else
      {
        inherit key;
        file = module._file or file;
        imports = module.imports or [ ];
        disabledModules = module.disabledModules or [ ];
        options = module.options or { };
        config = lib.mkMerge (
          [ (if explicit then module.config or { } else plain) ]
          ++ lib.optional (module ? freeformType) { _module.freeformType = module.freeformType; }
        );
      };

  loadModule =
    args: fallbackFile: fallbackKey: module:
    if isPath module || isString module then
      let
        file = toString module;
        loaded = import module;
      in
      normalise file file (if lib.isFunction loaded then callModule file args loaded else loaded)
    else if isAttrs module && (module._type or "module") != "module" then
      # mkIf or mkMerge around a whole module: only its config.
      normalise fallbackFile fallbackKey { config = module; }
    else if isAttrs module then
      let
        m = normalise fallbackFile fallbackKey module;
      in
      m // { key = module.key or m.key; }
    else
      normalise fallbackFile fallbackKey (callModule fallbackFile args module);

  collectModules =
    args: modules:
    let
      load =
        parentFile: parentKey: imports:
        lib.imap1 (
          n: module: loadModule args parentFile "${parentKey}:anon-${toString n}" module
        ) imports;
      closure = builtins.genericClosure {
        startSet = load "<unknown-file>" "" modules;
        operator = module: load module.file module.key module.imports;
      };
      disabled = concatMap (module: map (m: m.key or (toString m)) module.disabledModules) closure;
    in
    # Later imports first: nixpkgs' order, on which list options depend.
    lib.reverseList (filter (module: !(lib.elem module.key disabled)) closure);

  # → { options, config, unmatched }, unmatched: the definitions without a declaration.
  mergeModules =
    prefix: declarations: definitions:
    let
      declarationsByName = lib.zipAttrsWith (_: found: found) (
        map (
          d:
          if isAttrs d.options then
            mapAttrs (_: options: { inherit (d) file; inherit options; }) d.options
          else
            throw "In `${d.file}': the options of `${showOption prefix}' are not an attribute set."
        ) declarations
      );
      definitionsByName = lib.zipAttrsWith (_: found: found) (
        concatMap (
          d:
          map (
            values:
            if isAttrs values then
              mapAttrs (_: value: { inherit (d) file; inherit value; }) values
            else
              throw "You're trying to define a value of type `${builtins.typeOf values}' rather than an attribute set for the option\n`${showOption prefix}'!\n\nThis usually happens if `${showOption prefix}' has option definitions inside that are not matched. Please check how to properly define this option.${showDefs [ (d // { value = values; }) ]}"
          ) (pushDownProperties d.value)
        ) definitions
      );

      results = mapAttrs (
        name: found:
        let
          loc = prefix ++ [ name ];
          defs = definitionsByName.${name} or [ ];
          isOptions = map (d: isOption d.options) found;
        in
        if builtins.all lib.id isOptions then
          let
            option = evaluateOption loc (mergeDeclarations loc found) defs;
          in
          {
            options = option;
            config = option.value;
            unmatched = [ ];
          }
        else if !(any lib.id isOptions) then
          mergeModules loc found defs
        else
          throw "The option `${showOption loc}' in ${showFiles (getFiles found)} is declared both as an option and as a set of options."
      ) declarationsByName;

      undeclared = removeAttrs definitionsByName (attrNames declarationsByName);
    in
    {
      options = mapAttrs (_: r: r.options) results;
      config = mapAttrs (_: r: r.config) results;
      unmatched =
        concatMap (r: r.unmatched) (lib.attrValues results)
        ++ lib.concatLists (
          lib.mapAttrsToList (
            name: map (def: def // { loc = prefix ++ [ name ]; })
          ) undeclared
        );
    };

  internalModule = {
    file = "lib/modules.nix";
    options._module = {
      args = lib.mkOption {
        type = lib.types.lazyAttrsOf lib.types.raw;
        default = { };
        description = "More arguments for modules.";
      };
      check = lib.mkOption {
        type = lib.types.bool;
        default = true;
        description = "Whether a definition without a declaration is an error.";
      };
      freeformType = lib.mkOption {
        type = lib.types.nullOr lib.types.raw;
        default = null;
        description = "The type of what is defined without being declared.";
      };
    };
    config = { };
  };

  evalModules =
    {
      modules,
      specialArgs ? { },
      prefix ? [ ],
      # Said after the error for an option that nobody declared.
      unknownOptionHint ? "",
    }@given:
    let
      # Modules see `config` unchecked: the check looks at every definition, and those need config.
      args = {
        inherit lib options;
        config = unchecked;
      }
      // specialArgs;

      collected = collectModules args modules ++ [ internalModule ];
      merged = mergeModules prefix collected (
        map (m: {
          inherit (m) file;
          value = m.config;
        }) collected
      );
      inherit (merged) options;
      inherit (merged.config) _module;

      freeform = _module.freeformType.merge prefix (
        map (def: {
          inherit (def) file;
          value = lib.setAttrByPath (lib.drop (lib.length prefix) def.loc) def.value;
        }) merged.unmatched
      );
      unchecked =
        if _module.freeformType == null then merged.config else lib.recursiveUpdate freeform merged.config;

      unknown = head merged.unmatched;
      sameUnknown = filter (def: def.loc == unknown.loc) merged.unmatched;
      checked =
        if _module.freeformType == null && _module.check && merged.unmatched != [ ] then
          throw "The option `${showOption unknown.loc}' does not exist. Definition values:${showDefs sameUnknown}${unknownOptionHint}"
        else
          unchecked;
    in
    {
      inherit options _module;
      config = removeAttrs checked [ "_module" ];
      type = lib.types.submoduleWith { inherit modules specialArgs; };
      extendModules =
        more:
        evalModules (
          given
          // {
            modules = modules ++ more.modules or [ ];
            specialArgs = specialArgs // more.specialArgs or { };
          }
        );
    };
in
{
  inherit evalModules mergeDefinitions;

  setDefaultModuleLocation = file: module: {
    _file = file;
    imports = [ module ];
  };
}
