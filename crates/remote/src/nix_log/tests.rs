//! Captured from nix 2.8 and 2.26, and lines as they should not write them.

use expect_test::expect;

use super::*;

/// What nix wrote of three builds that succeeded and one that did not, and of a copy of four paths.
const FAILED_BUILD: &str = include_str!("failed-build.log");
const COPY: &str = include_str!("copy.log");
/// A copy of two paths by nix 2.26; most lines of its progress are left out.
const NEWER_COPY: &str = include_str!("copy-2.26.log");

/// All that a person would have read, and where it stood after each line that changed it.
fn read(mut log: NixLog, text: &str) -> (Vec<String>, Vec<Amounts>) {
    let (mut lines, mut amounts) = (Vec::new(), vec![Amounts::default()]);
    for line in text.lines() {
        lines.extend(log.read(line));
        if amounts.last() != Some(&log.amounts()) {
            amounts.push(log.amounts());
        }
    }
    (lines, amounts)
}

fn short(amount: Amount) -> String {
    format!("{}/{}", amount.done, amount.expected)
}

#[test]
fn a_build_reads_as_it_does_without_the_format_and_is_counted() {
    let (lines, amounts) = read(NixLog::default(), FAILED_BUILD);
    expect![[r#"
        these 4 derivations will be built:
          /nix/store/3132558gpixbbf2mwhsa0405g4r6cfc4-a3.drv
          /nix/store/h355y6d2v1ixr59vl8yggnxcq4ra5i5c-a1.drv
          /nix/store/rsy6i8zqrjj4z3hfqi1jzrm2bl84qb99-a2.drv
          /nix/store/rkw6pjyc54pd3cwss374saldy34xm4v8-bad.drv
        building '/nix/store/h355y6d2v1ixr59vl8yggnxcq4ra5i5c-a1.drv'...
        a1> hello 1
        a1> sh: 1: sleep: not found
        building '/nix/store/3132558gpixbbf2mwhsa0405g4r6cfc4-a3.drv'...
        a3> hello 3
        a3> sh: 1: sleep: not found
        building '/nix/store/rsy6i8zqrjj4z3hfqi1jzrm2bl84qb99-a2.drv'...
        a2> hello 2 /nix/store/wvxsdzv3lkyqh9aq43jlapnmqg2bhdys-a3
        a2> sh: 1: sleep: not found
        building '/nix/store/rkw6pjyc54pd3cwss374saldy34xm4v8-bad.drv'...
        bad> /nix/store/fi4p3rp0vrqjbqngy88v0dayj9lql3mc-a1 /nix/store/j7ncd07k5k24349pk81zpa37dhq7dh5d-a2
        bad> line 1
        bad> line 2
        bad> line 3
        bad> line 4
        bad> line 5
        bad> line 6
        bad> line 7
        bad> line 8
        bad> line 9
        bad> line 10
        bad> line 11
        bad> line 12
        bad> line 13
        error: builder for '/nix/store/rkw6pjyc54pd3cwss374saldy34xm4v8-bad.drv' failed with exit code 3"#]]
    .assert_eq(&lines.join("\n"));
    // Of four, one failed: it stays three of four, also when all is over.
    let builds: Vec<String> = amounts.iter().map(|it| short(it.builds)).collect();
    assert_eq!(builds, ["0/0", "0/1", "0/2", "0/3", "0/4", "1/4", "2/4", "3/4"].map(str::to_owned));
}

#[test]
fn an_old_nix_copies_without_a_number_and_is_counted_all_the_same() {
    let size = |name: &str, size: u64| {
        let line = COPY.lines().find(|line| line.contains(&format!("-{name}\""))).unwrap();
        let path = line.split('"').find(|word| word.starts_with("/nix/store/")).unwrap();
        (path.to_owned(), size)
    };
    let sizes = HashMap::from([size("d1", 100), size("d2", 200), size("d3", 300), size("three", 4)]);
    let (lines, amounts) = read(NixLog::with_sizes(sizes), COPY);
    assert_eq!(lines[0], "copying 4 paths...");
    assert!(lines[1].starts_with("copying path '/nix/store/7inkp3rxfqnisjcyhz8k69svfmm57c8p-d1' to 'ssh://"));
    let seen: Vec<String> =
        amounts.iter().map(|it| format!("{} {}", short(it.paths), short(it.bytes))).collect();
    let wanted = ["0/0 0/0", "0/4 0/604", "1/4 100/604", "2/4 300/604", "3/4 600/604", "4/4 604/604"];
    assert_eq!(seen, wanted.map(str::to_owned));
    // Without their sizes the paths are counted.
    let (_, amounts) = read(NixLog::default(), COPY);
    let last = amounts.last().unwrap();
    assert_eq!((short(last.paths), short(last.bytes)), ("4/4".to_owned(), "0/0".to_owned()));
}

#[test]
fn a_newer_nix_tells_bytes_while_a_path_is_under_way() {
    let text = r#"
@nix {"action":"start","id":1,"level":3,"parent":0,"text":"copying 2 paths","type":103}
@nix {"action":"result","fields":[100,900],"id":1,"type":106}
@nix {"action":"result","fields":[0,2,1,0],"id":1,"type":105}
@nix {"action":"start","fields":["/nix/store/x-a","local","ssh://maia"],"id":2,"level":3,"parent":1,"text":"copying path '/nix/store/x-a' to 'ssh://maia'","type":100}
@nix {"action":"result","fields":[250,400],"id":2,"type":105}
@nix {"action":"result","fields":[400,400],"id":2,"type":105}
@nix {"action":"stop","id":2}
@nix {"action":"result","fields":[1,2,1,0],"id":1,"type":105}
"#;
    let mut log = NixLog::default();
    let mut seen = Vec::new();
    for line in text.lines() {
        log.read(line);
        let it = log.amounts();
        seen.push(format!("{} {}", short(it.paths), short(it.bytes)));
    }
    seen.dedup();
    assert_eq!(seen, ["0/0 0/0", "0/2 0/0", "0/2 0/900", "0/2 250/900", "0/2 400/900", "1/2 400/900"]);
}

/// The padding at a path's end is in no progress of nix 2.26.
#[test]
fn a_path_that_is_copied_is_copied_to_its_last_byte() {
    let (_, amounts) = read(NixLog::default(), NEWER_COPY);
    let bytes: Vec<String> = amounts.iter().map(|it| short(it.bytes)).collect();
    assert_eq!(bytes[bytes.len() - 2..], ["300489/300496", "300496/300496"]);
    // One that ends earlier was not copied.
    let cut: String = NEWER_COPY
        .lines()
        .filter(|line| !line.contains("[377,"))
        .fold(String::new(), |all, line| all + line + "\n");
    let (_, amounts) = read(NixLog::default(), &cut);
    assert_eq!(short(amounts.last().unwrap().bytes), "300120/300496");
}

#[test]
fn two_nix_in_one_pipe_add_up() {
    let (_, amounts) = read(NixLog::default(), &format!("{COPY}{FAILED_BUILD}{COPY}"));
    let last = amounts.last().unwrap();
    assert_eq!((short(last.paths), short(last.builds)), ("8/8".to_owned(), "3/4".to_owned()));
    let grows = |pair: &[Amounts]| {
        pair[0].paths.done <= pair[1].paths.done && pair[0].builds.done <= pair[1].builds.done
    };
    assert!(amounts.windows(2).all(grows));
}

#[test]
fn what_cannot_be_read_is_passed_on_and_counts_nothing() {
    for line in [
        "building the system configuration...",
        "@nix",
        "@nix {",
        "@nix {}",
        "@nix []",
        r#"@nix {"action":"start"}"#,
        r#"@nix {"action":"start","id":-1,"type":104}"#,
        r#"@nix {"action":"msg","level":0}"#,
        r#"@nix {"action":"result","id":1,"type":105,"fields":7}"#,
    ] {
        let mut log = NixLog::default();
        assert_eq!(log.read(line), [line]);
        assert_eq!(log.amounts(), Amounts::default());
    }
    // Read well, and of no meaning: an unknown action, results and ends of what never began, numbers that are none.
    let nothing = [
        r#"@nix {"action":"dance","id":1}"#,
        r#"@nix {"action":"stop","id":1}"#,
        r#"@nix {"action":"result","id":1,"type":105,"fields":[1,2]}"#,
        r#"@nix {"action":"start","id":2,"type":104}"#,
        r#"@nix {"action":"result","id":2,"type":105,"fields":["a",null,-3]}"#,
        r#"@nix {"action":"result","id":2,"type":101,"fields":[]}"#,
        r#"@nix {"action":"msg","level":5,"msg":"for whoever debugs nix"}"#,
    ];
    let mut log = NixLog::default();
    for line in nothing {
        assert_eq!(log.read(line), Vec::<String>::new(), "{line}");
        assert_eq!(log.amounts(), Amounts::default(), "{line}");
    }
    let most = u64::MAX;
    for id in [3, 4] {
        log.read(&format!(r#"@nix {{"action":"start","id":{id},"type":104}}"#));
        log.read(&format!(
            r#"@nix {{"action":"result","id":{id},"type":105,"fields":[{most},{most},0,{most}]}}"#
        ));
    }
    assert_eq!(log.amounts().builds, Amount { done: most, expected: most });
}

#[test]
fn nothing_that_a_builder_says_reaches_the_terminal_as_a_command() {
    let mut log = NixLog::default();
    log.read(r#"@nix {"action":"start","id":1,"level":3,"text":"","type":105,"fields":["/nix/store/abc-evil-1.0.drv"]}"#);
    let line = r#"@nix {"action":"result","id":1,"type":101,"fields":["\u001b[2J\u001b]0;title\u0007a\tb\r\u001b[1mc\u0008"]}"#;
    assert_eq!(log.read(line), ["evil-1.0> a  bc"]);
}
