//! The policy changes while the chain runs; each case is judged by the version it was admitted with.

use std::process::Output;

use bytes::Bytes;
use shiren::{case_reader, requests};
use shiren_integration_tests::policy::{ask_until, change, comparison};
use shiren_integration_tests::{processes, run, site};
use shiren_log::{Log, NewRecord};
use shiren_schemas::records::{
    AdmittedCase, AdmittedPicture, Decision, Envelope, Lane, PictureContent, PictureRole,
    ReferenceKind, Request, Verdict,
};
use shiren_schemas::{Wire, ids, keys};

const STRICT: &str = "requires = [\"comparison\"]\ntarget_fmr = 0.001\nmin_face_px = 2000";

/// Every verdict by one version has one decision.
fn decided(verdicts: &[Verdict], version: i64, decision: Decision) -> usize {
    let by = verdicts
        .iter()
        .filter(|v| v.canonical.policy_version == version);
    let decisions: Vec<Decision> = by.map(|v| v.canonical.decision).collect();
    assert!(
        decisions.iter().all(|d| *d == decision),
        "{version}: {decisions:?}"
    );
    decisions.len()
}

#[test]
fn a_change_takes_effect_on_a_running_chain() {
    let folder = tempfile::tempdir().unwrap();
    let site = site::embedded(folder.path(), &[site::LARGE_FACES]);
    let log = site.open_log().unwrap();
    let (answers, _) = run::beside(&site, &log, || {
        let mut answers = ask_until(log.as_ref(), "before", 1);
        assert_eq!(change(log.as_ref(), 1, STRICT).unwrap(), 2);
        answers.extend(ask_until(log.as_ref(), "after", 2));
        answers
    });
    assert!(decided(&answers, 1, Decision::Accept) >= 1);
    assert_eq!(decided(&answers, 2, Decision::Error), 1);
}

/// What admit would have handed on under `version`.
fn admitted(id: &str, version: i64) -> NewRecord {
    let request = comparison(id);
    let topic = "shiren.default.requests.interactive";
    let case_id = ids::case(topic, id);
    let envelope = Envelope {
        scene: request.scene.clone(),
        mode: request.mode,
        policy_version: version,
        ..Envelope::new(
            case_id,
            &Request::new(id, request.kind),
            shiren_runtime::now_us(),
        )
    };
    let picture = |role, reference_kind, picture: Option<shiren_schemas::records::Picture>| {
        let Some(PictureContent::Inline(inline)) = picture.map(|p| p.content) else {
            panic!("inline");
        };
        AdmittedPicture {
            role,
            reference_kind,
            bytes: inline.bytes,
            sealed: None,
        }
    };
    let case = AdmittedCase {
        envelope,
        pictures: vec![
            picture(PictureRole::Probe, None, request.probe),
            picture(
                PictureRole::Reference,
                Some(ReferenceKind::OnFile),
                request.reference,
            ),
        ],
        search: None,
        command: None,
        claim: None,
    };
    NewRecord {
        topic: "shiren.decode.interactive".into(),
        partition: None,
        key: Bytes::from(keys::request("default", id)),
        value: Some(Bytes::from(case.encode().unwrap())),
        headers: Vec::new(),
    }
}

/// A worker that comes late, or was restarted, still judges an old case by the old version; one whose
/// version is gone, or was never there, ends as an error and is kept for the operator.
#[test]
fn cases_are_judged_by_the_version_they_were_admitted_with() {
    let folder = tempfile::tempdir().unwrap();
    let changes = [
        site::LARGE_FACES,
        site::ONE_STAGE_A_SEGMENT,
        (
            "[bundle] ",
            "[policy]\nversion_max_wait_ms = 300\n[bundle] ",
        ),
    ];
    let site = site::embedded(folder.path(), &changes);
    let log = site.open_log().unwrap();
    site.set_up(log.as_ref()).unwrap();
    for version in 1..=3 {
        assert_eq!(change(log.as_ref(), version, STRICT).unwrap(), version + 1);
    }
    // Three are kept: 2, 3, 4. A fourth with the first's settings, so that they differ.
    let lax = "requires = [\"comparison\"]\ntarget_fmr = 0.001\nmin_face_px = 120";
    assert_eq!(change(log.as_ref(), 4, lax).unwrap(), 5);
    let late = [("strict", 4), ("lax", 5), ("gone", 1), ("never", 99)];
    let records = late.map(|(id, version)| admitted(id, version)).to_vec();
    log.publisher().unwrap().publish(records).unwrap();
    let (verdicts, _) = run::beside(&site, &log, || run::verdicts(log.as_ref(), 4));
    let of = |id: &str| {
        verdicts
            .iter()
            .find(|v| v.observed.request_id == id)
            .unwrap()
    };
    let seen = |id| {
        let canonical = &of(id).canonical;
        (
            canonical.policy_version,
            canonical.decision,
            canonical.reason_codes.join(" "),
        )
    };
    assert_eq!(seen("lax").1, Decision::Accept);
    let strict = seen("strict");
    assert_eq!((strict.0, strict.1), (4, Decision::Error), "{}", strict.2);
    assert_ne!(strict.2, "policy_version_unknown");
    for (id, version) in [("gone", 1), ("never", 99)] {
        let expected = (
            version,
            Decision::Error,
            "policy_version_unknown".to_owned(),
        );
        assert_eq!(seen(id), expected);
    }
    let letters = case_reader::dead_letters(log.as_ref(), "default").unwrap();
    let codes: Vec<_> = letters.iter().map(|letter| letter.code.as_str()).collect();
    assert_eq!(codes, ["policy_version_unknown"; 2]);
}

#[test]
fn two_operators_do_not_undo_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let site = site::embedded(folder.path(), &[]);
    let log = site.open_log().unwrap();
    site.set_up(log.as_ref()).unwrap();
    assert_eq!(change(log.as_ref(), 1, STRICT).unwrap(), 2);
    let error = change(log.as_ref(), 1, STRICT).unwrap_err().to_string();
    assert!(error.starts_with("policy_conflict"), "{error}");
    // Seeding again changes nothing.
    site.set_up(log.as_ref()).unwrap();
    let table = shiren::policy::read(log.as_ref()).unwrap();
    let versions: Vec<i64> = table
        .values()
        .flat_map(|p| p.versions.iter().map(|v| v.version))
        .collect();
    assert_eq!(versions, [1, 2]);
}

#[test]
fn the_command_shows_sets_and_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let site = site::embedded(folder.path(), &[]);
    let log: std::sync::Arc<dyn Log> = site.open_log().unwrap();
    site.set_up(log.as_ref()).unwrap();
    let topology = folder.path().join("topology.toml");
    let run = |arguments: &[&str]| -> (bool, String) {
        let Output {
            status,
            stdout,
            stderr,
        } = processes::on_embedded(&topology)
            .arg("policy")
            .args(arguments)
            .output()
            .unwrap();
        let text = [stdout, stderr].concat();
        (status.success(), String::from_utf8(text).unwrap())
    };
    let (ok, shown) = run(&["show", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert!(
        ok && shown["version"] == 1 && shown["settings"]["target_fmr"] == 0.001,
        "{shown}"
    );

    let set = [
        "set",
        "--why",
        "a door needs more",
        "--by",
        "ana",
        "target_fmr=0.002",
        "expires_after_ms=5000",
    ];
    let (ok, said) = run(&set);
    assert!(ok && said.contains("version 2"), "{said}");
    let (ok, history) = run(&["history"]);
    assert!(
        ok && history.contains("topology.toml: the seed")
            && history.contains("ana: a door needs more"),
        "{history}"
    );
    let (ok, diff) = run(&["diff"]);
    assert!(ok, "{diff}");
    for line in [
        "- target_fmr = 0.001",
        "+ target_fmr = 0.002",
        "+ expires_after_ms = 5000",
    ] {
        assert!(diff.lines().any(|found| found == line), "{diff}");
    }
    let (ok, made) = run(&[
        "set",
        "--scene",
        "door",
        "--why",
        "new",
        "requires=[\"comparison\"]",
        "target_fmr=0.001",
    ]);
    assert!(ok && made.contains("default/door: version 1"), "{made}");

    for (settings, code) in [
        ("target_fmr=5", "out_of_range"),
        ("target_fmr=1e-9", "calibration_missing"),
        ("requires=[\"comparision\"]", "unknown_check"),
        ("colour=blue", "unknown_key"),
        ("nonsense", "is not SETTING=VALUE"),
    ] {
        let (ok, said) = run(&["set", "--why", "wrong", settings]);
        assert!(!ok && said.contains(code), "{settings}: {said}");
    }
    let (ok, said) = run(&["show", "--scene", "cellar"]);
    assert!(!ok && said.contains("scene_unknown"), "{said}");
    let newest =
        &shiren::policy::read(log.as_ref()).unwrap()[&("default".to_owned(), "default".to_owned())];
    assert_eq!(
        newest.versions.len(),
        2,
        "what is refused leaves nothing behind"
    );

    // A scene that only the policy has is served like any other.
    let mut request = comparison("at the door");
    request.scene = "door".to_owned();
    let (record, _) = requests::record("default", Lane::Interactive, &request).unwrap();
    log.publisher().unwrap().publish(vec![record]).unwrap();
    let (verdicts, _) = run::beside(&site, &log, || run::verdicts(log.as_ref(), 1));
    assert_eq!(verdicts[0].canonical.decision, Decision::Accept);
    assert_eq!(verdicts[0].canonical.scene, "door");
}
