//! Numbers made up of valid parts, and what is wrong with all others.
//!
//! The region of all SPECIMEN numbers, 110199, was never issued: Beijing has districts 110101 to
//! 110119 and no 110199. So none of them can be a person's.
#![allow(clippy::unwrap_used, reason = "test code: a panic is how it speaks")]

use proptest::prelude::*;
use shiren_idcard::{Date, IdNumber, NumberError, Sex, check_digit};

const TODAY: Date = Date::new(2026, 11, 28).unwrap();

/// Region, birth date and sequence with their check character.
fn whole(region: &str, born: &str, sequence: u16) -> String {
    let body = format!("{region}{born}{sequence:03}");
    let check = check_digit(body.as_bytes().try_into().unwrap()).unwrap();
    format!("{body}{}", char::from(check))
}

fn specimen() -> String {
    whole("110199", "19900307", 123)
}

fn parse(text: &str) -> Result<IdNumber, NumberError> {
    IdNumber::parse(text, TODAY)
}

#[test]
fn a_number_gives_its_parts() {
    let number = parse(&specimen()).unwrap();
    assert_eq!(number.region(), "110199");
    assert_eq!(number.birth_date(), Date::new(1990, 3, 7).unwrap());
    assert_eq!(number.sequence(), 123);
    assert_eq!(number.sex(), Sex::Male);
    assert_eq!(number.expose(), specimen());
    let woman = parse(&whole("110199", "19900307", 124)).unwrap();
    assert_eq!(woman.sex(), Sex::Female);
}

#[test]
fn it_shows_neither_region_nor_birth_date() {
    let text = whole("110199", "19491231", 2);
    let number = parse(&text).unwrap();
    let masked = format!("11**************{}", &text[16..]);
    assert_eq!(number.to_string(), masked);
    assert_eq!(format!("{number:?}"), format!("IdNumber({masked})"));
    assert_eq!(
        format!("{:?}", Some(number)),
        format!("Some(IdNumber({masked}))")
    );
}

#[test]
fn each_fault_has_its_error() {
    use NumberError as E;
    let right = specimen();
    let wrong = |at: usize, c: &str| {
        let mut text = right.clone();
        text.replace_range(at..=at, c);
        text
    };
    let cases = [
        (String::new(), E::Length { characters: 0 }),
        (right[..17].to_owned(), E::Length { characters: 17 }),
        (format!("{right} "), E::Length { characters: 19 }),
        (format!("{}a", "1".repeat(14)), E::Length { characters: 15 }),
        ("9".repeat(5_000), E::Length { characters: 256 }),
        ("110199900307123".to_owned(), E::OldForm),
        ("１１０１９９９００３０７１２３".to_owned(), E::OldForm),
        (wrong(0, " "), E::Character { position: 1 }),
        (wrong(9, "X"), E::Character { position: 10 }),
        (wrong(9, "٣"), E::Character { position: 10 }),
        (wrong(17, "Y"), E::Character { position: 18 }),
        (whole("000000", "19900307", 1), E::Region),
        (whole("990199", "19900307", 1), E::Region),
        (whole("110199", "19900230", 1), E::BirthDate),
        (whole("110199", "19901301", 1), E::BirthDate),
        (whole("110199", "19900100", 1), E::BirthDate),
        (whole("110199", "17991231", 1), E::BirthDateTooEarly),
        (whole("110199", "20261129", 1), E::BirthDateFuture),
        (wrong(16, "4"), E::CheckDigit),
    ];
    for (text, error) in cases {
        assert_eq!(parse(&text), Err(error), "{text}");
    }
}

#[test]
fn the_bounds_of_birth_are_inside() {
    for born in ["18000101", "20261128", "20000229"] {
        assert!(parse(&whole("110199", born, 1)).is_ok(), "{born}");
    }
}

/// Regions that a table would call unknown or abolished are the authority's to judge.
#[test]
fn a_county_that_is_in_no_table_passes() {
    for region in ["110199", "110000", "659999", "810000", "830000"] {
        assert!(parse(&whole(region, "19900307", 1)).is_ok(), "{region}");
    }
}

#[test]
fn no_error_repeats_the_text() {
    let text = "110199199003071X39";
    let error = parse(text).unwrap_err();
    for shown in [error.to_string(), format!("{error:?}")] {
        assert!(
            !shown.contains("1101") && !shown.contains("1990"),
            "{shown}"
        );
    }
}

fn full_width(text: &str) -> String {
    let wide = |c: char| char::from_u32(u32::from(c) + 0xfee0).unwrap();
    text.chars().map(wide).collect()
}

prop_compose! {
    fn valid()(
        province in prop::sample::select(vec!["11", "37", "44", "50", "65", "71", "81", "82", "83"]),
        place in 0_u16..=9999,
        (year, month, day) in (1800_u16..=2025, 1_u8..=12, 1_u8..=31)
            .prop_filter("a day that exists", |(y, m, d)| Date::new(*y, *m, *d).is_some()),
        sequence in 0_u16..=999,
    ) -> (String, Date, u16, String) {
        let region = format!("{province}{place:04}");
        let text = whole(&region, &format!("{year:04}{month:02}{day:02}"), sequence);
        (region, Date::new(year, month, day).unwrap(), sequence, text)
    }
}

proptest! {
    #[test]
    fn valid_parts_make_a_number_that_gives_them_back((region, born, sequence, text) in valid()) {
        let number = parse(&text).unwrap();
        prop_assert_eq!(number.region(), region);
        prop_assert_eq!(number.birth_date(), born);
        prop_assert_eq!(number.sequence(), sequence);
        prop_assert_eq!(number.sex() == Sex::Male, sequence % 2 == 1);
        prop_assert_eq!(parse(number.expose()), Ok(number));
    }

    #[test]
    fn width_and_case_do_not_matter((_, _, _, text) in valid()) {
        let number = parse(&text).unwrap();
        for other in [text.to_lowercase(), full_width(&text), full_width(&text.to_lowercase())] {
            prop_assert_eq!(parse(&other), Ok(number.clone()));
        }
    }

    #[test]
    fn no_number_with_one_wrong_character_is_read((_, _, _, text) in valid()) {
        for position in 0..text.len() {
            for other in "0123456789X".chars().filter(|c| !text[position..].starts_with(*c)) {
                let mut wrong = text.clone();
                wrong.replace_range(position..=position, &other.to_string());
                prop_assert!(parse(&wrong).is_err(), "{wrong} for {text}");
            }
        }
    }

    #[test]
    fn no_number_with_swapped_neighbours_is_read((_, _, _, text) in valid()) {
        for left in 0..text.len() - 1 {
            let mut wrong = text.clone().into_bytes();
            wrong.swap(left, left + 1);
            let wrong = String::from_utf8(wrong).unwrap();
            prop_assert!(wrong == text || parse(&wrong).is_err(), "{wrong} for {text}");
        }
    }

    #[test]
    fn the_mask_shows_four_characters((_, _, _, text) in valid()) {
        let shown = parse(&text).unwrap().to_string();
        prop_assert_eq!(shown.chars().filter(|c| *c == '*').count(), 14);
        prop_assert!(shown.starts_with(&text[..2]) && shown.ends_with(&text[16..]));
    }

    #[test]
    fn any_text_is_judged(text: String) {
        let _ = parse(&text);
    }

    #[test]
    fn any_text_of_the_right_length_is_judged(text in "[0-9xX０-９Ｘ·]{15,18}") {
        let _ = parse(&text);
    }
}
