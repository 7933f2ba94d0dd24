//! What the gate believes, and when it stops to wait.

use lab::Lab;

use crate::each_k3s::{Rehearsal, each_k3s};
use crate::faults::battery::{systems, wait_for};
use crate::support::{Answer, configure, on, xtask};

each_k3s!(
    a_server_is_well_soon_after_it_was_restarted,
    an_agent_whose_kubelet_dies_again_and_again_does_not_pass,
    a_k3s_that_stopped_is_seen_while_its_node_is_still_said_to_be_ready,
    what_no_waiting_mends_is_not_waited_for,
    a_server_that_no_waiting_mends_goes_back,
);

/// So long that whoever waits for it is noticed.
const PATIENT: [&str; 2] = ["--gate-timeout", "600"];
/// What is far less, and longer than the slowest start of a K3s.
const SOON: u64 = 90;

fn bootstrapped(rehearsal: &Rehearsal, body: impl FnOnce(&Lab)) {
    rehearsal.in_lab(|lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        body(lab);
    });
}

/// A kubelet writes the time of its Ready condition every 5 minutes, and a server's unit is active after its report: whoever
/// compares the two refuses a server for minutes.
fn a_server_is_well_soon_after_it_was_restarted(rehearsal: &Rehearsal) {
    bootstrapped(rehearsal, |lab| {
        // A second one: by then nothing of the first start is left that would move the condition's time.
        for _ in 0..2 {
            on(lab, "ocean", "systemctl restart k3s");
            wait_for("verify is content with the server", 20, || xtask(lab, &["verify", "ocean"]).code == 0);
        }
        configure(lab, "maia", "environment.etc.new.text = \"\";");
        xtask(lab, &["deploy", "maia"]).expect(0);
    });
}

/// With its node still said to be Ready, from the time before.
fn an_agent_whose_kubelet_dies_again_and_again_does_not_pass(rehearsal: &Rehearsal) {
    bootstrapped(rehearsal, |lab| {
        let before = systems(lab, "maia");
        let answer = refused(lab, "maia", "services.k3s.extraFlags = [ \"--kubelet-arg=no-such-flag=1\" ];")
            .says("does not know a flag that it is given")
            .says("unknown flag: --no-such-flag")
            .says("note: rolled back: maia runs ")
            .says("and is well: k3s.service runs, node Ready");
        assert!(waited(&answer) < SOON, "{}", answer.stderr);
        assert_eq!(systems(lab, "maia"), before);
    });
}

fn a_k3s_that_stopped_is_seen_while_its_node_is_still_said_to_be_ready(rehearsal: &Rehearsal) {
    rehearsal.in_lab(|lab| {
        // As long as a real one's, on a stand-in.
        on(
            lab,
            "ocean",
            "mkdir -p /etc/rancher && echo K3S_STANDIN_NODE_GRACE=40 > /etc/rancher/stand-in.env",
        );
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        // Its main process is there, and its kubelet is not heard of.
        on(lab, "maia", "systemctl stop k3s; systemctl kill k3s; true");
        on(lab, "maia", "mkdir -p /run/systemd/system/k3s.service.d");
        let hangs = "printf '[Service]\\nExecStart=\\nExecStart=/usr/bin/sleep infinity\\n'";
        on(
            lab,
            "maia",
            &format!("{hangs} > /run/systemd/system/k3s.service.d/hangs.conf; systemctl daemon-reload"),
        );
        on(lab, "maia", "systemctl start k3s");
        let is_ready = || {
            let nodes = on(lab, "ocean", "k3s kubectl get nodes -o json");
            let nodes = k3s::node::parse_list(nodes.as_bytes()).unwrap();
            nodes.iter().any(|node| node.name == "maia" && node.is_ready())
        };
        assert!(is_ready());
        xtask(lab, &["verify", "maia"])
            .expect(7)
            .says("its node has not been heard of since its k3s started");
        let status = xtask(lab, &["status"]);
        assert!(status.stdout.contains("stale"), "{}", status.stdout);
        let doctor = xtask(lab, &["doctor", "maia"]).expect(7);
        assert!(doctor.stdout.contains("(node-silent)"), "{}", doctor.stdout);
        assert!(is_ready(), "it took too long to show this");
    });
}

fn what_no_waiting_mends_is_not_waited_for(rehearsal: &Rehearsal) {
    bootstrapped(rehearsal, |lab| {
        let before = systems(lab, "maia");
        let token = |text: &str| {
            format!(
                "services.k3s.tokenFile = lib.mkForce \"/etc/token\"; environment.etc.token.text = \"{text}\";"
            )
        };
        let faults = [
            (
                "services.k3s.extraFlags = [ \"--no-such-flag\" ];",
                "K3s does not know a flag that it is given",
            ),
            (&token("K10abc::node:x"), "its token begins with K10 and is none"),
            (&token(""), "its token file is empty"),
            (
                "virtualisation.containerd.enable = lib.mkForce false;",
                "containerd.service is not running, and K3s uses its socket",
            ),
            (
                "systemd.services.why = { wantedBy = [ \"multi-user.target\" ]; serviceConfig.Type = \"oneshot\"; \
                 script = \"echo this is why; exit 1\"; };",
                "why.service failed\n  │ this is why",
            ),
        ];
        for (line, says) in faults {
            let answer = refused(lab, "maia", line).says(says).says("and is well: ");
            assert!(waited(&answer) < SOON, "{}", answer.stderr);
            assert_eq!(systems(lab, "maia"), before, "{says}");
        }
    });
}

fn a_server_that_no_waiting_mends_goes_back(rehearsal: &Rehearsal) {
    bootstrapped(rehearsal, |lab| {
        let before = systems(lab, "ocean");
        let mut flags = vec!["--kubelet-arg=no-such-flag=1", "--no-such-flag"];
        // The stand-in's components have no flags of their own, but for its kubelet.
        flags.extend(rehearsal.is_real().then_some("--kube-apiserver-arg=no-such-flag=1"));
        for flag in flags {
            refused(lab, "ocean", &format!("services.k3s.extraFlags = [ \"{flag}\" ];"))
                .says("does not know a flag that it is given")
                .says("note: rolled back: ocean runs ")
                .says("and is well: k3s.service runs, node Ready");
            assert_eq!(systems(lab, "ocean"), before, "{flag}");
        }
    });
}

/// A deploy of a host with this in its configuration, which does not pass.
#[track_caller]
fn refused(lab: &Lab, host: &str, line: &str) -> Answer {
    let old = configure(lab, host, line);
    let answer = xtask(lab, &[&["deploy", host][..], &PATIENT].concat());
    std::fs::write(lab.deployer().repository().join(format!("hosts/{host}/default.nix")), old).unwrap();
    answer.expect(7)
}

/// `error: maia is not well, after 12 s: …`
fn waited(answer: &Answer) -> u64 {
    let words: Vec<&str> = answer.error().split(' ').collect();
    let at = words.iter().position(|word| *word == "after");
    at.map_or(0, |at| words[at + 1].parse().expect("a number of seconds"))
}
