//! Command lines, as a person reads them in `--dry-run -v` and as the tools get them.

use std::path::Path;

use expect_test::expect;
use remote::nix::{
    OverrideInput, flake_metadata, metadata_path, override_args, parse_sizes, parse_systems, realise, systems,
};
use remote::nixos_rebuild::{Build, Placement, is_epilogue};
use remote::{Cmd, quote_all};
use secrecy::SecretSlice;

fn overrides() -> Vec<OverrideInput> {
    let input =
        |name: &str, reference: &str| OverrideInput { name: name.into(), reference: reference.into() };
    vec![input("nixpkgs", "path:/lab/nixpkgs"), input("agenix", "path:/with space")]
}

#[test]
fn a_secret_on_standard_input_shows_nowhere() {
    let secret = SecretSlice::from(b"K10hunter2::server:hunter2".to_vec());
    let cmd = Cmd::new("age").arg("-d").stdin(secret);
    for shown in [format!("{cmd}"), format!("{cmd:?}"), format!("{cmd:#?}"), cmd.argv().join(" "), cmd.name()]
    {
        assert!(!shown.contains("hunter2") && !shown.contains("75, 49"), "{shown}");
        assert!(shown.contains("age"), "{shown}");
    }
}

#[test]
fn a_command_is_shown_as_a_person_could_paste_it() {
    let cmd = Cmd::new("/opt/my tools/tool")
        .args(["--flag", "a b", "", "it's"])
        .arg("$HOME")
        .env("NIX_SSHOPTS", "-o BatchMode=yes")
        .env_remove("SSH_AUTH_SOCK")
        .dir("/tmp");
    let shown = r"NIX_SSHOPTS='-o BatchMode=yes' '/opt/my tools/tool' --flag 'a b' '' 'it'\''s' '$HOME'";
    assert_eq!(cmd.to_string(), shown);
    assert_eq!(format!("{cmd:?}"), format!("Cmd({shown})"));
    assert_eq!(cmd.argv(), ["/opt/my tools/tool", "--flag", "a b", "", "it's", "$HOME"]);
}

#[test]
fn a_command_is_called_by_its_first_words_or_its_label() {
    for (argv, name) in [
        (&["nix", "build", "-L"][..], "nix build"),
        (&["nix"], "nix"),
        (&["ssh", "-o", "BatchMode=yes"], "ssh"),
        (&["/run/current-system/sw/bin/systemctl", "show"], "systemctl show"),
        (&["cat", "/run/agenix/token"], "cat"),
    ] {
        let cmd = Cmd::new(argv[0]).args(&argv[1..]);
        assert_eq!(cmd.name(), name);
        assert_eq!(cmd.label("nix flake metadata").name(), "nix flake metadata");
    }
}

/// One line a placement.
#[test]
fn every_nixos_rebuild_has_its_exact_argv() {
    let place = |target: Option<&str>, builder: Option<&str>| Placement {
        target: target.map(str::to_owned),
        builder: builder.map(str::to_owned),
    };
    let (ocean, maia) = (Some("root@ocean"), Some("root@maia"));
    let (reference, name, dir) = ("/nix/store/x-source", "maia", Path::new("/tmp"));
    let mut lines = String::new();
    for (title, placement) in [
        ("all here", place(None, None)),
        ("built here", place(maia, None)),
        ("built on the target", place(maia, maia)),
        ("built on another host", place(maia, ocean)),
        ("built on another host for here", place(None, ocean)),
    ] {
        let build = Build { reference, name, placement: &placement, overrides: &[], ssh_options: &[], dir };
        lines += &format!("# {title}\n{}\n", build.command());
    }
    expect![[r#"
        # all here
        nixos-rebuild build --flake '/nix/store/x-source#maia' --log-format internal-json --no-link
        # built here
        nixos-rebuild build --flake '/nix/store/x-source#maia' --log-format internal-json --no-link --target-host root@maia
        # built on the target
        nixos-rebuild build --flake '/nix/store/x-source#maia' --log-format internal-json --build-host root@maia --target-host root@maia
        # built on another host
        nixos-rebuild build --flake '/nix/store/x-source#maia' --log-format internal-json --build-host root@ocean --target-host root@maia
        # built on another host for here
        nixos-rebuild build --flake '/nix/store/x-source#maia' --log-format internal-json --build-host root@ocean
    "#]]
    .assert_eq(&lines);
}

#[test]
fn nixos_rebuild_gets_the_overrides_of_a_flake_and_the_options_of_every_ssh() {
    let ssh_options = &["-o", "BatchMode=yes", "-o", "ControlPath=/tmp/x/%C"].map(str::to_owned);
    let placement = &Placement { target: Some("root@[fd00::5]".into()), builder: None };
    let (reference, name, dir) = ("/nix/store/x-source", "maia", Path::new("/tmp"));
    let build = Build { reference, name, placement, overrides: &overrides(), ssh_options, dir };
    assert_eq!(
        build.command().to_string(),
        "NIX_SSHOPTS='-o BatchMode=yes -o ControlPath=/tmp/x/%C' nixos-rebuild build \
         --flake '/nix/store/x-source#maia' --override-input nixpkgs path:/lab/nixpkgs \
         --override-input agenix 'path:/with space' --log-format internal-json --no-link \
         --target-host 'root@[fd00::5]'"
    );
    assert_eq!(build.command().name(), "nixos-rebuild build");
}

#[test]
fn inputs_are_overridden_one_by_one() {
    assert_eq!(override_args(&[]), [""; 0]);
    assert_eq!(
        quote_all(override_args(&overrides())),
        "--override-input nixpkgs path:/lab/nixpkgs --override-input agenix 'path:/with space'"
    );
}

#[test]
fn a_snapshot_is_asked_for_whatever_nix_conf_enables() {
    let cmd = flake_metadata(Path::new("/home/me/#1 cluster?"), &overrides()[..1]);
    let expected = "nix --extra-experimental-features 'nix-command flakes' flake metadata --json \
                    --override-input nixpkgs path:/lab/nixpkgs .";
    assert_eq!(cmd.to_string(), expected);
    assert_eq!(cmd.name(), "nix flake metadata");
}

#[test]
fn several_systems_are_evaluated_by_one_command_and_come_by_their_names() {
    let cmd = systems("/nix/store/x-source", ["ocean", "maia"].into_iter(), &overrides()[..1]);
    expect![[r#"
        nix --extra-experimental-features 'nix-command flakes' eval --json --override-input nixpkgs path:/lab/nixpkgs '/nix/store/x-source#nixosConfigurations' --apply 'all: builtins.listToAttrs (map (name: { inherit name; value = let it = all.${name}.config.system.build.toplevel; in { derivation = it.drvPath; path = it.outPath; }; }) [ "ocean" "maia" ])'
    "#]]
    .assert_eq(&format!("{cmd}\n"));
    let answer = br#"{"maia":{"derivation":"/nix/store/m.drv","path":"/nix/store/m"},
                      "ocean":{"derivation":"/nix/store/o.drv","path":"/nix/store/o"}}"#;
    let systems = parse_systems(answer).unwrap();
    assert_eq!((systems["maia"].path.as_str(), systems.len()), ("/nix/store/m", 2));
    assert_eq!(
        realise(systems.values().map(|system| system.derivation.as_str())).to_string(),
        "nix-store --realise --keep-going /nix/store/m.drv /nix/store/o.drv --log-format internal-json"
    );
    assert_eq!(parse_systems(b"error: attribute missing"), None);
}

#[test]
fn a_closure_comes_with_its_sizes() {
    let lines = "/nix/store/a-glibc\t     1234\n/nix/store/b-system\t  5\n";
    let sizes: Vec<_> = parse_sizes(lines).into_iter().collect();
    assert_eq!(sizes, [("/nix/store/a-glibc".to_owned(), 1234), ("/nix/store/b-system".to_owned(), 5)]);
}

#[test]
fn the_snapshot_is_the_path_in_the_metadata() {
    for bad in ["", "error: no flake", "[]", "{}", r#"{"path": null}"#, r#"{"path": "/nix"} trailing"#] {
        assert!(metadata_path(bad.as_bytes()).is_err(), "{bad}");
    }
    assert!(metadata_path(b"{\"path\": \"\xff\"}").is_err());
    let good =
        r#"{"lastModified": 1, "locked": {"type": "path"}, "path": "/nix/store/x-source", "url": "path:/x"}"#;
    assert_eq!(metadata_path(good.as_bytes()).unwrap(), "/nix/store/x-source");
}

#[test]
fn what_nixos_rebuild_says_of_its_own_command_is_known() {
    for said in [
        "Command 'nix build /nix/store/x.drv --json' returned non-zero exit status 1.",
        "Command '['nix', 'eval']' returned non-zero exit status 1.",
    ] {
        assert!(is_epilogue(said));
    }
    assert!(!is_epilogue("error: builder for 'x' failed with exit code 1"));
    assert!(!is_epilogue("x> Command not found"));
}
