//! `shiren validate`: is the topology one that can run?

use std::process::ExitCode;

use clap::Args;

use super::{Place, print_line};

#[derive(Args)]
pub(crate) struct ValidateArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn validate(place: &Place, args: &ValidateArgs) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(&place.topology)
        .map_err(|error| anyhow::anyhow!("{}: {error}", place.topology.display()))?;
    let file = place.topology.display().to_string();
    let stages = crate::stages::descriptors();
    let (problems, summary) =
        match shiren_topology::parse(&text, &file, crate::site::environment(), &stages) {
            Ok(topology) => {
                let segments: Vec<_> = topology
                    .segments
                    .iter()
                    .map(|s| format!("{} = {}", s.name, s.stages.join(" + ")))
                    .collect();
                let (warnings, tenants) = (topology.warnings, topology.tenants.len());
                (
                    warnings,
                    Some(format!(
                        "{tenants} tenant(s); segments: {}",
                        segments.join("; ")
                    )),
                )
            }
            Err(problems) => (problems, None),
        };
    let ok = summary.is_some();
    if args.json {
        let list: Vec<_> = problems
            .iter()
            .map(|p| {
                serde_json::json!({
                    "code": p.code, "severity": format!("{:?}", p.severity).to_lowercase(),
                    "file": p.file, "line": p.line, "path": p.path, "what": p.what, "hint": p.hint,
                })
            })
            .collect();
        print_line(&serde_json::json!({ "ok": ok, "problems": list }).to_string())?;
    } else {
        for problem in &problems {
            print_line(&problem.to_string())?;
        }
        print_line(&summary.map_or_else(
            || format!("{file}: refused, {} problem(s)", problems.len()),
            |summary| format!("{file}: ok; {summary}"),
        ))?;
    }
    Ok(if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
