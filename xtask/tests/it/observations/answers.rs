//! What a server answers to whom.

use lab::Lab;

use super::{Seen, bootstrap};
use crate::support::on;

/// `password FILE`: of a full token. `ask METHOD PATH WORDS OF CURL…`: the status, a blank, the body.
const ASK: &str = r#"
server=/var/lib/rancher/k3s/server
password() { sed 's/.*:://; s/^[a-z]*://' "$server/$1"; }
ask() {
  curl --silent --insecure --max-time 10 --output /root/answer --write-out '%{http_code} ' --request "$1" \
    "${@:3}" "https://127.0.0.1:6443$2"
  cat /root/answer
}
"#;

const LOGINS: &[(&str, &str)] = &[
    ("no login", ""),
    ("node", "--user node:$(password agent-token)"),
    ("node, wrong password", "--user node:wrong"),
    ("node, the server's password", "--user node:$(password token)"),
    ("server", "--user server:$(password token)"),
    ("server, wrong password", "--user server:wrong"),
    ("server, the node's password", "--user server:$(password agent-token)"),
    ("somebody", "--user somebody:wrong"),
    ("admin's certificate", "--cert $server/tls/client-admin.crt --key $server/tls/client-admin.key"),
    (
        "a kubelet's certificate",
        "--cert $server/../agent/client-kubelet.crt --key $server/../agent/client-kubelet.key",
    ),
];

const PATHS: &[(&str, &[&str])] = &[
    ("GET /ping", &["no login"]),
    ("GET /cacerts", &["no login"]),
    ("GET /readyz", &["no login", "node", "server", "admin's certificate", "a kubelet's certificate"]),
    ("GET /healthz", &["no login"]),
    ("GET /livez", &["no login"]),
    ("GET /version", &["no login", "admin's certificate"]),
    ("GET /api/v1/nodes", &["no login", "node, wrong password"]),
    (
        "GET /v1-k3s/config",
        &[
            "no login",
            "node",
            "node, wrong password",
            "node, the server's password",
            "server",
            "server, wrong password",
            "somebody",
            "admin's certificate",
            "a kubelet's certificate",
        ],
    ),
    (
        "GET /v1-k3s/server-bootstrap",
        &[
            "no login",
            "node",
            "node, wrong password",
            "server",
            "server, wrong password",
            "server, the node's password",
            "a kubelet's certificate",
        ],
    ),
    ("GET /v1-k3s/readyz", &["no login", "node"]),
    ("GET /v1-k3s/apiservers", &["no login", "node", "a kubelet's certificate"]),
    ("GET /v1-k3s/client-ca.crt", &["no login", "node"]),
    ("PUT /v1-k3s/token", &["no login", "node", "server, wrong password"]),
    ("GET /v1-k3s/no-such-thing", &["no login", "node", "server"]),
];

pub(super) fn of_a_server(lab: &Lab, seen: &mut Seen) {
    bootstrap(lab);
    for (request, logins) in PATHS {
        let (method, path) = request.split_once(' ').expect("a method and a path");
        for login in *logins {
            let (_, words) = LOGINS.iter().find(|(name, _)| name == login).expect("a known login");
            ask(lab, seen, &format!("{request}, {login}"), method, path, words);
        }
    }
    certificates(lab, seen);
}

fn ask(lab: &Lab, seen: &mut Seen, what: &str, method: &str, path: &str, words: &str) {
    let said = on(lab, "ocean", &format!("{ASK}\nask {method} {path} {words}"));
    let (status, body) = said.split_once(' ').unwrap_or((&said, ""));
    seen.see(what, &format!("{status} {}", short(body)));
}

/// A body in a few words.
fn short(body: &str) -> String {
    if body.contains("-----BEGIN CERTIFICATE-----") {
        return "a certificate".to_owned();
    }
    match serde_json::from_str::<serde_json::Value>(body) {
        Ok(json) if json["kind"] == "Status" => format!("Status: {}", json["message"].as_str().unwrap_or("")),
        Ok(json) if json.is_object() => "an object".to_owned(),
        _ => body.to_owned(),
    }
}

/// A kubelet's certificate, for who asks with which node password.
fn certificates(lab: &Lab, seen: &mut Seen) {
    let request = "openssl req -new -newkey rsa:2048 -nodes -keyout /root/key -subj /CN=x -outform DER -out /root/request";
    on(lab, "ocean", &format!("{request} 2> /dev/null"));
    on(lab, "maia", "cat /etc/rancher/node/password > /root/password");
    let right = on(lab, "maia", "cat /etc/rancher/node/password");
    let header = |name: &str, value: &str| format!("--header 'k3s-Node-{name}: {value}'");
    let (maia, new) = (header("Name", "maia"), header("Name", "new"));
    let (right, wrong) = (header("Password", &right), header("Password", "wrong"));
    for file in ["serving-kubelet.crt", "client-kubelet.crt"] {
        for (what, headers) in [
            ("no node name", wrong.clone()),
            ("no node password", maia.clone()),
            ("maia, wrong node password", format!("{maia} {wrong}")),
            ("maia, its node password", format!("{maia} {right}")),
            ("a new node", format!("{new} {wrong}")),
            ("the new node, another node password", format!("{new} {right}")),
        ] {
            let words = format!("--user node:$(password agent-token) --data-binary @/root/request {headers}");
            ask(
                lab,
                seen,
                &format!("POST /v1-k3s/{file}, {what}"),
                "POST",
                &format!("/v1-k3s/{file}"),
                &words,
            );
        }
    }
    // With a kubelet's certificate in place of a password: of its own node only.
    let ocean = "--cert $server/../agent/client-kubelet.crt --key $server/../agent/client-kubelet.key --data-binary @/root/request";
    let words = format!("{ocean} {maia} {right}");
    ask(
        lab,
        seen,
        "POST /v1-k3s/client-kubelet.crt, maia, another kubelet's certificate",
        "POST",
        "/v1-k3s/client-kubelet.crt",
        &words,
    );
    let words = format!(
        "{ocean} {} --header \"k3s-Node-Password: $(cat /etc/rancher/node/password)\"",
        header("Name", "ocean")
    );
    ask(
        lab,
        seen,
        "POST /v1-k3s/client-kubelet.crt, ocean, its kubelet's certificate",
        "POST",
        "/v1-k3s/client-kubelet.crt",
        &words,
    );
}
