//! The two K3s tokens: made, copied from the server, compared with what the nodes hold and the server accepts.

use crate::each_k3s::{Rehearsal, each_k3s};
use crate::leaks::Watch;
use crate::support::{Clone, on, xtask};

const SERVER_TOKEN: &str = "secrets/k3s-server-token.age";
const AGENT_TOKEN: &str = "secrets/k3s-agent-token.age";
/// Restarts K3s on maia and does not wait until it has joined, which it will not.
const RESTART: &str = "systemctl restart k3s.service";

each_k3s!(tokens_are_copied_compared_and_tried);

fn tokens_are_copied_compared_and_tried(rehearsal: &Rehearsal) {
    rehearsal.in_lab(|lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        let watch = Watch::start();
        let well = xtask(lab, &["token", "check"]).expect(0);
        for host in ["maia", "ocean"] {
            assert!(well.stdout.contains(&format!("{host}  its token is the secret's")), "{}", well.stdout);
        }
        let same = xtask(lab, &["token", "sync"]).expect(0).stdout;
        assert!(same.contains("holds the token of ocean already"), "{same}");
        // The full form has the same password: still all is well.
        let full = xtask(lab, &["token", "pull"]).expect(0).stdout;
        assert!(full.contains("::server:… copied from ocean, the same password in its full form"), "{full}");
        xtask(lab, &["token", "pull"]).expect(0);
        xtask(lab, &["token", "check"]).expect(0);
        let shown = xtask(lab, &["secrets", "show", SERVER_TOKEN]).expect(0).stdout;
        assert_eq!(shown.trim(), on(lab, "ocean", "cat /var/lib/rancher/k3s/server/token"));
        let password = shown.trim().rsplit(':').next().unwrap().to_owned();
        assert!(password.len() == 64 && !watch.saw(&password), "in an argv or an environment");
        xtask(lab, &["token", "generate"]).expect(2).says("is there already").says("token rotate");

        // An agent whose file has another token.
        on(lab, "maia", "echo wrong > /run/agenix/k3s-agent-token");
        let wrong = xtask(lab, &["token", "check", "maia"]).expect(7);
        wrong.says("error: maia: ocean refuses its token").says("hint: cargo xtask deploy maia");
        on(lab, "maia", ": > /run/agenix/k3s-agent-token");
        xtask(lab, &["token", "check", "maia"]).expect(7).says("it has no token");
        xtask(lab, &["token", "sync", "--deploy"]).expect(0);
        xtask(lab, &["token", "check"]).expect(0);
        on(lab, "maia", RESTART);

        // A server's token in the agents' secret.
        let repository = lab.deployer().repository();
        let swap = format!("cp {SERVER_TOKEN} {AGENT_TOKEN}");
        crate::support::run(&["sh", "-c", &swap], &repository, &[]).expect(0);
        let swapped = xtask(lab, &["token", "check", "--json"]).expect(7).stdout;
        assert!(swapped.contains("holds a server's token: agents could join as servers"), "{swapped}");
        xtask(lab, &["token", "sync"]).expect(0);
        xtask(lab, &["token", "check"]).expect(0);

        // The servers' secret edited: K3s would not start with it.
        let file = repository.join(SERVER_TOKEN);
        std::fs::remove_file(&file).unwrap();
        let made = xtask(lab, &["token", "generate"]).expect(0).stdout;
        assert!(made.contains("made, for "), "{made}");
        xtask(lab, &["token", "pull"]).expect(7).says("holds another token than ocean uses");
        xtask(lab, &["token", "pull", "--yes"]).expect(0);
        xtask(lab, &["verify"]).expect(0);
    });
}

#[test]
fn a_token_command_says_what_it_lacks() {
    let clone = Clone::new();
    clone.xtask(&["token", "generate"]).expect(3).says("hint: ");
    clone.xtask(&["token", "generate", "agnet"]).expect(2).says("agent");
}
