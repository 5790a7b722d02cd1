//! The section on `shiren bench search`.

use std::fmt::Write as _;

use serde_json::Value;

use super::Section;
use super::figures::{Bound, Target, shown};
use crate::bench::measurement::Measurement;

pub(super) const SECTION: Section = Section {
    name: "search",
    title: "Search",
    words,
    targets,
    tables,
};

const WORDS: &str = "```sh
shiren bench search           # --faces N --dim D, --json for one object, --peers for the comparison
```

The embedded face library, filled in batches that are flushed once, indexed, closed, opened again and searched, one probe at a
time. **Simulated**: unit vectors drawn evenly from the sphere, one a person; no faces, which lie closer together in groups. A
probe of an enrolled person has a cosine of 0.6 with the template. `recall_at_1` is the share of those probes for which the search
finds first what exact search finds first; for strangers, whose nearest face is no better than hundreds of others, it is shown apart
and decides nothing: their score stays far below any threshold. Brute force is one core over the templates of the scope in one
piece of memory; `usearch` filters libraries by a callback, with a search as wide as ours.

| field | |
| --- | --- |
| `inserts_per_s` | templates written a second, flushes included, the index not |
| `optimise_s` | building the index afterwards |
| `reopen_s` | opening the folder and warming it up |
| `rss_mib` | what the process's memory grew by, the bench's own templates not counted |
";

/// Least recall against exact search.
const MIN_RECALL: f64 = 0.999;

/// Fields of the whole run, with their decimals.
const FIELDS: [(&str, usize); 6] = [
    ("faces", 0),
    ("dimension", 0),
    ("inserts_per_s", 0),
    ("optimise_s", 1),
    ("reopen_s", 2),
    ("rss_mib", 0),
];

fn words(_: Option<&Measurement>) -> String {
    WORDS.to_owned()
}

fn targets(measured: &Measurement) -> Vec<Target> {
    let result = &measured.result;
    let recall = Target::at(result, "/recall_at_1", Bound::AtLeast, MIN_RECALL, 4);
    let mut targets = vec![recall];
    for scope in scopes(result) {
        if scope.get("brute_force").is_some() {
            let target = Target::of(scope, "/p50_ms", Bound::AtMost, "/brute_force/p50_ms", 2);
            targets.push(target.named(&format!("{}; brute force", name(scope))));
        }
        if scope.get("usearch").is_some() {
            let target = Target::of(scope, "/p50_ms", Bound::AtMost, "/usearch/p50_ms", 2);
            targets.push(target.named(&format!("{}; usearch", name(scope))));
        }
    }
    targets
}

fn tables(measured: &Measurement) -> anyhow::Result<String> {
    let result = &measured.result;
    let mut table = String::from("| field | |\n| --- | --- |\n");
    for (field, decimals) in FIELDS {
        let figure = shown(result, &format!("/{field}"), decimals);
        // Writing to a String cannot fail.
        let _ = writeln!(table, "| `{field}` | {figure} |");
    }
    table.push_str(
        "\n| searched | faces | by | p50, ms | p99, ms | `recall_at_1` | of strangers |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for scope in scopes(result) {
        let faces = shown(scope, "/faces", 0);
        for (by, at) in [
            ("the library", ""),
            ("the library, exact", "/exact"),
            ("brute force", "/brute_force"),
            ("usearch", "/usearch"),
        ] {
            if scope.pointer(at).is_none() {
                continue;
            }
            let cell = |field: &str, decimals| shown(scope, &format!("{at}/{field}"), decimals);
            let _ = writeln!(
                table,
                "| {} | {faces} | {by} | {} | {} | {} | {} |",
                name(scope),
                cell("p50_ms", 2),
                cell("p99_ms", 2),
                cell("recall_at_1", 4),
                cell("recall_at_1_strangers", 4)
            );
        }
    }
    Ok(table)
}

fn scopes(result: &Value) -> &[Value] {
    result
        .get("scopes")
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn name(scope: &Value) -> &str {
    scope
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default()
}
