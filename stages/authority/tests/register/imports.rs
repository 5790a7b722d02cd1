//! What becomes of imported rows: tests/cases/import.toml, and what a table cannot say.

use serde::Deserialize;
use shiren_authority::{IdentityReply, Import, LocalRegister, RefusedRow};

use crate::support::{PERSONS, Place, TODAY, ask, embed, filled, id_number, model};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Imports {
    import: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    case: String,
    table: String,
    #[serde(default)]
    added: u64,
    #[serde(default)]
    replaced: u64,
    #[serde(default)]
    renamed: u64,
    #[serde(default)]
    unchanged: u64,
    #[serde(default)]
    refused: Vec<(u64, String)>,
}

#[test]
fn every_table_is_taken_as_it_says() {
    let cases: Imports = toml::from_str(include_str!("../cases/import.toml")).unwrap();
    assert!(cases.import.len() >= 15);
    for case in cases.import {
        let (place, register) = Place::with_persons();
        let report = place.import(&register, &case.table).unwrap();
        let name = &case.case;
        let refused = |row: &RefusedRow| (row.line, row.code.id.to_owned());
        let found: Vec<_> = report.refused.iter().map(refused).collect();
        assert_eq!(found, case.refused, "{name}");
        let counts = (
            report.added,
            report.replaced,
            report.renamed,
            report.unchanged,
        );
        assert_eq!(
            counts,
            (case.added, case.replaced, case.renamed, case.unchanged),
            "{name}"
        );
        let sum = report.added + report.replaced + report.unchanged + report.refused.len() as u64;
        assert_eq!(report.rows, sum, "{name}");
        assert_eq!(
            register.summary().unwrap().persons as u64,
            8 + report.added,
            "{name}"
        );
    }
}

/// Names and numbers of every table of the cases: none is in what is said about them.
#[test]
fn no_report_gives_a_person_away() {
    let cases: Imports = toml::from_str(include_str!("../cases/import.toml")).unwrap();
    for case in cases.import {
        let (place, register) = Place::with_persons();
        let table = filled(&case.table);
        let report = place.import(&register, &case.table).unwrap();
        for row in &report.refused {
            let said = row.to_string();
            for field in table
                .split([',', '\n', '\r', '"'])
                .filter(|field| field.chars().count() > 2)
            {
                let is_column = [
                    "name",
                    "number",
                    "portrait",
                    "valid_from",
                    "valid_to",
                    "folder",
                ]
                .contains(&field.trim());
                assert!(is_column || !said.contains(field), "{}: {said}", case.case);
            }
        }
    }
}

#[test]
fn the_same_table_again_leaves_the_file_as_it_is() {
    let (place, register) = Place::with_persons();
    let before = std::fs::read(place.file()).unwrap();
    let report = place.import(&register, PERSONS).unwrap();
    assert_eq!((report.rows, report.unchanged), (8, 8));
    assert!(std::fs::read(place.file()).unwrap() == before);
}

#[test]
fn a_byte_order_mark_makes_no_difference() {
    let (place, register) = Place::with_persons();
    let report = place
        .import(&register, &format!("\u{feff}{PERSONS}"))
        .unwrap();
    assert_eq!(report.unchanged, 8);
}

#[test]
fn another_encoding_changes_nothing() {
    let (place, register) = Place::with_persons();
    let before = std::fs::read(place.file()).unwrap();
    let good = filled("name,number\n样本九,{110199 19990909 100}\n");
    // "样本" in GB18030.
    let table = [good.as_bytes(), b"\xd1\xf9\xb1\xbe,110199199909091000\n"].concat();
    let error = place.import_by(1, &register, &table).unwrap_err();
    assert_eq!(error.code().id, "import_not_utf8");
    assert!(
        error.to_string().contains("line 3") && error.to_string().contains("iconv"),
        "{error}"
    );
    assert!(std::fs::read(place.file()).unwrap() == before);
}

#[test]
fn who_is_removed_is_unknown_and_can_come_back() {
    let (place, register) = Place::with_persons();
    let one = "110199 19900307 123";
    assert_eq!(ask(&register, "样本一", one), Ok(IdentityReply::Agrees));
    assert_eq!(register.remove(&id_number(one)), Ok(true));
    assert_eq!(register.remove(&id_number(one)), Ok(false));
    assert_eq!(
        ask(&register, "样本一", one),
        Ok(IdentityReply::NumberUnknown)
    );
    assert_eq!(
        ask(&register, "样本二", "110199 19900307 121"),
        Ok(IdentityReply::Agrees)
    );
    let report = place.import(&register, PERSONS).unwrap();
    assert_eq!((report.added, report.unchanged), (1, 7));
    assert_eq!(ask(&register, "样本一", one), Ok(IdentityReply::Agrees));
}

#[test]
fn a_register_is_found_again_as_it_was_left() {
    let (place, register) = Place::with_persons();
    let summary = register.summary().unwrap();
    assert_eq!((summary.persons, summary.portraits), (8, 2));
    assert_eq!(summary.templates, [(model(1), 2)]);
    drop(register);
    let register = LocalRegister::open(place.options()).unwrap();
    assert_eq!(register.summary().unwrap(), summary);
    assert_eq!(
        ask(&register, "样本一", "110199 19900307 123"),
        Ok(IdentityReply::Agrees)
    );
}

/// The picture is kept, so another model needs no second import.
#[test]
fn portraits_are_embedded_anew() {
    let (place, register) = Place::with_persons();
    let report = register
        .re_embed(&model(2), &mut embed(2), &mut |_| {})
        .unwrap();
    assert_eq!(
        (report.renewed, report.unchanged, report.without_portrait),
        (2, 0, 6)
    );
    assert_eq!(register.summary().unwrap().templates, [(model(2), 2)]);
    let again = register
        .re_embed(&model(2), &mut embed(2), &mut |_| {})
        .unwrap();
    assert_eq!((again.renewed, again.unchanged), (0, 2));
    // Importing by that model changes nothing; by the old one it does.
    let table = filled(PERSONS);
    assert_eq!(
        place
            .import_by(2, &register, table.as_bytes())
            .unwrap()
            .unchanged,
        8
    );
    assert_eq!(
        place
            .import_by(1, &register, table.as_bytes())
            .unwrap()
            .replaced,
        2
    );
}

#[test]
fn a_portrait_that_the_new_model_refuses_keeps_its_template() {
    let (_place, register) = Place::with_persons();
    let mut second = embed(2);
    let mut refusing = |bytes: &[u8]| second(if bytes.starts_with(b"3") { b"" } else { bytes });
    let report = register
        .re_embed(&model(2), &mut refusing, &mut |_| {})
        .unwrap();
    assert_eq!(report.renewed, 1);
    let refused: Vec<_> = report
        .refused
        .iter()
        .map(|(name, why)| (name.as_str(), why.code.id))
        .collect();
    assert_eq!(refused, [("样**", "no_face")]);
    assert_eq!(
        register.summary().unwrap().templates,
        [(model(1), 1), (model(2), 1)]
    );
}

#[test]
fn templates_of_another_model_than_was_said_stop_the_import() {
    let (place, register) = Place::with_persons();
    let table = filled("name,number,portrait\n样本九,{110199 19990909 100},one.jpg\n");
    let import = Import {
        rows: &mut table.as_bytes(),
        portraits: &place.portraits(),
        model: &model(1),
        embed: &mut embed(2),
        progress: &mut |_| {},
        today: TODAY,
    };
    assert_eq!(
        register.import(import).unwrap_err().code().id,
        "register_model_mismatch"
    );
    let error = register
        .re_embed(&model(3), &mut embed(2), &mut |_| {})
        .unwrap_err();
    assert_eq!(error.code().id, "register_model_mismatch");
    assert_eq!(register.summary().unwrap().persons, 8);
}

#[test]
fn progress_reaches_the_end() {
    let (place, register) = Place::with_persons();
    let table = filled(PERSONS);
    let mut told = Vec::new();
    let import = Import {
        rows: &mut table.as_bytes(),
        portraits: &place.portraits(),
        model: &model(1),
        embed: &mut embed(1),
        progress: &mut |progress| told.push(progress),
        today: TODAY,
    };
    register.import(import).unwrap();
    assert_eq!(told.len(), 8);
    assert!(told.is_sorted_by_key(|p| p.done));
    assert!(
        told.iter()
            .all(|p| p.done <= p.total && p.total == table.len() as u64)
    );
}
