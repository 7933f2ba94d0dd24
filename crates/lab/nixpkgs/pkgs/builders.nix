# runCommand, writeText and their kin: /bin/bash with Debian's own tools on the PATH.
#
# Nothing is fetched and nothing is sandboxed (`sandbox = false`): a build takes some 30 ms. A failing
# command fails the build with nix's own message, as it does with the real nixpkgs.
{ lib, system }:
let
  debianPath = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";

  # A derivation with what host files expect of one: overrideAttrs, passthru, meta.
  build =
    {
      name,
      buildCommand,
      nativeBuildInputs ? [ ],
      buildInputs ? [ ],
      passAsFile ? [ ],
      passthru ? { },
      meta ? { },
      ...
    }@attrs:
    let
      inputs = nativeBuildInputs ++ buildInputs;
      derivation = builtins.derivation (
        removeAttrs attrs [
          "passthru"
          "meta"
          "nativeBuildInputs"
          "buildInputs"
        ]
        // {
          inherit name system buildCommand;
          passAsFile = [ "buildCommand" ] ++ passAsFile;
          builder = "/bin/bash";
          args = [
            "-e"
            "-c"
            ''export PATH="$buildPath"; source "$buildCommandPath"''
          ];
          buildPath = lib.concatStringsSep ":" (map (input: "${input}/bin") inputs ++ [ debianPath ]);
        }
      );
    in
    derivation
    // passthru
    // {
      inherit meta passthru;
      overrideAttrs = f: build (attrs // (if lib.isFunction (f attrs) then f attrs attrs else f attrs));
    };

  runCommand =
    name: attrs: buildCommand:
    build (attrs // { inherit name buildCommand; });

  writeTextFile =
    {
      name,
      text,
      executable ? false,
      destination ? "",
      meta ? { },
      ...
    }:
    build {
      inherit name text meta;
      passAsFile = [ "text" ];
      buildCommand = ''
        target=$out${lib.escapeShellArg destination}
        mkdir -p "$(dirname "$target")"
        cp "$textPath" "$target"
        ${lib.optionalString executable ''chmod +x "$target"''}
      '';
    };
  writeText = name: text: writeTextFile { inherit name text; };
  script = text: "#!/bin/bash\n${text}";
  program =
    name: text:
    writeTextFile {
      inherit name text;
      executable = true;
      destination = "/bin/${name}";
      meta.mainProgram = name;
    };

  # Directories united by links, as buildEnv does; the first one wins where two have the same file.
  symlinkJoin =
    {
      name,
      paths,
      postBuild ? "",
      ...
    }:
    runCommand name { } ''
      mkdir -p $out
      for package in ${lib.concatMapStringsSep " " toString (lib.flatten paths)}; do
        # The links to all of Debian (debian.nix) would repeat /usr/bin, which is on every PATH anyway.
        [ -L "$package/bin" ] && continue
        (cd "$package" && find . \( -type f -o -type l \) -print0) |
          while IFS= read -r -d "" file; do
            [ -e "$out/$file" ] || [ -L "$out/$file" ] && continue
            mkdir -p "$out/$(dirname "$file")"
            ln -s "$package/''${file#./}" "$out/$file"
          done
      done
      ${postBuild}
    '';
in
{
  inherit
    build
    runCommand
    symlinkJoin
    writeText
    writeTextFile
    ;
  runCommandLocal = runCommand;
  runCommandNoCC = runCommand;
  runCommandCC = runCommand;
  buildEnv = symlinkJoin;
  writeTextDir =
    path: text:
    writeTextFile {
      name = baseNameOf path;
      inherit text;
      destination = "/${path}";
    };
  writeScript =
    name: text:
    writeTextFile {
      inherit name text;
      executable = true;
    };
  writeScriptBin = program;
  writeShellScript =
    name: text:
    writeTextFile {
      inherit name;
      text = script text;
      executable = true;
    };
  writeShellScriptBin = name: text: program name (script text);
  writeShellApplication =
    {
      name,
      text,
      runtimeInputs ? [ ],
      ...
    }:
    program name (script ''
      set -o errexit
      set -o nounset
      set -o pipefail
      ${lib.optionalString (runtimeInputs != [ ]) ''
        export PATH="${lib.makeBinPath runtimeInputs}:$PATH"
      ''}
      ${text}
    '');
  linkFarm =
    name: entries:
    let
      list = if lib.isList entries then entries else lib.mapAttrsToList (name: path: { inherit name path; }) entries;
    in
    runCommand name { } ''
      mkdir -p $out
      ${lib.concatMapStrings (entry: ''
        mkdir -p "$(dirname "$out/${entry.name}")"
        ln -s "${entry.path}" "$out/${entry.name}"
      '') list}
    '';
  emptyDirectory = runCommand "empty-directory" { } "mkdir $out";
  mkShell =
    {
      packages ? [ ],
      ...
    }:
    runCommand "nix-shell" { nativeBuildInputs = packages; } "mkdir $out";
}
