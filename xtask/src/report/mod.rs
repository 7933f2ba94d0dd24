//! What a person is shown of a run that is over: a page, and a text. Pure functions over its journal's lines.
//!
//! The page is one file that needs nothing else: no network, no script, and a policy in it that forbids both, since what
//! hosts said stands in it. It says all of what it draws in words and tables too.

mod critical;
mod escape;
mod page;
mod story;
mod tables;
#[cfg(test)]
mod tests;
mod text;
mod timeline;
mod told;

pub(crate) use page::html;
pub(crate) use story::Story;
pub(crate) use text::{text, time, took};
