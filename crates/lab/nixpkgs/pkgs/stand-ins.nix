# What stands in for software that can't run on a rehearsal machine. Each says so where it shows.
{ lib, builders }:
let
  inherit (builders) runCommand;

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
in
rec {
  inherit pythonStandIn;

  # As nixpkgs names them: one attribute a minor version, k3s the newest.
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
  tailscale = inert "tailscale" [ "tailscale" ];
}
