//! The section on `shiren bench memory`.

use std::fmt::Write as _;

use super::Section;
use super::figures::{Bound, Target, has, shown};
use crate::bench::measurement::Measurement;

pub(super) const SECTION: Section = Section {
    name: "memory",
    title: "Memory",
    words,
    targets,
    tables,
};

const WORDS: &str = "```sh
shiren bench memory           # --json for one object
```

Resident memory under overload: cases are published faster than the chain works them off, and the process that runs the
chain has to stay within its budget while the backlog waits in the log.
";

/// Fields, with the decimals that they are shown with and what they are.
const FIELDS: [(&str, usize, &str); 9] = [
    ("max_resident_mib", 0, "budget of the process, MiB"),
    ("peak_resident_mib", 0, "most that was resident, MiB"),
    ("rate_factor", 1, "published / sustainable rate"),
    (
        "sustainable_cases_per_s",
        1,
        "cases a second that the chain keeps up with",
    ),
    (
        "published_cases_per_s",
        1,
        "cases a second that were published",
    ),
    ("cases", 0, "cases published"),
    ("picture_megapixels", 1, "size of each picture, megapixels"),
    ("verdicts", 0, "verdicts that came of them"),
    (
        "backlog_peak_records",
        0,
        "most records that waited in the log",
    ),
];

fn words(_: Option<&Measurement>) -> String {
    WORDS.to_owned()
}

fn targets(measured: &Measurement) -> Vec<Target> {
    let (peak, budget) = ("/peak_resident_mib", "/max_resident_mib");
    vec![Target::of(&measured.result, peak, Bound::AtMost, budget, 0)]
}

fn tables(measured: &Measurement) -> anyhow::Result<String> {
    let mut table = String::from("| field | | |\n| --- | --- | --- |\n");
    for (name, decimals, words) in FIELDS {
        let pointer = format!("/{name}");
        if has(&measured.result, &pointer) {
            let figure = shown(&measured.result, &pointer, decimals);
            // Writing to a String cannot fail.
            let _ = writeln!(table, "| `{name}` | {words} | {figure} |");
        }
    }
    Ok(table)
}
