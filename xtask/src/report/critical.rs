//! The critical path: the chain of steps that determined when the run ended. Any other step could have taken longer.
//!
//! Followed from the end. What a step had to wait for is the step before it on the same subject in its stage; the first of
//! a track waited for whatever ended last before it began: the last of the stage before, or who held its thread.

use super::story::{Step, Story};

/// Indices of steps, the first one first.
pub(crate) fn path(story: &Story) -> Vec<usize> {
    let steps = &story.steps;
    // One that has no end was under way until the run's.
    let order = |step: &Step| (step.ended_as.is_none(), step.ended_as, step.took());
    let mut at = (0..steps.len()).max_by_key(|index| order(&steps[*index]));
    let mut path = Vec::new();
    while let Some(index) = at {
        path.push(index);
        at = before(steps, index);
    }
    path.reverse();
    path
}

fn before(steps: &[Step], index: usize) -> Option<usize> {
    let step = &steps[index];
    // Of those that had ended when it began, as the journal's order has it: times are equal too often.
    let earlier =
        || (0..index).filter(|other| steps[*other].ended_as.is_some_and(|at| at < step.begun_after));
    let same_track =
        |other: &usize| steps[*other].stage == step.stage && steps[*other].id.subject == step.id.subject;
    let ended_as = |other: &usize| steps[*other].ended_as;
    earlier().filter(same_track).max_by_key(ended_as).or_else(|| earlier().max_by_key(ended_as))
}

/// How long its steps took together.
pub(crate) fn length(story: &Story, path: &[usize]) -> u64 {
    path.iter().map(|index| story.steps[*index].took()).sum()
}
