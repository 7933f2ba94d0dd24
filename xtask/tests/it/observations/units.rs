//! What a unit is like after this and that, and what its journal says of it.

use std::time::Duration;

use lab::Lab;

use super::machine::{ADD, AS_BEFORE, Came, START, cursor, readiness, said_since, settled, state, well};
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
        let again = settled(self.lab, self.host, seconds, failure) == Came::Down;
        self.look(what, if again { ", again and again" } else { "" }, &cursor);
    }

    fn look(&mut self, what: &str, more: &str, cursor: &str) {
        let state = state(self.lab, self.host);
        self.seen.see(what, &format!("{state}{more}"));
        for line in said_since(self.lab, self.host, cursor) {
            self.seen.see(&format!("{what}, said"), &line);
        }
    }

    /// `systemctl stop`, and a start afterwards.
    fn stopped(&mut self, what: &str) {
        let cursor = cursor(self.lab, self.host);
        on(self.lab, self.host, "systemctl stop k3s");
        self.look(what, "", &cursor);
        on(self.lab, self.host, "systemctl reset-failed k3s; systemctl start k3s");
    }

    /// A server's controllers take the end of their lead for a failure; whether they are quicker than a clean end is chance.
    fn stopped_while_it_leads(&mut self) {
        std::thread::sleep(Duration::from_secs(if self.is_real { 20 } else { 4 }));
        let cursor = cursor(self.lab, self.host);
        on(self.lab, self.host, "systemctl stop k3s");
        let (clean, failed) =
            ("inactive (dead), success, exit code 0", "failed (failed), exit-code, exit code 1");
        let state = state(self.lab, self.host);
        let is_one_of_both = [clean, failed].contains(&state.as_str());
        let told = if is_one_of_both { format!("{clean}; or {failed}") } else { state };
        self.seen.see("stopped", &told);
        let said = said_since(self.lab, self.host, &cursor);
        for line in said.iter().filter(|line| !line.ends_with("\"leaderelection lost\"")) {
            self.seen.see("stopped, said", line);
        }
        on(self.lab, self.host, "systemctl reset-failed k3s; systemctl start k3s");
    }

    fn killed(&mut self) {
        let restarts = || on(self.lab, self.host, "systemctl show k3s --property NRestarts --value");
        let before = restarts();
        on(self.lab, self.host, "systemctl kill --signal KILL k3s; sleep 1");
        let state = state(self.lab, self.host);
        self.seen.see("killed", &state);
        well(self.lab, self.host);
        self.seen.see("killed, NRestarts", &format!("{before}, then {}", restarts()));
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
    maia.stopped("stopped");
    well(lab, "maia");
    on(lab, "maia", "systemctl restart k3s");
    maia.stopped("stopped as soon as it was started");
    well(lab, "maia");
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
    ocean.stopped_while_it_leads();
    well(lab, "ocean");
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
