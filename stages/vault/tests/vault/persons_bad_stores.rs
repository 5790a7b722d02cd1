//! Libraries whose files are damaged, lost or left half done by a crash.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use shiren_contract::seal::{PersonKeys, VaultError};
use shiren_vault::{FileVault, LibraryState};

use crate::support::{LIBRARY, NOW_US, Place, person, persons, write_private};

fn names(error: &VaultError, path: &Path) {
    assert_eq!(error.code().id, "key_store_unreadable", "{error}");
    assert!(
        error.to_string().contains(&path.display().to_string()),
        "{error}"
    );
}

fn spoilt(good: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8(good.to_vec()).unwrap();
    let (before, wrapped) = text.split_once("\"wrapped\":\"").unwrap();
    let first = if wrapped.starts_with('0') { "1" } else { "0" };
    vec![
        Vec::new(),
        good[..good.len() / 2].to_vec(),
        format!("{before}\"wrapped\":\"{first}{}", &wrapped[1..]).into_bytes(),
        text.replace("\"format\":1", "\"format\":2").into_bytes(),
        text.replace("\"wrapped\":\"", "\"wrapped\":\"x")
            .into_bytes(),
        text.replace("\"generation\":\"", "\"generation\":\"x")
            .replace("\"kek_id\":\"", "\"kek\":\"")
            .into_bytes(),
        vec![0; good.len()],
        vec![b' '; 65 * 1024],
    ]
}

#[test]
fn files_are_for_their_owner_alone() {
    let place = Place::new();
    place.init().seal_person(person("anna"), b"", b"").unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    for file in [place.only_person(), place.library().join("library.key")] {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    assert_eq!(mode(&place.library().join("lock")), 0o600);
    for folder in [place.library(), place.library().join("unfinished")] {
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
    }
    assert_eq!(mode(&place.dir().join("persons/default")), 0o700);
}

#[test]
fn files_that_are_spoilt_are_named_and_never_made_anew() {
    let place = Place::new();
    let vault = place.init();
    let anna = person("anna");
    let sealed = vault.seal_person(anna, b"", b"face").unwrap();
    for path in [place.library().join("library.key"), place.only_person()] {
        let good = std::fs::read(&path).unwrap();
        for bytes in spoilt(&good) {
            std::fs::write(&path, &bytes).unwrap();
            for vault in [&vault, &place.open()] {
                names(&vault.open_person(anna, b"", &sealed).unwrap_err(), &path);
                names(&vault.seal_person(anna, b"", b"").unwrap_err(), &path);
            }
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        }
        std::fs::write(&path, &good).unwrap();
        assert_eq!(vault.open_person(anna, b"", &sealed).unwrap(), b"face");
    }
}

#[test]
fn a_damaged_key_of_a_person_is_destroyed_all_the_same() {
    let place = Place::new();
    let vault = place.init();
    let anna = person("anna");
    let sealed = vault.seal_person(anna, b"", b"face").unwrap();
    let path = place.only_person();
    for bytes in spoilt(&std::fs::read(&path).unwrap()) {
        write_private(&path, &bytes);
        let id = vault.destroy_person(anna).unwrap().unwrap();
        assert!(
            id == sealed.key_id || id == format!("default/{LIBRARY}/unknown"),
            "{id}"
        );
        assert!(!path.exists());
        let error = vault.open_person(anna, b"", &sealed).unwrap_err();
        assert_eq!(error.code().id, "key_destroyed");
    }
}

#[test]
fn a_library_key_that_is_lost_is_not_made_anew_over_persons() {
    let place = Place::new();
    let vault = place.init();
    let anna = person("anna");
    let sealed = vault.seal_person(anna, b"", b"face").unwrap();
    let key = place.library().join("library.key");
    std::fs::rename(&key, place.path("aside")).unwrap();
    for vault in [&vault, &place.open()] {
        names(&vault.seal_person(anna, b"", b"").unwrap_err(), &key);
        names(&vault.open_person(anna, b"", &sealed).unwrap_err(), &key);
        names(&vault.destroy_person(anna).unwrap_err(), &key);
        assert!(matches!(persons(vault), Some(LibraryState::Damaged { .. })));
    }
    std::fs::rename(place.path("aside"), &key).unwrap();
    assert_eq!(vault.open_person(anna, b"", &sealed).unwrap(), b"face");
    // Nor is the store's check made anew over libraries.
    std::fs::remove_file(place.dir().join("check")).unwrap();
    let error = FileVault::open_or_init(place.options()).unwrap_err();
    names(&error, &place.dir().join("check"));
}

/// What is wrapped by another key-encryption key, and what was moved from another place.
#[test]
fn keys_that_are_not_this_stores_or_persons_are_told() {
    let (place, elsewhere) = (Place::new(), Place::new());
    let (vault, stranger) = (place.init(), elsewhere.init());
    let sealed = vault.seal_person(person("anna"), b"", b"face").unwrap();
    stranger.seal_person(person("anna"), b"", b"face").unwrap();

    let (mine, theirs) = (place.only_person(), elsewhere.only_person());
    let good = std::fs::read(&mine).unwrap();
    std::fs::copy(&theirs, &mine).unwrap();
    let error = vault.seal_person(person("anna"), b"", b"").unwrap_err();
    names(&error, &mine);
    std::fs::write(&mine, &good).unwrap();

    vault.destroy_person(person("anna")).unwrap();
    vault.seal_person(person("bert"), b"", b"").unwrap();
    std::fs::rename(place.only_person(), &mine).unwrap();
    let error = vault.seal_person(person("anna"), b"", b"").unwrap_err();
    names(&error, &mine);
    // The old file brought back, as from a backup: it is the old key.
    std::fs::write(&mine, &good).unwrap();
    assert_eq!(
        vault.open_person(person("anna"), b"", &sealed).unwrap(),
        b"face"
    );

    let library = |place: &Place| place.library().join("library.key");
    std::fs::copy(library(&elsewhere), library(&place)).unwrap();
    let error = vault.open_person(person("anna"), b"", &sealed).unwrap_err();
    assert_eq!(error.code().id, "key_wrong", "{error}");
}

#[test]
fn what_a_crash_left_is_finished_and_harms_no_live_key() {
    let place = Place::new();
    let vault = place.init();
    let (anna, bert) = (person("anna"), person("bert"));
    let sealed = vault.seal_person(anna, b"", b"face").unwrap();
    let key = place.only_person();
    let bytes = std::fs::read(&key).unwrap();
    let unfinished = place.library().join("unfinished");
    // Between link and removal; between withdrawal and overwriting of another key.
    let linked = unfinished.join(".a.key.1.0.tmp");
    let withdrawn = unfinished.join(".b.key.1.1.tmp");
    let leave = || {
        std::fs::hard_link(&key, &linked).unwrap();
        write_private(&withdrawn, &bytes);
    };
    leave();
    let beneath = std::fs::File::open(&withdrawn).unwrap();
    vault.destroy_expired(NOW_US).unwrap();
    assert!(!linked.exists() && !withdrawn.exists());
    let left = std::io::read_to_string(beneath).unwrap();
    assert!(left.bytes().all(|byte| byte == 0), "not overwritten");
    assert_eq!(vault.open_person(anna, b"", &sealed).unwrap(), b"face");
    // Destroying clears up, too, and overwrites each name of the key.
    leave();
    let beneath = std::fs::File::open(&linked).unwrap();
    vault.destroy_person(anna).unwrap();
    assert!(!linked.exists() && !withdrawn.exists());
    let left = std::io::read_to_string(beneath).unwrap();
    assert!(left.bytes().all(|byte| byte == 0), "not overwritten");

    // A library's destruction that stopped right behind the tombstone, and one before the persons' files.
    let sealed = vault.seal_person(bert, b"", b"face").unwrap();
    let library_key = place.library().join("library.key");
    write_private(&place.library().join("destroyed"), b"{\"format\":1}\n");
    let error = vault.open_person(bert, b"", &sealed).unwrap_err();
    assert_eq!(error.code().id, "key_destroyed");
    vault.destroy_expired(NOW_US).unwrap();
    assert!(!library_key.exists());
    write_private(&key, &bytes);
    vault.destroy_expired(NOW_US).unwrap();
    assert!(!key.exists());
    assert_eq!(persons(&vault), Some(LibraryState::Destroyed));
}

#[test]
fn a_folder_that_cannot_be_written_seals_nothing() {
    let place = Place::new();
    let vault = place.init();
    std::fs::write(place.dir().join("persons"), b"in the way").unwrap();
    let error = vault.seal_person(person("anna"), b"", b"face").unwrap_err();
    names(&error, &place.dir().join("persons"));
    let error = vault.destroy_person(person("anna")).unwrap_err();
    assert_eq!(error.code().id, "key_store_unreadable");
}

/// A worker goes on when the whole folder was put back from a copy beneath it.
#[test]
fn a_library_key_that_was_exchanged_is_read_again() {
    let place = Place::new();
    let vault = place.init();
    vault.seal_person(person("anna"), b"", b"").unwrap();
    std::fs::rename(place.library(), place.path("aside")).unwrap();
    let other = place.open().seal_person(person("anna"), b"", b"new");
    let opened = vault.open_person(person("anna"), b"", &other.unwrap());
    assert_eq!(opened.unwrap(), b"new");
}
