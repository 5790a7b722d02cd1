//! Another key-encryption key, while workers run and across crashes.

use shiren_contract::seal::{PersonKeys, Vault};
use shiren_vault::{FileVault, KekSource, VaultOptions};
use zeroize::Zeroizing;

use crate::support::{EPOCH_S, LIBRARY, NOW_US, Place, person, write_private};

const EPOCH_US: i64 = EPOCH_S * 1_000_000;
const NEW: &str = "8f1d0a5c7e3b4926a1c0d9e8f7061524334251607f8e9dacbbcad9e8f7061524";
const OTHER: &str = "00000000000000000000000000000000000000000000000000000000000000ff";

fn new_kek(place: &Place, name: &str, digits: &str) -> std::path::PathBuf {
    let path = place.path(name);
    write_private(&path, digits.as_bytes());
    path
}

#[test]
fn a_running_worker_goes_on_through_a_rotation() {
    let place = Place::new();
    let worker = place.init();
    let seal = |epoch: i64| worker.seal("default", NOW_US + epoch * EPOCH_US, b"", b"face");
    let before = [seal(0).unwrap(), seal(1).unwrap()];
    let old_kek = std::fs::read(place.kek()).unwrap();
    let file = new_kek(&place, "new", NEW);
    let rotated = FileVault::rotate_kek(&place.options(), &file).unwrap();
    assert_eq!(rotated.rewrapped, 2);
    // Its third key is wrapped by the new one.
    let after = seal(2).unwrap();

    assert_ne!(std::fs::read(place.kek()).unwrap(), old_kek);
    assert!(!place.path("kek.next").exists());
    assert!(!place.dir().join("check.next").exists());
    let fresh = place.open();
    for sealed in before.iter().chain([&after]) {
        assert_eq!(worker.open("default", b"", sealed).unwrap(), b"face");
        assert_eq!(fresh.open("default", b"", sealed).unwrap(), b"face");
    }
    write_private(&place.kek(), &old_kek);
    let error = FileVault::open(place.options()).unwrap_err();
    assert_eq!(error.code().id, "key_wrong", "{error}");

    // Once more changes nothing, and puts the right key back.
    let again = FileVault::rotate_kek(&place.options(), &file).unwrap();
    assert_eq!((again.rewrapped, &again.kek_id), (0, &rotated.kek_id));
    assert_eq!(place.open().open("default", b"", &after).unwrap(), b"face");
}

/// The states that a crash can leave, made by putting back what a later step changed.
#[test]
fn a_rotation_that_was_interrupted_opens_and_is_finished() {
    let place = Place::new();
    let vault = place.init();
    let seal = |vault: &FileVault, epoch: i64| {
        let now_us = NOW_US + epoch * EPOCH_US;
        vault.seal("default", now_us, b"", b"face").unwrap()
    };
    let sealed = [seal(&vault, 0), seal(&vault, 1)];
    let keys: Vec<_> = sealed
        .iter()
        .map(|s| place.dir().join("keys").join(format!("{}.key", s.key_id)))
        .collect();
    let old: Vec<_> = keys.iter().map(|key| std::fs::read(key).unwrap()).collect();
    let old_check = std::fs::read(place.dir().join("check")).unwrap();
    let old_kek = std::fs::read(place.kek()).unwrap();
    let file = new_kek(&place, "new", NEW);
    FileVault::rotate_kek(&place.options(), &file).unwrap();
    let new_check = std::fs::read(place.dir().join("check")).unwrap();
    let new_text = std::fs::read(place.kek()).unwrap();

    let opens = |sealed: &[shiren_schemas::records::Sealed]| {
        let fresh = place.open();
        for sealed in sealed {
            assert_eq!(fresh.open("default", b"", sealed).unwrap(), b"face");
        }
    };
    // After the commit, before the KEK's file was replaced.
    write_private(&place.kek(), &old_kek);
    write_private(&place.path("kek.next"), &new_text);
    opens(&sealed);
    assert_eq!(
        FileVault::rotate_kek(&place.options(), &file)
            .unwrap()
            .rewrapped,
        0
    );
    opens(&sealed);
    // In the middle of the keys.
    write_private(&place.kek(), &old_kek);
    write_private(&place.path("kek.next"), &new_text);
    write_private(&place.dir().join("check"), &old_check);
    write_private(&place.dir().join("check.next"), &new_check);
    write_private(&keys[1], &old[1]);
    opens(&sealed);
    // A key made meanwhile is wrapped by the new one already.
    let third = seal(&place.open(), 2);
    let other = new_kek(&place, "other", OTHER);
    let error = FileVault::rotate_kek(&place.options(), &other).unwrap_err();
    assert!(error.to_string().contains("unfinished"), "{error}");
    assert_eq!(
        FileVault::rotate_kek(&place.options(), &file)
            .unwrap()
            .rewrapped,
        1
    );
    opens(&[sealed[0].clone(), sealed[1].clone(), third]);
    // Right at the beginning, when only the new KEK was put down.
    write_private(&place.path("kek.next"), OTHER.as_bytes());
    opens(&sealed);
    assert_eq!(
        FileVault::rotate_kek(&place.options(), &other)
            .unwrap()
            .rewrapped,
        3
    );
    opens(&sealed);
}

/// Libraries' keys are wrapped anew; their persons' stay as they are, and so do generations.
#[test]
fn persons_are_readable_through_a_rotation() {
    let place = Place::new();
    let worker = place.init();
    let labels = ["anna", "bert"];
    let seal = |label: &str| worker.seal_person(person(label), b"", b"face").unwrap();
    let sealed = labels.map(seal);
    let gone = seal("gone");
    worker.destroy_person(person("gone")).unwrap();
    worker
        .destroy_library("default", shiren_schemas::Id([9; 16]))
        .unwrap();
    let library_key = place.library().join("library.key");
    let old = std::fs::read(&library_key).unwrap();
    let old_check = std::fs::read(place.dir().join("check")).unwrap();
    let old_kek = std::fs::read(place.kek()).unwrap();
    let file = new_kek(&place, "new", NEW);
    let rotate = || FileVault::rotate_kek(&place.options(), &file).unwrap();
    assert_eq!(rotate().rewrapped, 1);
    assert_ne!(std::fs::read(&library_key).unwrap(), old);
    let all_open = || {
        for vault in [&worker, &place.open()] {
            for (label, sealed) in labels.iter().zip(&sealed) {
                let plain = vault.open_person(person(label), b"", sealed);
                assert_eq!(plain.unwrap(), b"face");
                let again = vault.seal_person(person(label), b"", b"face").unwrap();
                assert_eq!(again.key_id, sealed.key_id);
            }
            let error = vault.open_person(person("gone"), b"", &gone).unwrap_err();
            assert_eq!(error.code().id, "key_destroyed");
        }
    };
    all_open();
    // Interrupted before the library's turn.
    let new_text = std::fs::read(place.kek()).unwrap();
    let new_check = std::fs::read(place.dir().join("check")).unwrap();
    write_private(&place.kek(), &old_kek);
    write_private(&place.path("kek.next"), &new_text);
    write_private(&place.dir().join("check"), &old_check);
    write_private(&place.dir().join("check.next"), &new_check);
    std::fs::remove_file(&library_key).unwrap();
    write_private(&library_key, &old);
    all_open();
    assert_eq!(rotate().rewrapped, 1);
    all_open();
    assert!(worker.destroy_library("default", LIBRARY).unwrap());
    assert_eq!(rotate().rewrapped, 0);
}

#[test]
fn a_key_of_the_environment_is_rotated_too() {
    let place = Place::new();
    let options = |digits: &str| {
        let kek = KekSource::Text {
            variable: "SHIREN_VAULT_KEK".to_owned(),
            digits: Zeroizing::new(digits.to_owned()),
        };
        VaultOptions::new(place.dir(), kek)
    };
    let vault = FileVault::init(options(OTHER)).unwrap();
    let sealed = vault.seal("default", NOW_US, b"", b"face").unwrap();
    let file = new_kek(&place, "new", NEW);
    assert_eq!(
        FileVault::rotate_kek(&options(OTHER), &file)
            .unwrap()
            .rewrapped,
        1
    );
    assert!(!place.kek().exists());
    let error = FileVault::open(options(OTHER)).unwrap_err();
    assert_eq!(error.code().id, "key_wrong", "{error}");
    assert!(error.to_string().contains("SHIREN_VAULT_KEK"), "{error}");
    let fresh = FileVault::open(options(NEW)).unwrap();
    assert_eq!(fresh.open("default", b"", &sealed).unwrap(), b"face");
    // A process that still has the old one makes no key that nobody could open later.
    let error = vault
        .seal("default", NOW_US + EPOCH_US, b"", b"")
        .unwrap_err();
    assert_eq!(error.code().id, "key_wrong", "{error}");
}
