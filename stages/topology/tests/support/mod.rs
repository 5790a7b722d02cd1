//! Stages in the shape of the shipped chain, and some that are not in it.

use shiren_contract::stage::StageDescriptor;
use shiren_schemas::records::RequestKind;

const STILLS: &[RequestKind] = &[RequestKind::Detect, RequestKind::Compare];
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
    }
}

pub const STAGES: &[StageDescriptor] = &[
    stage("admit", RequestKind::ALL, "Arrival", &["AdmittedCase"], &[]),
    stage("decode", STILLS, "AdmittedCase", &["StillCase"], &[]),
    stage("detect", STILLS, "StillCase", &["FaceCase"], &[]),
    stage(
        "liveness",
        COMPARE,
        "FaceCase",
        &["FaceCase"],
        &["liveness"],
    ),
    stage("quality", COMPARE, "FaceCase", &["FaceCase"], &["quality"]),
    stage("tally", DETECT, "FaceCase", &[], &[]),
    stage("embed", COMPARE, "FaceCase", &["TemplateCase"], &[]),
    stage("match", COMPARE, "TemplateCase", &[], &["comparison"]),
];
