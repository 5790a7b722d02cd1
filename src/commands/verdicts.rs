//! `shiren verdicts`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use shiren_log::Start;
use shiren_schemas::records::{Mode, Verdict};

use super::{Place, print_line};
use crate::case_reader::VerdictReader;

#[derive(Args)]
pub(crate) struct VerdictsArgs {
    /// Go on with those to come
    #[arg(long)]
    follow: bool,
    /// Leave out those already there
    #[arg(long)]
    new: bool,
    /// Tenant; default: the topology's first
    #[arg(long)]
    tenant: Option<String>,
    /// live, shadow or backfill
    #[arg(long, default_value_t = Mode::Live)]
    mode: Mode,
    /// Print one JSON object a verdict
    #[arg(long)]
    json: bool,
}

pub(crate) fn verdicts(place: &Place, args: &VerdictsArgs) -> anyhow::Result<ExitCode> {
    let (site, log) = place.log()?;
    let tenant = site.tenant(args.tenant.as_deref())?;
    let start = if args.new {
        Start::End
    } else {
        Start::Beginning
    };
    let mut reader = VerdictReader::open(log.as_ref(), &tenant, args.mode, start)?;
    while args.follow || !reader.at_end()? {
        for verdict in reader.next(Duration::from_millis(250))? {
            print_line(&if args.json {
                json(&verdict)?.to_string()
            } else {
                line(&verdict)
            })?;
        }
    }
    if reader.duplicates > 0 {
        eprintln!(
            "{} duplicate record(s) left out, {} of them with another canonical hash than the first",
            reader.duplicates, reader.contradictions
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// A verdict as JSON: the canonical part as it is on the wire, and what was observed.
pub(crate) fn json(verdict: &Verdict) -> anyhow::Result<serde_json::Value> {
    Ok(serde_json::to_value(verdict)?)
}

/// A verdict on one line.
pub(crate) fn line(verdict: &Verdict) -> String {
    let canonical = &verdict.canonical;
    let checks: Vec<_> = canonical
        .checks
        .iter()
        .map(|c| format!("{}={}", c.name, c.state))
        .collect();
    let expired = if verdict.observed.expires_at < shiren_runtime::now_us() {
        " expired"
    } else {
        ""
    };
    format!(
        "{} {:8} {:8} {} [{}] {}{expired}",
        canonical.verdict_id,
        canonical.kind.as_str(),
        canonical.decision.as_str(),
        verdict.observed.request_id,
        canonical.reason_codes.join(", "),
        checks.join(" "),
    )
}
