use proptest::prelude::*;

use super::*;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

#[test]
fn ways_to_type_a_name_agree() {
    let dots = [
        "\u{b7}", "\u{2022}", "\u{30fb}", "\u{2027}", "\u{ff65}", "\u{387}", "\u{2219}",
        "\u{22c5}", ".", "．", "\u{2024}", " \u{b7} ",
    ];
    for dot in dots {
        let typed = format!("样本{dot}测试");
        assert!(name(&typed).agrees_with(&name("样本·测试")), "{typed}");
    }
    let pairs = [
        ("ＳＰＥＣＩＭＥＮ", "specimen"),
        ("Specimen Person", "SPECIMENPERSON"),
        ("样　本", "样本"),
        ("样\u{200b}本\u{feff}", "样本"),
        (" 样本\u{a0}", "样本"),
        // Compatibility forms: a Kangxi radical, a CJK compatibility ideograph, half-width katakana.
        ("⼀", "一"),
        ("\u{f900}", "豈"),
        ("ﾃｽﾄ", "テスト"),
        // Composed and decomposed.
        ("Sp\u{e9}cimen", "Spe\u{301}cimen"),
        ("ß", "ss"),
        ("ς", "σ"),
        // Beyond the basic plane.
        ("𠮷样", " 𠮷 样"),
    ];
    for (one, other) in pairs {
        assert!(name(one).agrees_with(&name(other)), "{one} {other}");
    }
}

#[test]
fn other_names_do_not() {
    let names = [
        "样本",
        "样本一",
        "样木",
        "本样",
        "样·本",
        "様本",
        "specimen",
        "spécimen",
        "一",
        "丨",
        "𠮷样",
        "吉样",
    ];
    for (at, one) in names.iter().enumerate() {
        for (other_at, other) in names.iter().enumerate() {
            assert_eq!(
                name(one).agrees_with(&name(other)),
                at == other_at,
                "{one} {other}"
            );
        }
    }
}

#[test]
fn what_is_no_name_is_refused() {
    use NameError as E;
    let long = "样".repeat(NAME_MAX_BYTES / 3 + 1);
    let cases = [
        ("", E::Empty),
        (" \u{3000}\u{200b}", E::Empty),
        (long.as_str(), E::TooLong),
        ("样\u{fffd}", E::Garbled),
        ("样\u{0}本", E::Garbled),
        ("样\u{85}本", E::Garbled),
    ];
    for (text, error) in cases {
        assert_eq!(Name::new(text).unwrap_err(), error, "{text:?}");
    }
}

#[test]
fn the_mask_leaves_the_first_character() {
    for (text, masked) in [
        ("样本", "样*"),
        ("样", "样*"),
        ("样本人", "样**"),
        ("Specimen Person", "S********"),
    ] {
        assert_eq!(name(text).to_string(), masked);
        assert_eq!(format!("{:?}", name(text)), format!("Name({masked})"));
    }
}

fn typed() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[\u{4e00}-\u{9fff}]{2,4}",
        "[A-Za-zÀ-ỿͰ-ϿĀ-ſﬀ-ﬆ]{1,12}",
        "[ａ-ｚＡ-Ｚ０-９ｦ-ﾝ㌀-㏿\u{f900}-\u{faff}⺀-⿕]{1,8}",
    ]
}

proptest! {
    #[test]
    fn folding_twice_changes_nothing(text in typed()) {
        let once = fold(&text);
        prop_assert_eq!(fold(&once), once);
    }

    #[test]
    fn every_character_is_folded_within_the_rounds(c: char) {
        let once = fold(&c.to_string());
        prop_assert_eq!(fold(&once), once);
    }

    #[test]
    fn spaces_case_and_dots_make_no_difference(
        parts in prop::collection::vec("[\u{4e00}-\u{9fff}a-z]{1,3}", 2..4),
        dot in prop::sample::select(DOTS.to_vec()),
    ) {
        let plain = name(&parts.join("·"));
        let typed = parts.join(&format!(" {dot}")).to_uppercase();
        prop_assert!(plain.agrees_with(&name(&typed)));
    }

    #[test]
    fn names_of_other_characters_differ(one in "[\u{4e00}-\u{9fff}]{1,4}", other in "[\u{4e00}-\u{9fff}]{1,4}") {
        prop_assert_eq!(name(&one).agrees_with(&name(&other)), one == other);
    }

    #[test]
    fn any_text_is_judged(text: String) {
        if let Ok(name) = Name::new(&text) {
            prop_assert!(!name.expose_folded().is_empty());
            prop_assert!(name.agrees_with(&name.clone()));
            prop_assert!(name.to_string().chars().skip(1).all(|c| c == '*'));
        }
    }
}

/// All of Unicode, not a sample: no character takes more rounds than there are.
#[test]
fn folding_ends_for_every_character() {
    for c in '\0'..=char::MAX {
        let once = fold(&c.to_string());
        assert_eq!(fold(&once), once, "U+{:04X}", u32::from(c));
    }
}
