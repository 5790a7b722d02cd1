//! Registers that are missing, damaged or under another key: a clear error, and nothing of the content.

use shiren_authority::{AuthorityError, IdentityReply, LocalRegister, RegisterOptions, Unreadable};
use shiren_vault::KekSource;
use zeroize::Zeroizing;

use crate::support::{Place, ask, names};

fn cause(error: &AuthorityError) -> Unreadable {
    match error {
        AuthorityError::RegisterUnreadable { cause, .. } => {
            assert_eq!(error.code().id, "register_unreadable");
            *cause
        }
        other => panic!("{other}"),
    }
}

fn open_error(options: RegisterOptions) -> AuthorityError {
    LocalRegister::open(options).expect_err("it opened")
}

#[test]
fn a_missing_register_is_said_to_be_missing() {
    let place = Place::new();
    let error = open_error(place.options());
    assert_eq!(cause(&error), Unreadable::Missing);
    assert!(error.to_string().contains("register.bin"), "{error}");
}

/// Not only when it is opened: no question is answered from memory once the file is gone.
#[test]
fn a_register_that_goes_away_answers_no_more() {
    let (place, register) = Place::with_persons();
    std::fs::rename(place.file(), place.path("aside")).unwrap();
    let error = ask(&register, "样本一", "110199 19900307 123").unwrap_err();
    assert_eq!(cause(&error), Unreadable::Missing);
    std::fs::rename(place.path("aside"), place.file()).unwrap();
    assert_eq!(
        ask(&register, "样本一", "110199 19900307 123"),
        Ok(IdentityReply::Agrees)
    );
}

#[test]
fn another_key_is_named_and_opens_nothing() {
    let (place, _register) = Place::with_persons();
    let mut options = place.options();
    options.kek = KekSource::Text {
        variable: "SPECIMEN_KEY".to_owned(),
        digits: Zeroizing::new("0f".repeat(32)),
    };
    let error = open_error(options);
    assert_eq!(cause(&error), Unreadable::KeyWrong);
    assert!(error.to_string().contains("SPECIMEN_KEY"), "{error}");
}

#[test]
fn a_key_that_cannot_be_used_is_told_from_a_wrong_one() {
    use std::os::unix::fs::PermissionsExt;
    let (place, _register) = Place::with_persons();
    let key = place.path("key");
    let digits = std::fs::read(&key).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let open_to_others = open_error(place.options());
    assert_eq!(cause(&open_to_others), Unreadable::KeyUnusable);
    assert!(
        open_to_others.to_string().contains("chmod 600"),
        "{open_to_others}"
    );
    std::fs::remove_file(&key).unwrap();
    assert_eq!(cause(&open_error(place.options())), Unreadable::KeyUnusable);
    std::fs::write(&key, b"short").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(cause(&open_error(place.options())), Unreadable::KeyUnusable);
    std::fs::write(&key, digits).unwrap();
    assert!(LocalRegister::open(place.options()).is_ok());
}

#[test]
fn a_key_from_the_environment_is_the_key_of_the_file() {
    let (place, _register) = Place::with_persons();
    let digits = std::fs::read_to_string(place.path("key")).unwrap();
    let mut options = place.options();
    options.kek = KekSource::Text {
        variable: "SPECIMEN_KEY".to_owned(),
        digits: Zeroizing::new(digits.trim().to_owned()),
    };
    assert!(LocalRegister::open(options).is_ok());
}

/// Every byte of the file, each end, and bytes behind it.
#[test]
fn any_damage_is_found() {
    let (place, _register) = Place::with_persons();
    let whole = std::fs::read(place.file()).unwrap();
    let check = |bytes: &[u8], what: &str| {
        std::fs::write(place.file(), bytes).unwrap();
        let error = open_error(place.options());
        let cause = cause(&error);
        assert!(
            matches!(cause, Unreadable::Damaged | Unreadable::Version),
            "{what}: {error}"
        );
    };
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x20;
        check(&damaged, &format!("byte {at}"));
    }
    for end in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
        check(&whole[..end], &format!("cut at {end}"));
    }
    check(&[whole.as_slice(), b"\0"].concat(), "a byte behind it");
    check(&[whole.as_slice(), whole.as_slice()].concat(), "twice");
    std::fs::write(place.file(), &whole).unwrap();
    assert!(LocalRegister::open(place.options()).is_ok());
}

/// A record of an older file of the same register, put in the place of a newer one.
#[test]
fn a_record_cannot_be_brought_back() {
    let (place, register) = Place::with_persons();
    let old = std::fs::read(place.file()).unwrap();
    let table = "name,number\n样本贰,{110199 19851224 002}\n";
    assert_eq!(place.import(&register, table).unwrap().replaced, 1);
    let new = std::fs::read(place.file()).unwrap();
    let ends = 40;
    // The old persons under the new seal, and the new ones under the old seal.
    for (persons, end) in [(&old, &new), (&new, &old)] {
        let mixed = [&persons[..persons.len() - ends], &end[end.len() - ends..]].concat();
        std::fs::write(place.file(), mixed).unwrap();
        assert_eq!(cause(&open_error(place.options())), Unreadable::Damaged);
    }
}

#[test]
fn a_newer_version_is_not_guessed_at() {
    let (place, _register) = Place::with_persons();
    let mut bytes = std::fs::read(place.file()).unwrap();
    bytes[8] = 2;
    std::fs::write(place.file(), bytes).unwrap();
    assert_eq!(cause(&open_error(place.options())), Unreadable::Version);
}

#[test]
fn other_files_are_no_registers() {
    let place = Place::new();
    std::fs::create_dir_all(place.file()).unwrap();
    assert_eq!(
        cause(&open_error(place.options())),
        Unreadable::Inaccessible
    );
    std::fs::remove_dir(place.file()).unwrap();
    for bytes in [b"".as_slice(), b"name,number\n", &[0; 4_096], &[0xff; 100]] {
        std::fs::write(place.file(), bytes).unwrap();
        assert_eq!(cause(&open_error(place.options())), Unreadable::Damaged);
    }
}

#[test]
fn a_register_is_never_overwritten_by_a_new_one() {
    let (place, register) = Place::with_persons();
    let error = LocalRegister::init(place.options()).err().unwrap();
    assert_eq!(error.code().id, "register_exists");
    assert_eq!(register.summary().unwrap().persons, 8);
}

#[test]
fn what_a_crash_left_is_no_hindrance() {
    let (place, register) = Place::with_persons();
    let beside = place.path("register/register.bin.tmp");
    std::fs::write(&beside, b"half a register").unwrap();
    let table = "name,number\n样本九,{110199 19990909 100}\n";
    assert_eq!(place.import(&register, table).unwrap().added, 1);
    assert_eq!(
        names(beside.parent().unwrap()),
        ["register.bin", "register.bin.lock"]
    );
}
