//! SPECIMEN persons; 110199 was never issued.

#![allow(clippy::unwrap_used, reason = "test code: a panic is how it speaks")]

use shiren_idcard::check_digit;
use shiren_schemas::records::Sealed;

use super::*;

/// 28 November 2026, noon in China.
const NOON_US: i64 = 1_795_838_400_000_000;

fn number(body: &str) -> String {
    let check = check_digit(body.as_bytes().try_into().unwrap()).unwrap();
    format!("{body}{}", char::from(check))
}

fn claim(name: &str, number: &str) -> IdentityClaim {
    IdentityClaim {
        name: PersonalText::new(name),
        number: PersonalText::new(number),
        valid_from: None,
        valid_to: None,
    }
}

fn request(claim: Option<IdentityClaim>) -> Request {
    Request {
        claim,
        ..Request::new("r", RequestKind::Verify)
    }
}

fn found(claim: Option<IdentityClaim>) -> Result<(), (&'static str, String)> {
    let checked = check(&request(claim), NOON_US);
    checked.map_err(|rejection| (rejection.code.id, rejection.detail))
}

#[test]
fn what_can_stand_on_a_card_is_admitted() {
    let one = number("11019919900307123");
    assert_eq!(found(Some(claim("样本一", &one))), Ok(()));
    let mut dated = claim("SPECIMEN ONE", &one.to_lowercase());
    (dated.valid_from, dated.valid_to) = (Some("2016-05-01".into()), Some("2016-05-01".into()));
    assert_eq!(found(Some(dated)), Ok(()));
}

#[test]
fn what_cannot_is_refused_by_code_and_shows_nobody() {
    let good = number("11019919900307123");
    let mut wrong = good.clone();
    wrong.replace_range(16..17, if &good[16..17] == "3" { "4" } else { "3" });
    // In China it is this day until 16:00 UTC.
    let tomorrow = number("11019920261129123");
    let days = |from: &str, to: &str| IdentityClaim {
        valid_from: Some(from.to_owned()),
        valid_to: Some(to.to_owned()),
        ..claim("样本一", &good)
    };
    let mut sealed = claim("", &good);
    sealed.name.sealed = Some(Sealed {
        key_id: "k".to_owned(),
        nonce: Vec::new(),
        ciphertext: Vec::new(),
    });
    for (claim, code) in [
        (None, "claim_missing"),
        (Some(claim("", &good)), "name_empty"),
        (Some(claim(" \u{200b}", &good)), "name_empty"),
        (Some(claim("样本\u{fffd}", &good)), "name_garbled"),
        (Some(claim("样本\u{7}一", &good)), "name_garbled"),
        (Some(claim(&"样".repeat(86), &good)), "name_too_long"),
        (Some(claim("样本一", &wrong)), "number_check_digit_wrong"),
        (Some(claim("样本一", "110199900307123")), "number_old_form"),
        (Some(claim("样本一", "")), "number_length_invalid"),
        (Some(claim("样本一", &tomorrow)), "number_birth_date_future"),
        (Some(days("2016-02-30", "2026-05-01")), "claim_invalid"),
        (Some(days("2016-05-01", "2016-04-30")), "claim_invalid"),
        (Some(sealed), "claim_invalid"),
    ] {
        let (found, said) = found(claim).unwrap_err();
        assert_eq!(found, code, "{said}");
        for secret in ["样", &good, &wrong, &tomorrow, "2016", "110199"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
}

#[test]
fn a_birth_date_is_judged_by_the_day_in_china() {
    let tomorrow = number("11019920261129123");
    let asked = request(Some(claim("样本一", &tomorrow)));
    let four_hours = 4 * 3_600_000_000;
    assert!(check(&asked, NOON_US + 3 * four_hours - 1).is_err());
    assert_eq!(check(&asked, NOON_US + 3 * four_hours), Ok(()));
}
