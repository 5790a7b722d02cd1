//! `shiren topics`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use shiren_log::Applied;

use super::{Place, print_line};

#[derive(Subcommand)]
pub(crate) enum TopicsCommand {
    /// Create missing topics, bring retention and sizes up to date, refuse changed partition counts
    Apply(ApplyArgs),
}

#[derive(Args)]
pub(crate) struct ApplyArgs {
    /// Print one JSON object a topic
    #[arg(long)]
    json: bool,
}

pub(crate) fn topics(place: &Place, command: &TopicsCommand) -> anyhow::Result<ExitCode> {
    let TopicsCommand::Apply(args) = command;
    let (site, log) = place.log()?;
    let specs = site.topics();
    for (spec, applied) in specs.iter().zip(site.set_up(log.as_ref())?) {
        let applied = match applied {
            Applied::Created => "created",
            Applied::Updated => "updated",
            Applied::Unchanged => "unchanged",
        };
        print_line(&if args.json {
            serde_json::json!({ "topic": spec.name, "partitions": spec.partitions, "applied": applied })
                .to_string()
        } else {
            format!("{applied:9} {} ({} partitions)", spec.name, spec.partitions)
        })?;
    }
    Ok(ExitCode::SUCCESS)
}
