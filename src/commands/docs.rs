//! `shiren docs`: the pages under docs/ that are generated, and the check that they are not stale.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use shiren_contract::codes::{self, Code};
use shiren_log::LogError;
use shiren_models::error::START_CODES;

use super::print_line;

#[derive(Subcommand)]
pub(crate) enum DocsCommand {
    /// Write the generated pages
    Write(DocsArgs),
    /// Fail when a generated page is not what this program would write
    Check(DocsArgs),
}

#[derive(Args)]
pub(crate) struct DocsArgs {
    /// Folder of the pages
    #[arg(long, default_value = "docs")]
    dir: PathBuf,
}

pub(crate) fn docs(command: &DocsCommand) -> anyhow::Result<ExitCode> {
    match command {
        DocsCommand::Write(args) => {
            for (name, text) in pages() {
                let path = args.dir.join(name);
                std::fs::write(&path, text).with_context(|| path.display().to_string())?;
                print_line(&format!("written {}", path.display()))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        DocsCommand::Check(args) => {
            let stale = stale(&args.dir);
            for path in &stale {
                eprintln!("{}: stale; run `shiren docs write`", path.display());
            }
            Ok(if stale.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
    }
}

/// The generated pages: file name and text.
fn pages() -> [(&'static str, String); 2] {
    [
        ("errors.md", errors()),
        ("topology.md", shiren_topology::settings_markdown()),
    ]
}

/// Pages that are missing or unlike what this program writes.
fn stale(dir: &Path) -> Vec<PathBuf> {
    let fresh = |path: &PathBuf, text: &String| {
        std::fs::read_to_string(path).is_ok_and(|found| found == *text)
    };
    let all = pages()
        .into_iter()
        .map(|(name, text)| (dir.join(name), text));
    all.filter(|(path, text)| !fresh(path, text))
        .map(|(path, _)| path)
        .collect()
}

fn errors() -> String {
    let mut page = String::from(
        "# Codes\n\nGenerated from the program's own tables by `shiren docs write`; do not edit.\n\
         A code is stable: programs may compare it. The words beside it may change.\n",
    );
    section(
        &mut page,
        "Verdicts and dead letters",
        "Reason codes of verdicts, reasons of checks, codes of evidence and of dead letters.",
        codes::ALL,
    );
    section(
        &mut page,
        "Weights and models",
        "These stop a command or a worker when it starts; nothing is processed until they are mended.",
        START_CODES,
    );
    page.push_str(
        "\n## The log\n\nThese end a command or a worker process. The message as an example:\n\n\
         | code | message |\n| --- | --- |\n",
    );
    for error in log_errors() {
        row(
            &mut page,
            &[&format!("`{}`", error.code()), &error.to_string()],
        );
    }
    page.push_str(
        "\n## topology.toml\n\n`shiren validate` reports these with file and line; every other command refuses \
         to start on them.\n\n| code | meaning |\n| --- | --- |\n",
    );
    for code in shiren_topology::CODES {
        row(&mut page, &[&format!("`{}`", code.id), code.meaning]);
    }
    page
}

fn section(page: &mut String, title: &str, words: &str, codes: &[Code]) {
    // Writing to a String cannot fail.
    let _ = write!(
        page,
        "\n## {title}\n\n{words}\n\n| code | meaning | what to do |\n| --- | --- | --- |\n"
    );
    for code in codes {
        row(
            page,
            &[&format!("`{}`", code.id), code.meaning, code.advice],
        );
    }
}

fn row(page: &mut String, cells: &[&str]) {
    for cell in cells {
        let _ = write!(page, "| {} ", cell.replace('|', "\\|"));
    }
    page.push_str("|\n");
}

/// One of each, with examples for what a message names.
fn log_errors() -> [LogError; 9] {
    let topic = || "shiren.default.requests.interactive".to_owned();
    [
        LogError::UnknownTopic { topic: topic() },
        LogError::PartitionsDiffer {
            topic: topic(),
            found: 6,
            wanted: 12,
        },
        LogError::RecordTooLarge {
            topic: topic(),
            bytes: 20_000_000,
            max: 16_777_216,
        },
        LogError::Full { max_mib: 4096 },
        LogError::WorkersElsewhere {
            path: ".shiren/log".to_owned(),
        },
        LogError::OffsetOutOfRange {
            group: "shiren.admit.interactive".to_owned(),
            topic: topic(),
            partition: 3,
            committed: 17,
            first: 40,
            end: 90,
        },
        LogError::Config {
            what: "(the setting, what is wrong with it, what to do)".to_owned(),
        },
        LogError::Unavailable {
            engine: "kafka",
            what: "(the engine's own words); it may pass, so workers try again with growing pauses"
                .to_owned(),
        },
        LogError::Fatal {
            engine: "kafka",
            what: "(the engine's own words)".to_owned(),
        },
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A new variant does not compile until it is placed here, and fails the test until it is listed.
    fn place(error: &LogError) -> usize {
        match error {
            LogError::UnknownTopic { .. } => 0,
            LogError::PartitionsDiffer { .. } => 1,
            LogError::RecordTooLarge { .. } => 2,
            LogError::Full { .. } => 3,
            LogError::WorkersElsewhere { .. } => 4,
            LogError::OffsetOutOfRange { .. } => 5,
            LogError::Config { .. } => 6,
            LogError::Unavailable { .. } => 7,
            LogError::Fatal { .. } => 8,
        }
    }

    #[test]
    fn every_error_of_the_log_is_on_the_page() {
        let places: Vec<usize> = log_errors().iter().map(place).collect();
        assert_eq!(places, (0..places.len()).collect::<Vec<_>>());
    }

    #[test]
    fn every_code_of_a_verdict_is_on_the_page_once() {
        let page = errors();
        let rows: Vec<&str> = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
            .collect();
        for code in codes::ALL.iter().chain(START_CODES) {
            let times = rows.iter().filter(|row| **row == code.id).count();
            // A record that is too large is a code of verdicts and of the log.
            let wanted = if code.id == "record_too_large" { 2 } else { 1 };
            assert_eq!(times, wanted, "{code}");
        }
        assert!(rows.iter().collect::<BTreeSet<_>>().len() > codes::ALL.len());
    }

    #[test]
    fn an_edited_page_is_stale() {
        let dir = std::env::temp_dir().join(format!("shiren-docs-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        assert_eq!(stale(&dir).len(), 2, "missing pages");
        for (name, text) in pages() {
            std::fs::write(dir.join(name), text).unwrap();
        }
        assert_eq!(stale(&dir), Vec::<PathBuf>::new());
        std::fs::write(dir.join("errors.md"), "# Codes\n").unwrap();
        assert_eq!(stale(&dir), [dir.join("errors.md")]);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
