//! Draws a topology: stages in their segments, the topics between, what each kind of request visits.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use shiren_contract::stage::StageDescriptor;
use shiren_schemas::records::{Lane, RequestKind};

use crate::model::Topology;

/// A language for graphs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Mermaid, which Markdown viewers draw.
    Mermaid,
    /// DOT, which Graphviz draws.
    Dot,
}

/// Draws `topology`, whose stages are among `stages`. Solid arrows carry the kinds of request that
/// go along them; dashed ones are the early ends that any stage can give a case.
#[must_use]
pub fn graph(topology: &Topology, stages: &[StageDescriptor], format: Format) -> String {
    let graph = Graph::of(topology, stages);
    match format {
        Format::Mermaid => graph.mermaid(),
        Format::Dot => graph.dot(),
    }
}

/// Ids of nodes that are no stage; stages have the prefix `stage_`, their topics `topic_`.
const INGRESS: &str = "ingress";
const COMMANDS: &str = "commands";
const LIBRARY: &str = "library";
const VERDICTS: &str = "verdicts";
const DEAD_LETTERS: &str = "dead_letters";

struct Graph {
    /// Name and stages.
    segments: Vec<(String, Vec<String>)>,
    /// Id and lines of text.
    topics: BTreeMap<String, Vec<String>>,
    /// From and to, by id, with the kinds on it; in chain order.
    arrows: Vec<(String, String, Vec<&'static str>)>,
}

impl Graph {
    fn of(topology: &Topology, stages: &[StageDescriptor]) -> Self {
        let segments = topology.segments.iter();
        let mut graph = Self {
            segments: segments
                .map(|segment| {
                    (
                        title(segment.workers, &segment.name),
                        segment.stages.clone(),
                    )
                })
                .collect(),
            topics: outer_topics(topology),
            arrows: Vec::new(),
        };
        let find = |name: &String| stages.iter().find(|stage| stage.name == name);
        let chain: Vec<&StageDescriptor> = topology.chain.iter().filter_map(find).collect();
        if let Some(first) = chain.first() {
            let served = RequestKind::ALL.iter().filter(|k| is_served(&chain, **k));
            for kind in served.clone() {
                let from = if is_command(*kind) { COMMANDS } else { INGRESS };
                graph.arrow(from.to_owned(), stage_id(first.name), *kind);
            }
            for kind in served {
                graph.path(topology, &chain, *kind);
            }
        }
        if !graph.arrows.iter().any(|(from, ..)| from == COMMANDS) {
            graph.topics.remove(COMMANDS);
            graph.topics.remove(LIBRARY);
        }
        let place = |id: &str| chain.iter().position(|stage| stage_id(stage.name) == id);
        graph
            .arrows
            .sort_by_key(|(from, ..)| (from != INGRESS, from != COMMANDS, place(from)));
        graph
    }

    /// Arrows of one kind from stage to stage, and to its verdict.
    fn path(&mut self, topology: &Topology, chain: &[&StageDescriptor], kind: RequestKind) {
        let mut visited = chain.iter().filter(|s| s.kinds.contains(&kind)).peekable();
        while let Some(stage) = visited.next() {
            let from = stage_id(stage.name);
            let Some(next) = visited.peek() else {
                if is_command(kind) {
                    self.arrow(from.clone(), LIBRARY.to_owned(), kind);
                }
                self.arrow(from, VERDICTS.to_owned(), kind);
                return;
            };
            let to = stage_id(next.name);
            let fused = topology.segment_of(stage.name) == topology.segment_of(next.name);
            if fused {
                self.arrow(from, to, kind);
            } else {
                let topic = format!("topic_{}", next.name.replace('-', "_"));
                let name = format!("shiren.{}.{}", next.name, lanes(&topology.lanes));
                self.topics.insert(topic.clone(), vec![name]);
                self.arrow(from, topic.clone(), kind);
                self.arrow(topic, to, kind);
            }
        }
    }

    fn arrow(&mut self, from: String, to: String, kind: RequestKind) {
        let same = |arrow: &&mut (String, String, _)| arrow.0 == from && arrow.1 == to;
        match self.arrows.iter_mut().find(same) {
            Some((.., kinds)) if kinds.contains(&kind.as_str()) => {}
            Some((.., kinds)) => kinds.push(kind.as_str()),
            None => self.arrows.push((from, to, vec![kind.as_str()])),
        }
    }

    // Writing to a String cannot fail.
    fn mermaid(&self) -> String {
        let mut text = String::from("flowchart LR\n");
        for (id, lines) in &self.topics {
            let _ = writeln!(text, "    {id}[(\"{}\")]", lines.join("<br/>"));
        }
        for (index, (title, stages)) in self.segments.iter().enumerate() {
            let _ = writeln!(text, "    subgraph segment_{index} [\"{title}\"]");
            for stage in stages {
                let _ = writeln!(text, "        {}[\"{stage}\"]", stage_id(stage));
            }
            text.push_str("    end\n");
        }
        for (from, to, kinds) in &self.arrows {
            let _ = writeln!(text, "    {from} -- \"{}\" --> {to}", kinds.join(", "));
        }
        for index in 0..self.segments.len() {
            let _ = writeln!(text, "    segment_{index} -. \"error\" .-> {VERDICTS}");
            let _ = writeln!(
                text,
                "    segment_{index} -. \"refused\" .-> {DEAD_LETTERS}"
            );
        }
        text
    }

    fn dot(&self) -> String {
        let mut text = String::from(
            "digraph shiren {\n    rankdir=LR;\n    compound=true;\n    node [shape=box];\n",
        );
        for (id, lines) in &self.topics {
            let _ = writeln!(
                text,
                "    {id} [shape=cylinder, label=\"{}\"];",
                lines.join("\\n")
            );
        }
        for (index, (title, stages)) in self.segments.iter().enumerate() {
            let _ = writeln!(text, "    subgraph cluster_{index} {{");
            let _ = writeln!(text, "        label=\"{title}\";");
            for stage in stages {
                let _ = writeln!(text, "        {} [label=\"{stage}\"];", stage_id(stage));
            }
            text.push_str("    }\n");
        }
        for (from, to, kinds) in &self.arrows {
            let _ = writeln!(text, "    {from} -> {to} [label=\"{}\"];", kinds.join(", "));
        }
        // An edge between nodes that begins at the segment's border.
        for (index, (_, stages)) in self.segments.iter().enumerate() {
            let Some(last) = stages.last().map(|stage| stage_id(stage)) else {
                continue;
            };
            for (to, label) in [(VERDICTS, "error"), (DEAD_LETTERS, "refused")] {
                let _ = writeln!(
                    text,
                    "    {last} -> {to} [ltail=cluster_{index}, style=dashed, label=\"{label}\"];"
                );
            }
        }
        text.push_str("}\n");
        text
    }
}

fn title(workers: u32, segment: &str) -> String {
    match workers {
        1 => format!("segment {segment}"),
        n => format!("segment {segment}, {n} workers"),
    }
}

/// The prefix keeps names apart from words of the languages, `end` among them; DOT takes no hyphens.
fn stage_id(stage: &str) -> String {
    format!("stage_{}", stage.replace('-', "_"))
}

/// Served by a stage behind the first, which takes every kind to refuse what nobody serves.
fn is_served(chain: &[&StageDescriptor], kind: RequestKind) -> bool {
    let mut behind = chain.iter().skip(1);
    behind.any(|stage| stage.kinds.contains(&kind))
}

/// Library commands have a topic of their own, and what they change has one.
fn is_command(kind: RequestKind) -> bool {
    matches!(kind, RequestKind::Enrol | RequestKind::Unenrol)
}

fn outer_topics(topology: &Topology) -> BTreeMap<String, Vec<String>> {
    let tenants = one_of(topology.tenants.iter().map(String::as_str));
    let of = |rest: &str| format!("shiren.{tenants}.{rest}");
    let requests = of(&format!("requests.{}", lanes(&topology.lanes)));
    BTreeMap::from([
        (INGRESS.to_owned(), vec![requests]),
        (COMMANDS.to_owned(), vec![of("library-commands")]),
        (LIBRARY.to_owned(), vec!["shiren.library".to_owned()]),
        (
            VERDICTS.to_owned(),
            ["verdicts", "results", "evidence"].map(of).to_vec(),
        ),
        (DEAD_LETTERS.to_owned(), vec![of("dead-letters")]),
    ])
}

fn lanes(lanes: &[Lane]) -> String {
    one_of(lanes.iter().map(|lane| lane.as_str()))
}

/// `a`, or `{a,b}`, as shells write it.
fn one_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.as_slice() {
        [one] => (*one).to_owned(),
        several => format!("{{{}}}", several.join(",")),
    }
}
