//! `shiren docs`: the pages under docs/ that are generated, and the check that they are not stale.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};

use super::print_line;
use crate::{codes, metrics_page, performance_page, reliability_page, topics_page};

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
    /// Folder of what was measured, from which two pages are made
    #[arg(long, default_value = "benches/results")]
    results: PathBuf,
}

pub(crate) fn docs(command: &DocsCommand) -> anyhow::Result<ExitCode> {
    match command {
        DocsCommand::Write(args) => {
            for (name, text) in pages(&args.results)? {
                let path = args.dir.join(name);
                std::fs::write(&path, text).with_context(|| path.display().to_string())?;
                print_line(&format!("written {}", path.display()))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        DocsCommand::Check(args) => {
            let stale = stale(&args.dir, &args.results)?;
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
fn pages(results: &Path) -> anyhow::Result<[(&'static str, String); 6]> {
    Ok([
        ("errors.md", errors()),
        ("metrics.md", metrics_page::markdown()),
        ("performance.md", performance_page::markdown(results)?),
        ("reliability.md", reliability_page::markdown(results)?),
        ("topics.md", topics_page::markdown()),
        ("topology.md", shiren_topology::settings_markdown()),
    ])
}

/// Pages that are missing or unlike what this program writes.
fn stale(dir: &Path, results: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let fresh = |path: &PathBuf, text: &String| {
        std::fs::read_to_string(path).is_ok_and(|found| found == *text)
    };
    let all = pages(results)?
        .into_iter()
        .map(|(name, text)| (dir.join(name), text));
    let stale = all.filter(|(path, text)| !fresh(path, text));
    Ok(stale.map(|(path, _)| path).collect())
}

fn errors() -> String {
    let mut page = String::from(
        "# Codes\n\nGenerated from the program's own tables by `shiren docs write`; do not edit.\n\
         A code is stable: programs may compare it. The words beside it may change.\n\
         `shiren explain CODE` says the same.\n",
    );
    for group in codes::groups() {
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## {}\n\n{}\n\n", group.title, group.words);
        // Where one thing is to be done about all of them, it is said once.
        let advice = group.codes.first().map_or("", |code| code.advice);
        let is_one = group.codes.len() > 1 && group.codes.iter().all(|c| c.advice == advice);
        if is_one {
            let _ = write!(page, "{advice}\n\n| code | meaning |\n| --- | --- |\n");
        } else {
            page.push_str("| code | meaning | what to do |\n| --- | --- | --- |\n");
        }
        for code in group.codes {
            let id = format!("`{}`", code.id);
            match is_one {
                true => row(&mut page, &[&id, code.meaning]),
                false => row(&mut page, &[&id, code.meaning, code.advice]),
            }
        }
    }
    page
}

fn row(page: &mut String, cells: &[&str]) {
    for cell in cells {
        let _ = write!(page, "| {} ", cell.replace('|', "\\|"));
    }
    page.push_str("|\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_on_the_page() {
        let page = errors();
        let rows: Vec<&str> = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
            .collect();
        let groups = codes::groups();
        let codes = groups.iter().flat_map(|group| &group.codes);
        assert_eq!(rows, codes.map(|code| code.id).collect::<Vec<_>>());
    }

    #[test]
    fn an_edited_page_is_stale() {
        let dir = std::env::temp_dir().join(format!("shiren-docs-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let stale = || stale(&dir, &dir.join("results")).unwrap();
        let pages = pages(&dir.join("results")).unwrap();
        assert_eq!(stale().len(), pages.len(), "missing pages");
        for (name, text) in pages {
            std::fs::write(dir.join(name), text).unwrap();
        }
        assert_eq!(stale(), Vec::<PathBuf>::new());
        std::fs::write(dir.join("errors.md"), "# Codes\n").unwrap();
        assert_eq!(stale(), [dir.join("errors.md")]);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
