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
    /// It does not: the password is another one.
    Refused,
    /// It cannot be told: what was answered.
    Unclear(String),
}

/// What a token that its server does not take means to an agent whose node is well, before the reason: it logs in with its
/// kubelet's certificate, and with the token only where it has none.
pub const JOINED: &str = "has joined, and a first join would be refused";

/// A function for shell scripts: what logs in of the token `$1`, by the rules of [`crate::Token::password`].
pub const PASSWORD_OF: &str = r#"
password_of() {
  case $1 in
    K10*::*:*) set -- "${1#*::}"; printf %s "${1#*:}" ;;
    *) printf %s "$1" ;;
  esac
}
"#;

/// A function for shell scripts, behind [`PASSWORD_OF`]: a login as the account `$1` at the URL `$2`, whose CA's certificate is
/// the text `$3`; standard input is the token. Prints the status; what the server answers is thrown away, since it may hold
/// keys.
///
/// A 401 is followed by the status of the same request without a login. Where the route exists that is another one, 403;
/// where it does not, the API server answers 401 to whoever asks, and nothing was said about the token.
pub const LOG_IN: &str = r#"
log_in() {
  password=$(password_of "$(tr -d '[:space:]')" | sed 's/[\\"]/\\&/g')
  [ -n "$password" ] || { echo 'there is no token to log in with' >&2; return 1; }
  ask() {
    curl --disable --noproxy '*' --silent --show-error --output /dev/null --write-out '%{http_code}\n' --connect-timeout 4 \
      --max-time 10 "$@"
  }
  status=$(printf 'user = "%s:%s"\n' "$1" "$password" | ask --config - --cacert /dev/fd/3 "$2" 3<<CA
$3
CA
  ) || return
  echo "$status"
  [ "$status" != 401 ] || printf '%s\n' "$3" | ask --cacert /dev/stdin "$2"
}
"#;

/// `$1` the account, `$2` the URL, `$3` the file of the CA's certificate, `$4` the token's; without one the token is read from
/// standard input.
const LOGIN: &str = r#"
cat ${4:+"$4"} | log_in "$1" "$2" "$(cat "$3")"
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
    let script = format!("{PASSWORD_OF}{LOG_IN}{LOGIN}");
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

/// Reads the statuses that [`LOG_IN`] printed.
pub fn answer(account: Account, statuses: &str) -> Answer {
    let statuses: Vec<&str> = statuses.split_whitespace().collect();
    let unclear = |said: String| Answer::Unclear(format!("the server answers {said}"));
    match (&statuses[..], account) {
        (["200"], _) | (["400"], Account::Server) => Answer::Accepted,
        (["401", "403"], _) => Answer::Refused,
        (["401", "401"], _) => unclear("401 to whoever asks, as a K3s does that lacks this route".to_owned()),
        (["401"], _) => unclear("401, and nothing to the same request without a login".to_owned()),
        (["401", other], _) => unclear(format!("401, and {other} to the same request without a login")),
        (["000"] | [], _) => Answer::Unclear("the server does not answer".to_owned()),
        (others, _) => unclear(others.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_k3s_says_about_a_token_is_said_about_it() {
        let unclear = |said: &str| Answer::Unclear(format!("the server answers {said}"));
        assert_eq!(answer(Account::Node, "200\n"), Answer::Accepted);
        assert_eq!(answer(Account::Server, "400\n"), Answer::Accepted);
        for account in [Account::Node, Account::Server] {
            assert_eq!(answer(account, "401\n403\n"), Answer::Refused);
            let no_route = "401 to whoever asks, as a K3s does that lacks this route";
            assert_eq!(answer(account, "401\n401\n"), unclear(no_route));
            // It went away in between.
            let gone = "401, and 000 to the same request without a login";
            assert_eq!(answer(account, "401\n000\n"), unclear(gone));
            let silent = "401, and nothing to the same request without a login";
            assert_eq!(answer(account, "401\n"), unclear(silent));
            for status in ["403", "404", "500", "503"] {
                assert_eq!(answer(account, status), unclear(status));
            }
            assert_eq!(answer(account, "000\n"), Answer::Unclear("the server does not answer".to_owned()));
            assert_eq!(answer(account, ""), Answer::Unclear("the server does not answer".to_owned()));
        }
        assert_eq!(answer(Account::Node, "400"), unclear("400"));
    }

    #[test]
    fn no_password_is_in_the_argv() {
        let argv = argv(Account::Node, Some("fd00::6".parse().unwrap()), Some("/run/agenix/k3s-agent-token"));
        assert_eq!(argv[4..6], ["node", "https://[fd00::6]:6443/v1-k3s/config"]);
        assert_eq!(argv.last().unwrap(), "/run/agenix/k3s-agent-token");
    }
}
