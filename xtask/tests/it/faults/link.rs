//! Faults of what lies between: the link, the host's key, the tree that is deployed from.

use std::fs;

use super::battery::{Expected, battery, link, meanwhile};
use crate::each_k3s::{Rehearsal, each_k3s};
use crate::support::{configure, on, xtask};

each_k3s!(what_happens_between_the_deployer_and_its_hosts);

/// Three hundred megabytes that no compression makes smaller, made by a derivation.
const BIG: &str =
    "environment.etc.big.source = pkgs.runCommand \"big\" { } \"/usr/bin/head -c 300M /dev/urandom > $out\";";

fn what_happens_between_the_deployer_and_its_hosts(rehearsal: &Rehearsal) {
    battery(rehearsal, &[], |battery| {
        let lab = battery.lab;
        let repository = lab.deployer().repository();
        let module = repository.join("hosts/maia/default.nix");
        let with_pkgs = || {
            let text = fs::read_to_string(&module).unwrap();
            fs::write(&module, text.replacen("{ lib, ... }:", "{ lib, pkgs, ... }:", 1)).unwrap();
        };
        let cut = Expected {
            outcome: "nothing is changed; `--resume` goes on",
            code: 4,
            says: "failed to copy the system to maia",
            changed: &[],
        };
        battery.fault("the link is cut during the copy", &cut, |lab| {
            let fleet = repository.join("hosts/fleet.toml");
            let text = fs::read_to_string(&fleet).unwrap();
            let (before, maia) = text.split_at(text.find("[hosts.maia]").unwrap());
            let local = maia.replacen("build_on = \"target\"", "build_on = \"local\"", 1);
            fs::write(&fleet, format!("{before}{local}")).unwrap();
            with_pkgs();
            configure(lab, "maia", BIG);
            let copying = |said: &str| said.contains("-big' to ");
            let answer = meanwhile(lab, &["deploy", "maia", "-v"], copying, || link("maia", "down"));
            link("maia", "up");
            answer.says("deploy --resume")
        });
        let before = battery.systems("maia");
        // The tree is as it was: what is gone on with is the snapshot.
        xtask(lab, &["deploy", "--resume"]).expect(0).says("going on with 2").says("that of the run before");
        assert_eq!(on(lab, "maia", "stat -Lc %s /etc/big"), (300 << 20).to_string());
        assert_ne!(battery.systems("maia"), before);
        xtask(lab, &["deploy", "--resume"]).expect(2).says("ended well: there is nothing to resume");
        xtask(lab, &["deploy", "maia"]).expect(0);

        let key = Expected {
            outcome: "rolled back",
            code: 4,
            says: "the host key of maia at maia.mercury is not the pinned one",
            changed: &[],
        };
        battery.fault("the host's key changes between build and activation", &key, |lab| {
            configure(lab, "maia", "environment.etc.new.text = \"\";");
            on(lab, "maia", "mkdir /root/keys && cp -a /etc/ssh/ssh_host_* /root/keys/");
            let built = |said: &str| said.contains("done  maia  build");
            let answer = meanwhile(lab, &["deploy", "maia", "-v"], built, || {
                let another = "rm /etc/ssh/ssh_host_*; ssh-keygen -qt ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; \
                               systemctl restart sshd.service";
                on(lab, "maia", another);
            });
            on(lab, "maia", "mv /root/keys/* /etc/ssh/ && rmdir /root/keys && systemctl restart sshd.service");
            answer.says("note: rolled back: maia runs ")
        });

        let edited = Expected {
            outcome: "what is deployed is the snapshot",
            code: 0,
            says: "done in ",
            changed: &["maia"],
        };
        battery.fault("the tree is edited during the run", &edited, |lab| {
            configure(lab, "maia", "environment.etc.first.text = \"\";");
            let resolved = |said: &str| said.contains("done  repository  snapshot");
            let broken = || fs::write(&module, "throw \"edited\"").unwrap();
            let answer = meanwhile(lab, &["deploy", "maia"], resolved, broken);
            on(lab, "maia", "test -e /etc/first");
            answer
        });
    });
}
