//! A scene's settings as a text of their own, as the policy topic holds them.

use shiren_contract::policy::Scene;
use toml::{Table, Value};

use crate::build;
use crate::codes;
use crate::problem::{Problem, Severity};
use crate::values::Values;

/// Name that problems with such a text are reported under.
const PLACE: &str = "policy";
/// Every line of a problem is that of the text: the table's header stands in front of it.
const HEADER: &str = "[scene.default]\n";

/// The settings as TOML, without a table's header; what is unset is left out.
#[must_use]
pub fn scene_settings(scene: &Scene) -> String {
    let Scene {
        requires,
        target_fmr,
        target_fpir,
        min_margin,
        allow_extrapolated,
        allow_advisory,
        expires_after_ms,
        request_ttl_ms,
        deadline_ms,
        min_face_px,
    } = scene;
    let requires: Vec<Value> = requires.iter().cloned().map(Value::String).collect();
    let mut table = Table::new();
    table.insert("requires".to_owned(), Value::Array(requires));
    table.insert("target_fmr".to_owned(), Value::Float(*target_fmr));
    if let Some(fpir) = target_fpir {
        table.insert("target_fpir".to_owned(), Value::Float(*fpir));
    }
    table.insert("min_margin".to_owned(), Value::Float(*min_margin));
    table.insert(
        "expires_after_ms".to_owned(),
        Value::Integer(*expires_after_ms),
    );
    table.insert("request_ttl_ms".to_owned(), Value::Integer(*request_ttl_ms));
    table.insert(
        "min_face_px".to_owned(),
        Value::Integer(i64::from(*min_face_px)),
    );
    if let Some(ms) = deadline_ms {
        table.insert("deadline_ms".to_owned(), Value::Integer(*ms));
    }
    for (name, reason) in [
        ("allow_extrapolated", allow_extrapolated),
        ("allow_advisory", allow_advisory),
    ] {
        if let Some(reason) = reason {
            table.insert(name.to_owned(), Value::String(reason.clone()));
        }
    }
    table.to_string()
}

/// Reads what [`scene_settings`] writes, with the checks and the defaults of `[scene.*]`.
///
/// # Errors
/// Every problem with a setting of its own; rules across the topology are the caller's.
pub fn parse_scene(settings: &str) -> Result<Scene, Vec<Problem>> {
    let values = Values::read(&format!("{HEADER}{settings}"), PLACE, []);
    let built = build::scene(&values, "default");
    let of_scene = |problem: &Problem| {
        problem.severity == Severity::Error
            && (problem.path.starts_with("scene.")
                || [codes::TOML_SYNTAX, codes::UNKNOWN_KEY].contains(&problem.code))
    };
    let mut problems: Vec<Problem> = values.into_problems();
    problems.retain(of_scene);
    for problem in &mut problems {
        problem.line = problem.line.saturating_sub(1);
    }
    match built {
        Ok(scene) if problems.is_empty() => Ok(scene),
        _ => Err(problems),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        fn scene()(
            requires in proptest::sample::subsequence(vec!["comparison", "liveness", "quality"], 0..=3),
            target_fmr in 1e-9_f64..0.1,
            target_fpir in proptest::option::of(1e-6_f64..0.5),
            min_margin in 0.0_f64..1.0,
            allow_extrapolated in proptest::option::of("[a-zA-Z \"\\\\'实]{1,40}"),
            allow_advisory in proptest::option::of("[a-z]{1,9}"),
            expires_after_ms in 1_000_i64..1_000_000,
            request_ttl_ms in 1_000_i64..1_000_000,
            deadline_ms in proptest::option::of(1_i64..1_000_000),
            min_face_px in 16_u32..2_048,
        ) -> Scene {
            Scene {
                requires: requires.into_iter().map(str::to_owned).collect(),
                target_fmr, target_fpir, min_margin, allow_extrapolated, allow_advisory, expires_after_ms, request_ttl_ms, deadline_ms, min_face_px,
            }
        }
    }

    proptest! {
        #[test]
        fn settings_round_trip(scene in scene()) {
            prop_assert_eq!(parse_scene(&scene_settings(&scene)).unwrap(), scene);
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let problems =
            parse_scene("requires = [\"comparison\"]\ntarget_fmr = 3\ncolour = 1").unwrap_err();
        let seen: Vec<_> = problems.iter().map(|p| (p.code, p.line)).collect();
        assert_eq!(seen, [("out_of_range", 2), ("unknown_key", 3)]);
        assert!(
            parse_scene("target_fmr = 0.1").is_err(),
            "requires is missing"
        );
    }
}
