//! `docs/reliability.md`: what `scripts/faults` injected and what came of it.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

use crate::bench::measurement::Measurement;
use crate::performance_page::conditions;

/// What `integration-tests/tests/faults` printed.
#[derive(Deserialize)]
struct Faults {
    rows: Vec<Row>,
}

/// One row of the table of faults.
#[derive(Deserialize)]
struct Row {
    row: String,
    /// `short` or `long`.
    form: String,
    injected: Vec<Injected>,
    /// Cases that were published.
    cases: usize,
    /// Cases without a verdict.
    lost: usize,
    /// Verdicts that a reader of committed records saw again under the same id.
    doubled: u64,
    /// Those of them that said something else: what is left once doubles are dropped by their id.
    doubled_after: u64,
    /// Longest time until work went on, seconds.
    recovery_s: Option<f64>,
    notes: Vec<String>,
}

#[derive(Deserialize)]
struct Injected {
    times: usize,
    what: String,
}

const HEAD: &str = "# Reliability

Generated from [benches/results/faults.json](../benches/results/faults.json) by `shiren docs write`; do not edit.
`scripts/faults` measures anew, one row after the other in its long form, on real Apache Kafka; `cargo test --test faults` runs
the short form. Each row injects a fault, sees that it happened, waits for the outcome and compares it with a run of the same
events without faults (rows whose faults must change outcomes state theirs in their test, `integration-tests/tests/faults/`).

*Lost*: cases without a verdict. *Doubled before*: verdicts that a reader of committed records was given again under a
`verdict_id` it knew. *Doubled after*: those of them that contradict the first, which dropping by id would not mend. *Recovery*: the
longest time until work went on.
";

const REMAINS: &str = "
## What remains possible with librdkafka

- **A commit that lands late.** librdkafka has no KIP-890 part two (issue 5423): an `EndTxn` that the network delays is not bound to
  one transaction, only to the producer's epoch. A worker that does not learn a commit's outcome drops its producer; the next one
  with the same `transactional.id` raises the epoch at `InitProducerId`, after which the broker refuses what comes late. Between
  the worker's giving up and that request the late commit may still be carried out, which is why the next worker reads the committed
  offsets only after it. The row of the proxy holds requests past the worker's wait; on which side of `InitProducerId` they
  arrive it does not record. A request delayed into the next transaction *of the same producer* cannot arise: no producer is used
  again after an unknown outcome.
- **A request that is published twice.** A producer without transactions that gets no acknowledgement cannot know, and sends
  again. Admit answers a request once within its time to live ([state.md](state.md)); beyond that it is a new case with the same
  `verdict_id`. So readers drop by `verdict_id`, as [wire.md](wire.md) says.
- **Readers that wait.** Committed records behind a dead worker's open transaction are held back for up to
  `log.kafka.transaction_timeout_ms` and the broker's own look (10 s by default), unless the same slot is started again.
- **A broker that acknowledges and then loses.** One broker with one copy loses with its disk what it had acknowledged. Three with
  replication factor 3 and `min.insync.replicas=2` lose nothing with one of them.
- **An outage longer than a worker's patience.** A worker is built anew up to 20 times in a row, pauses growing to 5 s, then its
  process ends with an error and its supervisor starts it again; nothing is lost by that.
- **Work that is done twice.** Models run again, and libraries and authorities are asked again with the same idempotency key, for
  records whose bundle was not committed. Nobody sees it in the verdicts.
";

/// The page from the file in `results`.
///
/// # Errors
/// It is there and holds no rows.
pub(crate) fn markdown(results: &Path) -> anyhow::Result<String> {
    page(Measurement::read(&results.join("faults.json"))?)
}

fn page(measured: Option<Measurement>) -> anyhow::Result<String> {
    let mut page = String::from(HEAD);
    match measured {
        None => page.push_str("\nNot measured here yet: run `scripts/faults`.\n"),
        Some(measured) => {
            let what = "faults.json: not what scripts/faults keeps; run it again";
            let faults = Faults::deserialize(&measured.result).context(what)?;
            let _ = write!(page, "\n{}\n{}", conditions(&measured), table(&faults.rows));
            page.push_str(&notes(&faults.rows));
        }
    }
    page.push_str(REMAINS);
    Ok(page)
}

fn table(rows: &[Row]) -> String {
    let mut table = String::from(
        "| fault | form | injected | cases | lost | doubled before | doubled after | recovery |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in rows {
        let injected: Vec<_> = row.injected.iter().map(injected).collect();
        let recovery = row
            .recovery_s
            .map_or_else(|| "-".to_owned(), |s| format!("{s:.1} s"));
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | {} | {} | {} | {recovery} |",
            cell(&row.row),
            row.form,
            injected.join("; "),
            row.cases,
            row.lost,
            row.doubled,
            row.doubled_after,
        );
    }
    table
}

fn injected(one: &Injected) -> String {
    format!("{} × {}", one.times, cell(&one.what))
}

/// What else was seen, by row.
fn notes(rows: &[Row]) -> String {
    let mut list = String::from("\nSeen besides:\n\n");
    for row in rows {
        for note in &row.notes {
            // Writing to a String cannot fail.
            let _ = writeln!(list, "- *{}*: {note}", row.row);
        }
    }
    list
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bench::measurement::Machine;

    fn measured(result: serde_json::Value) -> Measurement {
        Measurement {
            command: "scripts/faults".into(),
            date: "2026-01-01T00:00:00Z".into(),
            commit: "abc1234".into(),
            profile: "dev".into(),
            machine: Machine::here(),
            load_average_before: [0.5, 1.0, 2.0],
            result,
        }
    }

    #[test]
    fn a_row_is_a_line_of_the_table_and_its_notes_follow() {
        let row = json!({
            "row": "kill -9", "form": "long", "injected": [{"times": 3, "what": "signal 9 in a|b"}], "cases": 200,
            "lost": 0, "doubled": 2, "doubled_after": 0, "recovery_s": 6.94, "notes": ["bound 11.2 s"],
        });
        let page = page(Some(measured(json!({ "rows": [row] })))).unwrap();
        let line = "| kill -9 | long | 3 × signal 9 in a\\|b | 200 | 0 | 2 | 0 | 6.9 s |";
        assert!(page.contains(line), "{page}");
        assert!(page.contains("- *kill -9*: bound 11.2 s"), "{page}");
        assert!(page.contains("AMD") || page.contains("cores"), "{page}");
    }

    #[test]
    fn without_a_measurement_the_page_says_so_and_something_else_is_refused() {
        assert!(page(None).unwrap().contains("run `scripts/faults`"));
        let error = format!(
            "{:#}",
            page(Some(measured(json!({ "rounds": 9 })))).unwrap_err()
        );
        assert!(error.contains("scripts/faults"), "{error}");
    }
}
