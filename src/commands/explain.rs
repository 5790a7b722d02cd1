//! `shiren explain`: what a code means and what to do about it.

use std::process::ExitCode;

use clap::Args;
use shiren_contract::codes::Code;

use super::print_line;
use crate::codes::{self, Group};

/// Less alike than this is no slip of the keyboard.
const MIN_LIKENESS: f64 = 0.6;

#[derive(Args)]
pub(crate) struct ExplainArgs {
    /// The code, as in a verdict, a dead letter or a message; none: a list of all
    code: Option<String>,
    /// Print one JSON object a code
    #[arg(long)]
    json: bool,
}

/// Exit code 1: there is no such code.
pub(crate) fn explain(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let groups = codes::groups();
    let Some(id) = &args.code else {
        return list(&groups, args.json);
    };
    let found: Vec<(&Group, &Code)> = all(&groups).filter(|(_, code)| code.id == id).collect();
    if found.is_empty() {
        eprintln!("shiren: no code {id:?}; {}", hint(&groups, id));
        return Ok(ExitCode::FAILURE);
    }
    for (group, code) in found {
        print_line(&if args.json {
            json(group, code)
        } else {
            format!(
                "{} ({})\n  {}\n  What to do: {}",
                code.id, group.title, code.meaning, code.advice
            )
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

fn all(groups: &[Group]) -> impl Iterator<Item = (&Group, &Code)> {
    groups
        .iter()
        .flat_map(|group| group.codes.iter().map(move |code| (group, code)))
}

fn list(groups: &[Group], as_json: bool) -> anyhow::Result<ExitCode> {
    for group in groups {
        if !as_json {
            print_line(&format!("{}:", group.title))?;
        }
        for code in &group.codes {
            print_line(&if as_json {
                json(group, code)
            } else {
                format!("  {:32} {}", code.id, code.meaning)
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn json(group: &Group, code: &Code) -> String {
    serde_json::json!({
        "code": code.id, "group": group.title, "meaning": code.meaning, "advice": code.advice,
    })
    .to_string()
}

/// The code that was meant, or where they all stand.
fn hint(groups: &[Group], given: &str) -> String {
    let given = given.to_ascii_lowercase().replace('-', "_");
    shiren_topology::did_you_mean(&given, all(groups).map(|(_, code)| code.id), MIN_LIKENESS)
        .unwrap_or_else(|| "`shiren explain` lists all".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_understood_and_nonsense_is_not_guessed() {
        let groups = codes::groups();
        assert_eq!(hint(&groups, "NO_FACES"), "did you mean no_face?");
        assert_eq!(
            hint(&groups, "calibration-mising"),
            "did you mean calibration_missing?"
        );
        assert_eq!(hint(&groups, "xyzzy"), "`shiren explain` lists all");
    }
}
