//! Can etcd do without one of its members, for a while or for ever?

/// A server, as a member of etcd or about to be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// It has a vote, or would have one if it ran. `None`: nobody says.
    pub votes: Option<bool>,
    /// Why it cannot be relied upon.
    pub trouble: Option<String>,
}

/// How many of so many voting members have to be there.
pub fn majority(voting: usize) -> usize {
    voting / 2 + 1
}

/// What is to be said of this many servers, if anything.
pub fn advice(servers: usize) -> Option<String> {
    let borne = servers.saturating_sub(1) / 2;
    (servers > 0 && servers.is_multiple_of(2)).then(|| {
        format!(
            "{servers} servers bear the loss of {borne}, no more than {} would: an odd number of them is better",
            servers - 1
        )
    })
}

/// Sees that a majority remains while `name` is away, which may be down already: in words, or what is wrong, a line a
/// member.
///
/// Two members have no majority without each other, so there it is enough that the other one is well: the cluster stands
/// still while one restarts, as a single server does.
///
/// Of whom nobody says whether it votes, the worse is assumed: that it does where it is away, and does not where it remains.
///
/// # Errors
/// A member other than `name` is in trouble, or too few are known to remain.
pub fn without(name: &str, members: &[Member]) -> Result<String, Vec<String>> {
    let others = || members.iter().filter(|member| member.name != name);
    let well = || others().filter(|member| member.trouble.is_none());
    let mut lines: Vec<String> = others()
        .filter_map(|member| Some(format!("{} {}", member.name, member.trouble.as_deref()?)))
        .collect();
    let remain = well().filter(|member| member.votes == Some(true)).count();
    let is_away = |member: &&Member| member.name == name || member.trouble.is_some();
    let away = members.iter().filter(is_away).filter(|member| member.votes != Some(false)).count();
    let voting = remain + away;
    let needed = majority(voting);
    let stands_still = voting == 2 && remain == 1;
    if lines.is_empty() && (remain >= needed || stands_still || away == 0) {
        return Ok(match (voting, stands_still) {
            (0, _) if members.is_empty() => "no other server is a member of etcd yet".to_owned(),
            (0, _) => "it has no vote in etcd that would be missed".to_owned(),
            (_, true) => "the other one is well; the cluster stands still until this one is back".to_owned(),
            _ => format!("{remain} of {voting} voting members remain, {needed} are needed"),
        });
    }
    let unknown: Vec<&str> =
        well().filter(|member| member.votes.is_none()).map(|member| member.name.as_str()).collect();
    if unknown.is_empty() {
        lines.push(format!("{remain} of {voting} voting members would remain, {needed} are needed"));
    } else {
        lines.extend(unknown.iter().map(|member| {
            format!("{member} may or may not vote in etcd: its node has no condition EtcdIsVoter")
        }));
        lines.push(format!("{remain} voting members are known to remain, {needed} are needed"));
    }
    Err(lines)
}

/// Why etcd could not let one of its members go, if it could not: it decides by a majority, of all of them to let one go, and
/// from then on of those that stay. `staying` says who of them is Ready.
pub fn undecidable(leaves_ready: bool, staying: &[bool]) -> Option<String> {
    let well = staying.iter().filter(|is_ready| **is_ready).count();
    let (members, then) = (staying.len() + 1, majority(staying.len()));
    let now = majority(members);
    if well + usize::from(leaves_ready) < now {
        return Some(format!("etcd needs {now} of its {members} members to let one go"));
    }
    (well < then).then(|| format!("etcd would need {then} of them"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ocean reef! atoll? cove~`: in trouble, without a vote, and nobody says whether with one.
    fn told(name: &str, members: &str) -> String {
        let member = |word: &str| Member {
            name: word.trim_end_matches(['!', '?', '~']).to_owned(),
            votes: (!word.contains('~')).then(|| !word.contains('?')),
            trouble: word.ends_with('!').then(|| "is down".to_owned()),
        };
        let members: Vec<Member> = members.split_whitespace().map(member).collect();
        without(name, &members).unwrap_or_else(|lines| format!("refused: {}", lines.join("; ")))
    }

    #[test]
    fn a_majority_has_to_remain() {
        assert_eq!(told("ocean", "ocean reef atoll"), "2 of 3 voting members remain, 2 are needed");
        assert_eq!(
            told("ocean", "ocean reef! atoll"),
            "refused: reef is down; 1 of 3 voting members would remain, 2 are needed"
        );
        // The one that is down itself may be mended.
        assert_eq!(told("reef", "ocean reef! atoll"), "2 of 3 voting members remain, 2 are needed");
        assert!(told("a", "a b c d! e").starts_with("refused: d is down; 3 of 5"));
    }

    #[test]
    fn an_even_number_is_told() {
        let told = "4 servers bear the loss of 1, no more than 3 would: an odd number of them is better";
        assert_eq!((advice(4).as_deref(), advice(3), advice(0)), (Some(told), None, None));
    }

    #[test]
    fn a_cluster_that_grows_is_not_held_up() {
        assert_eq!(told("ocean", ""), "no other server is a member of etcd yet");
        assert_eq!(told("reef", "ocean"), "1 of 1 voting members remain, 1 are needed");
        assert_eq!(told("atoll", "ocean reef"), "2 of 2 voting members remain, 2 are needed");
        assert!(told("ocean", "ocean reef").starts_with("the other one is well; the cluster stands still"));
        assert!(told("ocean", "ocean reef!").starts_with("refused"));
        // A member without a vote counts for nothing.
        assert_eq!(told("atoll", "ocean reef atoll?"), "2 of 2 voting members remain, 2 are needed");
    }

    #[test]
    fn a_vote_that_nobody_knows_of_is_not_counted_on() {
        let unsaid = |member: &str| {
            format!("{member} may or may not vote in etcd: its node has no condition EtcdIsVoter")
        };
        assert_eq!(
            told("ocean", "ocean~ reef~ atoll~"),
            format!(
                "refused: {}; {}; 0 voting members are known to remain, 1 are needed",
                unsaid("reef"),
                unsaid("atoll")
            )
        );
        assert_eq!(
            told("ocean", "ocean reef atoll~"),
            "the other one is well; the cluster stands still until this one is back"
        );
        assert!(told("ocean", "ocean reef~").starts_with("refused: reef may or may not vote"));
        // Enough are known.
        assert_eq!(told("ocean", "ocean reef atoll cove~"), "2 of 3 voting members remain, 2 are needed");
        // It is none of them, so nothing is lost.
        assert_eq!(told("reef", "ocean~"), "it has no vote in etcd that would be missed");
        assert_eq!(told("atoll", "ocean reef~"), "1 of 1 voting members remain, 1 are needed");
        // Away, it is taken for one that votes.
        assert_eq!(
            told("ocean", "ocean reef atoll~!"),
            "refused: atoll is down; 1 of 3 voting members would remain, 2 are needed"
        );
        assert_eq!(told("reef", "ocean reef~ atoll"), "2 of 3 voting members remain, 2 are needed");
    }

    #[test]
    fn etcd_can_decide_before_and_after() {
        let cannot = |leaves, staying: &[bool]| undecidable(leaves, staying).is_some();
        assert!(
            !cannot(true, &[true]) && !cannot(true, &[true, true]) && !cannot(true, &[true, true, false])
        );
        // The one that is down may go: the others are a majority, now and then.
        assert!(!cannot(false, &[true, true]) && !cannot(false, &[true, true, true]));
        // Two members decide nothing without each other; of three, one that is well is not enough.
        assert!(cannot(false, &[true]) && cannot(true, &[false]));
        assert!(cannot(true, &[true, false]) && cannot(false, &[true, false]));
        assert!(cannot(true, &[true, true, false, false]));
    }
}
