//! Hosts that are logged into as somebody who is not root: through sudo, with and without a password.

use std::path::Path;

use lab::Lab;

use crate::faults::battery::wait_for;
use crate::leaks::{Watch, files_with};
use crate::support::{
    Answer, Clone, argv_in, configure, enter_lab, on, run, run_at_terminal, xtask, xtask_in,
};

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
    xtask_in("TERM=xterm", lab, args, (QUESTION, &format!("{password}\n")))
}

/// Behind the password there is the beat, and the end of it reaches a journalctl that is root's.
fn follow_to_the_end(lab: &Lab) {
    let argv = argv_in("TERM=xterm", lab, &["logs", "maia", "-f", "-n", "1", "--sudo"]);
    let line = format!("{} | head -n 1", remote::quote_all(&argv));
    let argv = ["sh", "-c", &line];
    let keys = format!("{PASSWORD}\n");
    // More than one line, whenever the login is done: only the second one finds that its reader has gone.
    let restart = || on(lab, "maia", "for _ in 1 2 3 4 5; do sleep 4; systemctl restart k3s.service; done");
    let shown = std::thread::scope(|scope| {
        scope.spawn(restart);
        run_at_terminal(&argv, &lab.deployer().repository(), &[], (QUESTION, &keys))
    });
    assert!(shown.expect(0).stdout.contains(" maia "), "a line");
    let left = || on(lab, "maia", "pgrep journalctl || true");
    wait_for("nothing follows on maia", 5, || left().is_empty());
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
        let status = xtask(lab, &["status", "--drift", "--sudo"]).expect(0).stdout;
        assert_eq!(status.matches("as the flake says").count(), 2, "{status}");
        assert!(xtask(lab, &["logs", "maia", "--sudo"]).expect(0).stdout.contains(" maia k3s["));
        let told = xtask(lab, &["status"]).expect(4).stdout;
        assert!(told.contains("could not be asked") && told.contains("hint: --sudo"), "{told}");

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
        let status = typing(lab, &["status", "--drift", "--sudo"], PASSWORD).expect(0).stdout;
        assert_eq!(status.matches(QUESTION).count(), 1, "asked once, for the build too: {status}");
        follow_to_the_end(lab);
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
