//! What K3s writes on a machine, what it keeps in the cluster, and what its commands say.

use lab::Lab;

use super::machine::{condition, node, well, within};
use super::{Seen, bootstrap};
use crate::support::{on, try_on};

const SERVER: &str = "/var/lib/rancher/k3s/server";

const OF_A_SERVER: &[&str] = &[
    "/etc/rancher",
    "/etc/rancher/k3s",
    "/etc/rancher/k3s/k3s.yaml",
    "/etc/rancher/node",
    "/etc/rancher/node/password",
    "/var/lib/rancher",
    "/var/lib/rancher/k3s",
    "/var/lib/rancher/k3s/agent",
    "/var/lib/rancher/k3s/agent/client-kubelet.crt",
    "/var/lib/rancher/k3s/agent/client-kubelet.key",
    "/var/lib/rancher/k3s/agent/serving-kubelet.crt",
    "/var/lib/rancher/k3s/server",
    "/var/lib/rancher/k3s/server/agent-token",
    "/var/lib/rancher/k3s/server/cred",
    "/var/lib/rancher/k3s/server/cred/passwd",
    "/var/lib/rancher/k3s/server/db",
    "/var/lib/rancher/k3s/server/db/etcd",
    "/var/lib/rancher/k3s/server/db/etcd/name",
    "/var/lib/rancher/k3s/server/db/state.db",
    "/var/lib/rancher/k3s/server/node-token",
    "/var/lib/rancher/k3s/server/tls",
    "/var/lib/rancher/k3s/server/tls/client-admin.crt",
    "/var/lib/rancher/k3s/server/tls/client-admin.key",
    "/var/lib/rancher/k3s/server/tls/client-ca.crt",
    "/var/lib/rancher/k3s/server/tls/client-ca.key",
    "/var/lib/rancher/k3s/server/tls/server-ca.crt",
    "/var/lib/rancher/k3s/server/tls/server-ca.key",
    "/var/lib/rancher/k3s/server/tls/serving-kube-apiserver.crt",
    "/var/lib/rancher/k3s/server/tls/etcd/peer-ca.crt",
    "/var/lib/rancher/k3s/server/token",
];

const OF_AN_AGENT: &[&str] = &[
    "/etc/rancher",
    "/etc/rancher/k3s",
    "/etc/rancher/node",
    "/etc/rancher/node/password",
    "/var/lib/rancher/k3s/agent",
    "/var/lib/rancher/k3s/agent/client-ca.crt",
    "/var/lib/rancher/k3s/agent/client-kubelet.crt",
    "/var/lib/rancher/k3s/agent/client-kubelet.key",
    "/var/lib/rancher/k3s/agent/etc/k3s-agent-load-balancer.json",
    "/var/lib/rancher/k3s/agent/server-ca.crt",
    "/var/lib/rancher/k3s/agent/serving-kubelet.crt",
    "/var/lib/rancher/k3s/agent/serving-kubelet.key",
    "/var/lib/rancher/k3s/server",
];

pub(super) fn all(lab: &Lab, seen: &mut Seen) {
    bootstrap(lab);
    well(lab, "maia");
    on_disk(lab, seen);
    on_nodes(lab, seen);
    snapshots(lab, seen);
    a_node_is_deleted(lab, seen);
    the_token_is_rotated(lab, seen);
}

fn on_disk(lab: &Lab, seen: &mut Seen) {
    for (host, paths) in [("ocean", OF_A_SERVER), ("maia", OF_AN_AGENT)] {
        for path in paths {
            let stat = "stat --format='%A %U:%G %N' \"$path\" 2> /dev/null || echo absent";
            let said = on(lab, host, &format!("path={path}; {stat}"));
            // The quoted name is known already; a link's goal is not.
            let said = said.replacen(&format!(" '{path}'"), "", 1);
            seen.see(&format!("{host} {path}"), &said);
        }
    }
    let ocean = |seen: &mut Seen, what: &str, line: &str| seen.see(what, &on(lab, "ocean", line));
    ocean(seen, "server/token", &format!("cat {SERVER}/token"));
    ocean(seen, "server/agent-token", &format!("cat {SERVER}/agent-token"));
    ocean(seen, "server/cred/passwd", &format!("sort --field-separator , --key 2 {SERVER}/cred/passwd"));
    ocean(seen, "node/password", "cat /etc/rancher/node/password");
    ocean(seen, "k3s.yaml, server", "grep --only-matching 'server: .*' /etc/rancher/k3s/k3s.yaml");
    ocean(
        seen,
        "k3s --version, first word",
        "k3s --version | head --lines 1 | cut --delimiter ' ' --fields 1,2",
    );
}

/// Without what depends on the machine.
fn on_nodes(lab: &Lab, seen: &mut Seen) {
    for host in ["ocean", "maia"] {
        let node = node(lab, host);
        let metadata = &node["metadata"];
        for key in ["k3s.io/hostname", "k3s.io/internal-ip", "alpha.kubernetes.io/provided-node-ip"] {
            seen.see(
                &format!("{host}, annotation {key}"),
                metadata["annotations"][key].as_str().unwrap_or("none"),
            );
        }
        let args = metadata["annotations"]["k3s.io/node-args"].as_str().unwrap_or("none");
        seen.see(&format!("{host}, annotation k3s.io/node-args"), &of_every_k3s(args));
        let labels = metadata["labels"].as_object().into_iter().flatten();
        for (key, value) in labels.filter(|(key, _)| key.contains("node-role") || key.contains("hostname")) {
            seen.see(&format!("{host}, label {key}"), value.as_str().unwrap_or(""));
        }
        seen.see(&format!("{host}, taints"), &node["spec"]["taints"].to_string());
        let ready = condition(&node, "Ready");
        seen.see(
            &format!("{host}, Ready"),
            &format!("{} {} {}", ready["status"], ready["reason"], ready["message"]),
        );
        let votes = condition(&node, "EtcdIsVoter");
        seen.see(
            &format!("{host}, EtcdIsVoter"),
            &format!("{} {} {}", votes["status"], votes["reason"], votes["message"]),
        );
        let same = votes["lastHeartbeatTime"] == votes["lastTransitionTime"];
        seen.see(&format!("{host}, EtcdIsVoter's heartbeat is that of its change"), &same.to_string());
        let is_claimed =
            node["status"]["nodeInfo"]["kubeletVersion"].as_str().is_some_and(|it| it.starts_with("v1."));
        seen.see(&format!("{host}, has a kubelet's version"), &is_claimed.to_string());
    }
    let secret = "k3s kubectl --namespace kube-system get secret maia.node-password.k3s --output json";
    let secret: serde_json::Value = serde_json::from_str(&on(lab, "ocean", secret)).unwrap();
    let keys: Vec<&String> = secret["data"].as_object().into_iter().flat_map(|data| data.keys()).collect();
    seen.see(
        "secret maia.node-password.k3s",
        &format!("{} {} {keys:?}", secret["type"], secret["immutable"]),
    );
}

/// Without the flags that are the lab's, or that not every build of K3s has.
fn of_every_k3s(args: &str) -> String {
    let args: Vec<String> = serde_json::from_str(args).unwrap_or_default();
    let left_out = ["--kubelet-arg", "--flannel-iface", "--disable"];
    let is_left_out = |word: &String| left_out.iter().any(|flag| word.starts_with(flag));
    let kept = (0..args.len()).filter(|&at| {
        let is_value = at > 0 && !args[at].starts_with("--") && is_left_out(&args[at - 1]);
        !is_left_out(&args[at]) && !is_value
    });
    kept.map(|at| args[at].as_str()).collect::<Vec<_>>().join(" ")
}

fn snapshots(lab: &Lab, seen: &mut Seen) {
    let said = try_on(
        lab,
        "ocean",
        "k3s etcd-snapshot save --name before 2> /root/err; echo $?; sed 's/^time=[^ ]* //' /root/err",
    );
    seen.see("k3s etcd-snapshot save", &names(&said.stdout));
    let listed = try_on(lab, "ocean", "k3s etcd-snapshot ls 2> /dev/null");
    seen.see("k3s etcd-snapshot ls", &names(&listed.stdout));
    let files = "stat --format='%A %U' /var/lib/rancher/k3s/server/db/snapshots /var/lib/rancher/k3s/server/db/snapshots/*";
    seen.see("server/db/snapshots, and one of them", &on(lab, "ocean", files));
}

/// Sizes and seconds of a snapshot.
fn names(said: &str) -> String {
    let is_time = |word: &str| word.len() == 20 && word.ends_with('Z') && word.contains('T');
    let mut words = Vec::new();
    for word in said.split_whitespace() {
        let known = word.trim_matches('"');
        if is_time(known) {
            words.push(word.replace(known, "TIME"));
        } else if !known.is_empty() && known.len() > 3 && known.bytes().all(|byte| byte.is_ascii_digit()) {
            words.push("SIZE".to_owned());
        } else {
            words.push(without_seconds(word));
        }
    }
    words.join(" ")
}

/// `before-ocean-1795960119` as `before-ocean-SECONDS`
fn without_seconds(word: &str) -> String {
    let part = |part: &str| {
        let digits = part.trim_end_matches(|c: char| !c.is_ascii_digit());
        let is_seconds = digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_seconds { part.replacen(digits, "SECONDS", 1) } else { part.to_owned() }
    };
    word.split_inclusive(['-', '/']).map(part).collect()
}

fn a_node_is_deleted(lab: &Lab, seen: &mut Seen) {
    let has_password = || {
        let get =
            "k3s kubectl --namespace kube-system get secret maia.node-password.k3s --output name || true";
        !on(lab, "ocean", get).is_empty()
    };
    seen.see("a Node is deleted, its node password before", if has_password() { "there" } else { "gone" });
    seen.see("a Node is deleted, kubectl", &on(lab, "ocean", "k3s kubectl delete node maia"));
    let gone = within(20, || !has_password());
    seen.see("a Node is deleted, its node password", if gone { "gone" } else { "there" });
    let again = within(30, || !node(lab, "maia").is_null());
    seen.see("a Node is deleted, its kubelet registers it again", &again.to_string());
    on(lab, "maia", "systemctl restart k3s");
    well(lab, "maia");
    seen.see(
        "a Node is deleted, back after a restart of its K3s, its node password",
        if has_password() { "there" } else { "gone" },
    );
}

fn the_token_is_rotated(lab: &Lab, seen: &mut Seen) {
    let run = |line: &str| {
        let said = try_on(lab, "ocean", line);
        format!("exit code {}: {} {}", said.code, said.stdout.trim(), said.stderr.trim())
    };
    let plain = "2>&1 | sed 's/\\x1b\\[[0-9;]*m//g; s/^time=[^ ]* //'";
    seen.see(
        "k3s token rotate, wrong token",
        &run(&format!("set -o pipefail; k3s token rotate --token wrong --new-token other {plain}")),
    );
    seen.see(
        "k3s token rotate",
        &run(&format!("set -o pipefail; k3s token rotate --new-token otherotherother {plain}")),
    );
    seen.see("k3s token rotate, server/token", &on(lab, "ocean", &format!("cat {SERVER}/token")));
    let login = |password: &str| {
        let url = "https://127.0.0.1:6443/v1-k3s/server-bootstrap";
        on(
            lab,
            "ocean",
            &format!(
                "curl --silent --insecure --output /dev/null --write-out '%{{http_code}}' --user server:{password} {url}"
            ),
        )
    };
    let old = "$(cat /run/agenix/k3s-server-token)";
    seen.see(
        "k3s token rotate, before a restart: old and new password",
        &format!("{} {}", login(old), login("otherotherother")),
    );
    on(lab, "ocean", "printf otherotherother > /run/agenix/k3s-server-token; systemctl restart k3s");
    seen.see(
        "k3s token rotate, after a restart with it: old and new password",
        &format!("{} {}", login("wrong"), login("otherotherother")),
    );
}
