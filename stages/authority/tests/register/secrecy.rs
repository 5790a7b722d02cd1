//! Nothing of a person is in the register's file, nor in what the register says of itself.

use std::os::unix::fs::PermissionsExt;

use shiren_authority::{Picture, PortraitClaim, Probe, Template};
use shiren_idcard::Name;

use crate::support::{ONE, PERSONS, Place, TWO, claim, filled, id_number, model, names};

/// Each name and number, parts of them, each portrait, and each template, as bytes.
fn secrets() -> Vec<Vec<u8>> {
    let mut secrets: Vec<Vec<u8>> = Vec::new();
    for row in filled(PERSONS).lines().skip(1) {
        let fields: Vec<&str> = row.split(',').collect();
        let (name, number) = (fields[0], fields[1]);
        secrets.extend(
            [name, number, &number[..6], &number[6..14]].map(|text| text.as_bytes().to_vec()),
        );
        secrets.push(name.to_lowercase().replace(' ', "").into_bytes());
        let utf16: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        // Four bytes are found by chance once in a few thousand files.
        secrets.extend((utf16.len() > 4).then_some(utf16));
        secrets.extend(
            fields[2..]
                .iter()
                .filter(|f| !f.is_empty())
                .map(|f| f.as_bytes().to_vec()),
        );
    }
    for picture in [ONE, TWO] {
        secrets.push(picture.as_bytes()[4..24].to_vec());
    }
    for template in [[3.0_f32, 4.0], [5.0, 12.0]] {
        secrets.push(template.iter().flat_map(|v| v.to_le_bytes()).collect());
    }
    secrets.push(model(1).sha256.0.to_vec());
    secrets
}

fn found<'a>(bytes: &[u8], secrets: &'a [Vec<u8>]) -> Vec<&'a Vec<u8>> {
    let is_in = |secret: &&Vec<u8>| {
        bytes
            .windows(secret.len())
            .any(|window| window == secret.as_slice())
    };
    secrets.iter().filter(is_in).collect()
}

#[test]
fn the_file_holds_nothing_in_the_clear() {
    let (place, _register) = Place::with_persons();
    let secrets = secrets();
    assert!(secrets.len() > 40);
    let dir = place.file().parent().unwrap().to_owned();
    assert_eq!(names(&dir), ["register.bin", "register.bin.lock"]);
    for name in names(&dir) {
        let bytes = std::fs::read(dir.join(&name)).unwrap();
        assert_eq!(found(&bytes, &secrets), Vec::<&Vec<u8>>::new(), "{name}");
    }
    // The search does find what is there.
    let plain = filled(PERSONS);
    assert!(found(plain.as_bytes(), &secrets).len() > 30);
}

#[test]
fn files_are_their_owners_alone() {
    let (place, _register) = Place::with_persons();
    for path in [
        place.file(),
        place.path("register/register.bin.lock"),
        place.path("key"),
    ] {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}

/// Same persons, same key file, another register: nothing can be told from comparing the two.
#[test]
fn two_registers_of_the_same_persons_share_nothing() {
    let (place, _register) = Place::with_persons();
    let mut options = place.options();
    options.file = place.path("other/register.bin");
    let other = shiren_authority::LocalRegister::init(options.clone()).unwrap();
    assert_eq!(place.import(&other, PERSONS).unwrap().added, 8);
    let (one, other) = (
        std::fs::read(place.file()).unwrap(),
        std::fs::read(options.file).unwrap(),
    );
    // Chunks of 16 bytes of the one, beyond magic, version and id of the key.
    let shared = one
        .chunks(16)
        .skip(2)
        .filter(|chunk| chunk.len() == 16 && other.windows(16).any(|w| w == *chunk));
    assert_eq!(shared.count(), 0);
}

/// Names of two and of three characters give records of one length.
#[test]
fn a_records_length_tells_nothing_of_the_name() {
    let size = |name: &str| {
        let place = Place::new();
        let register = shiren_authority::LocalRegister::init(place.options()).unwrap();
        place
            .import(
                &register,
                &format!("name,number\n{name},{{110199 19990909 100}}\n"),
            )
            .unwrap();
        register.summary().unwrap().bytes
    };
    assert_eq!(size("样本"), size("样本样本样本"));
}

#[test]
fn claims_and_register_show_themselves_masked() {
    let (_place, register) = Place::with_persons();
    let identity = claim("样本一", "110199 19900307 123", None);
    let portrait = PortraitClaim {
        name: Name::new("样本一").unwrap(),
        number: id_number("110199 19900307 123"),
        probe: Probe::Picture(Picture::new(ONE.as_bytes().to_vec())),
    };
    let template = Probe::Template(Template::new(model(1), vec![0.515625]).unwrap());
    let shown = format!("{identity:?} {portrait:?} {template:?} {register:?}");
    assert!(
        shown.contains("样**") && shown.contains("11**************"),
        "{shown}"
    );
    for secret in [
        "样本",
        "19900307",
        "1990-03-07",
        "110199",
        "PORTRAIT",
        "0.515625",
    ] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
}

/// Does not compile when one of the types can be serialised.
#[test]
fn nobody_serialises_a_person_by_accident() {
    use serde::Serialize;

    trait OneWay<Why> {
        fn here() {}
    }
    struct Serialisable;
    impl<T> OneWay<()> for T {}
    impl<T: Serialize> OneWay<Serialisable> for T {}

    // Two ways to `here` are one too many for the compiler.
    <Name as OneWay<_>>::here();
    <Picture as OneWay<_>>::here();
    <Template as OneWay<_>>::here();
    <PortraitClaim as OneWay<_>>::here();
    <shiren_idcard::IdNumber as OneWay<_>>::here();
    <shiren_authority::IdentityClaim as OneWay<_>>::here();
}
