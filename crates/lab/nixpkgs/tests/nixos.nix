# What nixosSystem makes of ordinary host files. See ../tests.nix.
{ lib }:
let
  nixosSystem = import ../nixos { inherit lib; };
  base = {
    nixpkgs.hostPlatform = "x86_64-linux";
    system.stateVersion = "25.11";
    networking.hostName = "box";
  };
  config = module: (nixosSystem { modules = [ base module ]; }).config;
  builds = module: builtins.isString (config module).system.build.toplevel.drvPath;
  plain = builtins.unsafeDiscardStringContext;
  # Without the store path, which changes with every edit.
  k3s =
    settings:
    let
      service = (config { services.k3s = { enable = true; } // settings; }).systemd.services.k3s.serviceConfig;
    in
    {
      flags = builtins.tail (lib.splitString " \\\n " (plain service.ExecStart));
      role = lib.last (lib.splitString " " (builtins.head (lib.splitString " \\\n " (plain service.ExecStart))));
      inherit (service) Type Restart RestartSec KillMode Delegate TimeoutStartSec;
    };
  unit = {
    Restart = "always";
    RestartSec = "5s";
    KillMode = "process";
    Delegate = "yes";
    TimeoutStartSec = 0;
  };
in
{
  "an empty host builds" = [ (builds { }) true ];
  "a host without a platform" = [ (nixosSystem { modules = [ { } ]; }).config.system.build.toplevel.drvPath "fails" ];
  "an unknown option" = [ (builds { services.k3s.extraFlag = [ ]; }) "fails" ];
  "a false assertion" = [ (builds { assertions = [ { assertion = false; message = "no"; } ]; }) "fails" ];
  "a bad state version" = [ (builds { system.stateVersion = lib.mkForce "unstable"; }) "fails" ];
  "a user of no kind" = [ (builds { users.users.joe = { }; }) "fails" ];
  "a user" = [ (builds { users.users.joe.isNormalUser = true; }) true ];

  "a server" = [
    (k3s {
      tokenFile = "/run/agenix/t";
      agentTokenFile = "/var/lib/a";
      clusterInit = true;
      disable = [ "traefik" ];
      extraFlags = [ "--node-ip=1.2.3.4" ];
    })
    (
      unit
      // {
        Type = "notify";
        role = "server";
        flags = [
          "--token-file /run/agenix/t"
          "--agent-token-file /var/lib/a"
          "--disable=traefik"
          "--cluster-init"
          "--node-ip=1.2.3.4"
        ];
      }
    )
  ];
  "an agent" = [
    (k3s {
      role = "agent";
      serverAddr = "https://1.2.3.4:6443";
      tokenFile = "/run/agenix/t";
      extraFlags = "--debug";
    })
    (
      unit
      // {
        Type = "exec";
        role = "agent";
        flags = [
          "--server https://1.2.3.4:6443"
          "--token-file /run/agenix/t"
          "--debug"
        ];
      }
    )
  ];
  "an agent can't start a cluster" = [
    (builds {
      services.k3s = {
        enable = true;
        role = "agent";
        clusterInit = true;
      };
    })
    "fails"
  ];
  "a role that does not exist" = [ (builds { services.k3s.enable = true; services.k3s.role = "boss"; }) "fails" ];
  "a unit's Type= is checked" = [
    (builds { systemd.services.a = { script = "true"; serviceConfig.Type = "notfy"; }; })
    "fails"
  ];
  "a unit's name is checked" = [ (builds { systemd.services.a = { script = "true"; after = [ "b" ]; }; }) "fails" ];
  "ports are sorted and united" = [
    (config { networking.firewall.allowedTCPPorts = [ 80 22 80 ]; }).networking.firewall.allowedTCPPorts
    [ 22 80 ]
  ];
  "sshd opens its port" = [
    (config { services.openssh.enable = true; }).networking.firewall.allowedTCPPorts
    [ 22 ]
  ];
  "K3s opens none" = [ (config { services.k3s.enable = true; }).networking.firewall.allowedTCPPorts [ ] ];
  "units of the machine itself are not replaced, others are written" = [
    (
      let
        units = plain (config { systemd.services = { sshd.script = "true"; mine.script = "true"; }; })
        .environment.etc."systemd/system".source.buildCommand;
      in
      map (name: lib.hasInfix "/'${name}.service'" units) [ "sshd" "mine" ]
    )
    [ false true ]
  ];
}
