# What stands in for software that can't run on a rehearsal machine. Each says so where it shows.
{ lib, builders }:
let
  inherit (builders) runCommand;

  # The K3s stand-in: real tokens, files, join protocol, unit, exit codes and log lines; no containers.
  # Its sources are the folder k3s/; tests and caches stay out of the store path.
  k3sSources = builtins.path {
    name = "k3s-stand-in";
    path = ./k3s;
    filter = path: _type: !(lib.elem (baseNameOf path) [ "tests" "__pycache__" ] || lib.hasSuffix ".pyc" path);
  };
  k3sPackage =
    version:
    runCommand "k3s-${version}"
      {
        pname = "k3s";
        inherit version;
        meta.mainProgram = "k3s";
      }
      ''
        mkdir -p $out/bin $out/lib
        ln -s ${k3sSources} $out/lib/k3s
        cat > $out/bin/k3s <<EOF
        #!/bin/sh
        # Stand-in for K3s ${version}, of the rehearsal lab.
        export K3S_STANDIN_VERSION=v${version}
        # root's Python would write its caches into the store.
        exec /usr/bin/python3 -X pycache_prefix=/run/stand-ins $out/lib/k3s "\$@"
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
