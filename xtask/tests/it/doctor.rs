//! Each cause on real machines: made, found and nothing beside it, mended, well again.

mod servers;

use std::fs;
use std::time::Duration;

use crate::each_k3s::{Rehearsal, each_k3s};
use crate::faults::battery::{link, wait_for};
use crate::support::{Answer, in_lab, on, xtask};
use lab::Lab;

const SECRET: &str = "/run/agenix/k3s-agent-token";
/// Causes follow each other faster than a restart limit is meant for.
const RESTART: &str = "systemctl reset-failed k3s; systemctl restart --no-block k3s";
/// A wrong clock: containers share their kernel's.
const WRONG: &str = "cp /usr/bin/date /root/date && printf '#!/bin/sh\\nexec /root/date -d \"+1 hour\" \"$@\"\\n' > \
                     /root/wrong && chmod +x /root/wrong && mount --bind /root/wrong /usr/bin/date";

/// What doctor finds, once it is that; it has to come by itself, since a node is not missed at once.
#[track_caller]
fn finds(lab: &Lab, args: &[&str], code: i32, wanted: &[(&str, &str)]) -> Vec<serde_json::Value> {
    let mut last = None;
    for _ in 0..20 {
        let answer = xtask(lab, &[&["doctor", "--json"], args].concat());
        let found = answer.events();
        let text = |it: &serde_json::Value, key: &str| it[key].as_str().unwrap_or("").to_owned();
        let causes: Vec<_> = found.iter().map(|it| (text(it, "host"), text(it, "cause"))).collect();
        let wanted: Vec<_> =
            wanted.iter().map(|(host, cause)| ((*host).to_owned(), (*cause).to_owned())).collect();
        if causes == wanted && answer.code == code {
            for it in &found {
                assert!(!text(it, "hint").is_empty() && !text(it, "finding").is_empty(), "{it}");
                let evidence = it["evidence"].as_array().is_some_and(|lines| !lines.is_empty());
                assert!(evidence || it["value"].is_string(), "{it}");
            }
            return found;
        }
        last = Some(answer);
        std::thread::sleep(Duration::from_millis(400));
    }
    panic!("wanted {wanted:?} and {code}: {last:?}");
}

#[track_caller]
fn is_well(lab: &Lab) {
    finds(lab, &[], 0, &[]);
}

/// Makes it on a host, sees it there and nothing else, mends it.
#[track_caller]
fn cause(lab: &Lab, host: &str, cause: &str, make: &str, mend: &str) -> String {
    on(lab, host, make);
    let found = finds(lab, &[], 7, &[(host, cause)]);
    on(lab, host, mend);
    is_well(lab);
    found[0].to_string()
}

#[test]
fn an_agents_tokens() {
    in_lab("doctor::an_agents_tokens", |lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        is_well(lab);
        xtask(lab, &["deploy", "maia"]).expect(0);
        is_well(lab);
        on(lab, "maia", &format!("cp -L {SECRET} /root/kept"));
        let mend = format!("cat /root/kept > {SECRET} && chmod 400 {SECRET} && {RESTART}");
        let token =
            |cause_: &str, make: &str| cause(lab, "maia", cause_, &format!("{make} && {RESTART}"), &mend);

        // One that has joined needs it only to join anew, which it does without its certificate.
        let wrong = format!("sed 's/.$/x/' /root/kept > {SECRET}");
        on(lab, "maia", &format!("{wrong} && {RESTART}"));
        let found = finds(lab, &[], 0, &[("maia", "first-join-refused")]);
        assert_eq!(found[0]["severity"], "note");
        let anew = "rm /var/lib/rancher/k3s/agent/client-kubelet.*";
        let found = token("wrong-token", &format!("{wrong} && {anew}"));
        assert!(found.contains("401 not authorized") && found.contains("cargo xtask deploy maia"), "{found}");
        let found = token(
            "ca-mismatch",
            &format!("sed -E 's/^K10.{{64}}/K10{}/' /root/kept > {SECRET}", "0".repeat(64)),
        );
        assert!(found.contains("K10000000000000… in the token"), "{found}");
        token("secret-empty", &format!(": > {SECRET}"));
        token("secret-missing", &format!("rm {SECRET}"));
        token("secret-exposed", &format!("chmod 444 {SECRET}"));
        token("token-malformed", &format!("echo K10abc::node:x > {SECRET}"));

        // The right token came later than K3s' start: only its journal tells.
        on(lab, "maia", &format!("{wrong} && {anew} && {RESTART}"));
        finds(lab, &[], 7, &[("maia", "wrong-token")]);
        on(lab, "maia", &format!("cat /root/kept > {SECRET}"));
        let found = finds(lab, &[], 7, &[("maia", "stale-token")]);
        assert!(found[0]["hint"].as_str().unwrap().contains("systemctl restart k3s.service"), "{found:?}");
        on(lab, "maia", RESTART);
        is_well(lab);

        // A password alone works, and is told as a note.
        on(lab, "maia", &format!("sed 's/.*:://; s/node://' /root/kept > {SECRET} && {RESTART}"));
        let found = finds(lab, &[], 0, &[("maia", "short-token")]);
        assert_eq!(found[0]["severity"], "note");
        on(lab, "maia", &mend);
        is_well(lab);

        let servers = on(lab, "ocean", "cat /var/lib/rancher/k3s/server/token");
        token("servers-token", &format!("echo '{servers}' > {SECRET}"));

        let renew = "rm /var/lib/rancher/k3s/agent/client-kubelet.crt /etc/rancher/node/password; systemctl restart k3s";
        on(lab, "maia", renew);
        let found = finds(lab, &[], 7, &[("maia", "node-password-rejected")]);
        let hint = found[0]["hint"].as_str().unwrap();
        assert_eq!(hint, "on ocean: k3s kubectl -n kube-system delete secret maia.node-password.k3s");
        on(lab, "ocean", hint.split_once(": ").unwrap().1);
        is_well(lab);
    });
}

each_k3s!(stopped_and_broken_are_told_apart, a_containerd_that_lost_sight_of_its_folder);

/// Somebody deletes what K3s made, to start over, while containerd runs: what K3s writes there again is not seen.
fn a_containerd_that_lost_sight_of_its_folder(rehearsal: &Rehearsal) {
    rehearsal.in_lab(|lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        is_well(lab);
        let folder = "/var/lib/rancher/k3s/agent/etc/cni/net.d";
        on(lab, "maia", "systemctl stop k3s && rm -r /var/lib/rancher/k3s/agent/etc && systemctl start k3s");
        wait_for("K3s writes it", 60, || {
            on(lab, "maia", &format!("ls {folder} || true")).contains("conflist")
        });
        // One that was just written is still to be seen.
        finds(lab, &[], 7, &[("maia", "node-not-ready")]);
        on(lab, "maia", &format!("touch --date='-1 minute' {folder}/*"));
        let found = finds(lab, &[], 7, &[("maia", "containerd-blind")]);
        assert!(found[0]["evidence"].to_string().contains(folder), "{found:?}");
        let failed = xtask(lab, &["verify", "maia"]).expect(7).stderr;
        assert!(
            failed.contains("maia is not well: containerd does not see the network's configuration"),
            "{failed}"
        );
        assert!(failed.contains("hint: on maia: systemctl restart containerd"), "{failed}");
        on(lab, "maia", "systemctl restart containerd");
        is_well(lab);
        xtask(lab, &["verify", "maia"]).expect(0);
    });
}

fn stopped_and_broken_are_told_apart(rehearsal: &Rehearsal) {
    rehearsal.in_lab(|lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        let drop_in = |text: &str| {
            let folder = "/run/systemd/system/k3s.service.d";
            let write =
                format!("mkdir -p {folder} && printf '{text}' > {folder}/it.conf && systemctl daemon-reload");
            on(lab, "maia", &write);
        };
        let stopped = || {
            let found = finds(lab, &[], 7, &[("maia", "k3s-stopped")]);
            assert_eq!(found[0]["hint"], "on maia: systemctl start k3s.service");
            found[0]["evidence"][0].as_str().unwrap().to_owned()
        };
        // K3s ends as it likes, with exit code 0 or 1: in its first second it is 1.
        on(lab, "maia", "systemctl stop k3s");
        assert!(stopped().starts_with("k3s.service was stopped; to systemd it is "));
        on(lab, "maia", "systemctl start k3s; sleep 0.3; systemctl stop k3s");
        assert!(stopped().starts_with("k3s.service was stopped; to systemd it is "));
        on(lab, "maia", "systemctl start k3s");
        drop_in("[Service]\\nExecStop=/bin/kill -KILL $MAINPID\\n");
        is_well(lab);
        on(lab, "maia", "systemctl stop k3s");
        assert_eq!(stopped(), "k3s.service was stopped; to systemd it is failed (failed, signal)");
        let status = xtask(lab, &["status"]).expect(0).stdout;
        assert!(status.contains("k3s.service was stopped: systemctl start k3s.service"), "{status}");
        assert!(!status.contains("failed"), "{status}");

        // The same result, and nobody stopped it.
        let broken = "[Service]\\nExecStart=\\nExecStart=/bin/sh -c \"echo it went wrong; exit 1\"\\n";
        drop_in(broken);
        on(lab, "maia", "systemctl start k3s || true");
        let found = finds(lab, &[], 7, &[("maia", "k3s-failed")]);
        let evidence = found[0]["evidence"].to_string();
        assert!(evidence.contains("auto-restart") && evidence.contains("it went wrong"), "{evidence}");
        // Stopped while it waits to be started again, it is stopped.
        on(lab, "maia", "systemctl stop k3s");
        assert!(
            stopped().starts_with("k3s.service was stopped; to systemd it is inactive (dead, exit-code)")
        );
        // Started too often, it stays as it is with the result of its last end.
        drop_in(&format!(
            "{broken}RestartSec=100ms\\n[Unit]\\nStartLimitIntervalSec=60\\nStartLimitBurst=3\\n"
        ));
        on(lab, "maia", "systemctl reset-failed k3s; systemctl start k3s || true");
        wait_for("systemd gives up", 20, || on(lab, "maia", "systemctl is-active k3s || true") == "failed");
        let found = finds(lab, &[], 7, &[("maia", "k3s-failed")]);
        let evidence = found[0]["evidence"][0].as_str().unwrap();
        assert_eq!(
            evidence,
            "k3s.service has failed, and is not started again; to systemd it is failed (failed, exit-code)"
        );
    });
}

#[test]
fn a_hosts_own_troubles() {
    in_lab("doctor::a_hosts_own_troubles", |lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        let on_maia = |cause_: &str, make: &str, mend: &str| cause(lab, "maia", cause_, make, mend);
        on_maia("k3s-stopped", "systemctl stop k3s", "systemctl start k3s");
        let unit = "/run/systemd/system/k3s.service.d";
        let fails = |line: &str| {
            format!(
                "mkdir -p {unit} && printf '[Service]\\nExecStart=\\nExecStart=/bin/sh -c \"echo {line}; exit 1\"\\n' > \
                 {unit}/it.conf && systemctl daemon-reload && {RESTART}"
            )
        };
        let mended = format!(
            "rm -r {unit}; systemctl daemon-reload; systemctl reset-failed k3s; systemctl restart k3s"
        );
        let found = on_maia("k3s-failed", &fails("it went wrong"), &mended);
        assert!(found.contains("it went wrong"), "{found}");
        let absent = "systemctl stop k3s; cp -P /etc/systemd/system/k3s.service /root/ && rm /etc/systemd/system/k3s.service && \
                      systemctl daemon-reload";
        let back =
            "cp -P /root/k3s.service /etc/systemd/system/ && systemctl daemon-reload && systemctl start k3s";
        on_maia("k3s-absent", absent, back);
        on_maia(
            "containerd-down",
            "systemctl stop containerd",
            "systemctl start containerd; systemctl restart k3s",
        );
        let socket = "/run/containerd/containerd.sock";
        on_maia("containerd-down", &format!("rm {socket}"), "systemctl restart containerd");
        on_maia("flannel-missing", "ip link delete flannel.1", "systemctl restart k3s");
        // Where the server is told so, in whatever way, there is none to be missed, on no host.
        on(lab, "maia", "ip link delete flannel.1");
        let settings = "/etc/rancher/k3s/config.yaml.d";
        on(
            lab,
            "ocean",
            &format!(
                "mkdir -p {settings} && echo 'flannel-backend: \"none\" # cilium' > {settings}/cni.yaml"
            ),
        );
        is_well(lab);
        on(lab, "ocean", &format!("rm -r {settings}"));
        finds(lab, &[], 7, &[("maia", "flannel-missing")]);
        let flag = format!(
            "mkdir -p {unit} && {{ echo [Service]; echo ExecStart=; sed -n '/^ExecStart=/,/[^\\\\]$/p' /etc/systemd/system/k3s.service | \
             sed '$s/$/ --flannel-backend=none/'; }} > {unit}/it.conf && systemctl daemon-reload"
        );
        on(lab, "ocean", &flag);
        is_well(lab);
        on(lab, "ocean", &format!("rm -r {unit}; systemctl daemon-reload"));
        on(lab, "maia", "systemctl restart k3s");
        is_well(lab);
        on_maia(
            "failed-units",
            "systemd-run --quiet --unit=trouble false || true; sleep 0.3",
            "systemctl reset-failed trouble",
        );
        let full = "mkdir -p /var/lib/containerd && mount -t tmpfs -o size=1M small /var/lib/containerd";
        let found = on_maia("disk-full", full, "umount /var/lib/containerd");
        assert!(found.contains("1 MiB free on /var/lib/containerd"), "{found}");
        let inodes =
            "mkdir -p /var/lib/containerd && mount -t tmpfs -o nr_inodes=10 small /var/lib/containerd";
        on_maia("disk-full", inodes, "umount /var/lib/containerd");
        on_maia("tailscale-down", "systemctl stop tailscaled", "systemctl start tailscaled");
        let timer = "systemd-run --quiet --unit=xtask-rollback --on-active=600 true";
        on_maia("rollback-armed", timer, "systemctl stop xtask-rollback.timer");
        let profile = "/nix/var/nix/profiles/system";
        let other = format!("readlink {profile} > /root/link; ln -sfn /nix/store/0-other-system {profile}");
        on_maia("boot-default-differs", &other, &format!("ln -sfn $(cat /root/link) {profile}"));
        // The lab's machines filter nothing: a firewall's rules, as NixOS would show them.
        let firewall = "bin=$(readlink -f /run/current-system/sw/bin) && cp -a $bin /root/bin && chmod u+w /root/bin && printf \
                        '#!/bin/sh\\necho -A nixos-fw -i lo -j nixos-fw-accept\\n' > /root/bin/iptables && chmod +x \
                        /root/bin/iptables && mount --bind /root/bin $bin";
        on_maia("vxlan-closed", firewall, "umount $(readlink -f /run/current-system/sw/bin)");

        let knob = |line: &str| {
            format!("mkdir -p /etc/rancher; echo {line} > /etc/rancher/stand-in.env; systemctl restart k3s")
        };
        let no_knob = "rm /etc/rancher/stand-in.env; systemctl restart k3s";
        on_maia("kubelet-unreachable", &knob("K3S_STANDIN_KUBELET_PORT=10251"), no_knob);
        // The server signs all certificates, and makes its own admin's at each start.
        for (days, name) in [(10, "certificate-near"), (-1, "certificate-expired")] {
            let found = cause(
                lab,
                "ocean",
                name,
                &knob(&format!("K3S_STANDIN_CERT_DAYS=client-admin={days}")),
                no_knob,
            );
            assert!(found.contains("client-admin.crt"), "{found}");
        }
        let found = on_maia("certificate-not-valid", &knob("K3S_STANDIN_CLOCK_SKEW=400000000"), no_knob);
        assert!(found.contains("certificate has expired or is not yet valid"), "{found}");
        let found = on_maia("clock-skew", WRONG, "umount /usr/bin/date");
        assert!(found.contains("ahead of ours"), "{found}");
        for host in ["maia", "ocean"] {
            on(lab, host, WRONG);
        }
        finds(lab, &[], 7, &[("", "own-clock")]);
        for host in ["maia", "ocean"] {
            on(lab, host, "umount /usr/bin/date");
        }

        // Packets from the server get no answer, as behind a firewall; then the agent itself has no way.
        on(lab, "ocean", "ip route add blackhole 100.64.0.5/32");
        let found = finds(lab, &[], 7, &[("maia", "server-unreachable")]);
        assert!(found[0].to_string().contains("as from a firewall"), "{found:?}");
        on(lab, "ocean", "ip route del blackhole 100.64.0.5/32");
        is_well(lab);
        on_maia(
            "server-unreachable",
            "ip route add unreachable 100.64.0.6/32",
            "ip route del unreachable 100.64.0.6/32",
        );
    });
}

#[test]
fn the_server_and_the_nodes() {
    in_lab("doctor::the_server_and_the_nodes", |lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        // Asked about the agent alone, the server's trouble is told all the same.
        on(lab, "ocean", "systemctl stop k3s");
        finds(lab, &["maia"], 7, &[("ocean", "k3s-stopped")]);
        on(lab, "ocean", "systemctl start k3s");
        is_well(lab);
        let secret = "/run/agenix/k3s-server-token";
        on(lab, "ocean", &format!("cp -L {secret} /root/kept && sed 's/.$/x/' /root/kept > {secret}"));
        finds(lab, &[], 7, &[("ocean", "server-token-changed")]);
        on(lab, "ocean", RESTART);
        std::thread::sleep(Duration::from_secs(3));
        let found = finds(lab, &[], 7, &[("ocean", "server-token-changed")]);
        assert!(found[0].to_string().contains("encrypted with different token"), "{found:?}");
        on(
            lab,
            "ocean",
            &format!("cat /root/kept > {secret} && systemctl reset-failed k3s; systemctl restart k3s"),
        );
        is_well(lab);
        let server = "/var/lib/rancher/k3s/server";
        let link_it =
            format!("mv {server}/agent-token /root/agent-token && ln -s token {server}/agent-token");
        cause(
            lab,
            "ocean",
            "no-agent-token",
            &link_it,
            &format!("mv -f /root/agent-token {server}/agent-token"),
        );
        let unit = "/run/systemd/system/k3s.service.d";
        let newer = format!(
            "mkdir -p {unit} && printf '[Service]\\nExecStart=\\nExecStart=/bin/sh -c \"echo {server}/cred/passwd newer than \
             datastore; exit 1\"\\n' > {unit}/it.conf && systemctl daemon-reload && {RESTART}"
        );
        let mended = format!(
            "rm -r {unit}; systemctl daemon-reload; systemctl reset-failed k3s; systemctl restart k3s"
        );
        cause(lab, "ocean", "passwd-newer", &newer, &mended);

        let on_server = |host: &str, name: &str, make: &str, mend: &str| {
            on(lab, "ocean", make);
            finds(lab, &[], 7, &[(host, name)]);
            if host == "maia" && !mend.is_empty() {
                on(lab, "ocean", mend);
            }
        };
        on_server("maia", "node-cordoned", "k3s kubectl cordon maia", "k3s kubectl uncordon maia");
        is_well(lab);
        on_server("maia", "node-missing", "k3s kubectl delete node maia", "");
        on(lab, "maia", "systemctl restart k3s");
        is_well(lab);
        cause(
            lab,
            "maia",
            "node-not-ready",
            "systemctl kill --signal=STOP k3s",
            "systemctl kill --signal=CONT k3s",
        );
    });
}

/// The repository of the lab, bent and put back.
struct Bent {
    file: std::path::PathBuf,
    kept: Vec<u8>,
}

impl Bent {
    fn of(lab: &Lab, file: &str, bend: impl FnOnce(String) -> String) -> Self {
        let file = lab.deployer().repository().join(file);
        let kept = fs::read(&file).unwrap();
        fs::write(&file, bend(String::from_utf8_lossy(&kept).into_owned())).unwrap();
        Self { file, kept }
    }
}

impl Drop for Bent {
    fn drop(&mut self) {
        let _ = fs::write(&self.file, &self.kept);
    }
}

#[test]
fn the_repository_and_the_way_to_a_host() {
    in_lab("doctor::the_repository_and_the_way_to_a_host", |lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        let fleet = |bend: &dyn Fn(String) -> String| Bent::of(lab, "hosts/fleet.toml", bend);
        let maia = |from: &str, to: &str| {
            fleet(&|text| {
                let (before, maia) = text.split_at(text.find("[hosts.maia]").unwrap());
                assert!(maia.contains(from), "{maia}");
                format!("{before}{}", maia.replacen(from, to, 1))
            })
        };
        let addresses = "addresses = [\"maia.mercury\", \"100.64.0.5\"]";
        for (to, name) in [
            ("addresses = [\"nowhere.invalid\"]", "name-unresolved"),
            ("addresses = [\"nowhere.invalid\", \"10.99.99.99\"]", "no-route"),
        ] {
            let _bent = maia(addresses, to);
            let found = finds(lab, &[], 4, &[("maia", name)]);
            assert_eq!(
                found[0]["evidence"].as_array().unwrap().len(),
                to.matches('"').count() / 2,
                "{found:?}"
            );
        }
        {
            let _bent = maia(addresses, &format!("{addresses}\nssh_user = \"nobody\""));
            finds(lab, &["--sudo"], 4, &[("maia", "login-refused")]);
            let found = finds(lab, &[], 4, &[("maia", "login-refused")]);
            assert!(found[0]["evidence"][0].as_str().unwrap().contains("Permission denied"), "{found:?}");
        }
        {
            let key = lab.fleet().hosts["maia"].ssh_host_key.clone().unwrap();
            let line = format!("ssh_host_key = \"{}\"", key.as_str());
            let other = on(lab, "maia", "ssh-keygen -qt ed25519 -N '' -f /root/other; cat /root/other.pub");
            let other = other.split(' ').take(2).collect::<Vec<_>>().join(" ");
            let bent = maia(&line, &format!("ssh_host_key = \"{other}\""));
            finds(lab, &[], 4, &[("maia", "wrong-host-key")]);
            drop(bent);
            let _bent = maia(&line, "");
            let found = finds(lab, &[], 4, &[("maia", "not-asked")]);
            assert_eq!(found[0]["hint"], "cargo xtask init");
        }
        {
            let _bent = fleet(&|text| text.replace("interface = \"tailscale0\"", "interface = \"wg0\""));
            finds(lab, &[], 7, &[("maia", "interface-missing"), ("ocean", "interface-missing")]);
        }
        {
            let _bent = maia("node_ip = \"100.64.0.5\"", "node_ip = \"100.64.0.77\"");
            finds(lab, &[], 7, &[("maia", "address-missing")]);
            on(lab, "maia", "ip addr add 100.64.0.77/10 dev tailscale0");
            finds(lab, &[], 7, &[("maia", "node-address")]);
            on(lab, "maia", "ip addr del 100.64.0.77/10 dev tailscale0");
        }
        {
            let _bent = fleet(&|text| text[..text.find("[hosts.maia]").unwrap()].to_owned());
            finds(lab, &[], 7, &[("", "node-unknown")]);
        }
        {
            let secrets = lab.deployer().repository().join("secrets");
            let (agent, kept) = (secrets.join("k3s-agent-token.age"), secrets.join("kept"));
            fs::rename(&agent, &kept).unwrap();
            fs::copy(secrets.join("k3s-server-token.age"), &agent).unwrap();
            finds(lab, &[], 7, &[("maia", "not-a-recipient")]);
            fs::rename(&kept, &agent).unwrap();
        }
        is_well(lab);

        on(
            lab,
            "maia",
            "systemd-run --quiet sh -c 'systemctl stop sshd; sleep 5; systemctl start sshd'; sleep 0.5",
        );
        finds(lab, &[], 4, &[("maia", "ssh-refused")]);
        link("maia", "down");
        // The node is not Ready meanwhile, which is no finding of its own.
        std::thread::sleep(Duration::from_secs(8));
        finds(lab, &[], 4, &[("maia", "ssh-silent")]);
        link("maia", "up");
        is_well(lab);
        what_a_person_sees(lab);
    });
}

fn what_a_person_sees(lab: &Lab) {
    let plain = |args: &[&str]| -> Answer { xtask(lab, &[&["doctor"], args].concat()) };
    let lines = plain(&[]).expect(0).stdout;
    assert_eq!(lines.lines().count(), 3, "{lines}");
    assert!(lines.lines().all(|line| line.starts_with("✓ ") && line.contains("all is well")), "{lines}");
    on(lab, "maia", "systemctl stop k3s");
    expect_test::expect![[r#"
        ✗ maia     one finding
          error: k3s was stopped (k3s-stopped)
            │ k3s.service was stopped; to systemd it is inactive (dead)
          hint: on maia: systemctl start k3s.service
        ✓ ocean    all is well, 16 checks
        ✗ mercury  1 of 2 nodes Ready
    "#]]
    .assert_eq(&plain(&[]).expect(7).stdout);
    assert_eq!(plain(&["maia", "--dry-run"]).expect(0).stdout, "would ask maia, ocean, and change nothing\n");
    on(lab, "maia", "systemctl start k3s");
}
