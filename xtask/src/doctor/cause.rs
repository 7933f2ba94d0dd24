//! The causes that doctor knows: one table, from which findings take their words and `docs/doctor.md` is made.
//!
//! What a cause brings about stands in the table, too: whoever finds both tells the cause only. `causes` holds on the same
//! host; `as_server` on every host of the cluster, when it is the first server that has it, and on the other servers, when it
//! is another one.

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    /// Something does not work, or will not after the next restart.
    Error,
    /// Works, and is worth to be known.
    Note,
}

/// What the table says of a cause.
#[derive(Debug)]
pub(crate) struct Entry {
    /// In JSON, and in the table of docs/doctor.md.
    pub(crate) name: &'static str,
    pub(crate) weight: Weight,
    /// In words; a finding may put a value behind it.
    pub(crate) what: &'static str,
    /// By what it is seen.
    pub(crate) seen: &'static str,
    /// The command. `{host}`, `{server}`, `{detail}` are filled in.
    pub(crate) remedy: &'static str,
    pub(crate) causes: &'static [Cause],
    pub(crate) as_server: &'static [Cause],
}

macro_rules! causes {
    ($($cause:ident $weight:ident $name:literal: $what:literal,
        seen $seen:literal, do $remedy:literal,
        causes [$($on_host:ident)*], as_server [$($anywhere:ident)*];)+) => {
        /// What is wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Cause { $($cause),+ }

        impl Cause {
            /// In the order of the table: causes before what they bring about, roughly.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$cause),+];

            pub(crate) fn entry(self) -> &'static Entry {
                match self {
                    $(Self::$cause => &Entry {
                        name: $name, weight: Weight::$weight, what: $what, seen: $seen, remedy: $remedy,
                        causes: &[$(Cause::$on_host),*], as_server: &[$(Cause::$anywhere),*],
                    }),+
                }
            }
        }
    };
}
causes! {
    NoQuorum Error "no-quorum": "etcd has no majority, so nothing in the cluster can be read or changed",
        seen "each server's etcd: health, and the list of its members", do "start k3s on those that are missing",
        causes [], as_server [EtcdFailed ApiNotReady K3sStopped K3sStarting K3sFailed ServerUnreachable NodeMissing NodeNotReady NodeSilent];
    BareMajority Error "bare-majority": "one more loss stops the cluster: etcd has no member to spare",
        seen "each server's etcd: health, and the list of its members", do "mend {detail}: cargo xtask doctor {detail}",
        causes [], as_server [];

    NameUnresolved Error "name-unresolved": "its name does not resolve here",
        seen "ssh, at each address of fleet.toml", do "getent hosts {detail}; else put its IP address into addresses in hosts/fleet.toml",
        causes [NodeMissing NodeNotReady NodeSilent KubeletUnreachable], as_server [ServerUnreachable EtcdFailed];
    NoRoute Error "no-route": "there is no route to it",
        seen "ssh, at each address of fleet.toml", do "here: tailscale status; ip route get {detail}",
        causes [NodeMissing NodeNotReady NodeSilent KubeletUnreachable], as_server [ServerUnreachable EtcdFailed];
    SshRefused Error "ssh-refused": "it is up, and its sshd does not answer",
        seen "ssh, at each address of fleet.toml", do "at its console: systemctl start sshd; journalctl -u sshd",
        causes [NodeMissing NodeNotReady NodeSilent KubeletUnreachable], as_server [ServerUnreachable EtcdFailed];
    SshSilent Error "ssh-silent": "nothing answers within the time limit",
        seen "ssh, at each address of fleet.toml", do "is it up, and in the mesh? tailscale ping {detail}",
        causes [NodeMissing NodeNotReady NodeSilent KubeletUnreachable], as_server [ServerUnreachable EtcdFailed];
    WrongHostKey Error "wrong-host-key": "its host key is not the pinned one",
        seen "ssh, with the key of fleet.toml",
        do "compare at its console: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub; then cargo xtask node pin {host}",
        causes [NodeMissing NodeNotReady NodeSilent KubeletUnreachable], as_server [ServerUnreachable EtcdFailed];
    LoginRefused Error "login-refused": "it refuses the login",
        seen "ssh", do "ssh-add -l; is one of these keys in [admins], and was {host} deployed with it?",
        causes [NodeMissing NodeNotReady NodeSilent KubeletUnreachable], as_server [ServerUnreachable EtcdFailed];
    NotAsked Error "not-asked": "it could not be asked",
        seen "no pinned key, no root, a lost link", do "cargo xtask verify {host}",
        causes [NodeMissing NodeNotReady NodeSilent KubeletUnreachable], as_server [ServerUnreachable EtcdFailed];

    OwnClock Error "own-clock": "this machine's clock differs from those of all hosts, which agree",
        seen "date, on every host and here", do "here: timedatectl",
        causes [], as_server [];
    ClockSkew Error "clock-skew": "its clock is wrong",
        seen "date, compared with ours and the other hosts'", do "on {host}: timedatectl; systemctl restart systemd-timesyncd",
        causes [CertificateNotValid CertificateExpired CertificateNear NodeMissing NodeNotReady NodeSilent K3sFailed
                TokenUntold],
        as_server [CertificateNotValid TokenUntold];
    DiskFull Error "disk-full": "a file system is full",
        seen "df: bytes and inodes of the store, K3s' data, its datastore, /run",
        do "on {host}: nix-collect-garbage --delete-older-than 30d; du -xh --max-depth 2 {detail}",
        causes [FailedUnits ContainerdDown SecretMissing SecretEmpty K3sFailed K3sStarting K3sStopped ApiNotReady EtcdFailed
                NodeMissing NodeNotReady NodeSilent NodePressure],
        as_server [];

    TailscaleDown Error "tailscale-down": "tailscale is down",
        seen "systemctl, tailscale status", do "on {host}: systemctl start tailscaled; tailscale up",
        causes [InterfaceMissing AddressMissing FlannelMissing ServerUnreachable KubeletUnreachable K3sFailed K3sStarting
                FailedUnits NodeMissing NodeNotReady NodeSilent],
        as_server [EtcdFailed ServerUnreachable NodeMissing NodeNotReady NodeSilent];
    InterfaceMissing Error "interface-missing": "the interface that fleet.toml names is not there",
        seen "/sys/class/net; the journal: unable to find interface",
        do "on {host}: ip link; then mend cluster.interface in hosts/fleet.toml, or start what makes {detail}",
        causes [AddressMissing FlannelMissing ServerUnreachable KubeletUnreachable K3sFailed K3sStarting NodeMissing
                NodeNotReady NodeSilent NodeAddress],
        as_server [EtcdFailed ServerUnreachable NodeMissing NodeNotReady NodeSilent];
    AddressMissing Error "address-missing": "its node_ip is on none of its interfaces",
        seen "ip addr", do "on {host}: ip addr; then mend node_ip in hosts/fleet.toml, or the interface",
        causes [ServerUnreachable KubeletUnreachable K3sFailed K3sStarting NodeMissing NodeNotReady NodeSilent NodeAddress],
        as_server [EtcdFailed ServerUnreachable NodeMissing NodeNotReady NodeSilent];

    NotRecipient Error "not-a-recipient": "its token's file in secrets/ is not encrypted to it",
        seen "the file's header and ssh_host_key, keyless",
        do "name it in secrets.nix if it is not; then cargo xtask secrets rekey && cargo xtask deploy {host}",
        causes [SecretMissing SecretEmpty], as_server [];
    SecretMissing Error "secret-missing": "its token was not decrypted",
        seen "/run/agenix; the journal: Waiting for … to be available", do "cargo xtask deploy {host}",
        causes [K3sFailed K3sStarting NodeMissing NodeNotReady NodeSilent FlannelMissing KubeletUnreachable],
        as_server [ServerUnreachable NodeNotReady NodeSilent];
    SecretEmpty Error "secret-empty": "its token's file is empty",
        seen "/run/agenix; the journal: --token is required", do "cargo xtask deploy {host}",
        causes [WrongToken K3sFailed K3sStarting NodeMissing NodeNotReady NodeSilent FlannelMissing KubeletUnreachable],
        as_server [];
    SecretExposed Error "secret-exposed": "its token's file has another mode or owner than 400 and root",
        seen "/run/agenix", do "cargo xtask deploy {host}; is age.secrets changed in hosts/{host}?",
        causes [], as_server [];
    TokenMalformed Error "token-malformed": "its token begins with K10 and is none: K3s refuses it",
        seen "the form of the file in /run/agenix", do "cargo xtask deploy {host}",
        causes [WrongToken CaMismatch K3sFailed K3sStarting NodeMissing NodeNotReady NodeSilent FlannelMissing
                KubeletUnreachable FirstJoinRefused],
        as_server [];
    NoAgentToken Error "no-agent-token": "it has no token for agents: they hold the server's own",
        seen "server/agent-token is a symlink", do "docs/runbook.md: A server without an agent token",
        causes [], as_server [ServersToken];
    ServersToken Error "servers-token": "this agent holds the server's token, and could join as a server",
        seen "the token's form; digests of both passwords, keyed anew each time", do "cargo xtask deploy {host}",
        causes [WrongToken CaMismatch FirstJoinRefused], as_server [];
    K3s10Token Note "k3s10-token": "its token begins with K3S10, which K3s takes for a part of the password: it works, and stays",
        seen "the form of the file in /run/agenix", do "change nothing: without the prefix it would be another password",
        causes [], as_server [];
    ShortToken Note "short-token": "its token has no CA hash: at its first join it would believe any server",
        seen "the form of the file in /run/agenix", do "cargo xtask deploy {host}",
        causes [], as_server [];
    ServerTokenChanged Error "server-token-changed": "its token is not the one that its datastore is encrypted with: K3s does not \
                                                     start with it",
        seen "digests of secret and server/token; the journal: encrypted with different token",
        do "git log -- secrets/k3s-server-token.age; put the old one back, then cargo xtask deploy {host}; rotation is k3s token rotate",
        causes [K3sFailed K3sStarting NodeMissing NodeNotReady NodeSilent ApiNotReady],
        as_server [ServerUnreachable NodeMissing NodeNotReady NodeSilent TokenUntold];
    PasswdNewer Error "passwd-newer": "an agent token was added to a server that ran without one",
        seen "the journal: newer than datastore", do "on {host}: k3s token rotate, to the unchanged token; docs/runbook.md: A server without \
                                                      an agent token",
        causes [K3sFailed K3sStarting NoAgentToken NodeMissing NodeNotReady NodeSilent ApiNotReady],
        as_server [ServerUnreachable NodeMissing NodeNotReady NodeSilent TokenUntold];

    UnknownFlag Error "unknown-flag": "k3s, or a component in it, does not know a flag that it is given",
        seen "the journal: flag provided but not defined; unknown flag", do "look at services.k3s.extraFlags of {host}, then cargo xtask deploy {host}",
        causes [K3sFailed K3sStarting ApiNotReady NodeMissing NodeNotReady NodeSilent FlannelMissing KubeletUnreachable],
        as_server [ServerUnreachable NodeMissing NodeNotReady NodeSilent];
    CgroupV1 Error "cgroup-v1": "its kubelet refuses a host with cgroup v1",
        seen "the journal: not run on a host using cgroup v1",
        do "boot {host} with cgroup v2: without systemd.unified_cgroup_hierarchy=0 in boot.kernelParams",
        causes [K3sFailed K3sStarting ApiNotReady NodeMissing NodeNotReady NodeSilent FlannelMissing KubeletUnreachable],
        as_server [ServerUnreachable NodeMissing NodeNotReady NodeSilent];

    ContainerdDown Error "containerd-down": "containerd does not run, or its socket is not there",
        seen "systemctl; /run/containerd/containerd.sock", do "on {host}: systemctl restart containerd; journalctl -u containerd",
        causes [FailedUnits K3sFailed K3sStarting NodeMissing NodeNotReady NodeSilent FlannelMissing KubeletUnreachable],
        as_server [];
    ContainerdBlind Error "containerd-blind": "containerd does not see the network's configuration: the folder that it watched was deleted",
        seen "the node: cni plugin not initialized, while conf_dir has a file",
        do "on {host}: systemctl restart containerd, which leaves all containers running",
        causes [NodeNotReady FlannelMissing], as_server [];
    K3sAbsent Error "k3s-absent": "it has no k3s unit",
        seen "systemctl", do "cargo xtask deploy {host}",
        causes [NodeMissing NodeNotReady NodeSilent FlannelMissing KubeletUnreachable ContainerdDown SecretMissing],
        as_server [EtcdFailed ServerUnreachable NodeMissing NodeNotReady NodeSilent];
    K3sTooOld Error "k3s-too-old": "its K3s is older than those that cargo xtask supports",
        seen "k3s --version", do "upgrade it first, servers before agents, one minor version after the other: \
                                  https://docs.k3s.io/upgrades/manual",
        causes [NoAgentToken WrongToken FirstJoinRefused StaleToken TokenUntold ServersToken],
        as_server [WrongToken FirstJoinRefused StaleToken TokenUntold ServersToken KubeletNewer];
    K3sStopped Error "k3s-stopped": "k3s was stopped",
        seen "systemctl", do "on {host}: systemctl start {detail}",
        causes [NodeMissing NodeNotReady NodeSilent FlannelMissing KubeletUnreachable ApiNotReady],
        as_server [EtcdFailed ServerUnreachable NodeMissing NodeNotReady NodeSilent TokenUntold];
    K3sFailed Error "k3s-failed": "k3s ends and is started again and again, or has failed",
        seen "systemctl, and its last lines", do "on {host}: journalctl -u {detail}",
        causes [NodeMissing NodeNotReady NodeSilent FlannelMissing KubeletUnreachable ApiNotReady],
        as_server [ServerUnreachable NodeMissing NodeNotReady NodeSilent TokenUntold];
    K3sStarting Error "k3s-starting": "k3s is starting, and not ready yet",
        seen "systemctl, and its last lines", do "wait a minute; then on {host}: journalctl -u {detail}",
        causes [NodeMissing NodeNotReady NodeSilent FlannelMissing KubeletUnreachable ApiNotReady],
        as_server [ServerUnreachable NodeMissing NodeNotReady NodeSilent TokenUntold];

    EtcdGone Error "etcd-gone": "its etcd's data are gone, and etcd still counts it as a member: it cannot join again",
        seen "server/db/etcd; the list of etcd's members; the journal: duplicate node name found",
        do "on it: systemctl stop k3s; on another server: k3s kubectl delete node {host} --ignore-not-found; on it: systemctl start k3s",
        causes [K3sFailed K3sStarting K3sStopped EtcdFailed ApiNotReady NodeMissing NodeNotReady NodeSilent ServerUnreachable],
        as_server [];
    NotAMember Error "not-a-member": "it is no member of etcd: it has the data of one that was let go",
        seen "server/db/etcd/name, and the list of etcd's members",
        do "on it: systemctl stop k3s; mv server/db/etcd; on another server: k3s kubectl delete node {host} --ignore-not-found; on it: systemctl start k3s",
        causes [K3sFailed K3sStarting K3sStopped EtcdFailed ApiNotReady NodeMissing NodeNotReady NodeSilent ServerUnreachable],
        as_server [];
    OtherCluster Error "other-cluster": "its etcd is a cluster of its own, beside that of the other servers",
        seen "the lists of etcd's members, server by server",
        do "on it: systemctl stop k3s; mv server/db/etcd; on another server: k3s kubectl delete node {host} --ignore-not-found; then cargo xtask deploy {host}",
        causes [NodeMissing NodeNotReady NodeSilent], as_server [];
    MemberTwice Error "member-twice": "etcd counts it twice: it can never have more than one of these votes",
        seen "the list of etcd's members", do "on {host}: {detail}",
        causes [], as_server [];
    MemberUnknown Error "member-unknown": "etcd has a member that is no server of fleet.toml, and counts it",
        seen "the list of etcd's members", do "if it is gone for good, on {server}: {detail}",
        causes [], as_server [];
    EtcdFailed Error "etcd-failed": "its datastore does not answer: etcd has no quorum, or cannot write",
        seen "/readyz?verbose: [-]etcd failed", do "start the other servers' k3s: more than half of them have to run; on {host}: journalctl -u k3s",
        causes [ApiNotReady K3sFailed K3sStarting NodeMissing NodeNotReady NodeSilent WrongToken FirstJoinRefused],
        as_server [ApiNotReady K3sStarting K3sFailed ServerUnreachable NodeMissing NodeNotReady NodeSilent TokenUntold];
    ApiNotReady Error "api-not-ready": "its API server is not ready",
        seen "/readyz?verbose", do "on {host}: k3s kubectl get --raw '/readyz?verbose'; journalctl -u k3s",
        causes [NodeMissing NodeNotReady NodeSilent], as_server [NodeMissing NodeNotReady NodeSilent TokenUntold];
    CertificateExpired Error "certificate-expired": "a certificate has expired",
        seen "k3s certificate check", do "on {host}: systemctl restart k3s, which renews it",
        causes [CertificateNear K3sFailed NodeMissing NodeNotReady NodeSilent ApiNotReady],
        as_server [CertificateNotValid ServerUnreachable NodeMissing NodeNotReady NodeSilent TokenUntold];
    CertificateNear Error "certificate-near": "a certificate ends within 30 days",
        seen "k3s certificate check", do "on {host}: systemctl restart k3s, which renews it",
        causes [], as_server [];
    CertificateNotValid Error "certificate-not-valid": "the server's certificate is not valid at its time: their clocks differ, or it has expired",
        seen "the journal: certificate has expired or is not yet valid", do "on {host} and {server}: timedatectl; k3s certificate check",
        causes [NodeMissing NodeNotReady NodeSilent FlannelMissing KubeletUnreachable TokenUntold], as_server [];

    ServerUnreachable Error "server-unreachable": "it does not reach the server's port 6443",
        seen "curl from the agent; the journal: failed to get CA certs", do "on {server}: systemctl status k3s firewall; then cargo xtask deploy {server}",
        causes [NodeMissing NodeNotReady NodeSilent FlannelMissing KubeletUnreachable WrongToken FirstJoinRefused], as_server [];
    CaMismatch Error "ca-mismatch": "its token was made by a server with another CA",
        seen "the hash in the token; the journal: token CA hash does not match", do "cargo xtask deploy {host}",
        causes [WrongToken StaleToken NodeMissing NodeNotReady NodeSilent FlannelMissing KubeletUnreachable
                FirstJoinRefused], as_server [];
    WrongToken Error "wrong-token": "the server does not accept its token",
        seen "a login from the agent; digests; the journal: not authorized", do "cargo xtask deploy {host}",
        causes [StaleToken NodeMissing NodeNotReady NodeSilent FlannelMissing KubeletUnreachable], as_server [];
    FirstJoinRefused Note "first-join-refused": "it has joined, and a first join would be refused: the server does not accept its token",
        seen "a login from the agent, digests; its node is well", do "cargo xtask deploy {host}",
        causes [], as_server [];
    TokenUntold Note "token-untold": "it cannot be told whether the server takes its token",
        seen "a login from the agent that gets neither of K3s' answers", do "on {server}: journalctl -u k3s; then cargo xtask token check \
                                                                             {host}",
        causes [], as_server [];
    StaleToken Error "stale-token": "k3s runs with an older token than the one that it now has",
        seen "the journal: not authorized, while a login with the token works", do "on {host}: systemctl restart {detail}",
        causes [NodeMissing NodeNotReady NodeSilent FlannelMissing KubeletUnreachable], as_server [];
    NodePasswordRejected Error "node-password-rejected": "a node of this name is registered with another password: reinstalled, or a \
                                                         duplicate",
        seen "the journal: Node password rejected", do "on {server}: k3s kubectl -n kube-system delete secret {host}.node-password.k3s",
        causes [NodeMissing NodeNotReady NodeSilent FlannelMissing KubeletUnreachable], as_server [];

    NodeMissing Error "node-missing": "the cluster has no node of its name",
        seen "kubectl get nodes", do "on {host}: systemctl restart k3s; journalctl -u k3s",
        causes [FlannelMissing KubeletUnreachable], as_server [];
    NodeNotReady Error "node-not-ready": "its node is not Ready",
        seen "kubectl get nodes", do "on {host}: journalctl -u k3s -u containerd",
        causes [FlannelMissing KubeletUnreachable NodePressure], as_server [];
    NodeSilent Error "node-silent": "its node is said to be Ready, and has not been heard of since its k3s started",
        seen "its Lease and its Ready condition, and the start of its k3s' main process", do "wait a minute; then on {host}: journalctl -u k3s",
        causes [], as_server [];
    NodeVersion Error "node-version": "its node reports another version than its k3s unit starts",
        seen "kubectl get nodes, and the unit", do "on {host}: systemctl restart k3s",
        causes [], as_server [];
    NodeAddress Error "node-address": "its node has another address than its node_ip",
        seen "kubectl get nodes", do "cargo xtask deploy {host}",
        causes [], as_server [];
    NodePressure Error "node-pressure": "its node runs out of something",
        seen "kubectl get nodes: conditions", do "on {host}: df -h / /var/lib; free -h; then k3s kubectl describe node {host}",
        causes [], as_server [];
    NodeCordoned Error "node-cordoned": "its node takes no new pods: somebody cordoned it",
        seen "kubectl get nodes: unschedulable", do "on {server}: k3s kubectl uncordon {host}",
        causes [], as_server [];
    KubeletNewer Error "kubelet-newer": "its kubelet is newer than the API server, which Kubernetes does not support",
        seen "kubectl get nodes: versions", do "cargo xtask deploy {server}",
        causes [], as_server [];
    NodeUnknown Error "node-unknown": "the cluster has a node that fleet.toml does not know",
        seen "kubectl get nodes", do "add it to hosts/fleet.toml; or on {server}: k3s kubectl delete node {detail}",
        causes [], as_server [];
    FlannelMissing Error "flannel-missing": "flannel's interface is not there: pods do not reach other hosts",
        seen "/sys/class/net/flannel.1, unless the first server has another flannel-backend than vxlan", do "on {host}: systemctl restart k3s",
        causes [], as_server [];
    KubeletUnreachable Error "kubelet-unreachable": "the server does not reach its kubelet's port 10250: no logs, no exec",
        seen "curl from the server", do "on {host}: systemctl status firewall; then cargo xtask deploy {host}",
        causes [], as_server [];
    VxlanClosed Error "vxlan-closed": "its firewall has no rule for flannel's port 8472/udp",
        seen "the rules of NixOS' firewall, with flannel's vxlan; the port itself gives no answer to probes", do "cargo xtask deploy {host}",
        causes [], as_server [];

    RollbackArmed Error "rollback-armed": "a deploy did not end: the host is about to go back to its old system",
        seen "systemctl: xtask-rollback.timer", do "wait for it (systemctl list-timers xtask-rollback.timer), then cargo xtask deploy {host}",
        causes [BootDiffers], as_server [];
    BootDiffers Error "boot-default-differs": "what it boots next is not what runs",
        seen "/run/current-system and the system profile", do "cargo xtask deploy {host}, or reboot it to run its boot default",
        causes [], as_server [];
    FailedUnits Error "failed-units": "units have failed",
        seen "systemctl", do "on {host}: journalctl -u {detail}; systemctl restart {detail}",
        causes [], as_server [];
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two causes that explained each other would both vanish.
    #[test]
    fn no_cause_explains_itself_by_any_way() {
        fn reaches(from: Cause, to: Cause, seen: &mut Vec<Cause>) -> bool {
            let entry = from.entry();
            entry.causes.iter().chain(entry.as_server).any(|&next| {
                next == to
                    || (!seen.contains(&next) && {
                        seen.push(next);
                        reaches(next, to, seen)
                    })
            })
        }
        let cycles: Vec<_> =
            Cause::ALL.iter().filter(|cause| reaches(**cause, **cause, &mut Vec::new())).collect();
        assert!(cycles.is_empty(), "{cycles:?}");
    }

    #[test]
    fn each_cause_has_a_case() {
        let cases = [include_str!("tests.rs"), include_str!("tests/servers.rs")].concat();
        let without: Vec<_> =
            Cause::ALL.iter().filter(|cause| !cases.contains(&format!("{cause:?}"))).collect();
        assert!(without.is_empty(), "{without:?}");
    }

    #[test]
    fn names_are_words_and_each_is_one_causes() {
        let mut names: Vec<_> = Cause::ALL.iter().map(|cause| cause.entry().name).collect();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(names.iter().all(|name| name.chars().all(plain)));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Cause::ALL.len());
    }

    /// docs/doctor.md holds this table; `UPDATE_EXPECT=1` writes it there.
    #[test]
    fn the_document_has_every_cause() {
        use std::fmt::Write as _;
        let mut table =
            String::from("| cause | what is wrong | seen by | remedy | explains |\n|---|---|---|---|---|\n");
        for cause in Cause::ALL {
            let Entry { name, weight, what, seen, remedy, causes, as_server } = cause.entry();
            let note = if *weight == Weight::Note { " (a note)" } else { "" };
            let names = |list: &[Cause]| list.iter().map(|it| it.entry().name).collect::<Vec<_>>().join(", ");
            let mut explains = names(causes);
            if !as_server.is_empty() {
                let _ = write!(
                    explains,
                    "{}on a server, everywhere: {}",
                    if explains.is_empty() { "" } else { "; " },
                    names(as_server)
                );
            }
            let _ = writeln!(table, "| {name}{note} | {what} | {seen} | {remedy} | {explains} |");
        }
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/doctor.md");
        let text = std::fs::read_to_string(&path).unwrap();
        let (before, _) = text.split_once("| cause |").expect("docs/doctor.md has the table's heading");
        let wanted = format!("{before}{table}");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(path, wanted).unwrap();
        } else {
            assert!(text == wanted, "docs/doctor.md is behind: UPDATE_EXPECT=1 writes the table anew");
        }
    }
}
