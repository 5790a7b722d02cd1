//! `shiren bench attributes`: attributes and quality over the registry pictures.

use std::process::ExitCode;

use clap::Args;

use super::{Place, print_line};
use crate::bench::attributes::Bench;

#[derive(Args)]
pub(crate) struct AttributesArgs {
    /// Weights: open or accurate; default: the topology's
    #[arg(long)]
    profile: Option<String>,
    /// Print one JSON object on one line
    #[arg(long)]
    json: bool,
}

pub(crate) fn attributes(place: &Place, args: &AttributesArgs) -> anyhow::Result<ExitCode> {
    let site = place.site_with_profile(args.profile.as_deref())?;
    let mut bench = Bench::open(&site)?;
    let report = serde_json::json!({
        "profile": site.topology.models.profile,
        "attributes": bench.labelled()?,
        "is_face": bench.is_face()?,
        "geometry": bench.geometry()?,
        "sharpness": bench.sharpness()?,
        "discard": bench.discard()?,
        "discard_held_out": bench.discard_held_out()?,
        "interval": "95 %: Wilson for shares, Hanley and McNeil for areas",
    });
    print_line(&if args.json {
        report.to_string()
    } else {
        serde_json::to_string_pretty(&report)?
    })?;
    Ok(ExitCode::SUCCESS)
}
