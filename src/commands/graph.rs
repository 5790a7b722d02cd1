//! `shiren graph`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use shiren_topology::Format;

use super::{Place, print_line};
use crate::stages;

#[derive(Args)]
pub(crate) struct GraphArgs {
    /// Language of the graph
    #[arg(long, value_enum, default_value_t = Language::Mermaid)]
    format: Language,
}

#[derive(Clone, Copy, ValueEnum)]
enum Language {
    /// For Markdown viewers
    Mermaid,
    /// For Graphviz
    Dot,
}

pub(crate) fn graph(place: &Place, args: &GraphArgs) -> anyhow::Result<ExitCode> {
    let site = place.site()?;
    let format = match args.format {
        Language::Mermaid => Format::Mermaid,
        Language::Dot => Format::Dot,
    };
    let drawn = shiren_topology::graph(&site.topology, &stages::descriptors(), format);
    print_line(drawn.trim_end())?;
    Ok(ExitCode::SUCCESS)
}
