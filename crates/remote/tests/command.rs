//! Command lines, as a person reads them in `--dry-run -v` and as the tools get them.

use std::path::Path;

use expect_test::expect;
use remote::nix::{OverrideInput, build_systems, flake_metadata, metadata_path, override_args};
use remote::nixos_rebuild::{
    Action, Placement, Rebuild, Source, is_epilogue, knows_store_path, probe_store_path,
};
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

/// One line a command; `build` of a store path is left out, since nixos-rebuild refuses it.
#[test]
fn every_nixos_rebuild_has_its_exact_argv() {
    let place = |target: Option<&str>, builder: Option<&str>| Placement {
        target: target.map(str::to_owned),
        builder: builder.map(str::to_owned),
    };
    let (ocean, maia) = (Some("root@ocean"), Some("root@maia"));
    let flake = Source::Flake { reference: "/nix/store/x-source".into(), name: "maia".into() };
    let store_path = Source::StorePath("/nix/store/y-nixos".into());
    let mut lines = String::new();
    for (title, placement) in [
        ("all here", place(None, None)),
        ("built here", place(maia, None)),
        ("built on the target", place(maia, maia)),
        ("built on another host", place(maia, ocean)),
        ("built on another host for here", place(None, ocean)),
    ] {
        lines += &format!("# {title}\n");
        for action in [Action::Build, Action::Test, Action::Boot, Action::DryActivate] {
            for source in [&flake, &store_path] {
                if action == Action::Build && *source == store_path {
                    continue;
                }
                let rebuild = Rebuild {
                    action,
                    source,
                    placement: &placement,
                    overrides: &[],
                    ssh_options: &[],
                    sudo: None,
                    dir: Path::new("/tmp"),
                };
                lines += &format!("{}\n", rebuild.command());
            }
        }
    }
    expect![[r#"
        # all here
        nixos-rebuild build --flake '/nix/store/x-source#maia' --log-format internal-json --no-link
        nixos-rebuild test --flake '/nix/store/x-source#maia' --no-reexec
        nixos-rebuild test --store-path /nix/store/y-nixos --no-reexec
        nixos-rebuild boot --flake '/nix/store/x-source#maia' --no-reexec
        nixos-rebuild boot --store-path /nix/store/y-nixos --no-reexec
        nixos-rebuild dry-activate --flake '/nix/store/x-source#maia' --no-reexec
        nixos-rebuild dry-activate --store-path /nix/store/y-nixos --no-reexec
        # built here
        nixos-rebuild build --flake '/nix/store/x-source#maia' --log-format internal-json --no-link --target-host root@maia
        nixos-rebuild test --flake '/nix/store/x-source#maia' --no-reexec --target-host root@maia
        nixos-rebuild test --store-path /nix/store/y-nixos --no-reexec --target-host root@maia
        nixos-rebuild boot --flake '/nix/store/x-source#maia' --no-reexec --target-host root@maia
        nixos-rebuild boot --store-path /nix/store/y-nixos --no-reexec --target-host root@maia
        nixos-rebuild dry-activate --flake '/nix/store/x-source#maia' --no-reexec --target-host root@maia
        nixos-rebuild dry-activate --store-path /nix/store/y-nixos --no-reexec --target-host root@maia
        # built on the target
        nixos-rebuild build --flake '/nix/store/x-source#maia' --log-format internal-json --build-host root@maia --target-host root@maia
        nixos-rebuild test --flake '/nix/store/x-source#maia' --no-reexec --build-host root@maia --target-host root@maia
        nixos-rebuild test --store-path /nix/store/y-nixos --no-reexec --build-host root@maia --target-host root@maia
        nixos-rebuild boot --flake '/nix/store/x-source#maia' --no-reexec --build-host root@maia --target-host root@maia
        nixos-rebuild boot --store-path /nix/store/y-nixos --no-reexec --build-host root@maia --target-host root@maia
        nixos-rebuild dry-activate --flake '/nix/store/x-source#maia' --no-reexec --build-host root@maia --target-host root@maia
        nixos-rebuild dry-activate --store-path /nix/store/y-nixos --no-reexec --build-host root@maia --target-host root@maia
        # built on another host
        nixos-rebuild build --flake '/nix/store/x-source#maia' --log-format internal-json --build-host root@ocean --target-host root@maia
        nixos-rebuild test --flake '/nix/store/x-source#maia' --no-reexec --build-host root@ocean --target-host root@maia
        nixos-rebuild test --store-path /nix/store/y-nixos --no-reexec --build-host root@ocean --target-host root@maia
        nixos-rebuild boot --flake '/nix/store/x-source#maia' --no-reexec --build-host root@ocean --target-host root@maia
        nixos-rebuild boot --store-path /nix/store/y-nixos --no-reexec --build-host root@ocean --target-host root@maia
        nixos-rebuild dry-activate --flake '/nix/store/x-source#maia' --no-reexec --build-host root@ocean --target-host root@maia
        nixos-rebuild dry-activate --store-path /nix/store/y-nixos --no-reexec --build-host root@ocean --target-host root@maia
        # built on another host for here
        nixos-rebuild build --flake '/nix/store/x-source#maia' --log-format internal-json --build-host root@ocean
        nixos-rebuild test --flake '/nix/store/x-source#maia' --no-reexec --build-host root@ocean
        nixos-rebuild test --store-path /nix/store/y-nixos --no-reexec --build-host root@ocean
        nixos-rebuild boot --flake '/nix/store/x-source#maia' --no-reexec --build-host root@ocean
        nixos-rebuild boot --store-path /nix/store/y-nixos --no-reexec --build-host root@ocean
        nixos-rebuild dry-activate --flake '/nix/store/x-source#maia' --no-reexec --build-host root@ocean
        nixos-rebuild dry-activate --store-path /nix/store/y-nixos --no-reexec --build-host root@ocean
    "#]].assert_eq(&lines);
}

#[test]
fn nixos_rebuild_gets_the_overrides_of_a_flake_and_the_options_of_every_ssh() {
    let options = ["-o", "BatchMode=yes", "-o", "ControlPath=/tmp/x/%C"].map(str::to_owned);
    let placement = Placement { target: Some("root@[fd00::5]".into()), builder: None };
    let command = |source: &Source, ssh_options: &[String]| {
        let action = Action::Test;
        let overrides = &overrides();
        let dir = Path::new("/tmp");
        Rebuild { action, source, placement: &placement, overrides, ssh_options, sudo: None, dir }.command()
    };
    let flake = Source::Flake { reference: "/nix/store/x-source".into(), name: "maia".into() };
    let store_path = Source::StorePath("/nix/store/y-nixos".into());
    assert_eq!(
        command(&flake, &options).to_string(),
        "NIX_SSHOPTS='-o BatchMode=yes -o ControlPath=/tmp/x/%C' nixos-rebuild test \
         --flake '/nix/store/x-source#maia' --override-input nixpkgs path:/lab/nixpkgs \
         --override-input agenix 'path:/with space' --no-reexec --target-host 'root@[fd00::5]'"
    );
    assert_eq!(
        command(&store_path, &[]).to_string(),
        "nixos-rebuild test --store-path /nix/store/y-nixos --no-reexec --target-host 'root@[fd00::5]'"
    );
    assert_eq!(command(&flake, &options).name(), "nixos-rebuild test");
}

#[test]
fn nixos_rebuild_knows_a_store_path_if_it_says_what_excludes_it() {
    assert_eq!(probe_store_path().to_string(), "nixos-rebuild build --store-path /nonexistent");
    let cases: [(&[&str], bool); 4] = [
        (&[], false),
        (&["nixos-rebuild: error: unrecognized arguments: --store-path /nonexistent"], false),
        (
            &["usage: nixos-rebuild […]", "nixos-rebuild: error: --store-path cannot be used with 'build'"],
            true,
        ),
        (&["bash: nixos-rebuild: command not found"], false),
    ];
    for (tail, known) in cases {
        let tail: Vec<String> = tail.iter().map(|line| (*line).to_owned()).collect();
        assert_eq!(knows_store_path(&tail), known, "{tail:?}");
    }
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
fn several_systems_are_built_by_one_command() {
    let cmd = build_systems("/nix/store/x-source", ["ocean", "maia"].into_iter(), &overrides()[..1]);
    let expected = "nix --extra-experimental-features 'nix-command flakes' build --no-link --keep-going \
                    --override-input nixpkgs path:/lab/nixpkgs \
                    '/nix/store/x-source#nixosConfigurations.\"ocean\".config.system.build.toplevel' \
                    '/nix/store/x-source#nixosConfigurations.\"maia\".config.system.build.toplevel' \
                    --log-format internal-json";
    assert_eq!(cmd.to_string(), expected);
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
