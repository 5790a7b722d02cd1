//! What a record costs to put on the wire and to take off it: the largest that stages pass on, and the smallest that
//! leaves.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench: a panic is how it speaks, and its functions are Criterion's"
)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use shiren_schemas::records::{
    BoundingBox, CanonicalVerdict, Check, CheckState, Crop, Decision, Envelope, Face, FaceCase,
    FacedPicture, Landmark, Mode, ModelRef, ObservedVerdict, PictureRole, Request, RequestKind,
    StageTiming, Verdict,
};
use shiren_schemas::{Id, Sha256, Wire, ids};

const CROP_PX: i32 = 384;

fn envelope() -> Envelope {
    let case_id = ids::case("shiren.default.requests.interactive", "door-7/000123");
    Envelope {
        deadline_ms: Some(5_000),
        capture_time: Some(1_790_000_000_000_000),
        record_id: ids::record(case_id, "detect", "FaceCase", 0),
        trail: ["admit", "decode", "detect"]
            .map(|stage| StageTiming {
                stage: stage.into(),
                wall_us: 1_234,
            })
            .into(),
        ..Envelope::new(
            case_id,
            &Request::new("door-7/000123", RequestKind::Compare),
            1_790_000_000_100_000,
        )
    }
}

fn checks() -> Vec<Check> {
    let check = |name: &str, state, reason: Option<&str>| Check {
        name: name.into(),
        state,
        reason_code: reason.map(str::to_owned),
    };
    vec![
        check("face", CheckState::Passed, None),
        check("liveness", CheckState::NotChecked, Some("not_available")),
        check("quality", CheckState::NotChecked, Some("not_available")),
    ]
}

/// A case with one picture and one face, whose crop is as large as a crop may be.
fn face_case() -> FaceCase {
    let mut state = 1_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    let face = Face {
        bounding_box: BoundingBox {
            x1: 350.0,
            y1: 350.0,
            x2: 650.0,
            y2: 650.0,
        },
        landmarks: vec![Landmark { x: 1.0, y: 2.0 }; 5],
        score: 0.99,
        crop: Some(Crop {
            width: CROP_PX,
            height: CROP_PX,
            origin_x: 95.0,
            origin_y: 95.0,
            scale_x: 0.474,
            scale_y: 0.474,
            rgb: noise.take((CROP_PX * CROP_PX * 3) as usize).collect(),
            sealed: None,
        }),
        views: Vec::new(),
    };
    FaceCase {
        envelope: envelope(),
        pictures: vec![FacedPicture {
            role: PictureRole::Probe,
            reference_kind: None,
            width: 1000,
            height: 1000,
            faces: vec![face],
            faces_found: 1,
            subject: Some(0),
            subject_rule: Some("largest".into()),
            quality: None,
            liveness: None,
        }],
        checks: checks(),
        reason_codes: Vec::new(),
        search: None,
        command: None,
        claim: None,
        models: vec![ModelRef {
            name: "centerface".into(),
            sha256: "0".repeat(64),
        }],
    }
}

fn verdict() -> Verdict {
    let case_id = envelope().case_id;
    let canonical = CanonicalVerdict {
        verdict_id: Id(ids::verdict(case_id).0),
        case_id,
        tenant: "default".into(),
        kind: RequestKind::Compare,
        scene: "default".into(),
        mode: Mode::Live,
        decision: Decision::Accept,
        reason_codes: Vec::new(),
        checks: checks(),
        matched_subject: None,
        reference_kind: None,
        authority_source: None,
        policy_version: 1,
        model_hashes: ["centerface", "dlib-resnet29"]
            .map(|name| format!("{name}:{}", "0".repeat(64)))
            .into(),
    };
    Verdict {
        canonical_sha256: Sha256::of(&canonical.encode_body().unwrap()),
        canonical,
        observed: ObservedVerdict {
            request_id: "door-7/000123".into(),
            received_time: 1_790_000_000_100_000,
            decided_time: 1_790_000_000_200_000,
            expires_at: 1_790_000_010_100_000,
            host: "gate".into(),
            layout: "front".into(),
        },
    }
}

fn both_ways<R: Wire>(criterion: &mut Criterion, name: &str, record: &R) {
    let bytes = record.encode().unwrap();
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function(format!("encode {name}"), |bencher| {
        bencher.iter(|| black_box(record).encode().unwrap());
    });
    group.bench_function(format!("decode {name}"), |bencher| {
        bencher.iter(|| R::decode(black_box(&bytes)).unwrap());
    });
    group.finish();
}

fn records(criterion: &mut Criterion) {
    both_ways(criterion, "a FaceCase with a crop of 384x384", &face_case());
    both_ways(criterion, "a Verdict", &verdict());
}

criterion_group! {
    name = codec;
    config = Criterion::default().without_plots();
    targets = records
}
criterion_main!(codec);
