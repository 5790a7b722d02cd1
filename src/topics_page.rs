//! `docs/topics.md`: every topic with key, order, headers, size, retention and schema.

use std::fmt::Write as _;

use shiren_contract::stage::StageDescriptor;
use shiren_schemas::Wire;
use shiren_schemas::records::{
    AdmittedCase, AskIntent, CrashAttempt, DeadLetter, Evidence, FaceCase, IdentityAttempts, Lane,
    LedgerEntry, LibraryChange, Mode, Request, Results, ScenePolicy, StillCase, TemplateCase,
    Verdict,
};
use shiren_schemas::topics::Topic;
use shiren_topology::{Absent, SETTINGS};

use crate::stages;

/// What there is to say of a topic beside its name.
struct Facts {
    /// Name of its records' schema, and the file in `schemas/avsc`.
    schema: (&'static str, String),
    retention: &'static str,
    headers: Vec<&'static str>,
    written_by: &'static str,
    read_by: &'static str,
}

/// In place of a retention setting: the newest record of each key is kept.
const COMPACTED: &str = "";
const TRACE: [&str; 2] = ["traceparent", "tracestate"];

/// `input`: the schema that the topic's stage reads, where it is a stage's topic.
fn facts(topic: &Topic, input: &'static str) -> Facts {
    let verdict_headers = TRACE.into_iter().chain(shiren_runtime::VERDICT_HEADERS);
    let trace = TRACE.to_vec();
    let facts = |schema, file: &str, retention, headers, written_by, read_by| Facts {
        schema: (schema, file.to_owned()),
        retention,
        headers,
        written_by,
        read_by,
    };
    match topic {
        Topic::Requests { .. } => facts(
            Request::NAME,
            "request",
            "topics.requests_retention_ms",
            trace,
            "producers",
            "admit",
        ),
        Topic::LibraryCommands { .. } => facts(
            Request::NAME,
            "request",
            "topics.library_commands_retention_ms",
            trace,
            "`shiren library`, other producers",
            "admit",
        ),
        Topic::Verdicts { .. } => facts(
            Verdict::NAME,
            "verdicts",
            "topics.verdicts_retention_ms",
            verdict_headers.collect(),
            "the stage that ends the case",
            "doors, counters, back ends",
        ),
        Topic::Results { .. } => facts(
            Results::NAME,
            "results",
            "topics.results_retention_ms",
            trace,
            "the stage that ends the case",
            "who asked",
        ),
        Topic::Evidence { .. } => facts(
            Evidence::NAME,
            "evidence",
            "topics.evidence_retention_ms",
            trace,
            "the stage that ends the case",
            "auditors",
        ),
        Topic::DeadLetters { .. } => facts(
            DeadLetter::NAME,
            "dead-letters",
            "topics.dead_letters_retention_ms",
            Vec::new(),
            "any stage",
            "the operator",
        ),
        Topic::Policy => facts(
            ScenePolicy::NAME,
            "policy",
            COMPACTED,
            Vec::new(),
            "`shiren topics apply` (the seed), `shiren policy set`",
            "every worker, before it is ready and from then on",
        ),
        Topic::Library => facts(
            LibraryChange::NAME,
            "library",
            COMPACTED,
            Vec::new(),
            "enrol",
            "`shiren library list`, `show`, `export`, `rebuild`, `verify`",
        ),
        Topic::State { .. } => facts(
            input,
            file_of(input),
            COMPACTED,
            Vec::new(),
            "the stage of its name, with what it commits",
            "the stage of its name, when partitions are assigned to it; internal",
        ),
        Topic::Attempts { .. } => facts(
            CrashAttempt::NAME,
            "attempts",
            COMPACTED,
            Vec::new(),
            "a worker, when it takes partitions over and while it looks for a record that kills",
            "the next worker that takes them over; internal",
        ),
        Topic::Stage { .. } => facts(
            input,
            file_of(input),
            "topics.stages_retention_ms",
            trace,
            "the stage before, when it runs apart",
            "the stage of its name; internal",
        ),
    }
}

/// One of each topic, with the schema that its stage reads.
fn topics() -> Vec<(Topic, &'static str)> {
    let tenant = || "<tenant>".to_owned();
    let lane = Lane::Interactive;
    let mut topics = vec![(
        Topic::Requests {
            tenant: tenant(),
            lane,
        },
        "",
    )];
    topics.push((Topic::LibraryCommands { tenant: tenant() }, ""));
    let behind = |stage: &StageDescriptor| stage.input != "Arrival";
    for descriptor in stages::descriptors().into_iter().filter(behind) {
        let stage = descriptor.name.to_owned();
        topics.push((Topic::Stage { stage, lane }, descriptor.input));
    }
    for mode in Mode::ALL {
        let verdicts = Topic::Verdicts {
            tenant: tenant(),
            mode: *mode,
        };
        topics.push((verdicts, ""));
    }
    topics.push((Topic::Results { tenant: tenant() }, ""));
    topics.push((Topic::Evidence { tenant: tenant() }, ""));
    topics.push((Topic::DeadLetters { tenant: tenant() }, ""));
    for descriptor in stages::descriptors() {
        let stage = descriptor.name.to_owned();
        if let Some(state) = descriptor.state {
            topics.push((Topic::State { stage, lane }, state));
        }
    }
    topics.push((Topic::Policy, ""));
    topics.push((Topic::Library, ""));
    let stage = "<stage>".to_owned();
    topics.push((Topic::Attempts { stage }, ""));
    topics
}

/// The schema's file is named after a stage that reads it.
fn file_of(input: &'static str) -> &'static str {
    match input {
        AdmittedCase::NAME => "decode",
        StillCase::NAME => "detect",
        FaceCase::NAME => "embed",
        TemplateCase::NAME => "match",
        LedgerEntry::NAME => "ledger",
        AskIntent::NAME => "ask-intent",
        IdentityAttempts::NAME => "identity-attempts",
        other => other,
    }
}

/// How long records are kept, in words.
fn kept(retention: &str) -> String {
    if retention == COMPACTED {
        return "compacted: the newest of each key".to_owned();
    }
    format!("`{retention}` ({} h)", default_of(retention) / 3_600_000)
}

/// The page.
pub(crate) fn markdown() -> String {
    let lanes: Vec<String> = Lane::ALL.iter().map(|lane| format!("`{lane}`")).collect();
    let mut page = format!(
        "# Topics\n\nGenerated from the program's own tables by `shiren docs write`; do not edit.\n\
         `<lane>` is {}. `shiren topics apply` makes all of a site's topics, `shiren validate --live` compares them, \
         `shiren graph` draws them. Topics of stages, those of attempts too, exist only where a segment begins with the stage.\n\n\
         All of them: `topics.partitions` partitions (default {}), LogAppendTime, records of at most `topics.max_record_bytes` \
         (default {}; Kafka's `max.message.bytes` is 65,536 more, for framing), deleted by age; `shiren.policy` and `shiren.attempts.<stage>` have one partition and are compacted. Values are Avro \
         single-object encoding. Framing, keys and ids: [wire.md](wire.md).\n\n\
         **Key**: `<tenant>/<request_id>` of the case, on every topic of cases, `<tenant>/<scene>` on `shiren.policy`, `<topic>/<partition>` or `<topic>/<partition>/<offset>` on `shiren.attempts.<stage>`; a dead letter has the key of the record it tells \
         of. **Order**: by offset within a partition, and so by key; none across partitions. On the topics of stages and \
         behind them, cases of one key keep their order; cases of other keys may overtake them.\n\n\
         | topic | schema | headers | retention (default) | written by | read by |\n\
         | --- | --- | --- | --- | --- | --- |\n",
        lanes.join(", "),
        default_of("topics.partitions"),
        default_of("topics.max_record_bytes"),
    );
    for (topic, input) in topics() {
        let facts = facts(&topic, input);
        let name = topic.to_string().replace("interactive", "<lane>");
        let headers: Vec<String> = facts.headers.iter().map(|h| format!("`{h}`")).collect();
        let (schema, file) = facts.schema;
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| `{name}` | [{schema}](../schemas/avsc/{file}.avsc) | {} | {} | {} | {} |",
            headers.join(", "),
            kept(facts.retention),
            facts.written_by,
            facts.read_by,
        );
    }
    page
}

fn default_of(path: &str) -> i64 {
    let setting = SETTINGS.iter().find(|setting| setting.path == path);
    match setting.map(|setting| setting.absent) {
        Some(Absent::Integer(value)) => value,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::site::Site;

    #[test]
    fn every_row_names_a_schema_that_is_there_and_a_setting_with_a_default() {
        for (topic, input) in topics() {
            let facts = facts(&topic, input);
            let (schema, file) = facts.schema;
            let path = format!("{}/schemas/avsc/{file}.avsc", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(&path).unwrap();
            let record: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(record["name"], schema, "{topic}");
            assert!(
                facts.retention == COMPACTED || default_of(facts.retention) > 0,
                "{topic}"
            );
        }
    }

    /// The retention named on the page is the one that a site's topic gets.
    #[test]
    fn the_retentions_are_those_of_a_site() {
        let mut wanted = BTreeMap::new();
        let mut settings = String::new();
        for setting in SETTINGS
            .iter()
            .filter(|s| s.path.ends_with("_retention_ms"))
        {
            let value = 7_200_000 + wanted.len() as i64;
            let name = setting.path.strip_prefix("topics.").unwrap();
            let _ = writeln!(settings, "{name} = {value}");
            wanted.insert(setting.path, value);
        }
        let names: Vec<&str> = stages::descriptors().iter().map(|s| s.name).collect();
        let segments = names
            .iter()
            .map(|n| format!("[segment.{n}]\nstages = [{n:?}]\n"));
        let text = format!(
            "chain = {names:?}\n{}[topics]\n{settings}\n[scene.default]\nrequires = []\ntarget_fmr = 0.001\n",
            segments.collect::<String>()
        );
        let (file, home) = (Path::new("topology.toml"), Path::new(""));
        let site = Site::read(&text, file, home, &stages::descriptors()).unwrap();
        let specs = site.topics();
        // One row for all of them.
        let attempts = |name: &str| matches!(Topic::parse(name), Some(Topic::Attempts { .. }));
        let of_attempts = specs.iter().filter(|spec| attempts(&spec.name)).count();
        assert_eq!(of_attempts, names.len());
        assert_eq!(specs.len() - of_attempts + 1, topics().len());
        for spec in specs {
            let topic = Topic::parse(&spec.name).unwrap();
            let setting = facts(&topic, "").retention;
            assert_eq!(spec.compacted, setting == COMPACTED, "{}", spec.name);
            if setting == COMPACTED {
                continue;
            }
            assert_eq!(spec.retention_ms, wanted[setting], "{}", spec.name);
        }
    }
}
