//! Where things are built, over which address a host is reached, how far a deploy goes.

use std::fs;

use lab::Lab;

use crate::support::{XTASK, in_lab, on, xtask};

/// Changes the copied repository's fleet.toml.
fn edit_fleet(lab: &Lab, from: &str, to: &str) {
    let path = lab.deployer().repository().join("hosts/fleet.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from} is not in:\n{text}");
    fs::write(&path, text.replace(from, to)).unwrap();
}

fn running(lab: &Lab, host: &str) -> String {
    on(lab, host, "readlink -f /run/current-system")
}

fn boot_default(lab: &Lab, host: &str) -> String {
    on(lab, host, "readlink -f /nix/var/nix/profiles/system")
}

/// A change of a host's system that touches no unit.
fn change(lab: &Lab, host: &str, text: &str) {
    let module = lab.deployer().repository().join(format!("hosts/{host}/default.nix"));
    let old = fs::read_to_string(&module).unwrap();
    let end = old.rfind('}').unwrap();
    fs::write(&module, format!("{}environment.etc.\"{text}\".text = \"{text}\";\n}}\n", &old[..end]))
        .unwrap();
}

#[test]
fn every_placement_and_every_goal() {
    in_lab("placement::every_placement_and_every_goal", |lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        let (old, old_boot) = (running(lab, "ocean"), boot_default(lab, "ocean"));
        assert_eq!(old, old_boot);

        change(lab, "ocean", "first");
        // A dry run does nothing at all: no ssh, no build.
        let logins = || on(lab, "ocean", "journalctl -u sshd.service --no-pager | grep -c Accepted");
        let before = logins();
        let plan = xtask(lab, &["deploy", "ocean", "--dry-run"]).expect(0);
        assert!(plan.stdout.contains("build its system on the host itself"), "{}", plan.stdout);
        assert_eq!(logins(), before, "nobody logged in");

        xtask(lab, &["deploy", "ocean", "--goal", "build"]).expect(0);
        let module = fs::read_to_string(lab.deployer().repository().join("hosts/ocean/default.nix")).unwrap();
        let older = module.replacen("{ lib, ... }:", "{ lib, pkgs, ... }:", 1).replacen(
            "system.stateVersion",
            "services.k3s.package = pkgs.k3s_1_34;\n  system.stateVersion",
            1,
        );
        fs::write(lab.deployer().repository().join("hosts/ocean/default.nix"), older).unwrap();
        let shown = xtask(lab, &["deploy", "ocean", "--goal", "dry-activate"]).expect(0).stdout;
        assert!(
            shown.starts_with("\nocean  ocean-26.05-rehearsal (") && shown.contains("\n  changed  k3s 1."),
            "{shown}"
        );
        assert!(shown.contains("\n  size     ") && shown.contains("k3s.service"), "{shown}");
        fs::write(lab.deployer().repository().join("hosts/ocean/default.nix"), module).unwrap();
        assert_eq!((running(lab, "ocean"), boot_default(lab, "ocean")), (old.clone(), old.clone()));
        xtask(lab, &["deploy", "ocean", "--goal", "boot"]).expect(0).says("reboot it to run the new system");
        let first = boot_default(lab, "ocean");
        assert_ne!(first, old);
        assert_eq!(running(lab, "ocean"), old);
        xtask(lab, &["deploy", "ocean", "--goal", "test"]).expect(0);
        assert_eq!(running(lab, "ocean"), first);

        // Built on the deployer and copied; then built on the other host.
        edit_fleet(lab, "node_ip = \"100.64.0.6\"\n", "node_ip = \"100.64.0.6\"\ntags = [\"edge\"]\n");
        edit_fleet(lab, "build_on = \"target\"\ntaints", "build_on = \"ocean\"\ntaints");
        edit_fleet(lab, "build_on = \"target\"\n", "build_on = \"local\"\n");
        change(lab, "ocean", "second");
        xtask(lab, &["deploy", "--tag", "edge", "--goal", "build"]).expect(0);
        let roots = on(lab, "ocean", "nix-store --gc --print-roots");
        let kept = roots.lines().find_map(|line| line.strip_prefix("/run/xtask/next -> "));
        xtask(lab, &["deploy", "--tag", "edge"]).expect(0);
        let second = running(lab, "ocean");
        assert_eq!(kept, Some(second.as_str()), "a garbage collection there left it alone:\n{roots}");
        assert!(second != first && boot_default(lab, "ocean") == second);
        assert!(fs::metadata(&second).is_ok(), "it was built here");
        change(lab, "maia", "third");
        let maia = running(lab, "maia");
        xtask(lab, &["deploy", "--role", "agent"]).expect(0);
        assert_ne!(running(lab, "maia"), maia);
        assert!(on(lab, "ocean", &format!("ls -d {}", running(lab, "maia"))).starts_with("/nix/store/"));

        // The first address is dead: the second is used, and nothing else changes.
        edit_fleet(lab, "\"maia.mercury\", \"100.64.0.5\"", "\"100.64.99.99\", \"100.64.0.5\"");
        xtask(lab, &["verify", "maia"]).expect(0).says("root@100.64.0.5");
    });
}

#[test]
fn a_host_that_is_this_machine_is_deployed_without_ssh() {
    in_lab("placement::a_host_that_is_this_machine_is_deployed_without_ssh", |lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        change(lab, "ocean", "from-itself");
        // The tool, the repository and the stand-ins as ocean's administrator would have them there.
        let root = lab.machine("ocean").root();
        let copy = |from: &str, to: &str| {
            let to = root.join(to);
            crate::support::run(&["cp", "-a", from, to.to_str().unwrap()], root, &[]).expect(0);
        };
        copy("/cluster", "cluster");
        copy("/opt", "opt");
        copy("/root/.gitconfig", "root/.gitconfig");
        copy("/root/.ssh/id_ed25519", "root/.ssh/id_ed25519");
        assert!(fs::metadata(XTASK).is_err(), "the lab does not see the folder that the test was built in");
        let old = running(lab, "ocean");
        let deploy = "cd /cluster && PATH=/opt/bin:$PATH /opt/xtask --override-input nixpkgs path:/opt/nixpkgs \
                      --override-input agenix path:/opt/agenix deploy 2>&1";
        let said = on(lab, "ocean", deploy);
        assert!(said.contains("this machine, without ssh"), "{said}");
        assert_ne!(running(lab, "ocean"), old);
        assert_eq!(running(lab, "ocean"), boot_default(lab, "ocean"));
        // On the deployer, which is no host of the fleet, a name is needed.
        xtask(lab, &["deploy"]).expect(2).says("this machine is none of the fleet's hosts");
    });
}

#[test]
fn init_writes_the_keys_that_the_hosts_show() {
    in_lab("placement::init_writes_the_keys_that_the_hosts_show", |lab| {
        let path = lab.deployer().repository().join("hosts/fleet.toml");
        let with_keys = fs::read_to_string(&path).unwrap();
        let bare: Vec<&str> = with_keys.lines().filter(|line| !line.starts_with("ssh_host_key = ")).collect();
        fs::write(&path, bare.join("\n") + "\n").unwrap();
        xtask(lab, &["verify"]).expect(3).says("has no ssh_host_key");
        // Nobody can be asked here, so nothing is trusted.
        xtask(lab, &["init"]).expect(2).says("a host key has to be confirmed");
        assert_eq!(fs::read_to_string(&path).unwrap(), bare.join("\n") + "\n");
        let answer = xtask(lab, &["init", "--yes"]).expect(0);
        let key = lab.fleet().hosts["maia"].ssh_host_key.as_ref().unwrap();
        assert!(answer.stdout.contains(&key.fingerprint()), "{}", answer.stdout);
        let fleet = fleet::Fleet::parse(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(&fleet, lab.fleet());
        assert!(xtask(lab, &["init", "--yes"]).expect(0).stdout.contains("nothing to do"));
        xtask(lab, &["bootstrap-cluster"]).expect(0);
    });
}
