//! Pictures that cannot be answered for: a code each, one verdict each, never accepted.

use image::{Rgb, RgbImage};
use shiren_contract::codes::{self, Code};
use shiren_schemas::records::{Decision, PictureRole};

use crate::chain::{self, chain};
use crate::pictures::{file, fitted, pixels};
use crate::{bystanders, files};

/// A picture that no stage may take for one, and the code that says why.
struct Bad {
    what: String,
    bytes: Vec<u8>,
    code: Code,
}

fn bad(what: &str, bytes: impl Into<Vec<u8>>, code: Code) -> Bad {
    Bad {
        what: what.to_owned(),
        bytes: bytes.into(),
        code,
    }
}

fn noise(side: u32) -> RgbImage {
    RgbImage::from_fn(side, side, |x, y| {
        let hash =
            (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)).wrapping_mul(2_246_822_519);
        Rgb([(hash >> 24) as u8, (hash >> 16) as u8, (hash >> 8) as u8])
    })
}

fn unreadable() -> Vec<Bad> {
    let portrait = fitted(&pixels("obama.jpg"), 400);
    let max_bytes = chain::site().still_limits().max_bytes;
    let mut too_many_bytes = files::jpeg(&portrait, 95);
    too_many_bytes.resize(max_bytes + 1, 0);
    let mut damaged = files::png(&portrait);
    let middle = damaged.len() / 2;
    damaged[middle..middle + 8].fill(0xA5);
    let mut table = vec![
        bad("no bytes", [], codes::PICTURE_EMPTY),
        bad("text", *b"hello, is this a picture?", codes::NOT_AN_IMAGE),
        bad("a PDF", *b"%PDF-1.7\n1 0 obj", codes::NOT_AN_IMAGE),
        bad("zeros", [0; 4096], codes::NOT_AN_IMAGE),
        bad(
            "30,000 x 30,000 declared",
            files::bomb(30_000),
            codes::PIXELS_OVER_LIMIT,
        ),
        bad(
            "2^31-1 squared declared",
            files::bomb(i32::MAX as u32),
            codes::PIXELS_OVER_LIMIT,
        ),
        bad("HEIC", files::heic(), codes::FORMAT_UNSUPPORTED),
        bad(
            "GIF",
            *b"GIF89a\x20\0\x20\0\x80\0\0\0\0\0\xFF\xFF\xFF;",
            codes::FORMAT_UNSUPPORTED,
        ),
        bad(
            "bare JPEG 2000",
            *b"\xFF\x4F\xFF\x51\0\x2F\0\0\0\0\0\x66",
            codes::FORMAT_UNSUPPORTED,
        ),
        bad(
            "animated PNG",
            files::apng(&portrait),
            codes::ANIMATION_UNSUPPORTED,
        ),
        bad(
            "animated WebP",
            files::animated_webp(&portrait),
            codes::ANIMATION_UNSUPPORTED,
        ),
        bad(
            "12 bits in 16, undeclared",
            files::grey_16(&portrait, 4095),
            codes::BIT_DEPTH_UNKNOWN,
        ),
        bad(
            "CMYK, undeclared",
            files::cmyk_jpeg_undeclared(&portrait),
            codes::COLOUR_SPACE_UNSUPPORTED,
        ),
        bad(
            "one byte over the limit",
            too_many_bytes,
            codes::PICTURE_TOO_LARGE,
        ),
        bad(
            "31 x 31",
            files::png(&fitted(&portrait, 31)),
            codes::PICTURE_TOO_SMALL,
        ),
        bad("damaged in the middle", damaged, codes::IMAGE_CORRUPT),
    ];
    for (format, whole) in [
        ("JPEG", files::jpeg(&portrait, 95)),
        ("PNG", files::png(&portrait)),
        ("WebP", files::webp(&portrait)),
        ("BMP", files::bmp(&portrait)),
    ] {
        for share in [0.0, 0.1, 0.5, 0.9, 0.999] {
            let length = ((whole.len() as f64 * share) as usize).max(1);
            let what = format!("{format} cut at byte {length} of {}", whole.len());
            table.push(bad(&what, &whole[..length], codes::IMAGE_TRUNCATED));
        }
        let last = &whole[..whole.len() - 1];
        table.push(bad(
            &format!("{format} without its last byte"),
            last,
            codes::IMAGE_TRUNCATED,
        ));
    }
    table
}

#[test]
fn an_unreadable_picture_ends_with_its_code_in_either_role_and_kind() {
    let mut chain = chain();
    let good = file("obama2.jpg");
    for Bad { what, bytes, code } in unreadable() {
        for (role, request) in [
            (PictureRole::Probe, chain::compare(&bytes, &good)),
            (PictureRole::Reference, chain::compare(&good, &bytes)),
            (PictureRole::Probe, chain::detect(&bytes)),
        ] {
            let answer = chain.ask(&request);
            let what = format!("{what} as {role} of {}: {}", request.kind, answer.summary());
            assert_eq!(answer.decision(), Decision::Error, "{what}");
            assert_eq!(answer.reasons(), [code.id], "{what}");
            let [fault] = answer.evidence.faults.as_slice() else {
                panic!("{what}")
            };
            assert_eq!(
                (fault.code.as_str(), fault.role),
                (code.id, Some(role)),
                "{what}"
            );
            assert!(
                answer.results.is_none() && answer.evidence.comparison.is_none(),
                "{what}"
            );
        }
    }
}

#[test]
fn a_picture_without_a_face_is_said_to_have_none() {
    let mut chain = chain();
    let good = file("obama2.jpg");
    let scenes = [
        "coffee.png",
        "cat.png",
        "rocket.jpg",
        "mountain_drawing.jpg",
    ];
    let mut faceless: Vec<(&str, Vec<u8>)> = scenes.map(|name| (name, file(name))).into();
    faceless.push(("noise", files::png(&noise(600))));
    faceless.push((
        "white",
        files::png(&RgbImage::from_pixel(640, 480, Rgb([255; 3]))),
    ));
    for (what, bytes) in faceless {
        for (role, answer) in [
            (PictureRole::Probe, chain.compare(&bytes, &good)),
            (PictureRole::Reference, chain.compare(&good, &bytes)),
        ] {
            assert_eq!(
                answer.decision(),
                Decision::Error,
                "{what}: {}",
                answer.summary()
            );
            assert!(
                answer.has_reason(codes::NO_FACE.id),
                "{what}: {}",
                answer.summary()
            );
            assert_eq!(answer.evidence.faults[0].role, Some(role), "{what}");
        }
        let answer = chain.detect(&bytes);
        assert_eq!(answer.decision(), Decision::Done, "{what}");
        assert_eq!(answer.reasons(), [codes::NO_FACE.id], "{what}");
        assert!(answer.faces().is_empty(), "{what}");
    }
}

#[test]
fn two_faces_alike_leave_no_subject() {
    let mut chain = chain();
    let pair = files::jpeg(
        &bystanders::side_by_side(&mut chain, "obama.jpg", "biden.jpg"),
        95,
    );
    let good = file("obama2.jpg");
    for answer in [chain.compare(&pair, &good), chain.compare(&good, &pair)] {
        assert_eq!(answer.decision(), Decision::Error, "{}", answer.summary());
        assert_eq!(answer.reasons(), [codes::MULTIPLE_FACES.id]);
    }
    assert_eq!(chain.detect(&pair).faces().len(), 2);
}
