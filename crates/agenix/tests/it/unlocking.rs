//! An age identity file behind a passphrase: asked for once, when it may help; and identities from the environment and
//! from standard input.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use agenix::secrecy::{ExposeSecret as _, SecretString};
use agenix::{
    Asker, Format, Identities, IdentitySources, LockedKey, Recipient, RekeyError, Secrets, decrypt, encrypt,
    plan, rekey,
};

use crate::keys::files;
use crate::world::World;

const PASSPHRASE: &str = "correct horse";

/// Gives one answer to all, slowly, and counts the questions.
struct Answering {
    answer: Option<&'static str>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Asker for Answering {
    fn passphrase(&self, key: &LockedKey<'_>) -> Option<SecretString> {
        self.asked.lock().expect("the log").push(key.name.to_owned());
        // A person takes time, in which other threads come to need the same key.
        std::thread::sleep(std::time::Duration::from_millis(300));
        self.answer.map(SecretString::from)
    }
}

/// An identity file behind a passphrase, what it opens, and the questions about it.
struct Locked {
    world: World,
    file: PathBuf,
    reader: Recipient,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Locked {
    /// With a key of age's own in it.
    fn new() -> Self {
        let world = World::new(&["a.age"]);
        let reader = world.keys.age("age");
        let text = fs::read(world.keys.path("age")).expect("a key");
        let file = world.keys.write("locked", locked(&text));
        Self { world, file, reader, asked: Arc::default() }
    }

    fn holding(text: &[u8]) -> Self {
        let new = Self::new();
        fs::write(&new.file, locked(text)).expect("a file");
        new
    }

    fn identities(&self, answer: Option<&'static str>) -> Identities {
        let identities = self.world.keys.identities(&["locked"]);
        identities.asking(Arc::new(Answering { answer, asked: Arc::clone(&self.asked) }))
    }

    /// What comes of opening three files for its key; and the hint.
    fn refused(&self, answer: Option<&'static str>) -> (String, String) {
        let identities = self.identities(answer);
        let errors: Vec<_> = files(3, std::slice::from_ref(&self.reader))
            .iter()
            .map(|file| decrypt(file, &identities).expect_err("it is locked"))
            .collect();
        assert!(errors.iter().all(|error| *error == errors[0]), "{errors:?}");
        self.was_asked_once();
        (errors[0].to_string().replace(self.file.to_str().expect("unicode"), "FILE"), errors[0].hint())
    }

    fn was_asked_once(&self) {
        assert_eq!(*self.asked.lock().expect("the log"), [self.file.display().to_string()]);
    }
}

/// As `age -p` writes it, but that unlocking costs next to nothing.
fn locked(text: &[u8]) -> Vec<u8> {
    let mut recipient = age::scrypt::Recipient::new(SecretString::from(PASSPHRASE));
    recipient.set_work_factor(2);
    let encryptor = age::Encryptor::with_recipients(std::iter::once(&recipient as _)).expect("one reader");
    let mut file = Vec::new();
    let mut writer = encryptor.wrap_output(&mut file).expect("a header");
    writer.write_all(text).expect("written");
    writer.finish().expect("finished");
    file
}

#[test]
fn a_locked_identity_file_is_asked_for_once_over_five_files() {
    let locked = Locked::new();
    let recipients = [locked.world.keys.ed25519("ocean"), locked.reader.clone()];
    let identities = locked.identities(Some(PASSPHRASE));
    for file in files(5, &recipients) {
        assert_eq!(decrypt(&file, &identities).expect("decrypts").expose_secret(), b"token");
    }
    locked.was_asked_once();
}

/// Twenty secrets for its key, and the library's sight of them.
fn twenty(locked: &Locked) -> (Secrets, BTreeMap<String, Vec<u8>>) {
    let readers = [locked.reader.clone(), locked.world.me.clone()];
    let names: Vec<String> = (0..20).map(|number| format!("{number}.age")).collect();
    for name in &names {
        let ciphertext = encrypt(name.as_bytes(), &readers[..1], Format::Binary).expect("encrypts");
        fs::write(locked.world.path(name), ciphertext).expect("a file");
    }
    let rules: Vec<(&str, &[Recipient])> = names.iter().map(|name| (name.as_str(), &readers[..])).collect();
    let before = names.iter().map(|name| (name.clone(), locked.world.bytes(name)));
    (locked.world.library(&rules), before.collect())
}

fn rekey_all(secrets: &Secrets, identities: &Identities) -> Result<usize, RekeyError> {
    let rules: Vec<_> = secrets.rules().iter().collect();
    let done = Mutex::new(0);
    let on_done = |count: usize| *done.lock().expect("a number") += usize::from(count > 0);
    let left = rekey(secrets, plan(secrets, &rules, false), identities, &|| false, &on_done)?;
    assert_eq!(left, []);
    Ok(done.into_inner().expect("a number"))
}

#[test]
fn a_rekey_of_twenty_secrets_on_all_cores_asks_once() {
    let locked = Locked::new();
    let (secrets, before) = twenty(&locked);
    assert_eq!(rekey_all(&secrets, &locked.identities(Some(PASSPHRASE))).expect("rekeyed"), 20);
    locked.was_asked_once();
    for (name, before) in before {
        assert_ne!(locked.world.bytes(&name), before);
        assert_eq!(locked.world.content(&name), name.as_bytes());
    }
}

#[test]
fn a_rekey_that_is_not_let_in_changes_nothing_and_has_asked_once() {
    for answer in [Some("wrong"), None] {
        let locked = Locked::new();
        let (secrets, before) = twenty(&locked);
        let error = rekey_all(&secrets, &locked.identities(answer)).expect_err("locked");
        let RekeyError::Failed { failures } = error else { panic!("{error}") };
        assert_eq!(failures.len(), 20);
        locked.was_asked_once();
        for (name, before) in before {
            assert_eq!(locked.world.bytes(&name), before);
        }
    }
}

#[test]
fn a_wrong_passphrase_and_none_are_told_apart() {
    assert_eq!(
        Locked::new().refused(Some("wrong")),
        (
            "the passphrase for FILE is wrong".to_owned(),
            "run it again; ssh-keygen -y -f FILE tests a passphrase".to_owned()
        )
    );
    assert_eq!(
        Locked::new().refused(None),
        (
            "FILE is locked, and no passphrase was given".to_owned(),
            "run it in a terminal, or give a key without a passphrase with -i FILE or XTASK_IDENTITY"
                .to_owned()
        )
    );
}

#[test]
fn a_locked_file_without_a_key_in_it_is_told_once_it_is_open() {
    let refused = |text: &[u8]| Locked::holding(text).refused(Some(PASSPHRASE)).0;
    assert_eq!(refused(b""), "identity FILE holds no key");
    assert_eq!(refused(b"# created: today\n"), "identity FILE holds no key");
    assert_eq!(refused(b"my shopping list\n"), "identity FILE is not an age identity file: line 1 is no key");
    assert_eq!(refused(&[0xff; 40]), "identity FILE is not a whole private key");
    assert_eq!(refused(&locked(b"AGE-SECRET-KEY-1")), "identity FILE is not a whole private key");
    let ours = Locked::new();
    let public = ours.reader.text().to_owned();
    assert_eq!(refused(public.as_bytes()), "identity FILE is a public key");
}

#[test]
fn a_locked_file_may_hold_an_ssh_key() {
    let keys = crate::keys::Keys::new();
    let reader = keys.ed25519("inside");
    let locked = Locked::holding(&fs::read(keys.path("inside")).expect("a key"));
    // A file of ssh readers alone does not show that it may help, so it has another reader, too.
    let file = &files(1, &[reader, locked.reader.clone()])[0];
    decrypt(file, &locked.identities(Some(PASSPHRASE))).expect("decrypts");
    locked.was_asked_once();
}

#[test]
fn a_locked_file_is_not_asked_for_when_a_secret_has_only_ssh_readers() {
    let locked = Locked::new();
    let identities = locked.identities(Some(PASSPHRASE));
    for file in files(3, &[locked.world.keys.ed25519("ocean"), locked.world.keys.ssh("rsa", "rsa", "")]) {
        let error = decrypt(&file, &identities).expect_err("for others").to_string();
        assert!(error.starts_with("no identity fits: tried "), "{error}");
    }
    assert!(locked.asked.lock().expect("the log").is_empty());
}

#[test]
fn a_locked_file_is_not_asked_for_when_an_open_key_will_do() {
    let locked = Locked::new();
    let named = [locked.file.clone(), locked.world.keys.path("me")];
    let identities = Identities::load(&IdentitySources { files: &named, ..Default::default() });
    let asker = Answering { answer: None, asked: Arc::clone(&locked.asked) };
    let identities = identities.expect("usable").asking(Arc::new(asker));
    for file in files(3, &[locked.reader.clone(), locked.world.me.clone()]) {
        decrypt(&file, &identities).expect("decrypts");
    }
    assert!(locked.asked.lock().expect("the log").is_empty());
}

#[test]
fn a_file_that_age_itself_has_locked_opens_at_the_terminal() {
    let Locked { world, reader, file, .. } = Locked::new();
    fs::remove_file(&file).expect("removed");
    let plain = world.keys.path("age");
    let words = ["age", "-p", "-o", file.to_str().expect("unicode"), plain.to_str().expect("unicode")];
    let mut age = world.agenix([""; 0]).in_terminal(&words.map(Into::into));
    age.answers("Enter passphrase", PASSPHRASE);
    age.answers("Confirm passphrase", PASSPHRASE);
    age.ends().expect(0);
    world.rules(&[("a.age", std::slice::from_ref(&reader)), ("b.age", std::slice::from_ref(&reader))]);
    let file = file.to_str().expect("unicode");
    for name in ["a.age", "b.age"] {
        fs::write(world.path(name), &files(1, std::slice::from_ref(&reader))[0]).expect("a file");
    }
    let call = |args: &[&str]| world.agenix([args, &["-i", file]].concat()).at_terminal("");
    let mut terminal = call(&["-r", "--force"]);
    terminal.answers("Passphrase of ", PASSPHRASE);
    let answer = terminal.ends().expect(0);
    assert_eq!(answer.stderr.matches("Passphrase of ").count(), 1, "{}", answer.stderr);
    assert!(!answer.stderr.contains(PASSPHRASE), "{}", answer.stderr);
    let mut terminal = call(&["-d", "a.age"]);
    terminal.answers("Passphrase of ", "wrong");
    let answer = terminal.ends().expect(1);
    assert!(
        answer.stderr.contains(&format!("a.age: the passphrase for {file} is wrong\n")),
        "{}",
        answer.stderr
    );
}
