//! Hosts that are logged into as somebody who is not root: through sudo, with and without a password.

use std::path::Path;

use lab::Lab;

use crate::leaks::{Watch, files_with};
use crate::support::{Answer, Clone, configure, enter_lab, on, run, run_at_terminal, xtask};

const HOSTS: [&str; 2] = ["maia", "ocean"];
const PASSWORD: &str = "plain sailing 7";
const QUESTION: &str = "sudo password of deploy";

fn fleet() -> Clone {
    let clone = Clone::in_namespace();
    for host in HOSTS {
        let table = format!("[hosts.{host}]\n");
        clone.fleet(&table, &format!("{table}ssh_user = \"deploy\"\n"));
    }
    clone
}

/// The tool at a terminal, with a person who types this password.
fn typing(lab: &Lab, args: &[&str], password: &str) -> Answer {
    let argv = lab.deployer().xtask().args(args).argv();
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    let keys = format!("{password}\n");
    run_at_terminal(&argv, &lab.deployer().repository(), &[("TERM", "xterm")], (QUESTION, &keys))
}

#[test]
fn who_is_not_root_works_through_sudo() {
    enter_lab("sudo::who_is_not_root_works_through_sudo", fleet, |lab| {
        let refused = xtask(lab, &["bootstrap-cluster"]).expect(2);
        refused.says("maia is logged into as deploy, who is not root there").says("hint: --sudo");
        let first = xtask(lab, &["bootstrap-cluster", "--sudo"]).expect(0);
        assert!(first.line("done  ocean  connect").contains("deploy@ocean.mercury"), "{}", first.stderr);
        let again = xtask(lab, &["bootstrap-cluster", "--sudo"]).expect(0);
        again.says("all is well; nothing was changed");
        xtask(lab, &["kubeconfig", "--sudo"]).expect(0);

        for host in HOSTS {
            let ask = "sed -i 's/NOPASSWD: //' /etc/sudoers && usermod --password \"$(openssl passwd -6 'plain sailing 7')\" deploy";
            on(lab, host, ask);
        }
        let alone = xtask(lab, &["verify", "--sudo"]).expect(2);
        alone.says("asks for a password, and nobody can be asked here").says("wheelNeedsPassword");
        let wrong = typing(lab, &["verify", "--sudo"], "something else").expect(4);
        assert_eq!(wrong.stdout.matches(QUESTION).count(), 3, "{}", wrong.stdout);
        assert!(wrong.stdout.contains("does not take the password of deploy"), "{}", wrong.stdout);

        let watch = Watch::start();
        configure(lab, "maia", "environment.etc.changed.text = \"\";");
        let deploy = typing(lab, &["deploy", "--all", "--sudo"], PASSWORD).expect(0);
        assert_eq!(deploy.stdout.matches(QUESTION).count(), 1, "asked once: {}", deploy.stdout);
        on(lab, "maia", "test -e /etc/changed");
        typing(lab, &["rollback", "maia", "--sudo", "-v"], PASSWORD).expect(0);
        on(lab, "maia", "test ! -e /etc/changed");
        assert!(!watch.saw(PASSWORD), "in an argv or an environment");
        assert!(!deploy.stdout.contains(PASSWORD), "on the screen: {}", deploy.stdout);
        assert_eq!(files_with(Path::new("/"), PASSWORD), Vec::<String>::new(), "on the deployer");
        for host in HOSTS {
            assert_eq!(files_with(lab.machine(host).root(), PASSWORD), Vec::<String>::new(), "on {host}");
            let journal = on(lab, host, "journalctl --no-pager --output export");
            assert!(!journal.contains(PASSWORD), "in the journal of {host}");
        }
        // Positive control: it is seen where it is.
        run(&["sh", "-c", "sleep 0.3", PASSWORD], Path::new("/"), &[]).expect(0);
        assert!(watch.saw(PASSWORD));
    });
}
