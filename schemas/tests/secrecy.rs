//! What is said of a record that cannot be read shows nobody. SPECIMEN person; 110199 was never issued.
#![allow(clippy::unwrap_used, reason = "test code: a panic is how it speaks")]

use shiren_schemas::records::{
    IdentityClaim, Inline, PersonalText, Picture, PictureContent, Request, RequestKind,
};
use shiren_schemas::{Wire, framing};

const NAME: &str = "样本一";
const NUMBER: &str = "110199199003071239";

/// As short as a request of kind verify can be.
fn request() -> Request {
    Request {
        scene: String::new(),
        probe: Some(Picture {
            content: PictureContent::Inline(Inline {
                bytes: NAME.as_bytes().to_vec(),
            }),
            reference_kind: None,
        }),
        claim: Some(IdentityClaim {
            name: PersonalText::new(NAME),
            number: PersonalText::new(NUMBER),
            valid_from: None,
            valid_to: None,
        }),
        ..Request::new("r", RequestKind::Verify)
    }
}

fn shows_nobody(said: &str) -> bool {
    let bytes = NAME.bytes().map(|b| b.to_string()).collect::<Vec<_>>();
    let digits = NUMBER.bytes().map(|b| b.to_string()).collect::<Vec<_>>();
    let secrets = [
        "样",
        "本",
        "110199",
        "1239",
        &bytes[..3].join(", "),
        &digits[..4].join(", "),
    ];
    !secrets.iter().any(|secret| said.contains(secret))
}

#[test]
fn what_is_wrong_with_a_record_is_said_without_what_stands_in_it() {
    let sound = request().encode().unwrap();
    assert_eq!(Request::decode(&sound).unwrap(), request());
    let mut broken: Vec<Vec<u8>> = (0..sound.len()).map(|at| sound[..at].to_vec()).collect();
    for at in 0..sound.len() {
        for value in [0x00, 0x01, 0x02, 0x7f, 0x80, 0xff] {
            let mut other = sound.clone();
            other[at] = value;
            broken.push(other);
        }
        let mut shifted = sound.clone();
        shifted.remove(at);
        broken.push(shifted);
    }
    let mut refused = 0;
    for bytes in broken {
        if let Err(error) = Request::decode(&bytes) {
            refused += 1;
            let said = format!("{error} {error:?}");
            assert!(shows_nobody(&said), "{said}");
        }
    }
    assert!(refused > 300, "{refused}");
}

#[test]
fn framing_reaches_no_field() {
    let sound = request().encode().unwrap();
    assert_eq!(framing(&sound), &sound[..10]);
    // The first field begins behind it, and the name within the first 64 bytes.
    assert_eq!(sound[10..12], [2, b'r']);
    let name = NAME.as_bytes();
    assert!(sound[..64].windows(name.len()).any(|window| window == name));
    for (bytes, length) in [
        (&sound[..4], 4),
        (&[0x00, 0, 0, 0, 7, 9][..], 5),
        (&[0x00][..], 1),
        (&[0xc3][..], 0),
        (NAME.as_bytes(), 0),
        (br#"{"name":"x"}"#, 0),
        (&[], 0),
    ] {
        assert_eq!(framing(bytes), &bytes[..length], "{bytes:?}");
    }
}
