//! What an embedded etcd says of itself: whether it has a leader, and who its members are. K3s has no command that lists them.

use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;

/// One member's view of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members {
    /// The member that says so.
    pub own: u64,
    /// All of them.
    pub list: Vec<Member>,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// As requests about it name it.
    pub id: u64,
    /// Its node's name, `-` and eight digits; empty for a member that was added and has not started yet.
    pub name: String,
    /// Where the other members reach it.
    pub peers: Vec<String>,
    /// Where clients reach it; none before it started.
    pub clients: Vec<String>,
    /// It counts when a majority is asked for.
    pub votes: bool,
}

impl Member {
    /// Is it, or was it, this node's? By its name and its address.
    pub fn is_of(&self, node: &str, address: Option<IpAddr>) -> bool {
        let named = self.name.rsplit_once('-').is_some_and(|(name, _)| name == node);
        named || self.peers.iter().any(|url| address.is_some() && host(url) == address)
    }

    /// For people.
    pub fn label(&self) -> &str {
        if self.name.is_empty() { self.peers.first().map_or("", String::as_str) } else { &self.name }
    }
}

/// `https://100.64.0.6:2380`
fn host(url: &str) -> Option<IpAddr> {
    let (_, address) = url.split_once("://")?;
    address.parse::<SocketAddr>().ok().map(|address| address.ip())
}

#[derive(Deserialize)]
struct Answer {
    header: Header,
    #[serde(default)]
    members: Vec<Item>,
}

#[derive(Deserialize)]
struct Header {
    member_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    #[serde(rename = "ID")]
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default, rename = "peerURLs")]
    peers: Vec<String>,
    #[serde(default, rename = "clientURLs")]
    clients: Vec<String>,
    #[serde(default)]
    is_learner: bool,
}

/// Reads the gateway's answer to `/v3/cluster/member/list`; `None` if it is none.
pub fn members(json: &str) -> Option<Members> {
    let answer: Answer = serde_json::from_str(json).ok()?;
    let member = |item: Item| {
        let Item { id, name, peers, clients, is_learner } = item;
        Some(Member { id: id.parse().ok()?, name, peers, clients, votes: !is_learner })
    };
    let list = answer.members.into_iter().map(member).collect::<Option<Vec<_>>>()?;
    Some(Members { own: answer.header.member_id.parse().ok()?, list })
}

/// Has it a leader, so that it answers? In its own words if not; `None` if that is no answer of etcd's.
pub fn health(json: &str) -> Option<Result<(), String>> {
    #[derive(Deserialize)]
    struct Health {
        health: String,
        #[serde(default)]
        reason: String,
    }
    let Health { health, reason } = serde_json::from_str(json).ok()?;
    Some(if health == "true" { Ok(()) } else { Err(reason) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As etcd 3.6 in K3s 1.35 answered.
    const LIST: &str = r#"{"header":{"cluster_id":"12179778543249308612", "member_id":"16416104692147172400", "raft_term":"4"},
        "members":[{"ID":"5426205506226998099", "name":"reef-9c1c0208", "peerURLs":["https://100.64.0.22:2380"],
        "clientURLs":["https://100.64.0.22:2379"]}, {"ID":"14395675103551339653", "peerURLs":["https://100.64.0.99:2380"],
        "isLearner":true}, {"ID":"16416104692147172400", "name":"ocean-c2d1a45b", "peerURLs":["https://100.64.0.6:2380"],
        "clientURLs":["https://100.64.0.6:2379"]}]}"#;

    #[test]
    fn members_are_read_and_known_by_name_or_address() {
        let members = members(LIST).unwrap();
        let [reef, new, ocean] = &members.list[..] else { panic!("{members:?}") };
        assert_eq!((members.own, ocean.id), (ocean.id, 16_416_104_692_147_172_400));
        assert_eq!((reef.votes, new.votes, new.label()), (true, false, "https://100.64.0.99:2380"));
        assert!(reef.is_of("reef", None) && !reef.is_of("ree", None) && !new.is_of("reef", None));
        assert!(
            new.is_of("atoll", "100.64.0.99".parse().ok()) && !new.is_of("atoll", "100.64.0.9".parse().ok())
        );
        assert_eq!(
            (super::members("Client sent an HTTP request to an HTTPS server."), super::members("{}")),
            (None, None)
        );
    }

    #[test]
    fn it_says_itself_whether_it_has_a_leader() {
        assert_eq!(health(r#"{"health":"true","reason":""}"#), Some(Ok(())));
        assert_eq!(
            health(r#"{"health":"false","reason":"RAFT NO LEADER"}"#),
            Some(Err("RAFT NO LEADER".to_owned()))
        );
        assert_eq!(health("404 page not found"), None);
    }
}
