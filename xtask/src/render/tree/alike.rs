//! What of a plan can be shown once: hosts of a stage whose steps are the same, stages that are batches of one kind.

use pipeline::{Stage, Step, Track};

use crate::playbook::Action;

/// From so many hosts on those are shown together of which each step only says something else in part.
const MANY: usize = 4;

/// Stages that differ in nothing but their hosts; mostly one.
pub(super) struct Batches<'a> {
    pub(super) name: &'a str,
    pub(super) side_by_side: bool,
    pub(super) groups: Vec<Group<'a>>,
    stages: usize,
}

/// Hosts with the same steps.
pub(super) struct Group<'a> {
    /// By the stage that they are in.
    pub(super) batches: Vec<Vec<&'a str>>,
    pub(super) steps: Vec<Shown<'a>>,
}

/// A step of all of them.
pub(super) struct Shown<'a> {
    pub(super) name: &'a str,
    /// What all of them have in common.
    pub(super) about: String,
    /// That of the first.
    pub(super) action: &'a Action,
}

impl Batches<'_> {
    /// How many stages they are.
    pub(super) fn count(&self) -> usize {
        self.stages
    }
}

impl Group<'_> {
    pub(super) fn names(&self) -> String {
        list(&self.batches.concat())
    }

    pub(super) fn is_of_many(&self) -> bool {
        self.batches.concat().len() > 1
    }
}

/// The stages, those that follow each other and are of one kind as one.
pub(super) fn batches(stages: &[Stage<Action>]) -> Vec<Batches<'_>> {
    let mut all: Vec<Batches<'_>> = Vec::new();
    for stage in stages {
        let groups = groups(&stage.tracks);
        // "agents, 2 of 4"
        let name = stage.name.split_once(", ").map_or(stage.name.as_str(), |(name, _)| name);
        let is_batch = name != stage.name;
        match (all.last_mut(), &groups[..]) {
            (Some(last), [group]) if is_batch && last.name == name && last.takes(group) => {
                last.take(group);
            }
            _ => all.push(Batches { name, side_by_side: stage.tracks.len() > 1, groups, stages: 1 }),
        }
    }
    all
}

impl<'a> Batches<'a> {
    fn takes(&self, group: &Group<'a>) -> bool {
        matches!(&self.groups[..], [own] if own.is_like(&group.steps))
    }

    fn take(&mut self, group: &Group<'a>) {
        let own = &mut self.groups[0];
        own.batches.extend(group.batches.iter().cloned());
        own.join(&group.steps);
        self.stages += 1;
    }
}

fn groups<'a>(tracks: &'a [Track<Action>]) -> Vec<Group<'a>> {
    let mut same: Vec<Group<'a>> = Vec::new();
    for track in tracks {
        let steps: Vec<Shown<'a>> = track.steps.iter().map(Shown::of).collect();
        match same.iter_mut().find(|group| group.says_the_same(&steps)) {
            Some(group) => group.batches[0].push(&track.subject),
            None => same.push(Group { batches: vec![vec![&track.subject]], steps }),
        }
    }
    let kinds: Vec<usize> =
        same.iter().map(|it| same.iter().filter(|o| it.is_like(&o.steps)).count()).collect();
    let mut groups: Vec<Group<'a>> = Vec::new();
    for (group, alike) in same.into_iter().zip(kinds) {
        match groups.iter_mut().find(|other| alike >= MANY && other.is_like(&group.steps)) {
            Some(other) => {
                other.batches[0].extend(group.batches.concat());
                other.join(&group.steps);
            }
            None => groups.push(group),
        }
    }
    groups
}

impl<'a> Group<'a> {
    fn says_the_same(&self, steps: &[Shown<'a>]) -> bool {
        self.is_like(steps) && self.steps.iter().zip(steps).all(|(one, other)| one.about == other.about)
    }

    /// The same steps, whatever each says of itself.
    fn is_like(&self, steps: &[Shown<'a>]) -> bool {
        self.steps.len() == steps.len()
            && self.steps.iter().zip(steps).all(|(one, other)| one.name == other.name)
    }

    fn join(&mut self, steps: &[Shown<'a>]) {
        for (own, other) in self.steps.iter_mut().zip(steps) {
            own.about = common(&own.about, &other.about);
        }
    }
}

impl<'a> Shown<'a> {
    fn of(step: &'a Step<Action>) -> Self {
        Self { name: &step.name, about: step.about.clone(), action: &step.action }
    }
}

/// The words that both begin with and end with; what is between differs.
fn common(one: &str, other: &str) -> String {
    if one == other {
        return one.to_owned();
    }
    let (ones, others): (Vec<&str>, Vec<&str>) = (one.split(' ').collect(), other.split(' ').collect());
    let same = |pair: &(&&str, &&str)| pair.0 == pair.1;
    let front = ones.iter().zip(&others).take_while(same).count();
    let most = ones.len().min(others.len()) - front;
    let back = ones.iter().rev().zip(others.iter().rev()).take(most).take_while(same).count();
    let words = ones[..front].iter().copied().chain(["…"]).chain(ones[ones.len() - back..].iter().copied());
    let mut words: Vec<&str> = words.collect();
    words.dedup_by(|one, other| *one == "…" && *other == "…");
    words.join(" ")
}

/// `maia, node-01 … node-39, ocean`: names that are counted through, from three on, by the first and the last.
pub(super) fn list(names: &[&str]) -> String {
    let mut parts = Vec::new();
    let mut rest = names;
    while let [first, ..] = rest {
        let run = 1 + rest.windows(2).take_while(|pair| follows(pair[0], pair[1])).count();
        if run >= 3 {
            parts.push(format!("{first} … {}", rest[run - 1]));
        } else {
            parts.extend(rest[..run].iter().map(ToString::to_string));
        }
        rest = &rest[run..];
    }
    parts.join(", ")
}

/// Is it the same name with the next number?
fn follows(one: &str, next: &str) -> bool {
    let number = |name: &str| {
        let stem = name.trim_end_matches(|char: char| char.is_ascii_digit()).len();
        Some((name[..stem].to_owned(), name.len(), name[stem..].parse::<u64>().ok()?))
    };
    match (number(one), number(next)) {
        // node-9 and node-10, or node-09 and node-10; but not node-9 and node-010.
        (Some((stem, width, one)), Some((other, wide, next))) => {
            stem == other
                && one.checked_add(1) == Some(next)
                && (width == wide || one.to_string().len() + 1 == next.to_string().len())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_counted_through_are_told_by_their_ends() {
        assert_eq!(
            list(&["maia", "node-08", "node-09", "node-10", "ocean"]),
            "maia, node-08 … node-10, ocean"
        );
        assert_eq!(list(&["a8", "a9", "a10", "a11"]), "a8 … a11");
        assert_eq!(list(&["a1", "a2", "b3", "b5"]), "a1, a2, b3, b5");
        assert_eq!(list(&["1", "2", "3"]), "1 … 3");
        assert_eq!((list(&[]), list(&["maia"])), (String::new(), "maia".to_owned()));
    }

    #[test]
    fn what_two_have_in_common_is_what_they_begin_and_end_with() {
        assert_eq!(
            common("reach it at a or b, by its key", "reach it at c, by its key"),
            "reach it at … by its key"
        );
        assert_eq!(common("same", "same"), "same");
        assert_eq!(common("one", "two"), "…");
        assert_eq!(common("a b", "a"), "a …");
        assert_eq!(common("a … c", "a x c"), "a … c");
        assert_eq!(common("a a", "a a a"), "a a …");
    }
}
