//! `docs/reliability.md`: what `scripts/faults` injected and what came of it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

use crate::bench::measurement::Measurement;
use crate::performance_page::machine;

/// What a test of `integration-tests/tests/faults` came to, and what it holds for.
struct Seen {
    measured: Measurement,
    outcome: Outcome,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Outcome {
    Held(Row),
    /// The test's name.
    Failed {
        failed: String,
    },
}

/// One row of the table of faults, as its test printed it.
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

Generated from [benches/results/faults](../benches/results/faults) by `shiren docs write`; do not edit.
`scripts/faults` measures anew, one row after the other in its long form, on real Apache Kafka; `cargo test --test faults` runs
the short form. Each row injects a fault, sees that it happened, waits for the outcome and compares it with a run of the same
events without faults (rows whose faults must change outcomes state theirs in their test, `integration-tests/tests/faults/`).

*Lost*: cases without a verdict. *Doubled before*: verdicts that a reader of committed records was given again under a
`verdict_id` it knew. *Doubled after*: those of them that contradict the first, which dropping by id would not mend. *Recovery*: the
longest time until work went on. *At*: the commit that the row was seen at; one that the history does not have was joined with
others before it landed, in the commit that `git log -- benches/results/faults` shows for the row's file. Rows that are not
in the table were not measured.
";

const REMAINS: &str = "
## What remains possible with librdkafka

- **A commit that lands late.** librdkafka has no KIP-890 part two (issue 5423): an `EndTxn` that the network delays is not bound to
  one transaction, only to the producer's epoch. A worker that does not learn a commit's outcome drops its producer; the next one
  with the same `transactional.id` raises the epoch at `InitProducerId`, after which the broker refuses what comes late. Between
  the worker's giving up and that request the late commit may still be carried out, which is why the next worker reads the committed
  offsets only after it. The row of the proxy holds requests past the worker's wait and records on which side of `InitProducerId`
  each arrived and what the broker answered; it fails where one that came behind it was carried out. Seen was a refusal with Kafka's
  error code 47, `INVALID_PRODUCER_EPOCH`. A request delayed into the next transaction *of the same producer* cannot arise: no
  producer is used again after an unknown outcome.
- **A record that is acknowledged and not there.** An idempotent producer with more than one request under way can lose a record that
  it reports as delivered ([wire.md](wire.md#publishing)). Shiren's own publishers have one under way. Its workers write in
  transactions, where the broker knows the lowest sequence number and takes no later one first.
- **A call without an end.** `send_offsets_to_transaction` forgets its time limit while a group coordinator is dead (librdkafka issues 5456
  and 5511). A worker waits for it from outside, and then leaves its producer to it and opens another.
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

/// The page from the files in `results`.
///
/// # Errors
/// One cannot be read, or is no row's.
pub(crate) fn markdown(results: &Path) -> anyhow::Result<String> {
    Ok(page(&rows(&results.join("faults"))?))
}

/// What is kept, by the names of the tests.
fn rows(folder: &Path) -> anyhow::Result<Vec<Seen>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.with_context(|| format!("{} cannot be read", folder.display()))?,
    };
    let mut files = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    files.sort();
    let measured = files.iter().map(|file| {
        let measured = Measurement::read(file)?.context("it is gone")?;
        seen(measured).with_context(|| format!("{}: run scripts/faults again", file.display()))
    });
    measured.collect()
}

fn seen(measured: Measurement) -> anyhow::Result<Seen> {
    let outcome =
        Outcome::deserialize(&measured.result).context("not what scripts/faults keeps")?;
    Ok(Seen { measured, outcome })
}

fn page(rows: &[Seen]) -> String {
    let mut page = String::from(HEAD);
    if rows.is_empty() {
        page.push_str("\nNot measured here yet: run `scripts/faults`.\n");
    } else {
        let _ = write!(page, "\n{}\n{}", machines(rows), table(rows));
        page.push_str(&failed(rows));
        page.push_str(&notes(rows));
    }
    page.push_str(REMAINS);
    page
}

/// When, where and from what: once for rows that share it.
fn machines(rows: &[Seen]) -> String {
    let mut machines = BTreeSet::new();
    for Seen { measured, .. } in rows {
        machines.insert(machine(measured));
    }
    let mut dates: Vec<_> = rows.iter().map(|row| row.measured.date.as_str()).collect();
    dates.sort_unstable();
    let machines: Vec<_> = machines.into_iter().collect();
    format!(
        "Measured from {} to {}, profile `dev`, on {}.\n",
        dates[0],
        dates[dates.len() - 1],
        machines.join("; ")
    )
}

/// Rows that held.
fn held(rows: &[Seen]) -> impl Iterator<Item = (&Measurement, &Row)> {
    rows.iter().filter_map(|seen| match &seen.outcome {
        Outcome::Held(row) => Some((&seen.measured, row)),
        Outcome::Failed { .. } => None,
    })
}

fn table(rows: &[Seen]) -> String {
    let mut table = String::from(
        "| fault | form | injected | cases | lost | doubled before | doubled after | recovery | at |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for (measured, row) in held(rows) {
        let injected: Vec<_> = row.injected.iter().map(injected).collect();
        let recovery = row
            .recovery_s
            .map_or_else(|| "-".to_owned(), |s| format!("{s:.1} s"));
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | {} | {} | {} | {recovery} | {} |",
            cell(&row.row),
            row.form,
            injected.join("; "),
            row.cases,
            row.lost,
            row.doubled,
            row.doubled_after,
            measured.commit,
        );
    }
    table
}

fn injected(one: &Injected) -> String {
    format!("{} × {}", one.times, cell(&one.what))
}

/// Tests of rows that did not hold.
fn failed(rows: &[Seen]) -> String {
    let mut list = String::new();
    for seen in rows {
        if let Outcome::Failed { failed } = &seen.outcome {
            let commit = &seen.measured.commit;
            // Writing to a String cannot fail.
            let _ = writeln!(list, "- **Failed** at {commit}: `{failed}`");
        }
    }
    if list.is_empty() {
        return "\nNo row failed.\n".to_owned();
    }
    format!("\n{list}")
}

/// What else was seen, by row.
fn notes(rows: &[Seen]) -> String {
    let mut list = String::from("\nSeen besides:\n\n");
    for (_, row) in held(rows) {
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
            command: "scripts/faults kills::killed".into(),
            date: "2026-01-01T00:00:00Z".into(),
            commit: "abc1234".into(),
            profile: "dev".into(),
            machine: Machine::here(),
            load_average_before: [0.5, 1.0, 2.0],
            result,
        }
    }

    fn kept(results: &[serde_json::Value]) -> anyhow::Result<Vec<Seen>> {
        let results = results.iter().cloned();
        results.map(|result| seen(measured(result))).collect()
    }

    #[test]
    fn a_row_is_a_line_of_the_table_and_its_notes_follow() {
        let row = json!({
            "row": "kill -9", "form": "long", "injected": [{"times": 3, "what": "signal 9 in a|b"}], "cases": 200,
            "lost": 0, "doubled": 2, "doubled_after": 0, "recovery_s": 6.94, "notes": ["bound 11.2 s"],
        });
        let page = page(&kept(&[row]).unwrap());
        let line = "| kill -9 | long | 3 × signal 9 in a\\|b | 200 | 0 | 2 | 0 | 6.9 s | abc1234 |";
        assert!(page.contains(line), "{page}");
        assert!(page.contains("- *kill -9*: bound 11.2 s"), "{page}");
        assert!(page.contains("No row failed."), "{page}");
        assert!(page.contains("AMD") || page.contains("cores"), "{page}");
    }

    #[test]
    fn a_row_that_failed_is_said() {
        let page = page(&kept(&[json!({"failed": "kills::killed"})]).unwrap());
        assert!(
            page.contains("**Failed** at abc1234: `kills::killed`"),
            "{page}"
        );
        assert!(!page.contains("No row failed."), "{page}");
    }

    #[test]
    fn without_a_measurement_the_page_says_so_and_something_else_is_refused() {
        assert!(page(&[]).contains("run `scripts/faults`"));
        let error = format!("{:#}", kept(&[json!({ "rounds": 9 })]).err().unwrap());
        assert!(error.contains("scripts/faults"), "{error}");
    }
}
