//! How a system starts K3s: the command line in its unit's file.
//!
//! Settings in a file of `--config` are not looked at: hosts/ has none.

use std::collections::BTreeSet;

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
        let command = unit.lines().find_map(|line| line.strip_prefix("ExecStart="))?;
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

    fn values(&self, flag: &str) -> impl Iterator<Item = &str> {
        let named = self.flags.iter().filter(move |(name, _)| name == flag);
        named.flat_map(|(_, value)| value.as_deref().unwrap_or("true").split(','))
    }
}

/// The name of the package that a program's path in a Nix store belongs to.
pub(crate) fn package(program: &str) -> Option<String> {
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
