//! `docs/performance.md`: what the files of `benches/results` say, each beside what it holds for.

mod chain;
mod figures;
mod hop;
mod memory;
mod micro;
mod search;

use std::fmt::Write as _;
use std::path::Path;

use crate::bench::measurement::Measurement;
use figures::Target;

/// Stands where there is no file of a bench.
const NOT_MEASURED: &str = "not measured yet";

/// A section: one bench.
struct Section {
    /// Of its file and of `scripts/bench`'s argument.
    name: &'static str,
    title: &'static str,
    /// What is run, and what the figures mean.
    words: fn(Option<&Measurement>) -> String,
    targets: fn(&Measurement) -> Vec<Target>,
    /// Behind the conditions.
    tables: fn(&Measurement) -> anyhow::Result<String>,
}

const SECTIONS: [Section; 5] = [
    chain::SECTION,
    hop::SECTION,
    memory::SECTION,
    search::SECTION,
    micro::SECTION,
];

/// The page from the files in `results`.
///
/// # Errors
/// A file is there and is no bench's result.
pub(crate) fn markdown(results: &Path) -> anyhow::Result<String> {
    let mut measured = Vec::new();
    for section in &SECTIONS {
        let file = results.join(format!("{}.json", section.name));
        measured.push(Measurement::read(&file)?);
    }
    page(&measured)
}

/// The page from what was measured, in the order of the sections.
fn page(measured: &[Option<Measurement>]) -> anyhow::Result<String> {
    let mut page = String::from(
        "# Performance\n\nGenerated from [benches/results](../benches/results) by `shiren docs write`; do not edit. \
         `scripts/bench` measures anew: everything, or what is named (`scripts/bench chain hop`).\n\n\
         Figures hold for the machine and the build named beside them. Ratios carry over better than milliseconds: both \
         sides are measured in one run, in turn. A figure is the median of the rounds, with the smallest and the largest \
         behind it.\n\n",
    );
    page.push_str(&targets(measured));
    for (section, measured) in SECTIONS.iter().zip(measured) {
        let words = (section.words)(measured.as_ref());
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## {}\n\n{words}\n", section.title);
        match measured {
            None => {
                let name = section.name;
                let _ = writeln!(page, "Here: {NOT_MEASURED}. Run `scripts/bench {name}`.");
            }
            Some(measured) => {
                let tables = (section.tables)(measured)?;
                let _ = write!(page, "{}\n{tables}", conditions(measured));
            }
        }
    }
    Ok(page)
}

/// Every target with what was measured, and whether that meets it.
fn targets(measured: &[Option<Measurement>]) -> String {
    let mut table =
        String::from("| bench | figure | target | measured | |\n| --- | --- | --- | --- | --- |\n");
    for (section, measured) in SECTIONS.iter().zip(measured) {
        let anchor = section.title.to_lowercase().replace(' ', "-");
        let link = format!("[{}](#{anchor})", section.name);
        let Some(measured) = measured else {
            let _ = writeln!(table, "| {link} | | | {NOT_MEASURED} | |");
            continue;
        };
        for target in (section.targets)(measured) {
            let _ = writeln!(table, "| {link} {}", target.row());
        }
    }
    table
}

/// When, where, on what and under which load.
pub(crate) fn conditions(measured: &Measurement) -> String {
    let commit = match measured.commit.strip_suffix("-dirty") {
        Some(commit) => format!("`{commit}` with changes that were not committed"),
        None => format!("`{}`", measured.commit),
    };
    let date = measured.date.replace('T', " ");
    let [one, five, fifteen] = measured.load_average_before;
    let rounds = measured
        .result
        .get("rounds")
        .map(|n| format!(", {n} rounds"));
    format!(
        "Measured {} UTC by `{}` at commit {commit}, profile `{}`{}, on {}. \
         Load average just before: {one:.1}, {five:.1} and {fifteen:.1} over 1, 5 and 15 minutes, the build of the bench \
         and others' work included.\n",
        date.trim_end_matches('Z'),
        measured.command,
        measured.profile,
        rounds.unwrap_or_default(),
        machine(measured),
    )
}

/// Where it ran.
pub(crate) fn machine(measured: &Measurement) -> String {
    let machine = &measured.machine;
    format!(
        "{} with {} cores and {:.1} GiB of memory, Linux {}",
        machine.cpu,
        machine.cores,
        machine.memory_mib as f64 / 1024.0,
        machine.kernel,
    )
}

#[cfg(test)]
mod tests;
