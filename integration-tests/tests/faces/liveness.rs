//! Passive liveness on real faces: kind `liveness`, and the check in a comparison.

use shiren_contract::{codes, policy};
use shiren_schemas::records::{CheckState, Decision, Liveness, PictureRole, Request, RequestKind};

use crate::chain::{Answer, chain};
use crate::files::png;
use crate::pictures::{file, pixels};

/// Portraits with a face that is wide enough.
const PORTRAITS: [&str; 6] = [
    "obama.jpg",
    "biden.jpg",
    "astronaut.png",
    "franck_01829.jpg",
    "feat_f1.jpg",
    "cage.jpg",
];

fn ask(picture: Vec<u8>) -> Answer {
    let mut request = Request::new("a-case", RequestKind::Liveness);
    request.probe = Some(shiren::requests::inline(picture, None));
    chain().ask(&request)
}

fn state(answer: &Answer) -> CheckState {
    let checks = &answer.verdict.canonical.checks;
    let check = checks.iter().find(|check| check.name == policy::LIVENESS);
    check.expect("the check liveness").state
}

fn measured(answer: &Answer) -> &Liveness {
    let probe = answer
        .evidence
        .pictures
        .iter()
        .find(|p| p.role == PictureRole::Probe);
    probe
        .and_then(|picture| picture.liveness.as_ref())
        .expect("what was measured")
}

/// Whatever the answer, it says what was measured and never accepts on its own.
#[test]
fn each_answer_leads_to_its_decision() {
    for name in PORTRAITS {
        let answer = ask(file(name));
        let (decision, code) = match state(&answer) {
            CheckState::Passed => (Decision::Review, codes::LIVENESS_ADVISORY),
            CheckState::Failed => (Decision::Reject, codes::LIVENESS_ATTACK_SUSPECTED),
            CheckState::Abstained => (Decision::Error, codes::LIVENESS_UNCERTAIN),
            CheckState::NotChecked => panic!("{name}: not checked"),
        };
        assert_eq!(answer.decision(), decision, "{name}");
        assert!(answer.has_reason(code.id), "{name}: {:?}", answer.reasons());
        let measured = measured(&answer);
        let score = measured.score.expect("a score");
        assert!(
            (0.0..=1.0).contains(&score) && measured.advisory,
            "{name}: {measured:?}"
        );
        assert_eq!(
            score >= measured.accept_from,
            state(&answer) == CheckState::Passed,
            "{name}"
        );
        assert_eq!(
            score < measured.reject_below,
            state(&answer) == CheckState::Failed,
            "{name}"
        );
    }
}

/// Dots over a portrait, as an offset print has them, lower the score of at least five of the six.
#[test]
fn printed_dots_lower_the_score() {
    let mut lowered = 0;
    for name in PORTRAITS {
        let plain = ask(file(name));
        let mut dotted = pixels(name);
        for (x, y, pixel) in dotted.enumerate_pixels_mut() {
            let (x, y) = (x as f32, y as f32);
            let dot = 24.0 * (1.9 * x + 0.4 * y).cos() * (1.9 * y - 0.4 * x).cos();
            pixel.0 = pixel
                .0
                .map(|value| (f32::from(value) + dot).clamp(0.0, 255.0) as u8);
        }
        let dotted = ask(png(&dotted));
        let (before, after) = (measured(&plain).score, measured(&dotted).score);
        println!("{name}: {before:?} to {after:?}");
        lowered += usize::from(after < before);
    }
    assert!(
        lowered + 1 >= PORTRAITS.len(),
        "{lowered} of {}",
        PORTRAITS.len()
    );
}

#[test]
fn a_comparison_carries_the_probe_s_check_and_goes_on() {
    let answer = chain().compare(&file("obama.jpg"), &file("obama2.jpg"));
    assert!(
        answer.evidence.comparison.is_some(),
        "{:?}",
        answer.reasons()
    );
    assert_ne!(state(&answer), CheckState::NotChecked);
    assert_eq!(measured(&answer).cues.len(), 3);
    let reference = answer
        .evidence
        .pictures
        .iter()
        .find(|p| p.role == PictureRole::Reference);
    assert!(reference.unwrap().liveness.is_none());
}

#[test]
fn a_small_face_is_not_judged() {
    let small = image::imageops::thumbnail(&pixels("biden.jpg"), 220, 500);
    let answer = ask(png(&small));
    assert_eq!(
        state(&answer),
        CheckState::Abstained,
        "{:?}",
        answer.reasons()
    );
    assert!(answer.has_reason(codes::LIVENESS_INPUT_UNFIT.id));
    assert_eq!(answer.decision(), Decision::Error);
}
