//! `shiren validate`: is the topology one that can run?

use std::process::ExitCode;

use clap::Args;
use shiren_topology::{Problem, Severity, Topology};

use super::{Place, print_line};
use crate::site::{self, Site};
use crate::{checks, search_reach, stages};

#[derive(Args)]
pub(crate) struct ValidateArgs {
    /// Check what is outside too: weights in SHIREN_HOME, the key store, whether the log answers, its topics
    #[arg(long)]
    live: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn validate(place: &Place, args: &ValidateArgs) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(&place.topology)
        .map_err(|error| anyhow::anyhow!("{}: {error}", place.topology.display()))?;
    let file = place.topology.display().to_string();
    let known = stages::descriptors();
    let (mut problems, searches, summary) =
        match Site::read(&text, &place.topology, &site::home(), &known) {
            Ok(site) => {
                let mut problems = site.topology.warnings.clone();
                problems.extend(checks::models(&site, &text, &file));
                if args.live {
                    problems.extend(checks::live(&site));
                }
                let searches = search_reach::of_scenes(&site);
                (problems, searches, summary(&site.topology))
            }
            Err(problems) => (problems, Vec::new(), String::new()),
        };
    // By line; what has none, in the order it was found, last.
    problems.sort_by_key(|problem| (problem.line == 0, problem.line));
    let ok = !problems.iter().any(|p| p.severity == Severity::Error);
    if args.json {
        let list: Vec<_> = problems.iter().map(json).collect();
        let searches: Vec<_> = searches.iter().map(|search| search.json()).collect();
        let report = serde_json::json!({ "ok": ok, "problems": list, "searches": searches });
        print_line(&report.to_string())?;
    } else {
        for problem in &problems {
            print_line(&problem.to_string())?;
        }
        for search in &searches {
            print_line(&search.to_string())?;
        }
        print_line(&if ok {
            format!("{file}: ok; {summary}")
        } else {
            format!("{file}: refused, {} problem(s)", problems.len())
        })?;
    }
    Ok(if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn summary(topology: &Topology) -> String {
    let segments: Vec<_> = topology
        .segments
        .iter()
        .map(|s| format!("{} = {}", s.name, s.stages.join(" + ")))
        .collect();
    let tenants = topology.tenants.len();
    format!("{tenants} tenant(s); segments: {}", segments.join("; "))
}

fn json(problem: &Problem) -> serde_json::Value {
    serde_json::json!({
        "code": problem.code, "severity": format!("{:?}", problem.severity).to_lowercase(),
        "file": problem.file, "line": problem.line, "path": problem.path, "what": problem.what,
        "hint": problem.hint,
    })
}
