//! The main paths on machines with another system than this machine's: that of the folder which `XTASK_TEST_ROOT` names, as
//! `cargo xtask rehearse --root DIR --install` makes it. Without the variable such a test says that it was left out, and passes;
//! `--skip other_system::` leaves it out.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use lab::{Lab, Options};

use crate::faults::battery::{systems, wait_for};
use crate::node::{commit, in_lab_with_a_new_machine_of, node_names};
use crate::support::{Clone, XTASK, configure, enter_lab_with, on, run, run_fed, try_on, xtask};

const ROOT: &str = "XTASK_TEST_ROOT";
/// A K3s in place of the stand-in there, and an archive of images.
const K3S: &str = "XTASK_TEST_K3S";
const IMAGE: &str = "XTASK_TEST_IMAGE";

/// A unit that fails: the gate's business.
const TROUBLE: &str = "systemd.services.trouble = { wantedBy = [ \"multi-user.target\" ]; \
                       serviceConfig = { Type = \"oneshot\"; ExecStart = \"/bin/false\"; }; };";

/// The folder; nothing where none is named.
fn root(test: &str) -> Option<PathBuf> {
    let root = named(ROOT).pop();
    if root.is_none() {
        println!("{test} was left out: it needs the system of a folder; {ROOT}=DIR runs it");
    }
    root
}

/// Files, `:` between them.
fn named(variable: &str) -> Vec<PathBuf> {
    let value: OsString = std::env::var_os(variable).unwrap_or_default();
    std::env::split_paths(&value).filter(|path| !path.as_os_str().is_empty()).collect()
}

#[test]
fn the_main_paths() {
    let test = "other_system::the_main_paths";
    if let Some(root) = root(test) {
        // Before the lab is entered, where the folder still is.
        let release = fs::read_to_string(root.join("usr/lib/os-release")).unwrap_or_default();
        let options = Options { root: Some(root), ..Options::default() };
        in_lab_with_a_new_machine_of(&options, test, "new-agent", |lab| {
            for host in ["ocean", "maia", "new-agent"] {
                assert_eq!(on(lab, host, "cat /etc/os-release /usr/lib/os-release"), twice(&release));
            }
            the_main_paths_of(lab);
            rotate(lab, &["--agent", "--server"]);
        });
    }
}

mod real {
    use super::*;

    #[test]
    fn the_main_paths() {
        let test = "other_system::real::the_main_paths";
        let k3s = named(K3S);
        let Some(root) = root(test) else { return };
        if k3s.is_empty() {
            println!("{test} was left out: it needs a real K3s; {K3S}=FILE runs it");
            return;
        }
        let k3s = k3s.iter().take(1).map(|file| lab::K3s::at(file).unwrap()).collect();
        let options = Options { root: Some(root), k3s, images: named(IMAGE) };
        in_lab_with_a_new_machine_of(&options, test, "new-agent", |lab| {
            the_main_paths_of(lab);
            if !named(IMAGE).is_empty() {
                a_pod_runs(lab);
            }
            rotate(lab, &["--server"]);
        });
    }
}

fn twice(text: &str) -> String {
    format!("{0}\n{0}", text.trim())
}

/// A fleet of ocean and maia, and a machine new-agent beside.
fn the_main_paths_of(lab: &Lab) {
    xtask(lab, &["bootstrap-cluster"]).expect(0);
    commit(lab);
    wait_for("a second run has nothing to do", 60, || {
        xtask(lab, &["bootstrap-cluster"]).expect(0).stderr.contains("all is well; nothing was changed")
    });
    xtask(lab, &["verify"]).expect(0).says("all is well");
    xtask(lab, &["doctor"]).expect(0);
    xtask(lab, &["check"]).expect(0);

    // A change, built on the host, then here, then on the other host; and back.
    let before = systems(lab, "maia");
    for (number, build_on) in ["target", "local", "ocean"].iter().enumerate() {
        let fleet = lab.deployer().repository().join("hosts/fleet.toml");
        let text = fs::read_to_string(&fleet).unwrap();
        let at = text.find("[hosts.maia]").unwrap();
        let maia = text[at..].replacen("build_on = \"target\"", &format!("build_on = \"{build_on}\""), 1);
        fs::write(&fleet, format!("{}{maia}", &text[..at])).unwrap();
        configure(lab, "maia", &format!("environment.etc.change{number}.text = \"{build_on}\";"));
        xtask(lab, &["deploy", "maia"]).expect(0);
        assert_eq!(on(lab, "maia", &format!("cat /etc/change{number}")), *build_on);
        fs::write(&fleet, text).unwrap();
    }
    let after = systems(lab, "maia");
    assert!(after.running != before.running && after.boot == after.running, "{after:?}");
    let answer = xtask(lab, &["deploy", "maia", "--goal", "dry-activate"]).expect(0);
    assert!(answer.stderr.contains("maia"), "{}", answer.stderr);
    xtask(lab, &["rollback", "maia"]).expect(0);
    assert_eq!(on(lab, "maia", "ls /etc/change2 2> /dev/null || echo gone"), "gone");
    xtask(lab, &["deploy", "maia"]).expect(0);

    // What does not pass its gate does not stay.
    let before = systems(lab, "maia");
    let module = configure(lab, "maia", TROUBLE);
    let answer = xtask(lab, &["deploy", "maia", "--gate-timeout", "1"]).expect(7);
    answer.says("trouble.service failed").says("note: rolled back: maia runs ");
    assert_eq!(systems(lab, "maia"), before);
    let timers = "systemctl list-units --all --plain --no-legend 'xtask-rollback*'";
    assert_eq!(on(lab, "maia", timers), "");
    fs::write(lab.deployer().repository().join("hosts/maia/default.nix"), module).unwrap();

    // A reboot.
    let boot_id = || try_on(lab, "maia", "cat /proc/sys/kernel/random/boot_id").stdout;
    let id = boot_id();
    configure(lab, "maia", "environment.etc.booted.text = \"\";");
    xtask(lab, &["deploy", "maia", "--goal", "boot", "--reboot"]).expect(0);
    assert_ne!(boot_id(), id);
    wait_for("verify is content", 60, || xtask(lab, &["verify"]).code == 0);

    // A node comes and goes.
    commit(lab);
    xtask(lab, &["node", "add", "new-agent", "--role", "agent", "--yes"]).expect(0);
    assert_eq!(node_names(lab), ["maia", "new-agent", "ocean"]);
    commit(lab);
    xtask(lab, &["node", "remove", "new-agent", "--yes"]).expect(0);
    assert_eq!(node_names(lab), ["maia", "ocean"]);

    xtask(lab, &["kubeconfig"]).expect(0);
    let script = "kubectl get nodes --output name && ssh maia hostname";
    let argv = lab.script(script.as_bytes()).unwrap().argv();
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    let answer = run(&argv, &lab.deployer().repository(), &[]).expect(0);
    assert_eq!(answer.stdout, "node/maia\nnode/ocean\nmaia\n");
    assert!(xtask(lab, &["status"]).expect(0).stdout.contains("2 of 2 nodes Ready"));
    assert!(xtask(lab, &["logs", "maia", "-n", "3"]).expect(0).stdout.contains(" maia k3s["));
}

fn rotate(lab: &Lab, tokens: &[&str]) {
    for whose in tokens {
        xtask(lab, &["token", "rotate", whose]).expect(0);
        wait_for("verify is content", 60, || xtask(lab, &["verify"]).code == 0);
        xtask(lab, &["token", "check"]).expect(0);
    }
}

/// With the pause image of whichever version this containerd asks for.
fn a_pod_runs(lab: &Lab) {
    let pod = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "wait"}, "spec": {"nodeName": "ocean",
        "tolerations": [{"operator": "Exists"}], "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "wait", "image": "rehearsal.invalid/wait:1", "imagePullPolicy": "Never"}]}}"#;
    let script = format!(
        "kubectl create -f - <<< '{pod}' && kubectl wait --for=condition=Ready pod/wait --timeout=60s"
    );
    let argv = lab.script(script.as_bytes()).unwrap().argv();
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    run(&argv, &lab.deployer().repository(), &[]).expect(0);
}

/// Through sudo, and the Nix daemon of that system.
#[test]
fn who_is_not_root_works_through_sudo() {
    let test = "other_system::who_is_not_root_works_through_sudo";
    if let Some(root) = root(test) {
        let fleet = || {
            let clone = Clone::in_namespace();
            for host in ["maia", "ocean"] {
                let table = format!("[hosts.{host}]\n");
                clone.fleet(&table, &format!("{table}ssh_user = \"deploy\"\n"));
            }
            clone
        };
        let options = Options { root: Some(root), ..Options::default() };
        enter_lab_with(&options, test, fleet, |lab| {
            xtask(lab, &["bootstrap-cluster", "--sudo"]).expect(0);
            xtask(lab, &["bootstrap-cluster", "--sudo"]).expect(0).says("all is well; nothing was changed");
            configure(lab, "maia", "environment.etc.changed.text = \"\";");
            xtask(lab, &["deploy", "maia", "--sudo"]).expect(0);
        });
    }
}

/// By the option, from outside of the lab.
#[test]
fn rehearse_takes_the_folder() {
    if let Some(root) = root("other_system::rehearse_takes_the_folder") {
        let root_text = root.to_str().unwrap();
        let argv = [XTASK, "rehearse", "--root", root_text, "--shell", "--", "node", "list"];
        let script = b"cat /usr/lib/os-release /etc/os-release; ssh maia cat /usr/lib/os-release";
        let answer = run_fed(&argv, Clone::new().path(), &[], script).expect(0);
        let release = fs::read_to_string(root.join("usr/lib/os-release")).unwrap();
        assert!(answer.stdout.ends_with(&release.repeat(3)), "{}", answer.stdout);
    }
}
