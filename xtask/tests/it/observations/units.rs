//! What a unit is like after this and that, and what its journal says of it.

use std::time::Duration;

use lab::Lab;

use super::machine::{ADD, AS_BEFORE, START, cursor, readiness, said_since, settled, state, well};
use super::{Seen, bootstrap};
use crate::support::on;

/// How long a busy machine may take to start K3s twice.
const LONG: u64 = 90;
/// For what waits, as long as one waits.
const SHORT: u64 = 16;
/// containerd stays as it is, whoever wants it.
const NO_CONTAINERD: &str = "mkdir -p /run/systemd/system/containerd.service.d; \
    printf '[Unit]\\nConditionPathExists=/nowhere\\n' > /run/systemd/system/containerd.service.d/no.conf; \
    systemctl daemon-reload; systemctl stop containerd";
const CONTAINERD: &str =
    "rm -r /run/systemd/system/containerd.service.d; systemctl daemon-reload; systemctl start containerd";

struct Unit<'a> {
    is_real: bool,
    lab: &'a Lab,
    host: &'a str,
    seen: &'a mut Seen,
}

impl Unit<'_> {
    /// Stops K3s, does something, starts it, and looks at it once it has settled.
    fn starts(&mut self, what: &str, act: &str) {
        self.starts_within(LONG, what, act);
    }

    fn starts_within(&mut self, seconds: u64, what: &str, act: &str) {
        on(self.lab, self.host, "systemctl stop k3s");
        let cursor = cursor(self.lab, self.host);
        on(self.lab, self.host, &format!("{act}; {START}"));
        // A real one takes its time to fail, on a busy machine.
        let failure = Duration::from_secs(if self.is_real { 25 } else { 9 });
        let state = settled(self.lab, self.host, seconds, failure);
        self.look(what, &state, said_since(self.lab, self.host, &cursor));
    }

    fn look(&mut self, what: &str, state: &str, said: Vec<String>) {
        self.seen.see(what, state);
        for line in said {
            self.seen.see(&format!("{what}, said"), &line);
        }
    }

    /// `systemctl stop`, a while after a start if it is told so, and a start afterwards. How it ends may be `chance`: the line
    /// that it then says, and ends with 1.
    fn stopped(&mut self, what: &str, restart: &str, chance: &str) {
        let cursor = cursor(self.lab, self.host);
        on(self.lab, self.host, &format!("{restart}systemctl stop k3s"));
        let state = state(self.lab, self.host).shown;
        let mut said = said_since(self.lab, self.host, &cursor);
        let (clean, failed) =
            ("inactive (dead), success, exit code 0", "failed (failed), exit-code, exit code 1");
        let failing = format!("{failed} and {chance}");
        let is_failing = state == failed && said.iter().any(|line| line == chance);
        said.retain(|line| line != chance);
        said.dedup();
        let by_chance = !chance.is_empty() && (is_failing || state == clean);
        self.look(what, &if by_chance { format!("{clean}; or {failing}") } else { state }, said);
        on(self.lab, self.host, "systemctl reset-failed k3s; systemctl start k3s");
        well(self.lab, self.host);
    }

    fn killed(&mut self) {
        let before = state(self.lab, self.host).restarts;
        on(self.lab, self.host, "systemctl kill --signal KILL k3s; sleep 1");
        self.seen.see("killed", &state(self.lab, self.host).shown);
        well(self.lab, self.host);
        let restarts = state(self.lab, self.host).restarts;
        self.seen.see("killed, NRestarts", &format!("{before}, then {restarts}"));
    }

    fn is(&mut self, what: &str) {
        let readiness = readiness(self.lab, self.host);
        self.seen.see(&format!("{what}, Ready"), &readiness);
    }

    fn mend(&self, mend: &str) {
        on(self.lab, self.host, &format!("systemctl stop k3s; {mend}; {START}"));
        well(self.lab, self.host);
    }
}

pub(super) fn of_an_agent(is_real: bool, lab: &Lab, seen: &mut Seen) {
    bootstrap(lab);
    well(lab, "maia");
    let mut maia = Unit { is_real, lab, host: "maia", seen };
    maia.stopped("stopped", "", "");
    let early =
        "level=fatal msg=\"Tunnel watches failed to wait for RBAC: context canceled, context canceled\"";
    maia.stopped("stopped as soon as it was started", "systemctl restart k3s; sleep 0.4; ", early);
    maia.killed();
    tokens(&mut maia);
    let more = |more: &str| format!("more='{more}'; {ADD}");
    for (what, act) in [
        ("a flag that K3s does not know", more("--no-such-flag")),
        ("an argument that its kubelet does not know", more("--kubelet-arg=no-such-flag=1")),
    ] {
        maia.starts(what, &act);
        maia.is(what);
        maia.mend(AS_BEFORE);
    }
    maia.starts("containerd is stopped", NO_CONTAINERD);
    maia.is("containerd is stopped");
    maia.mend(CONTAINERD);
    maia.starts("the server cannot be reached", "ip route add unreachable 100.64.0.6");
    maia.mend("ip route del unreachable 100.64.0.6");
    let lost = "rm /etc/rancher/node/password /var/lib/rancher/k3s/agent/client-kubelet.crt";
    maia.starts("its node password is lost", lost);
    on(lab, "ocean", "k3s kubectl --namespace kube-system delete secret maia.node-password.k3s");
    well(lab, "maia");
}

fn tokens(maia: &mut Unit) {
    let file = "/run/agenix/k3s-agent-token";
    on(maia.lab, "maia", &format!("cp --dereference {file} /root/kept"));
    let kept = format!("cat /root/kept > {file}");
    let wrong = format!("sed 's/.$/x/' /root/kept > {file}");
    let away = "rm /var/lib/rancher/k3s/agent/*.crt /var/lib/rancher/k3s/agent/*.key";
    for (what, act) in [
        ("a wrong token, joined", wrong.clone()),
        ("a wrong token, never joined", format!("{away}; {wrong}")),
        (
            "a token of another CA",
            format!("sed --regexp-extended 's/^K10.{{64}}/K10{}/' /root/kept > {file}", "0".repeat(64)),
        ),
        ("an empty token file", format!(": > {file}")),
        ("no token file", format!("rm {file}")),
        ("a malformed token, K10abc", format!("echo K10abc > {file}")),
        ("a malformed token, K10abc::node:x", format!("echo K10abc::node:x > {file}")),
        ("a short token", format!("sed 's/.*:://; s/^node://' /root/kept > {file}")),
    ] {
        maia.starts(what, &act);
        maia.mend(&kept);
    }
}

pub(super) fn of_a_server(is_real: bool, lab: &Lab, seen: &mut Seen) {
    bootstrap(lab);
    well(lab, "ocean");
    let mut ocean = Unit { is_real, lab, host: "ocean", seen };
    // A server's controllers take the end of their lead for a failure; whether they are quicker than a clean end is chance.
    std::thread::sleep(Duration::from_secs(if is_real { 20 } else { 4 }));
    ocean.stopped("stopped", "", "E \"leaderelection lost\"");
    ocean.killed();
    let file = "/run/agenix/k3s-server-token";
    on(lab, "ocean", &format!("cp --dereference {file} /root/kept"));
    let kept = format!("cat /root/kept > {file}");
    for (what, act) in [
        ("a wrong token", format!("sed 's/.$/x/' /root/kept > {file}")),
        ("an empty token file", format!(": > {file}")),
        ("a malformed token, K10abc::server:x", format!("echo K10abc::server:x > {file}")),
    ] {
        ocean.starts(what, &act);
        ocean.mend(&kept);
    }
    ocean.starts_within(SHORT, "no token file", &format!("rm {file}"));
    ocean.mend(&kept);
    let more = |more: &str| format!("more='{more}'; {ADD}");
    for (what, act) in [
        ("a flag that K3s does not know", more("--no-such-flag")),
        ("an argument that its kubelet does not know", more("--kubelet-arg=no-such-flag=1")),
    ] {
        ocean.starts(what, &act);
        ocean.mend(AS_BEFORE);
    }
    ocean.starts("containerd is stopped", NO_CONTAINERD);
    ocean.mend(CONTAINERD);
}
