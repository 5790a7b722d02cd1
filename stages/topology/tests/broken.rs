//! Each `broken/*.toml` has exactly the problems of the `.expected` beside it; one with warnings
//! alone is accepted.
//! Lines `NAME=value` at the head of an `.expected` are the environment.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use shiren_topology::Severity;

mod support;

#[test]
fn every_problem_of_each_broken_topology_is_reported() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    let mut codes = BTreeSet::new();
    let mut wrong = Vec::new();
    let mut files = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        files += 1;
        let text = fs::read_to_string(&path).unwrap();
        let expected = fs::read_to_string(path.with_extension("expected")).unwrap_or_default();
        let (environment, expected): (Vec<&str>, Vec<&str>) = expected
            .lines()
            .partition(|line| line.starts_with("SHIREN_"));
        let environment = environment.iter().map(|line| {
            let (name, value) = line.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        });
        let problems =
            match shiren_topology::parse(&text, "topology.toml", environment, support::STAGES) {
                Ok(topology) => topology.warnings,
                Err(problems) => {
                    let refused = problems.iter().any(|p| p.severity == Severity::Error);
                    assert!(refused, "{} is refused for warnings", path.display());
                    problems
                }
            };
        codes.extend(problems.iter().map(|problem| problem.code));
        let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
        if found != expected {
            wrong.push(format!("{}:\n{}\n", path.display(), found.join("\n")));
        }
    }
    assert!(
        wrong.is_empty(),
        "found instead of expected:\n{}",
        wrong.join("\n")
    );
    assert!(files >= 12, "{files} broken topologies");
    let untested: Vec<&str> = shiren_topology::CODES
        .iter()
        .map(|code| code.id)
        // A fault of the program, which no document can bring about.
        .filter(|code| !codes.contains(code) && *code != "unreadable_tables")
        .collect();
    assert!(untested.is_empty(), "no broken topology shows {untested:?}");
}
