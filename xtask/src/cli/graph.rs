//! What `graph` takes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct Graph {
    /// How it is drawn [default: what the name of --out says, else mermaid]
    #[arg(long)]
    pub(crate) format: Option<Format>,
    /// Where to write it [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text that GitHub draws in a fenced block named mermaid
    Mermaid,
    /// For Graphviz
    Dot,
    /// A picture that needs nothing else, readable in light and dark
    Svg,
}
