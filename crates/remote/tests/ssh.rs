//! Sessions, against a stand-in for `ssh` on PATH that notes its argv and plays the host that the address names;
//! that real hosts answer with these words is the rehearsal's to show.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use expect_test::expect;
use remote::ssh::{ConnectError, Generation, Host, Session, Ssh};
use remote::{Cmd, RunError};
use secrecy::{ExposeSecret, SecretSlice};

/// As ssh does, it appends its words to the log of `-E`; as sshd does, it gives the command to a shell.
const STAND_IN: &str = r#"#!/bin/sh
printf '<%s>' "$@" >>"${0%/*}/calls"
echo >>"${0%/*}/calls"
log=/dev/null
while [ "$1" != -- ]; do
    [ "$1" != -E ] || log=$2
    shift
done
address=$2
shift 2
case $address in
    changed*)
        echo '@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @' >>"$log"
        echo 'Host key verification failed.' >>"$log"
        echo >>"$log"
        exit 255 ;;
    locked*) echo "root@$address: Permission denied (publickey,password)." >>"$log"; exit 255 ;;
    silent*) echo "ssh: connect to host $address port 22: Connection refused" >>"$log"; exit 255 ;;
    mute*) exit 255 ;;
esac
[ $# -eq 0 ] || eval "$1"
"#;

/// The folder in front of PATH, in the process that has it there.
struct Fake(PathBuf);

impl Fake {
    /// Runs `test` again in a process that finds `script` as its `ssh`; in that process, gives the folder.
    fn inside(test: &str, script: &str) -> Option<Self> {
        if let Some(dir) = std::env::var_os("XTASK_TEST_INSIDE") {
            return Some(Self(dir.into()));
        }
        let dir = tempfile::tempdir().expect("a folder");
        let ssh = dir.path().join("ssh");
        fs::write(&ssh, script).expect("the stand-in");
        fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).expect("its mode");
        let path = format!("{}:{}", dir.path().display(), std::env::var("PATH").expect("PATH"));
        let child = Cmd::new(std::env::current_exe().expect("this test"))
            .args(["--exact", test, "--include-ignored", "--nocapture"])
            .env("XTASK_TEST_INSIDE", dir.path())
            .env("PATH", path);
        let output = child.run().unwrap_or_else(|error| panic!("{error}:\n{}", error.tail().join("\n")));
        assert!(output.text().contains("1 passed"), "{}", output.text());
        None
    }
}

fn host(addresses: &[&str]) -> Host {
    let addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
    Host { name: "ocean".into(), addresses, key: "ssh-ed25519 AAAA".into(), user: "root".into() }
}

/// The private folder, found where anybody would find it: in the options.
fn private_dir(generation: &Generation) -> PathBuf {
    let known = option(generation, "UserKnownHostsFile");
    Path::new(&known).parent().expect("a folder").to_owned()
}

fn option(generation: &Generation, name: &str) -> String {
    let options = generation.nix_options();
    let mut values = options.iter().filter_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    values.next().unwrap_or_else(|| panic!("no {name}")).to_owned()
}

fn connect(addresses: &[&str]) -> Result<Session, ConnectError> {
    let host = host(addresses);
    let ssh = Ssh::new([&host]).expect("a folder");
    ssh.generation().expect("a folder").connect(&host)
}

fn open(generation: &Generation, host: &Host) -> Session {
    generation.connect(host).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn no_session_without_the_pinned_key_and_a_login() {
    let Some(_fake) = Fake::inside("no_session_without_the_pinned_key_and_a_login", STAND_IN) else { return };
    for (addresses, said) in [
        (&["changed"][..], "the host key of ocean at changed is not the pinned one"),
        (&["changed1", "changed2"], "the host key of ocean at changed1 is not the pinned one"),
        (&["silent", "changed"], "the host key of ocean at changed is not the pinned one"),
        (&["changed", "silent"], "the host key of ocean at changed is not the pinned one"),
        (
            &["locked", "ocean.mercury"],
            "ocean at locked refuses the login of root: root@locked: Permission denied (publickey,password)",
        ),
        (
            &["silent", "locked"],
            "ocean at locked refuses the login of root: root@locked: Permission denied (publickey,password)",
        ),
        (&["silent"], "ocean does not answer: connect to host silent port 22: Connection refused"),
        (
            &["silent1", "silent2"],
            "ocean does not answer: connect to host silent1 port 22: Connection refused; \
             connect to host silent2 port 22: Connection refused",
        ),
        (&["mute"], "ocean does not answer: mute: ssh gave no reason"),
    ] {
        let error = connect(addresses).expect_err(said);
        assert_eq!(error.to_string(), said);
    }
}

#[test]
fn each_address_is_judged_by_its_own_words() {
    let Some(_fake) = Fake::inside("each_address_is_judged_by_its_own_words", STAND_IN) else { return };
    let error = connect(&["silent", "mute"]).expect_err("no host");
    let silent = "ocean does not answer: connect to host silent port 22: Connection refused";
    assert_eq!(error.to_string(), format!("{silent}; mute: ssh gave no reason"));

    let error = connect(&["changed", "locked"]).expect_err("no login");
    assert!(matches!(error, ConnectError::Refused { .. }), "{error}");

    // A host with a wrong key goes away: from then on it is silent.
    let (before, after) = (host(&["changed"]), host(&["silent"]));
    let ssh = Ssh::new([&before]).unwrap();
    let generation = ssh.generation().unwrap();
    assert!(matches!(generation.connect(&before), Err(ConnectError::WrongKey { .. })));
    assert!(matches!(generation.connect(&after), Err(ConnectError::Silent { .. })));
}

#[test]
fn without_ssh_the_error_names_it() {
    if std::env::var_os("XTASK_TEST_INSIDE").is_some() {
        let error = connect(&["ocean"]).expect_err("no ssh");
        assert!(matches!(error, ConnectError::Run(RunError::Missing { .. })));
        assert_eq!(error.to_string(), "ssh is not installed");
        return;
    }
    let empty = tempfile::tempdir().unwrap();
    let child = Cmd::new(std::env::current_exe().unwrap());
    let child = child.args(["--exact", "without_ssh_the_error_names_it"]).env("PATH", empty.path());
    child.env("XTASK_TEST_INSIDE", "1").run().unwrap_or_else(|error| panic!("{error}"));
}

/// The real ssh, with a port in front of its arguments: the first one counts.
#[test]
fn where_nobody_listens_the_error_has_the_words_of_the_real_ssh() {
    let ssh = remote::find("ssh").expect("these tests need the real ssh: apt-get install -y openssh-client");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let script = format!("#!/bin/sh\nexec {} -F none -p {port} \"$@\"\n", ssh.display());
    let name = "where_nobody_listens_the_error_has_the_words_of_the_real_ssh";
    let Some(_fake) = Fake::inside(name, &script) else { return };
    let error = connect(&["127.0.0.1"]).expect_err("nobody");
    assert!(matches!(error, ConnectError::Silent { .. }), "{error:?}");
    let (begin, end) = ("ocean does not answer: connect to host 127.0.0.1 port ", ": Connection refused");
    let said = error.to_string();
    assert!(said.starts_with(begin) && said.ends_with(end), "{said}");
}

#[test]
fn a_session_is_one_master_that_is_asked_and_then_closed() {
    let name = "a_session_is_one_master_that_is_asked_and_then_closed";
    let Some(fake) = Fake::inside(name, STAND_IN) else { return };
    let host = host(&["silent", "changed", "ocean.mercury", "100.64.0.6"]);
    let ssh = Ssh::new([&host]).unwrap();
    let generation = ssh.generation().unwrap();
    let session = open(&generation, &host);
    assert_eq!(session.destination().as_deref(), Some("root@ocean.mercury"));
    assert_eq!((session.name(), session.is_local()), ("ocean", false));
    assert_eq!(format!("{session:?}"), "Session(ocean at root@ocean.mercury)");
    session.run(["systemctl", "is-active", "a b"]).unwrap_err();
    drop(session);

    let dir = private_dir(&generation);
    let calls = fs::read_to_string(fake.0.join("calls")).unwrap().replace(dir.to_str().unwrap(), "DIR");
    let (options, _) = calls.split_once("<-fN>").unwrap();
    // Each attempt has a log of its own, of which only the folder is known.
    let own_logs = calls.split("<-E><DIR/0/").map(|rest| match rest.split_once('>') {
        Some((log, rest)) if log.starts_with('.') => format!("<-E><LOG>{rest}"),
        _ => rest.to_owned(),
    });
    let lines = own_logs.collect::<String>().replace(options, "OPTIONS ");
    expect![[r#"
        <-o><BatchMode=yes>
        <-o><StrictHostKeyChecking=yes>
        <-o><UserKnownHostsFile=DIR/known_hosts>
        <-o><GlobalKnownHostsFile=/dev/null>
        <-o><UpdateHostKeys=no>
        <-o><CheckHostIP=no>
        <-o><ConnectTimeout=3>
        <-o><ServerAliveInterval=5>
        <-o><ServerAliveCountMax=3>
        <-o><ForwardAgent=no>
        <-o><VerifyHostKeyDNS=no>
        <-o><KnownHostsCommand=none>
        <-o><RemoteCommand=none>
        <-o><RequestTTY=no>
        <-o><ClearAllForwardings=yes>
        <-o><ControlPath=DIR/0/%C>"#]]
    .assert_eq(&options.replace("><-o", ">\n<-o"));
    expect![[r#"
        OPTIONS <-fN><-o><ControlMaster=yes><-o><ControlPersist=1800><-E><LOG><-l><root><--><silent>
        OPTIONS <-fN><-o><ControlMaster=yes><-o><ControlPersist=1800><-E><LOG><-l><root><--><changed>
        OPTIONS <-fN><-o><ControlMaster=yes><-o><ControlPersist=1800><-E><LOG><-l><root><--><ocean.mercury>
        OPTIONS <-o><ControlMaster=no><-l><root><--><ocean.mercury><systemctl is-active 'a b'>
        OPTIONS <-o><ControlMaster=no><-q><-O><exit><-l><root><--><ocean.mercury>
    "#]]
    .assert_eq(&lines);
}

#[test]
fn a_remote_argv_comes_through_the_shell_of_sshd_as_it_was() {
    let name = "a_remote_argv_comes_through_the_shell_of_sshd_as_it_was";
    let Some(_fake) = Fake::inside(name, STAND_IN) else { return };
    let session = connect(&["ocean.mercury"]).unwrap();
    let words = ["a b", "it's", "$HOME", "`id`", "", ";exit 3", "-n", "*", "a\nb"];
    let output = session.run(["printf", "%s|"].iter().chain(&words)).unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), words.map(|word| format!("{word}|")).concat());
    assert_eq!(session.run_secret(["printf", "%s", "a b"]).unwrap().expose_secret(), b"a b");

    let error = session.run(["sh", "-c", "echo why >&2; exit 7"]).unwrap_err();
    assert_eq!(error.to_string(), "`sh -c` on ocean failed with exit code 7");
    assert_eq!((error.code(), error.tail()), (Some(7), &["why".to_owned()][..]));

    let input = SecretSlice::from(b"hi".to_vec());
    assert_eq!(session.run_with_input(["cat"], input).unwrap().text(), "hi");
}

/// What ssh says with 255 is that it does not know; a command of ours that ends so says nothing else.
#[test]
fn a_lost_link_is_no_failure_of_the_command() {
    let Some(_fake) = Fake::inside("a_lost_link_is_no_failure_of_the_command", STAND_IN) else { return };
    let session = connect(&["ocean.mercury"]).unwrap();
    for (script, said) in [
        ("echo client_loop: broken pipe >&2; exit 255", "client_loop: broken pipe"),
        ("exit 255", "ssh gave no reason"),
    ] {
        let error = session.run(["sh", "-c", script]).unwrap_err();
        assert_eq!(error.to_string(), format!("the connection to ocean was lost: {said}"));
        let error = session.run_secret(["sh", "-c", script]).unwrap_err();
        assert!(matches!(error, RunError::LinkLost { .. }), "{error}");
    }
    let error = Session::local("ocean").run(["sh", "-c", "exit 255"]).unwrap_err();
    assert_eq!(error.code(), Some(255));
}

#[test]
fn only_the_pinned_keys_are_known_and_nothing_stays_behind() {
    let name = "only_the_pinned_keys_are_known_and_nothing_stays_behind";
    let Some(_fake) = Fake::inside(name, STAND_IN) else { return };
    let ocean = host(&["ocean.mercury", "fd00::6"]);
    let maia = Host {
        name: "maia".into(),
        addresses: vec!["maia".into()],
        key: "ssh-rsa BBBB".into(),
        user: "root".into(),
    };
    let ssh = Ssh::new([&ocean, &maia]).unwrap();
    let generation = ssh.generation().unwrap();
    let session = open(&generation, &ocean);
    let dir = private_dir(&generation);
    let known = fs::read_to_string(option(&generation, "UserKnownHostsFile")).unwrap();
    assert_eq!(known, "ocean.mercury,fd00::6 ssh-ed25519 AAAA\nmaia ssh-rsa BBBB\n");
    assert_eq!(format!("{:o}", fs::metadata(&dir).unwrap().permissions().mode() & 0o777), "700");
    drop((ssh, generation));
    assert!(dir.exists(), "a session is closed by its socket");
    drop(session);
    assert!(!dir.exists());
}

#[test]
fn options_for_nix_pin_the_key_ask_nobody_and_have_no_space() {
    let ssh = Ssh::new([&host(&["ocean.mercury"])]).unwrap();
    let generation = ssh.generation().unwrap();
    for pair in generation.nix_options().chunks(2) {
        assert_eq!(pair[0], "-o");
        assert!(!pair[1].contains(char::is_whitespace) && !pair[1].contains("ocean"), "{}", pair[1]);
    }
    for (name, value) in [
        ("BatchMode", "yes"),
        ("StrictHostKeyChecking", "yes"),
        ("GlobalKnownHostsFile", "/dev/null"),
        ("UpdateHostKeys", "no"),
        ("ForwardAgent", "no"),
        ("ControlMaster", "no"),
        ("ConnectTimeout", "3"),
    ] {
        assert_eq!(option(&generation, name), value, "{name}");
    }
    // sun_path has 108 bytes with its last NUL; %C is 40 hex digits, and ssh adds a dot and 16 letters at first.
    let socket = option(&generation, "ControlPath").replace("%C", &"0".repeat(40 + 17));
    assert!(socket.len() < 108, "{socket}");
}

/// Its own words decide: an option that this OpenSSH does not know, it refuses.
#[test]
fn the_real_ssh_takes_every_option() {
    let ssh = Ssh::new([&host(&["ocean.mercury"])]).unwrap();
    let generation = ssh.generation().unwrap();
    let cmd = Cmd::new("ssh").args(["-F", "none", "-G"]).args(generation.nix_options()).arg("ocean.mercury");
    let output = cmd.run().unwrap_or_else(|error| panic!("{error}: {:?}", error.tail()));
    let resolved = output.text();
    let safe = ["batchmode yes", "stricthostkeychecking true", "updatehostkeys false", "connecttimeout 3"];
    let lends_nothing = ["forwardagent no", "clearallforwardings yes"];
    for line in safe.into_iter().chain(lends_nothing) {
        assert!(resolved.lines().any(|other| other == line), "no `{line}`:\n{resolved}");
    }
    let known = format!("userknownhostsfile {}", option(&generation, "UserKnownHostsFile"));
    assert!(resolved.lines().any(|line| line == known), "{resolved}");
}

#[test]
fn a_fresh_generation_never_meets_the_sockets_of_another() {
    let host = host(&["ocean.mercury"]);
    let ssh = Ssh::new([&host]).unwrap();
    let (first, second) = (ssh.generation().unwrap(), ssh.generation().unwrap());
    let path = |generation: &Generation| option(generation, "ControlPath");
    assert_ne!(path(&first), path(&second));
    let other = Ssh::new([&host]).unwrap();
    assert_ne!(path(&first), path(&other.generation().unwrap()));
}

#[test]
fn an_ipv6_address_goes_in_brackets_for_nix_and_without_for_ssh() {
    let name = "an_ipv6_address_goes_in_brackets_for_nix_and_without_for_ssh";
    let Some(_fake) = Fake::inside(name, STAND_IN) else { return };
    for (address, destination) in [
        ("fd00::6", "root@[fd00::6]"),
        ("100.64.0.6", "root@100.64.0.6"),
        ("ocean.mercury", "root@ocean.mercury"),
    ] {
        let session = connect(&[address]).unwrap();
        assert_eq!(session.destination().as_deref(), Some(destination));
        assert!(session.command(["true"]).to_string().ends_with(&format!("-l root -- {address} true")));
    }
}

#[test]
fn this_machine_is_reached_without_ssh() {
    let session = Session::local("ocean");
    assert_eq!((session.name(), session.is_local(), session.destination()), ("ocean", true, None));
    assert_eq!(format!("{session:?}"), "Session(ocean at this machine)");
    let command = session.command(["printf", "%s", "a b", "$HOME"]);
    assert_eq!(command.argv(), ["printf", "%s", "a b", "$HOME"]);
    assert_eq!(command.name(), "`printf %s` on ocean");
    assert_eq!(session.run(["printf", "%s", "$HOME"]).unwrap().text(), "$HOME");
    let error = session.run(["false"]).unwrap_err();
    assert_eq!(error.to_string(), "`false` on ocean failed with exit code 1");
}
