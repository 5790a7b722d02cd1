//! The codec refuses everything but one whole record of a known schema, and schemas stay compatible.

use std::collections::BTreeMap;

use proptest::prelude::*;
use shiren_schemas::codec::as_before;
use shiren_schemas::records::*;
use shiren_schemas::{CodecError, Id, Sha256, Wire};

fn text() -> impl Strategy<Value = String> {
    "[a-z0-9实人-]{0,12}"
}

fn picture() -> impl Strategy<Value = Option<Picture>> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..200);
    let content = prop_oneof![
        bytes().prop_map(|bytes| PictureContent::Inline(Inline { bytes })),
        (text(), bytes(), bytes()).prop_map(|(key_id, nonce, ciphertext)| {
            PictureContent::Sealed(Sealed {
                key_id,
                nonce,
                ciphertext,
            })
        }),
        (text(), any::<[u8; 32]>(), any::<i64>()).prop_map(|(uri, sha, bytes_len)| {
            PictureContent::Reference(Reference {
                uri,
                sha256: Sha256(sha),
                bytes_len,
            })
        }),
    ];
    let kind = proptest::option::of(proptest::sample::select(ReferenceKind::ALL));
    proptest::option::of(
        (content, kind).prop_map(|(content, reference_kind)| Picture {
            content,
            reference_kind,
        }),
    )
}

prop_compose! {
    fn request()(
        request_id in text(),
        kind in proptest::sample::select(RequestKind::ALL),
        scene in text(),
        mode in proptest::sample::select(Mode::ALL),
        deadline_ms in any::<Option<i32>>(),
        capture_time in any::<Option<i64>>(),
        stream_id in proptest::option::of(text()),
        spectrum in proptest::option::of(proptest::sample::select(Spectrum::ALL)),
        device_risk in any::<Option<Vec<u8>>>(),
        replay_of in any::<Option<[u8; 16]>>(),
        probe in picture(),
        reference in picture(),
    ) -> Request {
        Request {
            request_id, kind, scene, mode, deadline_ms, capture_time, stream_id, spectrum,
            device_risk, probe, reference,
            session_id: None, sequence: deadline_ms.map(i64::from), stream_epoch: capture_time,
            purpose: None, consent_ref: None, replay_of: replay_of.map(Id),
            search: None, command: None, claim: None,
        }
    }
}

proptest! {
    #[test]
    fn round_trip(request in request()) {
        prop_assert_eq!(Request::decode(&request.encode().unwrap()).unwrap(), request);
    }

    #[test]
    fn the_version_before_is_written_and_read(request in request()) {
        let bytes = request.encode().unwrap();
        let before = as_before::<Request>(&bytes).unwrap().unwrap();
        prop_assert_ne!(&before[..10], &bytes[..10]);
        prop_assert_eq!(as_before::<Request>(&before).unwrap(), None);
        prop_assert_eq!(Request::decode(&before).unwrap(), request);
    }

    #[test]
    fn every_truncation_is_refused(request in request()) {
        let bytes = request.encode().unwrap();
        for end in 0..bytes.len() {
            prop_assert!(Request::decode(&bytes[..end]).is_err(), "cut at {} of {}", end, bytes.len());
        }
    }

    #[test]
    fn trailing_bytes_are_refused(request in request(), tail in proptest::collection::vec(any::<u8>(), 1..9)) {
        let mut bytes = request.encode().unwrap();
        bytes.extend(tail);
        prop_assert!(Request::decode(&bytes).is_err());
    }

    #[test]
    fn unknown_fingerprints_are_refused(request in request(), flip in 0_usize..8, bit in 0_u32..8) {
        let mut bytes = request.encode().unwrap();
        bytes[2 + flip] ^= 1 << bit;
        let unknown = matches!(Request::decode(&bytes), Err(CodecError::UnknownSchema { .. }));
        prop_assert!(unknown);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut framed = Request::default_header();
        framed.extend(&bytes);
        let _ = Request::decode(&framed);
        let _ = Request::decode(&bytes);
        let _ = Verdict::decode(&bytes);
    }

    #[test]
    fn huge_lengths_are_refused(length in (64_u64 << 20)..u64::MAX / 4, request in request()) {
        // The first field is request_id, a string: put a huge length in front of it.
        let mut bytes = request.encode().unwrap()[..10].to_vec();
        let mut zigzag = length << 1;
        while zigzag >= 0x80 {
            #[allow(clippy::cast_possible_truncation)]
            bytes.push(zigzag as u8 | 0x80);
            zigzag >>= 7;
        }
        #[allow(clippy::cast_possible_truncation)]
        bytes.push(zigzag as u8);
        bytes.extend_from_slice(b"abc");
        prop_assert!(Request::decode(&bytes).is_err());
    }
}

trait Header {
    fn default_header() -> Vec<u8>;
}

impl<T: Wire> Header for T {
    fn default_header() -> Vec<u8> {
        let mut header = vec![0xC3, 0x01];
        header.extend(T::schemas().fingerprint());
        header
    }
}

#[test]
fn framings_are_told_apart_by_their_first_byte() {
    let decode = |bytes: &[u8]| Request::decode(bytes);
    assert!(matches!(decode(&[]), Err(CodecError::Empty)));
    assert!(matches!(
        decode(&[0, 0, 0, 1, 2, 9]),
        Err(CodecError::ConfluentUnconfigured(258))
    ));
    assert!(matches!(
        decode(&[0, 0, 0]),
        Err(CodecError::Unreadable { .. })
    ));
    assert!(matches!(
        decode(b"{\"request_id\":1}"),
        Err(CodecError::UnknownFraming(b'{'))
    ));
    assert!(matches!(
        decode(&[0xC3, 0x02, 0]),
        Err(CodecError::UnknownFraming(0x02))
    ));
    assert!(matches!(
        decode(&[0xC3]),
        Err(CodecError::Unreadable { .. })
    ));
}

macro_rules! for_each_record {
    ($do:ident $(, $given:expr)?) => {
        $do::<Request>($($given)?);
        $do::<AdmittedCase>($($given)?);
        $do::<StillCase>($($given)?);
        $do::<FaceCase>($($given)?);
        $do::<TemplateCase>($($given)?);
        $do::<CanonicalVerdict>($($given)?);
        $do::<Verdict>($($given)?);
        $do::<Results>($($given)?);
        $do::<Evidence>($($given)?);
        $do::<DeadLetter>($($given)?);
        $do::<DeadLetterContent>($($given)?);
        $do::<CrashAttempt>($($given)?);
        $do::<ScenePolicy>($($given)?);
        $do::<LibraryChange>($($given)?);
        $do::<StatePosition>($($given)?);
        $do::<LedgerEntry>($($given)?);
        $do::<AskIntent>($($given)?);
        $do::<IdentityAttempts>($($given)?);
    };
}

/// Both ways: today's programs read yesterday's records, and yesterday's programs read today's.
#[test]
fn frozen_schemas_stay_compatible() {
    fn check<T: Wire>() {
        let set = T::schemas();
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("history")
            .join(T::NAME);
        let files = std::fs::read_dir(&folder).expect("each record has a history folder");
        let mut seen = 0;
        for file in files {
            let frozen = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let frozen = apache_avro::Schema::parse_str(&frozen).unwrap();
            apache_avro::schema_compatibility::SchemaCompatibility::mutual_read(
                &frozen,
                set.current(),
            )
            .unwrap_or_else(|error| panic!("{}: {error}", T::NAME));
            seen += 1;
        }
        assert!(seen > 0, "{} has no frozen version", T::NAME);
    }
    for_each_record!(check);
}

/// Fingerprints as another implementation computes them (fastavro 1.13; vectors/fingerprints.json):
/// a producer of any language must be understood.
#[test]
fn fingerprints_are_the_specifications() {
    let vectors: BTreeMap<String, String> =
        serde_json::from_str(include_str!("../vectors/fingerprints.json")).unwrap();
    fn check<T: Wire>(vectors: &BTreeMap<String, String>) {
        let ours: String = T::schemas()
            .fingerprint()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(vectors.get(T::NAME), Some(&ours), "{}", T::NAME);
    }
    for_each_record!(check, &vectors);
}

/// The newest frozen version is the current schema: a change must add a version, not edit one.
#[test]
fn current_schema_is_frozen_too() {
    fn check<T: Wire>() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("history")
            .join(T::NAME);
        let newest = std::fs::read_dir(&folder).unwrap().count();
        let frozen = std::fs::read_to_string(folder.join(format!("{newest}.avsc"))).unwrap();
        let frozen = apache_avro::Schema::parse_str(&frozen).unwrap();
        assert_eq!(
            frozen.canonical_form(),
            T::schemas().current().canonical_form(),
            "{}",
            T::NAME
        );
    }
    for_each_record!(check);
}

/// Each file is whole, so named types recur in several: they must be the same everywhere.
#[test]
fn shared_types_are_defined_alike() {
    fn collect(at: &serde_json::Value, into: &mut BTreeMap<String, Vec<serde_json::Value>>) {
        match at {
            serde_json::Value::Array(list) => list.iter().for_each(|v| collect(v, into)),
            serde_json::Value::Object(map) => {
                let named = matches!(
                    map.get("type").and_then(|t| t.as_str()),
                    Some("record" | "enum" | "fixed")
                );
                if let (true, Some(name)) = (named, map.get("name").and_then(|n| n.as_str())) {
                    let symbols = map.get("symbols").or(map.get("size")).cloned();
                    let fields = map.get("fields").and_then(|f| f.as_array()).map(|fields| {
                        fields
                            .iter()
                            .map(|f| format!("{} {}", f["name"], type_name(&f["type"])))
                            .collect::<Vec<_>>()
                    });
                    into.entry(name.to_owned())
                        .or_default()
                        .push(serde_json::json!([symbols, fields]));
                }
                map.values().for_each(|v| collect(v, into));
            }
            _ => {}
        }
    }
    fn type_name(at: &serde_json::Value) -> String {
        match at {
            serde_json::Value::Array(list) => {
                list.iter().map(type_name).collect::<Vec<_>>().join("|")
            }
            serde_json::Value::Object(map) => match (map.get("name"), map.get("items")) {
                (Some(name), _) => name.as_str().unwrap().to_owned(),
                (None, Some(items)) => format!("[{}]", type_name(items)),
                _ => at.to_string(),
            },
            other => other.as_str().unwrap().to_owned(),
        }
    }
    let mut types = BTreeMap::new();
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/avsc")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        collect(&serde_json::from_str(&text).unwrap(), &mut types);
    }
    assert!(types.values().filter(|forms| forms.len() > 1).count() > 10);
    for (name, forms) in types {
        assert!(
            forms.windows(2).all(|pair| pair[0] == pair[1]),
            "{name} differs between files"
        );
    }
}

#[test]
fn every_stage_record_round_trips() {
    let envelope = Envelope {
        request_id: "r".into(),
        kind: RequestKind::Compare,
        scene: "default".into(),
        mode: Mode::Live,
        deadline_ms: Some(5),
        capture_time: Some(1),
        stream_id: None,
        session_id: None,
        sequence: None,
        stream_epoch: None,
        spectrum: Some(Spectrum::Nir),
        purpose: None,
        consent_ref: None,
        device_risk: Some(vec![1, 2]),
        replay_of: Some(Id([7; 16])),
        case_id: Id([1; 16]),
        record_id: Id([2; 16]),
        tenant: "default".into(),
        lane: Lane::Bulk,
        received_time: 77,
        policy_version: 3,
        trail: vec![StageTiming {
            stage: "admit".into(),
            wall_us: 9,
        }],
    };
    let face = Face {
        bounding_box: BoundingBox {
            x1: 1.0,
            y1: 2.0,
            x2: 3.5,
            y2: 4.0,
        },
        landmarks: vec![Landmark { x: 1.0, y: 1.5 }; 5],
        score: 0.9,
        crop: Some(Crop {
            width: 1,
            height: 1,
            origin_x: 0.0,
            origin_y: 1.0,
            scale_x: 0.5,
            scale_y: 0.5,
            rgb: vec![1, 2, 3],
            sealed: None,
        }),
        views: vec![FaceView {
            context: 4.0,
            pixels: sealed_crop(),
        }],
    };
    let picture = FacedPicture {
        role: PictureRole::Probe,
        reference_kind: Some(ReferenceKind::Chip),
        width: 4,
        height: 5,
        faces: vec![face],
        faces_found: 1,
        subject: Some(0),
        subject_rule: Some("only face".into()),
        quality: Some(quality()),
        liveness: Some(liveness()),
    };
    let faces = FaceCase {
        envelope: envelope.clone(),
        pictures: vec![picture.clone()],
        checks: vec![Check {
            name: "x".into(),
            state: CheckState::Abstained,
            reason_code: Some("y".into()),
        }],
        reason_codes: vec!["a".into()],
        models: vec![ModelRef {
            name: "m".into(),
            sha256: "00".into(),
        }],
        search: None,
        command: None,
        claim: None,
    };
    assert_eq!(FaceCase::decode(&faces.encode().unwrap()).unwrap(), faces);
    let templates = TemplateCase {
        envelope,
        checks: vec![],
        reason_codes: vec![],
        models: vec![],
        pictures: vec![TemplatedPicture {
            picture,
            template: Template {
                model: "m".into(),
                model_sha256: "0".into(),
                values: vec![0.5, -1.0],
                sealed: None,
            },
        }],
        search: None,
        command: None,
        claim: None,
    };
    assert_eq!(
        TemplateCase::decode(&templates.encode().unwrap()).unwrap(),
        templates
    );
}

fn sealed_crop() -> Crop {
    Crop {
        width: 80,
        height: 80,
        origin_x: -0.5,
        origin_y: 3.0,
        scale_x: 0.25,
        scale_y: 0.25,
        rgb: Vec::new(),
        sealed: Some(Sealed {
            key_id: "default/1764288000".into(),
            nonce: vec![7; 12],
            ciphertext: vec![9; 33],
        }),
    }
}

fn quality() -> Quality {
    Quality {
        presence: 0.99,
        yaw_degrees: -12.5,
        pitch_degrees: 3.0,
        roll_degrees: 0.5,
        sharpness: 170.0,
        blockiness: 0.01,
        brightness: 120.0,
        contrast: 40.0,
        dark_share: 0.01,
        bright_share: 0.02,
        face_width_px: 140.0,
        inter_eye_px: 61.0,
        inside_share: 1.0,
        monochrome: false,
        fit_for_comparison: true,
        fit_for_enrolment: false,
        comparison_reasons: vec![],
        enrolment_reasons: vec!["eyes_too_close".into()],
        attributes: vec![Attribute {
            name: "age".into(),
            state: AnswerState::Answered,
            value: None,
            number: Some(41.5),
            confidence: None,
            reason_code: None,
        }],
    }
}

fn liveness() -> Liveness {
    Liveness {
        score: Some(0.5),
        reject_below: 0.4,
        accept_from: 0.6,
        advisory: true,
        table: "t".into(),
        cues: vec![Cue {
            name: "c".into(),
            value: -1.0,
        }],
    }
}

/// What a worker of the version before wrote is read by this one, with the new fields empty.
#[test]
fn records_of_version_1_are_read() {
    use apache_avro::types::Value;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/history/Results/1.avsc");
    let schema = apache_avro::Schema::parse_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let id = || Value::Fixed(16, vec![1; 16]);
    let record = Value::Record(vec![
        ("verdict_id".into(), id()),
        ("case_id".into(), id()),
        ("request_id".into(), Value::String("r".into())),
        ("tenant".into(), Value::String("t".into())),
        ("kind".into(), Value::Enum(0, "detect".into())),
        ("detections".into(), Value::Array(vec![])),
    ]);
    let writer = apache_avro::writer::datum::GenericDatumWriter::builder(&schema).build();
    let body = writer.unwrap().write_value_to_vec(record).unwrap();
    // The fingerprint of version 1, as vectors/fingerprints.json had it (fastavro 1.13).
    let mut bytes = vec![0xC3, 0x01, 0x59, 0x04, 0xab, 0xc1, 0x43, 0xfc, 0x1e, 0x27];
    bytes.extend(body);
    let read = Results::decode(&bytes).unwrap();
    assert_eq!((read.request_id.as_str(), read.attributes.len()), ("r", 0));
}
