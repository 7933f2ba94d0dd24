//! `k3s certificate check`: until when each certificate of a machine holds.
//!
//! Both of its forms are read: its log lines (on standard error, and all that older K3s have) and the table of
//! `--output table`, which knows no seconds. K3s itself warns within 120 days of an end, and from then on renews a leaf
//! when it starts.

use std::time::UNIX_EPOCH;

/// One certificate of one file. A file holds its leaf and often the CA behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// `client-admin.crt`
    pub file: String,
    /// The subject's common name; older K3s give the whole subject. May be empty.
    pub subject: String,
    /// Seconds since 1970: its end, and of one that is not valid yet its beginning.
    pub moment: u64,
    /// What K3s says of it.
    pub status: Status,
}

/// K3s' own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It holds for long.
    Ok,
    /// It ends soon.
    Warning,
    /// It has ended.
    Expired,
    /// The machine's clock is behind the one that it was made by.
    NotYetValid,
}

impl Certificate {
    /// Does a start of K3s make it anew? Not a CA: those hold for ten years, and `k3s certificate rotate-ca` is theirs.
    pub fn renews_at_start(&self) -> bool {
        !self.subject.contains("-ca@")
    }
}

/// What stands between subject and moment in a log line. `N days` differs between releases.
const WORDS: [(&str, Status); 4] = [
    (" is ok, expires at ", Status::Ok),
    (" will expire within ", Status::Warning),
    (" expired at ", Status::Expired),
    (" is not valid before ", Status::NotYetValid),
];
const STATUSES: [(&str, Status); 4] = [
    ("NOT YET VALID", Status::NotYetValid),
    ("EXPIRED", Status::Expired),
    ("WARNING", Status::Warning),
    ("OK", Status::Ok),
];

/// Every certificate that the text tells of, in its order. Other lines are passed over.
pub fn parse(text: &str) -> Vec<Certificate> {
    text.lines().filter_map(|line| log_line(line).or_else(|| table_row(line))).collect()
}

/// The one to worry about: not valid, or the first to end of those that K3s warns of.
pub fn worst(certificates: &[Certificate]) -> Option<&Certificate> {
    let rank = |certificate: &&Certificate| match certificate.status {
        Status::Expired | Status::NotYetValid => (0, certificate.moment),
        Status::Warning => (1, certificate.moment),
        Status::Ok => (2, certificate.moment),
    };
    certificates.iter().filter(|certificate| certificate.status != Status::Ok).min_by_key(rank)
}

/// `… msg="client-admin.crt: certificate system:admin (ClientAuth) is ok, expires at 2027-01-02T03:04:05Z"`
fn log_line(line: &str) -> Option<Certificate> {
    let (before, rest) = line.split_once(": certificate ")?;
    let file = before.rsplit(['"', ' ']).next()?;
    let (words, status) = WORDS.iter().find(|(words, _)| rest.contains(words))?;
    let (subject, end) = rest.split_once(words)?;
    // Its usages, which newer releases name.
    let subject = subject.split_once(" (").map_or(subject, |(subject, _)| subject);
    let moment = end.trim_end_matches('"').rsplit(' ').next()?;
    let moment = humantime::parse_rfc3339(moment).ok()?.duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(Certificate { file: file.to_owned(), subject: subject.trim().to_owned(), moment, status: *status })
}

/// `client-admin.crt   system:admin   ClientAuth   Jan 02, 2027 03:04 UTC   11 months   OK`
fn table_row(line: &str) -> Option<Certificate> {
    let line = line.trim_end();
    let (word, status) = STATUSES.iter().find(|(word, _)| line.ends_with(word))?;
    let before = line.strip_suffix(word)?;
    // Columns are three blanks apart, and an empty subject makes two of them one.
    let cells: Vec<&str> = before.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    let at = cells.iter().position(|cell| table_moment(cell).is_some())?;
    let subject = if at >= 3 { cells[1] } else { "" };
    let moment = table_moment(cells[at])?;
    Some(Certificate { file: cells[0].to_owned(), subject: subject.to_owned(), moment, status: *status })
}

/// `Jan 02, 2027 03:04 UTC`: certificates know no other zone.
fn table_moment(text: &str) -> Option<u64> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let words: Vec<&str> = text.split_whitespace().collect();
    let [month, day, year, time, "UTC"] = words[..] else { return None };
    let month = (month.len() == 3).then(|| MONTHS.find(month)).flatten()? / 3 + 1;
    let day: u8 = day.strip_suffix(',')?.parse().ok()?;
    let moment = humantime::parse_rfc3339(&format!("{year}-{month:02}-{day:02}T{time}:00Z")).ok()?;
    Some(moment.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = r#"time="2026-01-01T00:00:00Z" level=info msg="Server detected, checking agent and server certificates"
time="2026-01-01T00:00:00Z" level=info msg="client-admin.crt: certificate system:admin (ClientAuth) is ok, expires at 2027-01-02T03:04:05Z"
time="2026-01-01T00:00:00Z" level=warning msg="serving-kube-apiserver.crt: certificate kube-apiserver (ServerAuth) will expire within 120 days at 2026-03-01T00:00:00Z"
time="2026-01-01T00:00:00Z" level=info msg="client-admin.crt: certificate k3s-client-ca@1735689600 (CertSign) is ok, expires at 2036-01-01T00:00:00Z"
time="2026-01-01T00:00:00Z" level=error msg="client-kubelet.crt: certificate system:node:ocean (ClientAuth) expired at 2025-12-31T00:00:00Z""#;

    fn told(text: &str) -> Vec<String> {
        let one = |certificate: &Certificate| {
            let Certificate { file, subject, moment, status } = certificate;
            format!("{file} [{subject}] {status:?} {moment}")
        };
        parse(text).iter().map(one).collect()
    }

    #[test]
    fn log_lines_are_read() {
        assert_eq!(
            told(LOG),
            [
                "client-admin.crt [system:admin] Ok 1798859045",
                "serving-kube-apiserver.crt [kube-apiserver] Warning 1772323200",
                "client-admin.crt [k3s-client-ca@1735689600] Ok 2082758400",
                "client-kubelet.crt [system:node:ocean] Expired 1767139200",
            ]
        );
        let found = parse(LOG);
        assert_eq!(worst(&found), Some(&found[3]));
        assert_eq!(worst(&found[..2]), Some(&found[1]));
        assert_eq!(worst(&found[..1]), None);
        assert!(found[0].renews_at_start() && !found[2].renews_at_start());
    }

    #[test]
    fn the_lines_of_older_releases_and_of_a_terminal_are_read() {
        let old = "INFO[0000] client-admin.crt: certificate CN=system:admin,O=system:masters is ok, expires at 2027-01-02T03:04:05Z";
        assert_eq!(told(old), ["client-admin.crt [CN=system:admin,O=system:masters] Ok 1798859045"]);
        let future = "ERRO[0000] a.crt: certificate x (ServerAuth) is not valid before 2027-01-02T03:04:05Z";
        assert_eq!(told(future), ["a.crt [x] NotYetValid 1798859045"]);
    }

    #[test]
    fn the_table_is_read() {
        let table = "\n\
            FILENAME                     SUBJECT                    USAGES       EXPIRES                  RESIDUAL TIME   STATUS\n\
            --------                     -------                    ------       -------                  -------------   ------\n\
            client-admin.crt             system:admin               ClientAuth   Jan 02, 2027 03:04 UTC   1 year          OK\n\
            serving-kube-apiserver.crt   kube-apiserver             ServerAuth   Mar 01, 2026 00:00 UTC   1 month         WARNING\n\
            serving-kubelet.crt                                     ServerAuth   Mar 01, 2026 00:00 UTC   1 month         NOT YET VALID\n";
        assert_eq!(
            told(table),
            [
                "client-admin.crt [system:admin] Ok 1798859040",
                "serving-kube-apiserver.crt [kube-apiserver] Warning 1772323200",
                "serving-kubelet.crt [] NotYetValid 1772323200",
            ]
        );
    }

    #[test]
    fn what_is_no_certificate_is_passed_over() {
        assert_eq!(
            told("Error: service x is not recognized\nSTATUS OK\n: certificate \nOK"),
            <[&str; 0]>::default()
        );
        assert_eq!(
            told("a   b   c   Foo 02, 2027 03:04 UTC   x   OK\na.crt: certificate x is ok, expires at soon"),
            <[&str; 0]>::default()
        );
    }
}
