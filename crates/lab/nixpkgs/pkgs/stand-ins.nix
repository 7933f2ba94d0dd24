# What stands in for software that can't run on a rehearsal machine. Each says so where it shows. With a real K3s its
# containerd, runc and CNI plugins are Debian's.
{
  lib,
  builders,
  linked,
}:
let
  inherit (builders) runCommand;
  rehearsal = import ./rehearsal.nix;
  isReal = rehearsal.k3s != [ ];

  # The command that runs a stand-in written in Python. Its bytecode lies beside it: root's Python would write it into the
  # store, and with -B each start would compile it anew. -I and -S: nothing of the machine's but the standard library.
  pythonStandIn =
    name: path:
    let
      source = builtins.path {
        name = "${name}-source";
        inherit path;
        filter = path: _type: !(lib.elem (baseNameOf path) [ "tests" "__pycache__" ] || lib.hasSuffix ".pyc" path);
      };
      compiled = runCommand name { } ''
        cp -r --no-preserve=mode ${source} $out
        /usr/bin/python3 -I -S -m compileall -q --invalidation-mode unchecked-hash $out
      '';
    in
    "/usr/bin/python3 -I -S -B ${compiled}";

  # The K3s stand-in: real tokens, files, join protocol, unit, exit codes and log lines; no containers.
  k3sCommand = pythonStandIn "k3s-stand-in" ./k3s;
  k3sPackage =
    version:
    runCommand "k3s-${version}"
      {
        pname = "k3s";
        inherit version;
        meta.mainProgram = "k3s";
      }
      ''
        mkdir -p $out/bin
        cat > $out/bin/k3s <<EOF
        #!/bin/sh
        # Stand-in for K3s ${version}, of the rehearsal lab.
        export K3S_STANDIN_VERSION=v${version}
        exec ${k3sCommand} "\$@"
        EOF
        chmod +x $out/bin/k3s
      '';

  # A real K3s. NixOS' package brings what K3s and its kubelet call; here that is Debian's.
  realPackage =
    { version, program }:
    runCommand "k3s-${version}"
      {
        pname = "k3s";
        inherit version;
        meta.mainProgram = "k3s";
      }
      ''
        mkdir -p $out/bin
        cat > $out/bin/k3s <<EOF
        #!/bin/sh
        PATH=/usr/sbin:/usr/bin:/sbin:/bin:\$PATH exec ${program} "\$@"
        EOF
        chmod +x $out/bin/k3s
      '';
  # As nixpkgs names them: `k3s_1_35`, the newest of its minor version. Each also has its whole version, `k3s_1_35_4`.
  attributes =
    version:
    let
      numbers = lib.take 3 (lib.splitString "." (lib.head (lib.splitString "+" version)));
    in
    map (count: "k3s_" + lib.concatStringsSep "_" (lib.take count numbers)) [
      2
      3
    ];
  realPackages = builtins.foldl' (
    packages: one:
    packages // lib.genAttrs (attributes one.version ++ [ "k3s" ]) (_: realPackage one)
  ) { } rehearsal.k3s;

  # A stand-in that does nothing but to exist under its name.
  inert = name: programs: runCommand name { } (
    ''
      mkdir -p $out/bin
    ''
    + lib.concatMapStrings (program: ''
      printf '#!/bin/sh\necho "%s: a stand-in of the rehearsal lab, it does nothing" >&2\n' ${program} > $out/bin/${program}
      chmod +x $out/bin/${program}
    '') programs
  );

  # As nixpkgs names them: one attribute a minor version, k3s the newest.
  standIns = rec {
    # Older than what `cargo xtask` supports.
    k3s_1_21 = k3sPackage "1.21.3+k3s1";
    k3s_1_33 = k3sPackage "1.33.5+k3s1";
    k3s_1_34 = k3sPackage "1.34.2+k3s1";
    k3s_1_35 = k3sPackage "1.35.1+k3s1";
    k3s = k3s_1_35;

    containerd = runCommand "containerd-2.2.0" { meta.mainProgram = "containerd"; } ''
      mkdir -p $out/bin
      { echo '#!/usr/bin/python3'; cat ${./containerd.py}; } > $out/bin/containerd
      chmod +x $out/bin/containerd
    '';
    runc = inert "runc" [ "runc" ];
    cni-plugins = inert "cni-plugins" [
      "bridge"
      "host-local"
      "loopback"
      "portmap"
    ];
  };
in
{
  inherit pythonStandIn;
  tailscale = inert "tailscale" [ "tailscale" ];
}
// (
  if isReal then
    realPackages
    // {
      containerd = linked "containerd-debian" [
        "containerd"
        "containerd-shim-runc-v2"
        "ctr"
      ];
      runc = linked "runc" [ "runc" ];
      cni-plugins = runCommand "cni-plugins" { } "mkdir $out; ln -s /usr/lib/cni $out/bin";
    }
  else
    standIns
)
