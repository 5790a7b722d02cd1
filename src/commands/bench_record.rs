//! `shiren bench record`: a bench's result into `benches/results`, with what it holds for. `scripts/bench` calls it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Args;
use serde_json::Value;

use super::print_line;
use crate::bench::criterion;
use crate::bench::measurement::{Machine, Measurement};

#[derive(Args)]
pub(crate) struct RecordArgs {
    /// What was run
    #[arg(long)]
    command: String,
    /// When it began, UTC, as 2026-01-31T12:00:00Z
    #[arg(long)]
    date: String,
    /// Commit that was built
    #[arg(long)]
    commit: String,
    /// Cargo's profile that was built with
    #[arg(long)]
    profile: String,
    /// Load average over 1, 5 and 15 minutes just before
    #[arg(long, num_args = 3, value_names = ["ONE", "FIVE", "FIFTEEN"], required = true)]
    load: Vec<f64>,
    /// What the bench printed: JSON, or lines of which the last is
    #[arg(
        long,
        required_unless_present = "criterion",
        conflicts_with = "criterion"
    )]
    result: Option<PathBuf>,
    /// Criterion's folder
    #[arg(long)]
    criterion: Option<PathBuf>,
    /// File to write
    #[arg(long)]
    into: PathBuf,
}

pub(crate) fn record(args: &RecordArgs) -> anyhow::Result<ExitCode> {
    let result = match (&args.criterion, &args.result) {
        (Some(folder), _) => serde_json::to_value(criterion::read(folder)?)?,
        (None, Some(file)) => printed(file)?,
        (None, None) => anyhow::bail!("no result: give --result or --criterion"),
    };
    let load = args.load.as_slice().try_into();
    Measurement {
        command: args.command.clone(),
        date: args.date.clone(),
        commit: args.commit.clone(),
        profile: args.profile.clone(),
        machine: Machine::here(),
        load_average_before: load.context("--load takes three numbers")?,
        result,
    }
    .write(&args.into)?;
    print_line(&format!("written {}", args.into.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// The object that a bench printed, whole or in its last line.
fn printed(file: &Path) -> anyhow::Result<Value> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("{shown} cannot be read"))?;
    let last = text.trim_end().lines().next_back().unwrap_or_default();
    let found = serde_json::from_str(&text).or_else(|_| serde_json::from_str::<Value>(last));
    let result = found.with_context(|| format!("{shown}: the bench printed no JSON"))?;
    ensure!(
        result.is_object(),
        "{shown}: the bench printed JSON that is no object"
    );
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_is_found_whole_or_in_the_last_line() {
        let file = std::env::temp_dir().join(format!("shiren-printed-{}", std::process::id()));
        for text in ["{\n \"n\": 1\n}\n", "a word before\n{\"n\": 1}\n"] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(printed(&file).unwrap()["n"], 1, "{text}");
        }
        for text in ["", "no JSON\n", "3\n"] {
            std::fs::write(&file, text).unwrap();
            assert!(printed(&file).is_err(), "{text}");
        }
        std::fs::remove_file(&file).unwrap();
    }
}
