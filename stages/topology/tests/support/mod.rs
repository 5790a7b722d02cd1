//! Stages in the shape of the shipped chain, and some that are not in it.

use shiren_contract::stage::StageDescriptor;
use shiren_schemas::records::RequestKind;

const STILLS: &[RequestKind] = &[
    RequestKind::Detect,
    RequestKind::Compare,
    RequestKind::Enrol,
    RequestKind::Unenrol,
    RequestKind::Verify,
];
const FACES: &[RequestKind] = &[
    RequestKind::Compare,
    RequestKind::Enrol,
    RequestKind::Unenrol,
    RequestKind::Verify,
];
const PROBES: &[RequestKind] = &[RequestKind::Compare, RequestKind::Verify];
const VERIFY: &[RequestKind] = &[RequestKind::Verify];
const COMMANDS: &[RequestKind] = &[RequestKind::Enrol, RequestKind::Unenrol];
const DETECT: &[RequestKind] = &[RequestKind::Detect];
const COMPARE: &[RequestKind] = &[RequestKind::Compare];

const fn stage(
    name: &'static str,
    kinds: &'static [RequestKind],
    input: &'static str,
    outputs: &'static [&'static str],
    checks: &'static [&'static str],
) -> StageDescriptor {
    StageDescriptor {
        name,
        kinds,
        input,
        outputs,
        checks,
        state: None,
        is_rekeyed: false,
    }
}

pub const STAGES: &[StageDescriptor] = &[
    stage("admit", RequestKind::ALL, "Arrival", &["AdmittedCase"], &[]),
    stage("decode", STILLS, "AdmittedCase", &["StillCase"], &[]),
    stage("detect", STILLS, "StillCase", &["FaceCase"], &[]),
    stage("liveness", PROBES, "FaceCase", &["FaceCase"], &["liveness"]),
    stage("quality", FACES, "FaceCase", &["FaceCase"], &["quality"]),
    stage("tally", DETECT, "FaceCase", &[], &[]),
    stage("embed", FACES, "FaceCase", &["TemplateCase"], &[]),
    stage("match", COMPARE, "TemplateCase", &[], &["comparison"]),
    stage("enrol", COMMANDS, "TemplateCase", &[], &[]),
    StageDescriptor {
        is_rekeyed: true,
        ..stage(
            "identity-limit",
            VERIFY,
            "TemplateCase",
            &["TemplateCase"],
            &[],
        )
    },
    stage(
        "authority-verify",
        VERIFY,
        "TemplateCase",
        &[],
        &["identity", "portrait"],
    ),
];
