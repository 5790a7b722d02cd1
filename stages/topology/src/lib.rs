//! The one wiring document, `topology.toml`: parsed and checked, all problems at once.
//!
//! Pure: text, environment and the program's stages come in as arguments. [`SETTINGS`] declares
//! every setting once; reading, defaults, ranges and `docs/topology.md` follow from it.

mod asks;
mod build;
mod codes;
mod environment;
mod graph;
mod hints;
mod identity_limit;
mod library;
mod model;
mod problem;
mod quality;
mod reader;
mod register;
mod rules;
mod scenes;
mod settings;
mod structure;
mod telemetry;
mod values;

pub use asks::{Asks, Authority};
pub use codes::CODES;
pub use graph::{Format, graph};
pub use hints::did_you_mean;
pub use identity_limit::IdentityLimit;
pub use library::{Library, LibraryEngine};
pub use model::{
    Bundle, Detect, EmbeddedLog, KafkaLog, Liveness, LogSettings, Models, Policy, Runtime, Segment,
    Stills, Topics, Topology, Vault,
};
pub use problem::{Problem, ProblemCode, Severity};
pub use quality::{Quality, QualityDetail, QualityLimits};
pub use register::Register;
pub use scenes::{parse_scene, scene_settings};
pub use settings::{Absent, Form, Kind, SETTINGS, Setting, settings_markdown};
pub use telemetry::Telemetry;

use shiren_contract::stage::StageDescriptor;

use crate::values::{Origin, Values};

/// Parses and checks a topology.
///
/// `file` is the name that problems are reported under. `environment` is the process environment;
/// `SHIREN_LOG_ENGINE`, `SHIREN_KAFKA_BOOTSTRAP_SERVERS` and `SHIREN_KAFKA_PROPERTY_*` win over the
/// file, empty ones count as unset, variables that are none of ours are ignored. `stages` is every
/// stage that this program has.
///
/// # Errors
/// At least one [`Severity::Error`], with every other problem and warning, by line; those of the
/// environment last. After a syntax error only single settings are checked.
pub fn parse(
    text: &str,
    file: &str,
    environment: impl IntoIterator<Item = (String, String)>,
    stages: &[StageDescriptor],
) -> Result<Topology, Vec<Problem>> {
    let mut values = Values::read(text, file, environment);
    if values.is_whole() {
        structure::check(&mut values, stages);
        rules::check(&mut values);
    }
    let built = build::build(&values);
    if let (Err(path), false) = (&built, values.has_errors()) {
        let what = "declared in no settings table, or with another type";
        values.error(codes::UNREADABLE_TABLES, &Origin::Line(1), path, what, None);
    }
    let refused = values.has_errors();
    let problems = values.into_problems();
    match built {
        Ok(topology) if !refused => Ok(Topology {
            warnings: problems,
            ..topology
        }),
        _ => Err(problems),
    }
}

/// Line of the setting at `path` (`scene.default.target_fmr`) in `text`, from 1: where it is
/// written, else that of its table, else 1.
#[must_use]
pub fn line_of(text: &str, path: &str) -> usize {
    let values = Values::read(text, "", []);
    match values.culprit(&[path]) {
        (_, Origin::Line(line)) => line,
        (_, Origin::Variable(_)) => 1,
    }
}
