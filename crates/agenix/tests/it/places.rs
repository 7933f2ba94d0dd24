//! From the file that a person names, wherever they stand, to the one that is written; and never to one outside.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::world::World;

/// Changes the secret, reads it and rekeys it, always under this name.
#[track_caller]
fn works(world: &World, dir: &Path, named: &str, rule: &str) {
    let call = |args: &[&str]| world.agenix(args).dir(dir);
    let content = format!("{named} in {}", dir.display());
    call(&["-e", named]).stdin(&content).run().says("");
    assert_eq!(String::from_utf8_lossy(&world.content(rule)), content);
    assert_eq!(call(&["-d", named]).run().expect(0).stdout, content.as_bytes());
    let before = world.bytes(rule);
    call(&["-r", "--force", "--", named]).run().says(&format!("rekeying {rule}...\n"));
    assert_ne!(world.bytes(rule), before, "{named}");
    assert_eq!(String::from_utf8_lossy(&world.content(rule)), content);
}

#[test]
fn a_secret_is_found_from_any_folder_and_by_any_of_its_paths() {
    let world = World::new(&["secrets/a.age"]);
    let repository = world.repository();
    let above = repository.parent().expect("a folder").to_owned();
    symlink(&repository, above.join("link")).expect("a link");
    symlink("secrets", repository.join("s")).expect("a link");
    fs::create_dir_all(repository.join("other/folder")).expect("a folder");
    let file = |folder: &Path| folder.join("secrets/a.age").display().to_string();
    let inside = ["secrets/a.age", "./secrets//a.age", "secrets/../secrets/a.age", "s/a.age"];
    for named in inside {
        works(&world, &repository, named, "secrets/a.age");
    }
    let elsewhere = [
        (repository.join("secrets"), "a.age".to_owned()),
        (repository.join("s"), "a.age".to_owned()),
        (repository.join("other/folder"), "../../secrets/a.age".to_owned()),
        (above.clone(), "repository/secrets/a.age".to_owned()),
        (above.clone(), "link/secrets/a.age".to_owned()),
        (above.join("link"), "s/a.age".to_owned()),
        (PathBuf::from("/"), file(&repository)),
        (PathBuf::from("/"), file(&above.join("link"))),
    ];
    for (folder, named) in &elsewhere {
        works(&world, folder, named, "secrets/a.age");
    }
    world.is_tidy(&["s", "secrets/a.age"]);
}

#[test]
fn rules_may_be_named_from_elsewhere() {
    let world = World::new(&["secrets/a.age"]);
    let above = world.repository().parent().expect("a folder").to_owned();
    let call = |args: &[&str]| world.agenix(args).dir(&above);
    let (rules, named) = ("repository/secrets.nix", "repository/secrets/a.age");
    call(&["-e", named, "--rules", rules]).stdin("option").run().says("");
    call(&["-e", named]).env("RULES", rules).stdin("variable").run().says("");
    assert_eq!(world.content("secrets/a.age"), b"variable");
    world.is_tidy(&["secrets/a.age"]);
}

#[test]
fn a_symlink_to_another_secret_stays_one_and_its_target_is_replaced() {
    // By the rule of the name that was given; where there is none, by that of the target.
    for rules in [&["link.age", "secrets/target.age"][..], &["link.age"], &["secrets/target.age"]] {
        let world = World::new(rules);
        world.keep("secrets/target.age", "before");
        symlink("secrets/target.age", world.path("link.age")).expect("a link");
        world.agenix(["-e", "link.age"]).stdin("by pipe").run().says("");
        assert_eq!(world.content("secrets/target.age"), b"by pipe");
        world.agenix(["-e", "link.age"]).at_terminal("sed -i s/pipe/hand/").ends().says("");
        assert_eq!(world.content("secrets/target.age"), b"by hand");
        let all = world.agenix(["-r", "--force"]).run().expect(0);
        // Where two rules want the same of one file, it is rekeyed once.
        assert_eq!(all.stderr, format!("rekeying {}...\n", rules[0]));
        assert_eq!(world.content("secrets/target.age"), b"by hand");
        assert!(fs::symlink_metadata(world.path("link.age")).expect("a link").is_symlink());
        assert_eq!(fs::read_link(world.path("link.age")).expect("a link"), Path::new("secrets/target.age"));
        world.is_tidy(&["link.age", "secrets/target.age"]);
    }
}

/// Each rule would have the file for its own readers, and every rekey would find the other's not done.
#[test]
fn two_rules_for_one_file_do_not_rekey_it_to_and_fro() {
    let world = World::new(&[]);
    let other = world.keys.ed25519("other");
    let both = [world.me.clone(), other];
    world.rules(&[("link.age", &both[..1]), ("target.age", &both)]);
    world.keep("target.age", "token");
    symlink("target.age", world.path("link.age")).expect("a link");
    world.agenix(["-r"]).run();
    let settled = world.bytes("target.age");
    world.agenix(["-r"]).run();
    assert_eq!(world.bytes("target.age"), settled);
    assert_eq!(world.content("target.age"), b"token");
}

#[test]
fn a_rule_whose_own_name_goes_through_a_symlinked_folder_works_by_that_name() {
    let world = World::new(&["s/a.age"]);
    fs::create_dir(world.path("secrets")).expect("a folder");
    symlink("secrets", world.path("s")).expect("a link");
    works(&world, &world.repository(), "s/a.age", "s/a.age");
    works(&world, &world.repository(), "secrets/../s/a.age", "s/a.age");
    world.is_tidy(&["s", "secrets/a.age"]);
}

#[test]
fn a_folder_of_rules_may_have_a_symlink_to_another_folder_of_its_repository() {
    let world = World::new(&["common/a.age"]);
    for folder in ["rules", "common"] {
        fs::create_dir(world.path(folder)).expect("a folder");
    }
    fs::rename(world.path("secrets.nix"), world.path("rules/secrets.nix")).expect("moved");
    symlink("../common", world.path("rules/common")).expect("a link");
    let call = |args: &[&str]| world.agenix(args).dir("rules");
    call(&["-e", "common/a.age"]).stdin("new").run().says("");
    call(&["-r", "--force"]).run().says("rekeying common/a.age...\n");
    assert_eq!(world.content("common/a.age"), b"new");
    assert_eq!(call(&["-d", "common/a.age"]).run().expect(0).stdout, b"new");
}

#[test]
fn a_symlink_to_nothing_says_where_the_new_file_goes() {
    let world = World::new(&["link.age"]);
    symlink("deep/new.age", world.path("link.age")).expect("a link");
    world.agenix(["-e", "link.age"]).stdin("new").run().says("");
    assert_eq!(world.content("deep/new.age"), b"new");
    world.is_tidy(&["deep/new.age", "link.age"]);
}

#[test]
fn a_symlink_out_of_the_repository_is_refused_and_its_target_untouched() {
    let world = World::new(&["out.age", "folder/in.age", "new.age", "loop.age"]);
    let outside = tempfile::tempdir().expect("a folder outside");
    let (target, inside) = (outside.path().join("out.age"), outside.path().join("in.age"));
    world.keep("moved", "before");
    for file in [&target, &inside] {
        fs::copy(world.path("moved"), file).expect("a file");
    }
    let before = fs::read(&target).expect("a file");
    fs::remove_file(world.path("moved")).expect("removed");
    symlink(&target, world.path("out.age")).expect("a link");
    symlink(outside.path(), world.path("folder")).expect("a link");
    symlink(outside.path().join("new.age"), world.path("new.age")).expect("a link");
    symlink("loop.age", world.path("loop.age")).expect("a link");
    for name in ["out.age", "folder/in.age", "new.age", "loop.age"] {
        for args in [&["-e", name][..], &["-d", name], &["-r", name], &["-r", "--force", name], &["-r"]] {
            let answer = world.agenix(args).stdin("new").run().expect(1);
            assert_eq!(answer.stdout, b"", "{args:?}");
            let why = match name {
                "loop.age" => "failed to look at",
                _ => "is behind a symlink that leads out of ",
            };
            assert!(args == ["-r"] || answer.stderr.contains(why), "{args:?}: {}", answer.stderr);
        }
    }
    assert_eq!(
        (fs::read(&target).expect("a file"), fs::read(&inside).expect("a file")),
        (before.clone(), before)
    );
    assert_eq!(fs::read_dir(outside.path()).expect("a folder").count(), 2);
    world.is_tidy(&["folder", "loop.age", "new.age", "out.age"]);
}

#[test]
fn names_may_be_anything_that_a_file_may_be_called() {
    let names = [
        "with  two spaces.age",
        " around .age",
        "it's \"quoted\".age",
        "ünï/日本 🔑.age",
        "-e",
        "--rules",
        "-",
        "$HOME.age",
        "${x}.age",
        "a;b|c&d.age",
        "*?.age",
        "back\\slash.age",
        "#%.age",
        "no-ending",
        ".hidden",
    ];
    let world = World::new(&names);
    for name in names {
        works(&world, &world.repository(), name, name);
        let editor = world.editor("printf typed > \"$1\"");
        world.agenix(["-e", name]).at_terminal(&editor).ends().says("");
        assert_eq!(world.content(name), b"typed");
        let draft = world.drafts().pop().expect("a draft").1;
        assert_eq!(draft.file_name(), Path::new(name).file_name());
    }
    let mut sorted = names;
    sorted.sort_unstable();
    world.is_tidy(&sorted);
}

#[test]
fn a_newline_in_a_name_is_refused() {
    let world = World::new(&["a.age"]);
    let name = "a\nb.age";
    let rules = fs::read_to_string(world.path("secrets.nix")).expect("rules");
    fs::write(world.path("secrets.nix"), rules.replace("a.age", "a\\nb.age")).expect("rules");
    let refused = "\"a\\nb.age\" has a control character in it\n\
                   hint: name it relative to the repository, like secrets/example.age\n";
    world.agenix(["-e", name]).stdin("new").run().refuses(refused);
    world.agenix(["-d", name]).run().refuses(refused);
    world.agenix(["-r", name]).run().refuses(refused);
    world.agenix(["-r"]).run().refuses(refused);
    world.is_tidy(&[]);
}

#[test]
fn a_file_outside_is_refused_by_whatever_name() {
    let world = World::new(&["a.age", "../x.age"]);
    let outside = world.repository().parent().expect("a folder").join("x.age");
    world.keep("a.age", "before");
    fs::copy(world.path("a.age"), &outside).expect("a file");
    let before = fs::read(&outside).expect("a file");
    let absolute = outside.display().to_string();
    fs::create_dir(world.path("sub")).expect("a folder");
    for named in ["../x.age", "sub/../../x.age", &absolute] {
        for flag in ["-e", "-d", "-r"] {
            let answer = world.agenix([flag, named]).stdin("new").run().expect(1);
            assert!(answer.stderr.contains("is not in "), "{named}: {}", answer.stderr);
            assert_eq!(answer.stdout, b"");
        }
    }
    assert_eq!(fs::read(&outside).expect("a file"), before);
    world.is_tidy(&["a.age"]);
}

#[test]
fn a_rule_that_leads_out_stops_no_other_secret_and_is_told_by_a_rekey() {
    let world = World::new(&["a.age", "../x.age"]);
    world.agenix(["-e", "a.age"]).stdin("new").run().says("");
    assert_eq!(world.agenix(["-d", "a.age"]).run().expect(0).stdout, b"new");
    world.agenix(["-r", "--force", "a.age"]).run().says("rekeying a.age...\n");
    let before = world.bytes("a.age");
    world.agenix(["-r", "--force"]).run().refuses(
        "\"../x.age\" may leave the repository\n\
         hint: name it relative to the repository, like secrets/example.age\n",
    );
    assert_eq!(world.bytes("a.age"), before);
    world.is_tidy(&["a.age"]);
}

#[test]
fn a_name_without_a_rule_gets_the_nearest_one_that_has() {
    let world = World::new(&["secrets/restic-password.age"]);
    world.agenix(["-e", "secrets/restic-pasword.age"]).stdin("new").run().refuses(
        "There is no rule for secrets/restic-pasword.age in ./secrets.nix.\n\
         hint: did you mean secrets/restic-password.age?\n",
    );
    world.is_tidy(&[]);
}
