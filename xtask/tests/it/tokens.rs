//! The two K3s tokens: made, copied from the server, compared with what the nodes hold and the server accepts.

use expect_test::expect;

use crate::each_k3s::{Rehearsal, each_k3s};
use crate::faults::battery::wait_for;
use crate::leaks::Watch;
use crate::support::{Clone, give_k3s, in_lab, on, xtask};

const SERVER_TOKEN: &str = "secrets/k3s-server-token.age";
const AGENT_TOKEN: &str = "secrets/k3s-agent-token.age";
/// Restarts K3s on maia and does not wait until it has joined, which it will not.
const RESTART: &str = "systemctl restart k3s.service";

each_k3s!(tokens_are_copied_compared_and_tried, an_agent_that_has_joined_needs_its_token_only_to_join_anew,);

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
        wrong
            .says("error: maia: it has joined, and a first join would be refused: ocean refuses its token")
            .says("hint: cargo xtask deploy maia");
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

/// Bends the stand-in on a machine; to be read at its next start.
const BEND: &str = "mkdir -p /etc/rancher && cat > /etc/rancher/stand-in.env";

fn an_agent_that_has_joined_needs_its_token_only_to_join_anew(rehearsal: &Rehearsal) {
    rehearsal.in_lab(|lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        on(lab, "maia", &format!("sed -i 's/.$/x/' /run/agenix/k3s-agent-token && {RESTART}"));
        wait_for("maia is back by its certificate", 20, || {
            xtask(lab, &["token", "check", "maia"]).expect(7).stderr.contains("has joined")
        });
        let checked = xtask(lab, &["token", "check"]).expect(7);
        expect![[r#"
            error: maia: it has joined, and a first join would be refused: ocean refuses its token
            hint: cargo xtask deploy maia
        "#]]
        .assert_eq(&checked.stderr);
        // It is well, and this is worth to be known.
        let doctor = xtask(lab, &["doctor", "maia", "--json"]).expect(0).events();
        assert_eq!(doctor.len(), 1, "{doctor:?}");
        let told = |key: &str| doctor[0][key].as_str().unwrap().to_owned();
        assert_eq!((told("cause").as_str(), told("severity").as_str()), ("first-join-refused", "note"));
        assert!(
            doctor[0]["evidence"][0].as_str().unwrap().ends_with("as node: 401 not authorized"),
            "{doctor:?}"
        );
        let status = xtask(lab, &["status"]).expect(0).stdout;
        assert!(
            status.contains("it has joined, and a first join would be refused: its token is not ocean's"),
            "{status}"
        );
        assert!(status.lines().any(|line| line.starts_with("! maia")), "{status}");

        // Without a server that tells who has joined, that is not known.
        on(lab, "ocean", "mount --bind /bin/false $(readlink -f $(command -v k3s))");
        let checked = xtask(lab, &["token", "check", "maia"]).expect(7);
        checked.says("error: maia: ocean refuses its token; whether it has joined cannot be told");
    });
}

#[test]
fn what_cannot_be_told_of_a_token_is_not_told() {
    in_lab("tokens::what_cannot_be_told_of_a_token_is_not_told", |lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        let without = "echo K3S_STANDIN_NO_ROUTES=server-bootstrap";
        on(lab, "ocean", &format!("{without} | {{ {BEND}; }} && {RESTART}"));
        wait_for("the API server answers", 30, || {
            xtask(lab, &["status"]).stdout.contains("2 of 2 nodes Ready")
        });
        let checked = xtask(lab, &["token", "check"]).expect(7);
        expect![[r#"
            error: ocean: it cannot be told whether its K3s takes its token: the server answers 401 to whoever asks, as a K3s does that lacks this route
            hint: cargo xtask doctor ocean
        "#]]
        .assert_eq(&checked.stderr);
        let events = xtask(lab, &["token", "check", "--json"]).expect(7).events();
        let logins: Vec<_> = events.iter().filter_map(|event| event["login"].as_str()).collect();
        assert_eq!(logins, ["accepted", "unclear"]);

        // A new token on top of an old one that nobody tried would lock agents out.
        let secrets = || std::fs::read(lab.deployer().repository().join(SERVER_TOKEN)).unwrap();
        let before = secrets();
        let rotated = xtask(lab, &["token", "rotate", "--server", "--gate-timeout", "3"]).expect(7);
        rotated.says(
            "it cannot be told whether ocean takes the token that it has: the server answers 401 to whoever",
        );
        assert_eq!(secrets(), before, "no new token was made");
    });
}

#[test]
fn an_older_k3s_is_told_in_words() {
    in_lab("tokens::an_older_k3s_is_told_in_words", |lab| {
        // What is to be activated.
        give_k3s(lab, "ocean", 21);
        let new = "error: ocean would run K3s 1.21.3+k3s1; cargo xtask supports 1.28.4+k3s1 and newer";
        xtask(lab, &["bootstrap-cluster"]).expect(3).says(new);
        give_k3s(lab, "ocean", 35);
        xtask(lab, &["bootstrap-cluster"]).expect(0);

        // What runs, by somebody else's doing.
        give_k3s(lab, "ocean", 21);
        xtask(lab, &["deploy", "ocean", "--goal", "build"]).expect(0);
        give_k3s(lab, "ocean", 35);
        let switch = "unit=$(grep -l k3s-1.21.3 /nix/store/*-nixos-system-ocean-*/etc/systemd/system/k3s.service) && \
                      nix-env --profile /nix/var/nix/profiles/system --set ${unit%/etc/*} && \
                      ${unit%/etc/*}/bin/switch-to-configuration switch";
        on(lab, "ocean", switch);
        wait_for("the older one is seen", 30, || xtask(lab, &["status"]).stdout.contains("v1.21.3+k3s1"));
        let old = "runs K3s 1.21.3+k3s1; cargo xtask supports 1.28.4+k3s1 and newer";
        let checked = xtask(lab, &["token", "check", "ocean"]).expect(7);
        expect![[r#"
            error: ocean: it runs K3s 1.21.3+k3s1; cargo xtask supports 1.28.4+k3s1 and newer
            hint: upgrade it to 1.28.4+k3s1 or newer first, servers before agents, one minor version after the other: https://docs.k3s.io/upgrades/manual
        "#]]
        .assert_eq(&checked.stderr);
        for args in [
            &["token", "sync"][..],
            &["token", "pull"],
            &["token", "rotate", "--server"],
            &["deploy", "maia"],
        ] {
            xtask(lab, args).expect(3).says(&format!("ocean {old}"));
        }
        let status = xtask(lab, &["status"]).expect(0).stdout;
        assert!(
            status.contains("K3s 1.21.3+k3s1 is too old: cargo xtask supports 1.28.4+k3s1 and newer"),
            "{status}"
        );
        assert!(!status.contains("token"), "{status}");
        let doctor = xtask(lab, &["doctor", "--json"]).expect(7).events();
        let causes: Vec<_> = doctor.iter().map(|it| (it["host"].as_str(), it["cause"].as_str())).collect();
        assert_eq!(causes, [(Some("ocean"), Some("k3s-too-old"))], "{doctor:?}");
    });
}

#[test]
fn a_token_command_says_what_it_lacks() {
    let clone = Clone::new();
    clone.xtask(&["token", "generate"]).expect(3).says("hint: ");
    clone.xtask(&["token", "generate", "agnet"]).expect(2).says("agent");
}
