//! Does a server take a token? A real login, by the requests with which K3s itself joins.
//!
//! The password goes from a file, or from standard input, into curl's standard input: into no argv and no environment.

use std::net::IpAddr;

use secrecy::SecretSlice;
use secrecy::zeroize::Zeroizing;

use crate::Token;

/// Who logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// With the servers' token. Without etcd the right one is answered with 400: `etcd disabled`.
    Server,
    /// With the agents' token.
    Node,
}

/// What the server made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It takes the token.
    Accepted,
    /// 401: the password is another one.
    Refused,
    /// Neither: what was answered.
    Unclear(String),
}

/// A function for shell scripts: what logs in of the token `$1`, by the rules of [`crate::Token::password`].
pub const PASSWORD_OF: &str = r#"
password_of() {
  case $1 in
    K10*::*:*) set -- "${1#*::}"; printf %s "${1#*:}" ;;
    *) printf %s "$1" ;;
  esac
}
"#;

/// `$1` the account, `$2` the URL, `$3` the CA's certificate, `$4` the token's file; without one the token is read from
/// standard input. What the server answers is thrown away, since it may hold keys; its status is printed.
const LOGIN: &str = r#"
token=$(cat ${4:+"$4"} | tr -d '[:space:]')
password=$(password_of "$token")
printf 'user = "%s:%s"\n' "$1" "$(printf %s "$password" | sed 's/[\\"]/\\&/g')" |
  curl --config - --silent --show-error --output /dev/null --write-out '%{http_code}' --max-time 10 --cacert "$3" "$2"
"#;

const SERVER_CA: &str = "/var/lib/rancher/k3s/server/tls/server-ca.crt";
const AGENT_CA: &str = "/var/lib/rancher/k3s/agent/server-ca.crt";

/// The command to run on a node: on a server it asks that very server; on an agent, the server at `at`. `file` holds the
/// token, else standard input does.
pub fn argv(account: Account, at: Option<IpAddr>, file: Option<&str>) -> Vec<String> {
    let ca = if at.is_some() { AGENT_CA } else { SERVER_CA };
    let host = match at {
        None => "127.0.0.1".to_owned(),
        Some(IpAddr::V4(ip)) => ip.to_string(),
        Some(IpAddr::V6(ip)) => format!("[{ip}]"),
    };
    let (user, path) = match account {
        Account::Server => ("server", "server-bootstrap"),
        Account::Node => ("node", "config"),
    };
    let url = format!("https://{host}:6443/v1-k3s/{path}");
    let script = format!("{PASSWORD_OF}{LOGIN}");
    let words = ["sh", "-c", &script, "sh", user, &url, ca];
    words.into_iter().chain(file).map(str::to_owned).collect()
}

/// The current token and the new one are two lines of standard input. The request is that of `k3s token rotate`, which takes
/// the new token in its argv only.
const CHANGE: &str = r#"
escaped() { printf %s "$1" | sed 's/[\\"]/\\&/g'; }
IFS= read -r current && IFS= read -r new || exit
body="{\"newToken\":\"$(escaped "$(password_of "$new")")\"}"
printf 'user = "server:%s"\ndata = "%s"\n' "$(escaped "$(password_of "$current")")" "$(escaped "$body")" |
  curl --config - --request PUT --header 'Content-Type: application/json' --silent --show-error --output /dev/null \
    --write-out '%{http_code}' --max-time 60 --cacert "$1" https://127.0.0.1:6443/v1-k3s/token
"#;

/// The command, for a server, that has its datastore encrypted with another server token. Prints the status.
pub fn change_argv() -> Vec<String> {
    let script = format!("{PASSWORD_OF}{CHANGE}");
    ["sh", "-c", &script, "sh", SERVER_CA].map(str::to_owned).to_vec()
}

/// Its standard input.
pub fn change(current: &Token, new: &Token) -> SecretSlice<u8> {
    let parts = [current.expose(), "\n", new.expose(), "\n"];
    // Room for all of it at once: a vector that grows leaves copies behind.
    let mut lines = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
    parts.iter().for_each(|part| lines.extend_from_slice(part.as_bytes()));
    SecretSlice::from(Box::from(lines.as_slice()))
}

/// The salt comes on standard input; `$1` is the token's file.
const DIGEST: &str = r#"
test -s "$1" && test -r "$1" || exit 1
{ cat; password_of "$(tr -d '[:space:]' < "$1")"; } | sha256sum
"#;

/// The command that prints what [`crate::Token::digest`] makes of the token in a file of the host. The salt is its standard
/// input. Exit code 1 where the file is empty or cannot be read.
pub fn digest_argv(file: &str) -> Vec<String> {
    let script = format!("{PASSWORD_OF}{DIGEST}");
    ["sh", "-c", &script, "sh", file].map(str::to_owned).to_vec()
}

/// Reads the status that the command printed.
pub fn answer(account: Account, status: &str) -> Answer {
    match (status.trim(), account) {
        ("200", _) | ("400", Account::Server) => Answer::Accepted,
        ("401", _) => Answer::Refused,
        (other, _) => Answer::Unclear(format!("the server answers {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_an_answer_only_where_k3s_means_it() {
        assert_eq!(answer(Account::Server, "400"), Answer::Accepted);
        assert_eq!(answer(Account::Node, "400"), Answer::Unclear("the server answers 400".to_owned()));
        assert_eq!(answer(Account::Node, "401\n"), Answer::Refused);
        assert_eq!(answer(Account::Server, "503"), Answer::Unclear("the server answers 503".to_owned()));
    }

    #[test]
    fn no_password_is_in_the_argv() {
        let argv = argv(Account::Node, Some("fd00::6".parse().unwrap()), Some("/run/agenix/k3s-agent-token"));
        assert_eq!(argv[4..6], ["node", "https://[fd00::6]:6443/v1-k3s/config"]);
        assert_eq!(argv.last().unwrap(), "/run/agenix/k3s-agent-token");
    }
}
