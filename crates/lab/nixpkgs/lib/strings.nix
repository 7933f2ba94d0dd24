# Functions over strings.
{ lists }:
let
  inherit (builtins)
    concatStringsSep
    filter
    isString
    map
    match
    replaceStrings
    split
    stringLength
    substring
    ;
in
rec {
  concatStrings = concatStringsSep "";
  concatMapStrings = f: values: concatStrings (map f values);
  concatMapStringsSep =
    separator: f: values:
    concatStringsSep separator (map f values);
  concatMapAttrsStringSep =
    separator: f: set:
    concatStringsSep separator (map (name: f name set.${name}) (builtins.attrNames set));
  concatLines = concatMapStrings (line: line + "\n");
  optionalString = condition: string: if condition then string else "";
  hasPrefix = prefix: string: substring 0 (stringLength prefix) string == prefix;
  hasSuffix =
    suffix: string:
    let
      cut = stringLength string - stringLength suffix;
    in
    cut >= 0 && substring cut (-1) string == suffix;
  hasInfix = infix: string: match ".*${escapeRegex infix}.*" (replaceStrings [ "\n" ] [ " " ] string) != null;
  removePrefix =
    prefix: string:
    if hasPrefix prefix string then substring (stringLength prefix) (-1) string else string;
  removeSuffix =
    suffix: string:
    if hasSuffix suffix string then
      substring 0 (stringLength string - stringLength suffix) string
    else
      string;
  splitString =
    separator: string: filter isString (split (escapeRegex (toString separator)) (toString string));
  trim =
    string:
    let
      found = match "[ \t\r\n]*(.*[^ \t\r\n])[ \t\r\n]*" string;
    in
    if found == null then "" else builtins.head found;
  stringToCharacters = string: builtins.genList (i: substring i 1 string) (stringLength string);
  escape = characters: replaceStrings characters (map (c: "\\" + c) characters);
  escapeRegex = escape (stringToCharacters "\\[{()^$?*+|.");
  escapeShellArg =
    value:
    let
      string = toString value;
    in
    if match "[[:alnum:],._+:@%/-]+" string != null then
      string
    else
      "'${replaceStrings [ "'" ] [ "'\\''" ] string}'";
  escapeShellArgs = concatMapStringsSep " " escapeShellArg;
  toShellVar = name: value: "${name}=${escapeShellArg value}";
  toLower = replaceStrings upperChars lowerChars;
  toUpper = replaceStrings lowerChars upperChars;
  lowerChars = stringToCharacters "abcdefghijklmnopqrstuvwxyz";
  upperChars = stringToCharacters "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  toInt =
    string:
    let
      found = match "[ \t]*(-?[0-9]+)[ \t]*" string;
    in
    if found == null then throw "Could not convert ${string} to int." else builtins.fromJSON (builtins.head found);
  fixedWidthNumber =
    width: number:
    let
      digits = toString number;
    in
    concatStrings (builtins.genList (_: "0") (width - stringLength digits)) + digits;
  makeBinPath = makeSearchPath "bin";
  makeSearchPath = sub: packages: concatStringsSep ":" (map (p: "${p}/${sub}") (filter (p: p != null) packages));
  makeSearchPathOutput = _output: makeSearchPath;
  getExe =
    package:
    getExe' package (
      package.meta.mainProgram or (package.pname or (builtins.parseDrvName package.name).name)
    );
  getExe' = package: program: "${package}/bin/${program}";
  getName = value: if isString value then (builtins.parseDrvName value).name else value.pname or (builtins.parseDrvName value.name).name;
  isStringLike = value: isString value || builtins.isPath value || value ? outPath || value ? __toString;
  isStorePath = value: isStringLike value && hasPrefix "${builtins.storeDir}/" (toString value);
  inherit (lists) toList;
}
