//! `rehearse --root DIR` and what `--install` makes of a folder. A real Debian in the folder is the matter of `other_system`.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use expect_test::{Expect, expect};

use crate::support::{Answer, Clone, XTASK, refused, repository, run, run_fed};

/// A folder whose system is this machine's by links, but for one file, by which one sees whose it is.
fn of_links(clone: &Clone) -> PathBuf {
    let root = clone.path().join("root");
    fs::create_dir_all(root.join("etc")).unwrap();
    symlink("/usr", root.join("usr")).unwrap();
    for link in ["bin", "sbin", "lib", "lib64"] {
        symlink(format!("usr/{link}"), root.join(link)).unwrap();
    }
    for file in ["passwd", "group", "ld.so.cache", "nsswitch.conf", "ssl", "alternatives"] {
        run(&["cp", "-a", &format!("/etc/{file}"), "root/etc"], clone.path(), &[]).expect(0);
    }
    fs::write(root.join("etc/debian_version"), "of the folder\n").unwrap();
    root
}

fn refuses(clone: &Clone, args: &[&str], env: &[(&str, &str)], expect: &Expect) {
    refused(clone.xtask_with(&[&["rehearse"], args].concat(), env), 3, clone.path(), expect);
}

#[test]
fn machines_and_deployer_have_the_system_of_the_folder() {
    let clone = Clone::new();
    of_links(&clone);
    let argv = [XTASK, "rehearse", "--root", "root", "--shell", "--", "node", "list"];
    let script = b"cat /etc/debian_version; ssh maia cat /etc/debian_version";
    let answer = run_fed(&argv, clone.path(), &[], script).expect(0);
    assert!(answer.stdout.ends_with("\nof the folder\nof the folder\n"), "{}", answer.stdout);
}

#[test]
fn a_folder_that_will_not_do_is_refused_with_what_it_lacks() {
    let clone = Clone::new();
    refuses(
        &clone,
        &["--root", "nowhere"],
        &[],
        &expect![[r#"
        error: nowhere holds no system for the machines: No such file or directory (os error 2)
        hint: `cargo xtask rehearse --install` makes a Debian of a folder that is empty or not there, by debootstrap
    "#]],
    );
    refuses(
        &clone,
        &["--root", "hosts"],
        &[],
        &expect![[r#"
        error: hosts holds no system for the machines: it has no usr/bin
        hint: `cargo xtask rehearse --install` makes a Debian of a folder that is empty or not there, by debootstrap
    "#]],
    );
    let root = clone.path().join("bare");
    ["usr/bin", "usr/lib", "etc"].iter().for_each(|folder| fs::create_dir_all(root.join(folder)).unwrap());
    fs::write(root.join("etc/passwd"), "").unwrap();
    refuses(
        &clone,
        &["--root", "bare"],
        &[],
        &expect![[r#"
        error: the system in REPO/bare lacks age, coreutils, curl, git, iproute2, nix-bin, openssh-client, openssh-server, openssl, procps, python3, sudo, systemd, systemd-container, util-linux
        hint: `--install` installs it there
    "#]],
    );
    refuses(
        &clone,
        &["--root", "bare", "--install"],
        &[],
        &expect![[r#"
        error: the packages cannot be installed: there is no apt-get
        hint: install these by hand: age coreutils curl git iproute2 nix-bin openssh-client openssh-server openssl procps python3 sudo systemd systemd-container util-linux conntrack containerd containernetworking-plugins ethtool ipset iptables runc socat
    "#]],
    );
    // Without its linker nothing of it starts, as with a C library that is too old.
    let root = of_links(&clone);
    fs::remove_file(root.join("lib64")).unwrap();
    let answer = clone.xtask(&["rehearse", "--root", "root"]);
    refused(
        Answer { stderr: answer.error().to_owned(), ..answer },
        3,
        clone.path(),
        &expect![[r#"
        error: this program does not run with the system of REPO/root: chroot: failed to run command '/opt/xtask': No such file or directory
        hint: its C library may be older than the one that this program was built with: take a newer system
    "#]],
    );
}

/// What `--install` starts, in place of debootstrap.
fn debootstrap(clone: &Clone, script: &str) -> String {
    let bin = clone.path().join("bin");
    fs::create_dir_all(&bin).unwrap();
    let file = bin.join("debootstrap");
    fs::write(&file, format!("#!/bin/sh\necho \"$@\" > {}/said\n{script}\n", clone.path().display()))
        .unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())
}

#[test]
fn install_makes_a_debian_of_an_empty_folder_and_leaves_nothing_by_halves() {
    let clone = Clone::new();
    let root = clone.path().join("made");
    let install = ["--root", "made", "--install"];

    let path = clone.path().display().to_string();
    for program in ["git", "unshare", "sh"] {
        let from = run(&["which", program], Path::new("/"), &[]).expect(0).stdout;
        symlink(from.trim(), clone.path().join(program)).unwrap();
    }
    refuses(
        &clone,
        &install,
        &[("PATH", &path)],
        &expect![[r#"
        error: debootstrap is not installed
        hint: Debian, Fedora, Arch and nixpkgs have it under this name; or give a Debian that is there already: --root DIR
    "#]],
    );

    let path = debootstrap(&clone, "mkdir \"$4\"; echo 'E: no way to the mirror'; exit 1");
    refuses(
        &clone,
        &install,
        &[("PATH", &path)],
        &expect![[r#"
        making a Debian trixie in made, which takes a minute
        error: debootstrap failed with exit code 1
          │ E: no way to the mirror
    "#]],
    );
    assert!(!root.exists());

    // What the first one left is not in the second's way; nor is an empty folder.
    fs::create_dir(&root).unwrap();
    let path = debootstrap(
        &clone,
        "[ ! -e \"$4\" ] && mkdir -p \"$4/usr/bin\" \"$4/usr/lib\" \"$4/etc\" && : > \"$4/etc/passwd\"",
    );
    refuses(
        &clone,
        &install,
        &[("PATH", &path)],
        &expect![[r#"
        making a Debian trixie in made, which takes a minute
        error: the packages cannot be installed: there is no apt-get
        hint: install these by hand: age coreutils curl git iproute2 nix-bin openssh-client openssh-server openssl procps python3 sudo systemd systemd-container util-linux conntrack containerd containernetworking-plugins ethtool ipset iptables runc socat
    "#]],
    );
    let said = fs::read_to_string(clone.path().join("said")).unwrap();
    assert_eq!(said, format!("--variant=minbase --force-check-gpg trixie {}\n", "made.half"));
    assert!(root.join("etc/passwd").exists() && !clone.path().join("made.half").exists());

    // A folder that holds something is left as it is.
    fs::remove_file(clone.path().join("said")).unwrap();
    refuses(
        &clone,
        &install,
        &[("PATH", &path)],
        &expect![[r#"
        error: the packages cannot be installed: there is no apt-get
        hint: install these by hand: age coreutils curl git iproute2 nix-bin openssh-client openssh-server openssl procps python3 sudo systemd systemd-container util-linux conntrack containerd containernetworking-plugins ethtool ipset iptables runc socat
    "#]],
    );
    assert!(!clone.path().join("said").exists());
}

/// Programs are those of /usr/bin but for apt-get.
const WITHOUT_APT: &str = "\
mount --make-rprivate / && mkdir all some && mount --bind /usr/bin all
for program in all/*; do ln -s \"$PWD/$program\" some/; done
rm some/apt-get && mount --bind some /usr/bin && exec \"$@\"";

#[test]
fn a_machine_that_is_no_debian_has_one_in_target() {
    let clone = Clone::new();
    let xtask = |args: &[&str]| {
        let argv = ["unshare", "--mount", "sh", "-c", WITHOUT_APT, "sh", XTASK, "rehearse"];
        let answer = run(&[&argv, args].concat(), clone.path(), &[]);
        fs::remove_dir(clone.path().join("all")).unwrap();
        fs::remove_dir_all(clone.path().join("some")).unwrap();
        answer
    };
    refused(
        xtask(&[]),
        3,
        clone.path(),
        &expect![[r#"
        error: there is no apt-get here, and no Debian for the machines in REPO/target/debian
        hint: `cargo xtask rehearse --install` makes it by debootstrap; --root DIR names another one
    "#]],
    );
    let root = of_links(&clone);
    fs::create_dir(clone.path().join("target")).unwrap();
    fs::rename(root, clone.path().join("target/debian")).unwrap();
    fs::remove_file(clone.path().join("target/debian/lib64")).unwrap();
    let answer = xtask(&[]);
    refused(
        Answer { stderr: answer.error().to_owned(), ..answer },
        3,
        clone.path(),
        &expect![[r#"
        error: this program does not run with the system of REPO/target/debian: chroot: failed to run command '/opt/xtask': No such file or directory
        hint: its C library may be older than the one that this program was built with: take a newer system
    "#]],
    );
}

#[test]
fn tests_that_need_such_a_folder_are_left_out_where_none_is_named() {
    let said = |folder: &str| {
        let answer = run(&[XTASK, "test", "--dry-run"], repository(), &[("XTASK_TEST_ROOT", folder)]);
        answer.expect(0).stdout
    };
    assert!(said("").contains("would run tests: cargo test --workspace --lib --bins --tests -- --skip"));
    assert!(said("").contains("--skip other_system::"));
    assert!(!said("/srv/trixie").contains("other_system::"));
}
