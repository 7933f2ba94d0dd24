//! What holds for any input whatever. Asked by the fuzz targets and, in every `cargo test`, by
//! `tests/it/property.rs`.
//!
//! Each function takes what somebody made up, and panics where the library does not keep its word. Answers
//! are compared with a second, simpler reading of the same input, not with the library's own.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Component, Path};

use agenix::{FileError, FileRecipients, PathError, Recipient, Rules, SecretPath, SshKind, SshTag};
use agenix::{agrees, encrypt, recipients_of};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};

/// Any bytes as an age file.
pub(crate) fn header(bytes: &[u8]) {
    let answer = recipients_of(bytes);
    assert_eq!(answer, recipients_of(bytes), "the same bytes, another answer");
    let found = match answer {
        Ok(found) => found,
        Err(error) => return printable(&[error.to_string(), error.hint()]),
    };

    let agreement = agrees(&found, &[]);
    printable(&[found.to_string(), agreement.to_string()]);
    assert!(agreement.missing.is_empty());
    let named = found.named.as_ref().map_or(0, Vec::len);
    let told = found.ssh.len() + named + usize::from(found.passphrase) + found.other.len();
    assert_eq!(agreement.extra.len(), told);
    assert_eq!(agreement.holds(), told + found.anonymous == 0);

    let file = Dearmored::of(bytes);
    let text = &file.bytes[..file.header_end().expect("an accepted header has an end")];
    let text_of_header = std::str::from_utf8(text).expect("an accepted header is ASCII");
    let ours = text_of_header.lines().filter(|line| *line == "-> agenix-readers 1").count();
    assert!(found.named.is_none() || ours == 1, "names that no stanza tells");
    assert_eq!(FileRecipients { named: None, ..found.clone() }, counted(text_of_header));

    // After the header come 16 bytes of nonce, which age reads with it. What follows is none of its business.
    let needed = text.len() + 16;
    let cut = file.cut_to(needed);
    assert_eq!(recipients_of(&bytes[..cut]), Ok(found.clone()), "without its payload");
    assert_eq!(recipients_of(&bytes[..file.cut_below(needed)]), Err(FileError::Damaged), "without its nonce");
    let junk = [&bytes[..cut], b"\n\0\xff-->\n"].concat();
    assert_eq!(recipients_of(&junk), Ok(found), "with another payload");
}

/// Any text as what nix printed for secrets.nix. `PASTED-AGE-KEY` and `PASTED-SSH-KEY` in it become private
/// keys.
pub(crate) fn rules(text: &str) {
    let planted = Planted::new(text);
    let is_name = planted.names_a_rule_so();
    let told = |words: &[String]| {
        printable(words);
        let leak = words.iter().find(|text| planted.leaks(text));
        assert!(is_name || leak.is_none(), "a private key is repeated: {leak:?}");
    };
    let rules = match Rules::from_json(&planted.json) {
        Ok(rules) => rules,
        Err(error) => return told(&[error.to_string(), error.hint(), format!("{error:?}")]),
    };
    told(&[format!("{rules:?}")]);
    assert_eq!(rules.iter().count(), rules.len());
    for rule in rules.iter() {
        path(rule.path().as_str());
        assert_eq!(rules.rule(rule.path()).expect("it is there").keys(), rule.keys());
        let recipients = match rule.recipients() {
            Ok(recipients) => recipients,
            Err(error) => {
                told(&[error.to_string(), error.hint(), format!("{error:?}")]);
                continue;
            }
        };
        assert_eq!(recipients.len(), rule.keys().len());
        for recipient in &recipients {
            told(&[recipient.label(), format!("{recipient:?}")]);
            accepted(recipient);
        }
        // A rule that can be used is one that can be encrypted by, and the file is then as the rule says.
        let file = encrypt(b"", &recipients, rule.format()).expect("encrypts");
        let agreement = agrees(&recipients_of(&file).expect("a header"), &recipients);
        assert!(agreement.holds(), "{agreement}");
    }
}

/// Any text as the path of a secret.
pub(crate) fn path(text: &str) {
    // std's own reading of the same text.
    let parts: Vec<Component<'_>> =
        Path::new(text).components().filter(|part| *part != Component::CurDir).collect();
    let inside = !parts.is_empty() && parts.iter().all(|part| matches!(part, Component::Normal(_)));
    let is_folder = text.ends_with('/') || text.ends_with("/.");
    let fine = inside && !is_folder && !has_control(text) && text.len() <= 1024;

    match SecretPath::parse(text) {
        Ok(path) => {
            assert!(fine, "{text:?} was accepted");
            assert!(Path::new(path.as_str()).components().eq(parts), "{text:?} became {path}");
            assert_eq!(SecretPath::parse(path.as_str()), Ok(path.clone()), "not as short as it can be");
            assert_eq!(path.to_string(), path.as_str());
            assert!(path.in_repository(Path::new("/repository")).starts_with("/repository"));
        }
        Err(error) => {
            assert!(!fine, "{text:?} was refused: {error}");
            assert_eq!(matches!(error, PathError::TooLong { .. }), text.len() > 1024);
            printable(&[error.to_string(), error.hint(), format!("{error:?}")]);
        }
    }
}

/// A recipient that a rule may name.
fn accepted(recipient: &Recipient) {
    printable(&[recipient.text().to_owned()]);
    let again = Recipient::parse(recipient.text()).expect("its own text");
    assert_eq!((again.text(), again.comment()), (recipient.text(), None));
    let whole = format!("{} {}", recipient.text(), recipient.comment().unwrap_or_default());
    let again = Recipient::parse(&whole).expect("its own text and comment");
    assert_eq!((again.text(), again.comment()), (recipient.text(), recipient.comment()));

    let Some((kind, body)) = recipient.text().split_once(' ') else {
        assert_eq!(recipient.ssh_tag(), None);
        return assert!(recipient.text().starts_with("age1"));
    };
    let wire = BASE64_STANDARD.decode(body).expect("canonical base64");
    let fields = fields(&wire).expect("a key and nothing behind it");
    let (expected, count) = match kind {
        "ssh-ed25519" => (SshKind::Ed25519, 2),
        "ssh-rsa" => (SshKind::Rsa, 3),
        other => panic!("{other} was accepted"),
    };
    assert_eq!((fields[0], fields.len()), (kind.as_bytes(), count));
    assert_eq!(recipient.ssh_tag(), Some(SshTag::of(expected, &wire)));
}

/// A header once more, by its lines alone.
fn counted(header: &str) -> FileRecipients {
    let mut found = FileRecipients::default();
    for stanza in header.lines().filter_map(|line| line.strip_prefix("-> ")) {
        let mut words = stanza.split(' ');
        let name = words.next().unwrap_or_default();
        let ssh = match name {
            "ssh-ed25519" => SshKind::Ed25519,
            "ssh-rsa" => SshKind::Rsa,
            "X25519" => {
                found.anonymous += 1;
                continue;
            }
            "scrypt" => {
                found.passphrase = true;
                continue;
            }
            // Told apart by its caller.
            "agenix-readers" => continue,
            _ => {
                found.other.extend((!name.ends_with("-grease")).then(|| name.to_owned()));
                continue;
            }
        };
        let tag = BASE64_STANDARD_NO_PAD.decode(words.next().expect("a tag")).expect("base64");
        found.ssh.push(SshTag { kind: ssh, tag: tag.try_into().expect("four bytes") });
    }
    found
}

/// An age file without its armor.
struct Dearmored {
    bytes: Vec<u8>,
    /// Where one can cut: how many bytes that leaves without, and with the armor. Of a binary file: anywhere.
    lines: Option<Vec<(usize, usize)>>,
}

impl Dearmored {
    fn of(file: &[u8]) -> Self {
        // White space in front of armor is fine.
        let start = file.len() - file.trim_ascii_start().len();
        if !file[start..].starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----") {
            return Self { bytes: file.to_owned(), lines: None };
        }
        let (mut bytes, mut lines, mut position) = (Vec::new(), Vec::new(), start);
        for (index, line) in file[start..].split_inclusive(|byte| *byte == b'\n').enumerate() {
            position += line.len();
            if index > 0 {
                // The end, or damage behind the header.
                let Ok(decoded) = BASE64_STANDARD.decode(line.trim_ascii_end()) else { break };
                bytes.extend(decoded);
            }
            lines.push((bytes.len(), position));
        }
        Self { bytes, lines: Some(lines) }
    }

    /// Behind the line with the MAC, the only one that starts with `---`.
    fn header_end(&self) -> Option<usize> {
        let mac = self.bytes.windows(4).position(|window| window == b"\n---")? + 1;
        Some(mac + self.bytes[mac..].iter().position(|byte| *byte == b'\n')? + 1)
    }

    /// The length of the shortest start of the file that holds `needed` bytes.
    fn cut_to(&self, needed: usize) -> usize {
        let Some(lines) = &self.lines else { return needed };
        lines.iter().find(|(plain, _)| *plain >= needed).expect("as long as that").1
    }

    /// The length of the longest start that does not.
    fn cut_below(&self, needed: usize) -> usize {
        let Some(lines) = &self.lines else { return needed - 1 };
        lines.iter().rfind(|(plain, _)| *plain < needed).expect("at least the first line").1
    }
}

/// A key in ssh's wire form as its fields; `None` if they are not all of it.
fn fields(mut wire: &[u8]) -> Option<Vec<&[u8]>> {
    let mut fields = Vec::new();
    while !wire.is_empty() {
        let (length, rest) = wire.split_first_chunk()?;
        let (field, rest) = rest.split_at_checked(u32::from_be_bytes(*length).try_into().ok()?)?;
        fields.push(field);
        wire = rest;
    }
    Some(fields)
}

/// Nothing that a terminal would take for a command.
fn printable(words: &[String]) {
    for text in words {
        assert!(!has_control(text), "{text:?}");
    }
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

/// So many characters of a private key in a message are no accident.
const TOO_MANY: usize = 16;

/// What nix printed, with private keys in it.
struct Planted {
    json: String,
    /// The secret parts of the keys. They are no keys, and others for each text: so a fuzzer that watches
    /// what is compared cannot put them in itself, and nothing private lies in this repository.
    bodies: Vec<String>,
}

impl Planted {
    fn new(text: &str) -> Self {
        let body = |name: &str| -> String {
            let part = |index: usize| {
                let mut hasher = DefaultHasher::new();
                (text, name, index).hash(&mut hasher);
                format!("{:016X}", hasher.finish())
            };
            (0..4).map(part).collect()
        };
        let (age, ssh, label) = (body("age"), body("ssh"), "OPENSSH PRIVATE KEY");
        let json = text
            .replace("PASTED-AGE-KEY", &format!("AGE-SECRET-KEY-1{age}"))
            .replace("PASTED-SSH-KEY", &format!(r"-----BEGIN {label}-----\n{ssh}\n-----END {label}-----\n"));
        Self { json, bodies: vec![age, ssh] }
    }

    fn leaks(&self, text: &str) -> bool {
        let parts =
            |body: &str| (0..=body.len() - TOO_MANY).any(|at| text.contains(&body[at..at + TOO_MANY]));
        self.bodies.iter().any(|body| parts(body))
    }

    /// The name of a rule is no secret, whatever it looks like.
    fn names_a_rule_so(&self) -> bool {
        let names: BTreeMap<String, serde_json::Value> = serde_json::from_str(&self.json).unwrap_or_default();
        names.into_keys().any(|name| self.leaks(&name))
    }
}
