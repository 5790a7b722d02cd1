//! Text as topology.toml: a topology, or problems that each name a code and a line of the text.
#![no_main]

#[path = "../../stages/topology/tests/support/mod.rs"]
mod support;

use libfuzzer_sys::{Corpus, fuzz_target};
use shiren_fuzz::seed;
use shiren_topology::{CODES, Severity, line_of, parse};
use support::STAGES;

fuzz_target!(init: seed([include_bytes!("../../topology.toml").to_vec()]), |data: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(data) else {
        return Corpus::Reject;
    };
    let lines = text.lines().count().max(1);
    let problems = match parse(text, "fuzz.toml", Vec::new(), STAGES) {
        Ok(topology) => {
            assert!(topology.warnings.iter().all(|w| w.severity == Severity::Warning));
            topology.warnings
        }
        Err(problems) => {
            assert!(problems.iter().any(|p| p.severity == Severity::Error), "refused without an error");
            problems
        }
    };
    for problem in &problems {
        // A problem at the end of the text may stand behind its last line feed.
        assert!((1..=lines + 1).contains(&problem.line), "{problem}: {lines} lines");
        assert!(CODES.iter().any(|code| code.id == problem.code), "{problem}");
        assert!((1..=lines + 1).contains(&line_of(text, &problem.path)));
    }
    Corpus::Keep
});
