//! Kind `attributes`, and what quality says of comparisons.

use image::RgbImage;
use shiren_schemas::records::{
    AnswerState, Attribute, CheckState, Decision, Quality, ReferenceKind, Request, RequestKind,
};

use crate::chain::{Answer, Chain, chain};
use crate::files::{self, png};
use crate::pictures::{file, fitted, head, pixels, portraits, resized};

fn attributes(chain: &mut Chain, bytes: Vec<u8>) -> Answer {
    let mut request = Request::new("attributes", RequestKind::Attributes);
    request.probe = Some(shiren::requests::inline(bytes, None));
    chain.ask(&request)
}

fn quality(answer: &Answer) -> &Quality {
    let results = answer.results.as_ref().unwrap();
    assert_eq!(results.attributes.len(), 1);
    &results.attributes[0].quality
}

fn attribute<'a>(quality: &'a Quality, name: &str) -> &'a Attribute {
    quality.attributes.iter().find(|a| a.name == name).unwrap()
}

#[test]
fn every_portrait_is_a_face_with_figures_in_their_ranges() {
    let mut chain = chain();
    for portrait in portraits() {
        let answer = attributes(&mut chain, file(&portrait.name));
        let name = &portrait.name;
        assert_eq!(
            answer.decision(),
            Decision::Done,
            "{name}: {}",
            answer.summary()
        );
        let found = quality(&answer);
        assert_eq!(
            attribute(found, "is_face").value.as_deref(),
            Some("yes"),
            "{name}"
        );
        assert!(
            (0.0..=1.0).contains(&found.presence) && (0.0..=1.0).contains(&found.inside_share),
            "{name}"
        );
        assert!(
            (0.0..=255.0).contains(&found.brightness) && found.sharpness > 0.0,
            "{name}"
        );
        assert!(
            found.yaw_degrees.abs() < 60.0 && found.pitch_degrees.abs() < 45.0,
            "{name}: {found:?}"
        );
        let age = attribute(found, "age").number.unwrap();
        assert!((0.0..=80.0).contains(&age), "{name}: {age}");
        let reasons = answer.verdict.canonical.reason_codes.len();
        assert!(
            found.fit_for_enrolment || reasons > 0,
            "{name}: unfit without a reason"
        );
    }
}

#[test]
fn what_has_no_measured_table_abstains() {
    let mut chain = chain();
    let answer = attributes(&mut chain, file("obama.jpg"));
    for name in ["eyes_open", "glasses", "occluded"] {
        let found = attribute(quality(&answer), name);
        assert_eq!(found.state, AnswerState::Abstained, "{name}");
        assert_eq!(found.reason_code.as_deref(), Some("attribute_not_measured"));
        assert_eq!(
            (&found.value, found.number, found.confidence),
            (&None, None, None)
        );
    }
}

#[test]
fn clear_pictures_are_told() {
    let mut chain = chain();
    let answer = attributes(&mut chain, file("obama.jpg"));
    let found = quality(&answer);
    assert_eq!(attribute(found, "sex").value.as_deref(), Some("male"));
    assert_eq!(attribute(found, "smiling").value.as_deref(), Some("yes"));
    assert!(!found.monochrome && found.fit_for_comparison, "{found:?}");
    let answer = attributes(&mut chain, file("feat_f1.jpg"));
    assert_eq!(
        attribute(quality(&answer), "mouth_open").value.as_deref(),
        Some("yes")
    );
}

#[test]
fn grey_pictures_are_legal() {
    let mut chain = chain();
    let mut grey = pixels("obama.jpg");
    for pixel in grey.pixels_mut() {
        let luma = pixel.0.iter().map(|v| u32::from(*v)).sum::<u32>() / 3;
        pixel.0 = [luma as u8; 3];
    }
    let answer = attributes(&mut chain, png(&grey));
    assert_eq!(answer.decision(), Decision::Done, "{}", answer.summary());
    let found = quality(&answer);
    assert!(found.monochrome);
    assert_eq!(attribute(found, "sex").state, AnswerState::Answered);
}

/// A picture that is dark, blurred or small says so, by the code that its maker can act on.
#[test]
fn unfit_pictures_say_why() {
    let mut chain = chain();
    let mut head = head(&mut chain, "obama.jpg", 2.7);
    head.pixels = fitted(&head.pixels, 500);
    let dark = RgbImage::from_fn(head.pixels.width(), head.pixels.height(), |x, y| {
        let pixel = head.pixels.get_pixel(x, y);
        image::Rgb(pixel.0.map(|v| v / 10))
    });
    let blurred = image::imageops::blur(&head.pixels, 10.0);
    let small = resized(&head.pixels, 200, 200);
    let compressed = fitted(&head.pixels, 400);
    for (picture, code) in [
        (png(&dark), "face_too_dark"),
        (png(&blurred), "face_blurred"),
        (png(&small), "eyes_too_close"),
        (files::jpeg(&compressed, 3), "face_compressed"),
    ] {
        let answer = attributes(&mut chain, picture);
        assert_eq!(
            answer.decision(),
            Decision::Done,
            "{code}: {}",
            answer.summary()
        );
        let found = quality(&answer);
        let reasons = [&found.comparison_reasons, &found.enrolment_reasons];
        assert!(
            reasons.iter().any(|r| r.iter().any(|c| c == code)),
            "{code}: {found:?}"
        );
        let said = &answer.verdict.canonical.reason_codes;
        assert!(said.iter().any(|c| c == code), "{code}: {said:?}");
    }
}

#[test]
fn a_comparison_carries_quality_but_no_attributes() {
    let mut chain = chain();
    let answer = chain.compare(&file("obama.jpg"), &file("obama4.jpg"));
    let checks = &answer.verdict.canonical.checks;
    let check = checks.iter().find(|c| c.name == "quality").unwrap();
    assert_eq!(
        (check.state, &check.reason_code),
        (CheckState::Passed, &None)
    );
    assert_eq!(answer.evidence.pictures.len(), 2);
    for picture in &answer.evidence.pictures {
        let found = picture.quality.as_ref().unwrap();
        assert!(
            found.attributes.is_empty(),
            "sex, age and the rest run for kind attributes alone"
        );
        assert!(found.presence > 0.5);
    }
    assert!(answer.results.is_none());
}

/// The portrait of a chip is 102 x 126 pixels as a whole: fit as what it is, not as a picture just taken.
#[test]
fn a_chip_portrait_is_fit_as_such() {
    let mut chain = chain();
    // The head takes two thirds of the width, as passports have it (ICAO Doc 9303: 50 to 75 %).
    let head = head(&mut chain, "obama.jpg", 1.5);
    let portrait = png(&resized(&head.pixels, 102, 126));
    let fit = |chain: &mut Chain, kind: ReferenceKind| {
        let mut request = Request::new("chip", RequestKind::Compare);
        request.probe = Some(shiren::requests::inline(file("obama4.jpg"), None));
        request.reference = Some(shiren::requests::inline(portrait.clone(), Some(kind)));
        let answer = chain.ask(&request);
        let summary = answer.summary();
        let reference = answer
            .evidence
            .pictures
            .into_iter()
            .nth(1)
            .unwrap_or_else(|| panic!("{summary}"));
        let found = reference.quality.unwrap();
        (
            found.fit_for_comparison,
            found.fit_for_enrolment,
            found.enrolment_reasons,
        )
    };
    let (compared, enrolled, why) = fit(&mut chain, ReferenceKind::Chip);
    assert!(compared && enrolled, "{why:?}");
    let (_, enrolled, why) = fit(&mut chain, ReferenceKind::Live);
    assert!(
        !enrolled && why.iter().any(|code| code == "eyes_too_close"),
        "{why:?}"
    );
}

#[test]
fn nothing_to_measure_is_an_error_with_the_detectors_reason() {
    let mut chain = chain();
    let answer = attributes(&mut chain, file("coffee.png"));
    assert_eq!(answer.decision(), Decision::Error);
    assert_eq!(answer.verdict.canonical.reason_codes, ["no_face"]);
    assert!(answer.results.is_none());
}
