//! How a system starts K3s: the command line of its unit, and the few settings of a configuration file that matter here.
//!
//! K3s puts what its configuration files say in front of its command line, and takes the last of several values: so a flag wins.

use std::collections::{BTreeMap, BTreeSet};

use crate::Version;

/// What a unit's file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The package's name in the store, without its hash: `k3s-1.34.2+k3s1`.
    pub package: Option<String>,
    /// In their order; a switch has no value.
    flags: Vec<(String, Option<String>)>,
}

impl Start {
    /// Reads the text of a unit's file; `None` where it starts nothing.
    pub fn parse(unit: &str) -> Option<Self> {
        let unit = unit.replace("\\\n", " ");
        Self::of_command(unit.lines().find_map(|line| line.strip_prefix("ExecStart="))?)
    }

    /// Reads a command line.
    pub(crate) fn of_command(command: &str) -> Option<Self> {
        let mut words = command.split_whitespace().peekable();
        let package = package(words.next()?);
        let mut flags = Vec::new();
        while let Some(word) = words.next() {
            let Some(flag) = word.strip_prefix("--") else { continue };
            let flag = match flag.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (flag.to_owned(), words.next_if(|next| !next.starts_with("--")).map(str::to_owned)),
            };
            flags.push(flag);
        }
        Some(Self { package, flags })
    }

    /// The version of its package.
    pub fn version(&self) -> Option<Version> {
        Version::parse(self.package.as_deref()?)
    }

    /// Does its kubelet end on a host with cgroup v1? One of 1.35 or newer does, unless its flags or its configuration's text say
    /// otherwise.
    pub fn refuses_cgroup_v1(&self, kubelet_config: &str) -> bool {
        let flag = self.kubelet_argument("fail-cgroupv1");
        let is_new = self.version().is_some_and(Version::fails_on_cgroup_v1);
        // The file is JSON or YAML.
        let in_file = || {
            let text: String =
                kubelet_config.chars().filter(|c| !c.is_whitespace() && !"\"'".contains(*c)).collect();
            text.contains("failCgroupV1:false")
        };
        let is_allowed = flag.map_or_else(in_file, |value| value == "false");
        is_new && !is_allowed && self.values("disable-agent").last().is_none_or(|value| value == "false")
    }

    /// The file that its kubelet is configured by.
    pub fn kubelet_config(&self) -> Option<&str> {
        self.kubelet_argument("config")
    }

    fn kubelet_argument(&self, name: &str) -> Option<&str> {
        let pairs = self.values("kubelet-arg").filter_map(|argument| argument.split_once('='));
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).last()
    }

    /// Each value of a flag that may be given several times, taken apart at commas.
    pub fn values(&self, flag: &str) -> impl Iterator<Item = &str> {
        let named = self.flags.iter().filter(move |(name, _)| name == flag);
        named.flat_map(|(_, value)| value.as_deref().unwrap_or("true").split(','))
    }
}

/// What configuration files say: of each setting the last value.
pub type Settings = BTreeMap<String, String>;

/// Has the cluster flannel's VXLAN, whose interface is flannel.1 and whose port is 8472? By how a server is started, since
/// agents get it from their server. `None` where flannel's own configuration may say something else.
pub fn has_vxlan(server: &Start, settings: &Settings) -> Option<bool> {
    let of_flag = |flag: &str| server.values(flag).last().or_else(|| settings.get(flag).map(String::as_str));
    match of_flag("flannel-backend") {
        None | Some("vxlan") => of_flag("flannel-conf").is_none().then_some(true),
        Some(_) => Some(false),
    }
}

/// The name of the package that a program's path in a Nix store belongs to.
fn package(program: &str) -> Option<String> {
    let (name, _) = program.strip_prefix("/nix/store/")?.split_once('/')?;
    name.split_once('-').map(|(_, name)| name.to_owned())
}

/// What all servers of a cluster have to agree in, and what holds where a flag is absent: K3s' `CriticalControlArgs`. A
/// server that differs cannot join; one that has joined already goes on, and the cluster is two things at once.
///
/// The agent token belongs to it as well, but is a file: the gate compares it. Of `--disable` only the service load
/// balancer counts; K3s allows the other components to differ.
const CRITICAL: &[(&str, &str)] = &[
    ("cluster-cidr", "10.42.0.0/16"),
    ("cluster-dns", "the tenth of service-cidr"),
    ("cluster-domain", "cluster.local"),
    ("disable-cloud-controller", "false"),
    ("disable-helm-controller", "false"),
    ("disable-network-policy", "false"),
    ("egress-selector-mode", "agent"),
    ("embedded-registry", "false"),
    ("flannel-backend", "vxlan"),
    ("flannel-external-ip", "false"),
    ("flannel-ipv6-masq", "false"),
    ("secrets-encryption", "false"),
    ("secrets-encryption-provider", "aescbc"),
    ("service-cidr", "10.43.0.0/16"),
    ("supervisor-metrics", "false"),
];

/// A setting in which two servers differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// `--flannel-backend`
    pub flag: String,
    /// The first one's value.
    pub one: String,
    /// The second one's.
    pub other: String,
}

/// The critical settings in which two servers differ.
pub fn differences(one: &Start, other: &Start) -> Vec<Difference> {
    let value = |start: &Start, (flag, default): (&str, &str)| {
        let values: Vec<&str> = start.values(flag).collect();
        if values.is_empty() { default.to_owned() } else { values.join(",") }
    };
    let balancer =
        |start: &Start| start.values("disable").collect::<BTreeSet<_>>().contains("servicelb").to_string();
    let settings = CRITICAL.iter().map(|setting| (setting.0, value(one, *setting), value(other, *setting)));
    let settings = settings.chain([("disable=servicelb", balancer(one), balancer(other))]);
    let differ = settings.filter(|(_, one, other)| one != other);
    differ.map(|(flag, one, other)| Difference { flag: format!("--{flag}"), one, other }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As NixOS writes it.
    fn start(flags: &str) -> Start {
        let flags = flags.replace(' ', " \\\n ");
        let unit = format!(
            "[Service]\nType=notify\nExecStart=/nix/store/abc-k3s-1.34.2+k3s1/bin/k3s server \\\n {flags}\nKillMode=process\n"
        );
        Start::parse(&unit).unwrap()
    }

    fn told(one: &str, other: &str) -> Vec<String> {
        let told = differences(&start(one), &start(other)).into_iter();
        told.map(|found| format!("{} {} {}", found.flag, found.one, found.other)).collect()
    }

    #[test]
    fn a_package_is_known_without_its_hash() {
        let start = start("--token-file /run/agenix/k3s-server-token --cluster-init");
        assert_eq!(start.package.as_deref(), Some("k3s-1.34.2+k3s1"));
        assert_eq!(start.version(), Version::parse("v1.34.2+k3s1"));
        assert_eq!(start.values("token-file").collect::<Vec<_>>(), ["/run/agenix/k3s-server-token"]);
        assert_eq!(Start::parse("ExecStart=/usr/bin/k3s server").unwrap().package, None);
        assert_eq!(Start::parse("[Service]\n"), None);
    }

    #[test]
    fn flannels_backend_is_a_flag_or_a_setting_and_the_flag_wins() {
        let told = |flags: &str, settings: &[(&str, &str)]| {
            let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            has_vxlan(&start(flags), &settings.collect())
        };
        assert_eq!(told("--flannel-iface=tailscale0", &[]), Some(true));
        assert_eq!(told("--flannel-backend=none --disable-network-policy", &[]), Some(false));
        assert_eq!(told("--flannel-backend host-gw", &[]), Some(false));
        assert_eq!(told("", &[("flannel-backend", "none")]), Some(false));
        assert_eq!(told("--flannel-backend=vxlan", &[("flannel-backend", "none")]), Some(true));
        assert_eq!(told("--flannel-conf=/etc/flannel.json", &[]), None);
    }

    #[test]
    fn a_kubelet_of_1_35_refuses_cgroup_v1_unless_it_is_told_otherwise() {
        let refuses = |package: &str, flags: &str, config: &str| {
            let unit = format!("ExecStart=/nix/store/abc-k3s-{package}/bin/k3s server {flags}\n");
            Start::parse(&unit).unwrap().refuses_cgroup_v1(config)
        };
        let new = |flags: &str, config: &str| refuses("1.35.0+k3s1", flags, config);
        assert!(new("", "") && refuses("2.0.0+k3s1", "", "") && !refuses("1.34.9+k3s1", "", ""));
        assert!(!new("--kubelet-arg=fail-swap-on=false --kubelet-arg=fail-cgroupv1=false", ""));
        assert!(!new("--kubelet-arg fail-cgroupv1=false", ""));
        let file = "--kubelet-arg=config=/nix/store/abc-k3s-kubelet-config";
        assert!(new(file, "kind: KubeletConfiguration\n"));
        assert!(!new(file, "kind: KubeletConfiguration\nfailCgroupV1: false\n"));
        assert!(!new(file, "{\"failCgroupV1\":false}"));
        // A flag wins over the file.
        assert!(new(&format!("{file} --kubelet-arg=fail-cgroupv1=true"), "failCgroupV1: false"));
        assert!(!new("--disable-agent", ""));
        // Whose package nobody knows is not refused.
        assert!(!Start::parse("ExecStart=/opt/k3s server").unwrap().refuses_cgroup_v1(""));
        assert_eq!(start(file).kubelet_config(), Some("/nix/store/abc-k3s-kubelet-config"));
    }

    #[test]
    fn only_what_all_servers_must_share_is_compared() {
        let none: [&str; 0] = [];
        assert_eq!(
            told("--cluster-init --disable=traefik", "--server https://x:6443 --node-ip=1.2.3.4"),
            none
        );
        assert_eq!(told("--flannel-backend=vxlan --secrets-encryption=false", ""), none);
        assert_eq!(told("--cluster-cidr=1,2", "--cluster-cidr 1 --cluster-cidr=2"), none);
        assert_eq!(
            told("--flannel-backend host-gw --secrets-encryption", "--disable=traefik,servicelb"),
            [
                "--flannel-backend host-gw vxlan",
                "--secrets-encryption true false",
                "--disable=servicelb false true"
            ]
        );
    }
}
