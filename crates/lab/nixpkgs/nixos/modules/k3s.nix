# services.k3s: options, warnings, assertions, flags and unit as in NixOS' rancher module; the package is
# a stand-in. Kept exactly: the order of the flags, Type= by role, restarting for ever, and that nothing
# bounds the start (TimeoutStartSec=0), because those decide how a deploy goes wrong.
# Accepted without effect: manifests, charts and images. The package is a stand-in unless the rehearsal has a real K3s. Not of
# NixOS: `rehearsal.kubeletArgs`, what a kubelet needs on a machine of the lab.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.k3s;

  string =
    description:
    mkOption {
      type = types.str;
      default = "";
      inherit description;
    };
  nullable =
    type: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit description;
    };
  strings =
    description:
    mkOption {
      type = types.listOf types.str;
      default = [ ];
      inherit description;
    };
  flag =
    description:
    mkOption {
      type = types.bool;
      default = false;
      inherit description;
    };
  accepted = mkOption {
    type = types.attrsOf types.anything;
    default = { };
    description = "Accepted without effect in a rehearsal.";
  };
  period =
    default:
    mkOption {
      type = types.nonEmptyStr;
      inherit default;
      description = "How long a shutdown waits.";
    };

  kubelet =
    lib.optionalAttrs cfg.gracefulNodeShutdown.enable {
      inherit (cfg.gracefulNodeShutdown) shutdownGracePeriod shutdownGracePeriodCriticalPods;
    }
    // cfg.extraKubeletConfig;
  kubeConfig =
    name: apiVersion: kind: settings:
    (pkgs.formats.yaml { }).generate name ({ inherit apiVersion kind; } // settings);

  flags =
    lib.optional (cfg.serverAddr != "") "--server ${cfg.serverAddr}"
    ++ lib.optional (cfg.token != "") "--token ${cfg.token}"
    ++ lib.optional (cfg.tokenFile != null) "--token-file ${cfg.tokenFile}"
    ++ lib.optional (cfg.agentToken != "") "--agent-token ${cfg.agentToken}"
    ++ lib.optional (cfg.agentTokenFile != null) "--agent-token-file ${cfg.agentTokenFile}"
    ++ lib.optional (cfg.configPath != null) "--config ${cfg.configPath}"
    ++ map (component: "--disable=${component}") cfg.disable
    ++ lib.optional (cfg.nodeName != null) "--node-name=${cfg.nodeName}"
    ++ map (label: "--node-label=${label}") cfg.nodeLabel
    ++ map (taint: "--node-taint=${taint}") cfg.nodeTaint
    ++ lib.optional (cfg.nodeIP != null) "--node-ip=${cfg.nodeIP}"
    ++ lib.optional (cfg.nodeExternalIP != null) "--node-external-ip=${cfg.nodeExternalIP}"
    ++ lib.optional cfg.selinux "--selinux"
    ++ lib.optional (kubelet != { })
      "--kubelet-arg=config=${kubeConfig "k3s-kubelet-config" "kubelet.config.k8s.io/v1beta1" "KubeletConfiguration" kubelet}"
    ++ lib.optional (cfg.extraKubeProxyConfig != { })
      "--kube-proxy-arg=config=${kubeConfig "k3s-kubeProxy-config" "kubeproxy.config.k8s.io/v1alpha1" "KubeProxyConfiguration" cfg.extraKubeProxyConfig}"
    ++ lib.optional cfg.clusterInit "--cluster-init"
    ++ lib.optional cfg.disableAgent "--disable-agent"
    ++ lib.flatten cfg.extraFlags
    ++ map (argument: "--kubelet-arg=${argument}") config.rehearsal.kubeletArgs;

  rehearsal = import ../../pkgs/rehearsal.nix;
in
{
  options.rehearsal.kubeletArgs = strings "Arguments for kubelets on machines of the lab." // {
    # The tester's machine may swap, and its kernel's cgroups are what they are.
    default =
      lib.optional (rehearsal.k3s != [ ]) "fail-swap-on=false"
      ++ lib.optional (
        rehearsal.cgroupVersion == 1 && lib.versionAtLeast cfg.package.version "1.35"
      ) "fail-cgroupv1=false";
  };
  options.services.k3s = {
    enable = lib.mkEnableOption "k3s";
    package = lib.mkPackageOption pkgs "k3s" { };
    role = mkOption {
      type = types.enum [
        "server"
        "agent"
      ];
      default = "server";
      description = "Whether k3s runs as a server or as an agent.";
    };
    serverAddr = string "The server to join.";
    token = string "The token, readable by everybody in the store.";
    tokenFile = nullable types.path "A file with the token.";
    agentToken = string "The token for agents, readable by everybody in the store.";
    agentTokenFile = nullable types.path "A file with the token for agents.";
    extraFlags = mkOption {
      type = types.either types.str (types.listOf types.str);
      default = [ ];
      description = "More flags.";
    };
    environmentFile = nullable types.path "A file with environment variables.";
    configPath = nullable types.path "k3s' configuration file.";
    disable = strings "Components to leave out.";
    nodeName = nullable types.str "The node's name.";
    nodeLabel = strings "The node's labels.";
    nodeTaint = strings "The node's taints.";
    nodeIP = nullable types.str "The node's address.";
    nodeExternalIP = nullable types.str "The node's address outside.";
    selinux = flag "SELinux in containerd.";
    clusterInit = flag "Whether to start a cluster with embedded etcd.";
    disableAgent = flag "Whether the server runs no workloads.";
    extraKubeletConfig = accepted;
    extraKubeProxyConfig = accepted;
    manifests = accepted;
    charts = accepted;
    autoDeployCharts = accepted;
    images = mkOption {
      type = types.listOf types.package;
      default = [ ];
      description = "Images to import. Without effect here.";
    };
    containerdConfigTemplate = nullable types.str "A template for k3s' own containerd. Without effect here.";
    gracefulNodeShutdown = {
      enable = lib.mkEnableOption "graceful node shutdowns";
      shutdownGracePeriod = period "30s";
      shutdownGracePeriodCriticalPods = period "10s";
    };
  };

  config = lib.mkIf cfg.enable {
    warnings =
      let
        agentWithout = cfg.role == "agent" && cfg.configPath == null;
      in
      lib.optional (agentWithout && cfg.serverAddr == "")
        "k3s: serverAddr or configPath (with 'server' key) should be set if role is 'agent'"
      ++ lib.optional (agentWithout && cfg.tokenFile == null && cfg.token == "")
        "k3s: token, tokenFile or configPath (with 'token' or 'token-file' keys) should be set if role is 'agent'"
      ++ lib.optional (
        cfg.role == "agent" && (cfg.agentTokenFile != null || cfg.agentToken != "")
      ) "k3s: agentToken and agentTokenFile should not be set if role is 'agent'";
    assertions = [
      {
        assertion = cfg.role == "agent" -> !cfg.disableAgent;
        message = "k3s: disableAgent must be false if role is 'agent'";
      }
      {
        assertion = cfg.role == "agent" -> !cfg.clusterInit;
        message = "k3s: clusterInit must be false if role is 'agent'";
      }
    ];

    environment.systemPackages = [ cfg.package ];

    systemd.services.k3s = {
      description = "k3s service";
      after = [
        "firewall.service"
        "network-online.target"
      ];
      wants = [
        "firewall.service"
        "network-online.target"
      ];
      wantedBy = [ "multi-user.target" ];
      serviceConfig = {
        Type = if cfg.role == "agent" then "exec" else "notify";
        KillMode = "process";
        Delegate = "yes";
        Restart = "always";
        RestartSec = "5s";
        LimitNOFILE = 1048576;
        LimitNPROC = "infinity";
        LimitCORE = "infinity";
        TasksMax = "infinity";
        TimeoutStartSec = 0;
        EnvironmentFile = cfg.environmentFile;
        ExecStart = lib.concatStringsSep " \\\n " ([ "${cfg.package}/bin/k3s ${cfg.role}" ] ++ flags);
      };
    };
  };
}
