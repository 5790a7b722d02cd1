//! A key of its own for each person: what it seals, and its end.

use std::rc::Rc;

use proptest::prelude::*;
use shiren_contract::seal::{PersonKeys, PersonOf, SEALED_OVERHEAD_MAX_BYTES, Vault, VaultError};
use shiren_schemas::Id;
use shiren_schemas::records::Sealed;
use shiren_vault::{FileVault, LibraryState, VaultOptions};

use crate::support::{LIBRARY, NOW_US, Place, person, persons, states};

thread_local! {
    static STORE: Rc<(Place, FileVault)> = {
        let place = Place::new();
        let vault = place.init();
        Rc::new((place, vault))
    };
}

/// One store for all cases of a test, removed with its thread: what differs is what is sealed.
fn store() -> Rc<(Place, FileVault)> {
    STORE.with(Rc::clone)
}

fn gone(sealed: &Sealed) -> VaultError {
    let key_id = sealed.key_id.clone();
    VaultError::KeyDestroyed { key_id }
}

fn code(vault: &FileVault, of: PersonOf<'_>, aad: &[u8], sealed: &Sealed) -> &'static str {
    let error = vault.open_person(of, aad, sealed).unwrap_err();
    assert!(!error.to_string().contains(of.person), "{error}");
    error.code().id
}

proptest! {
    // Each makes three keys, which waits for the disk.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_sealed_opens_for_its_person_alone(
        tenant in "[a-z0-9-]{1,32}", library in 0_u8..4, label in "\\PC{1,64}", other in "\\PC{1,64}",
        aad: Vec<u8>, plain in prop::collection::vec(any::<u8>(), 0..512),
    ) {
        prop_assume!(label != other);
        let store = store();
        let vault = &store.1;
        let of = PersonOf { tenant: &tenant, library: Id([library; 16]), person: &label };
        let sealed = vault.seal_person(of, &aad, &plain).unwrap();
        let overhead = sealed.key_id.len() + sealed.nonce.len() + sealed.ciphertext.len() - plain.len();
        prop_assert!(overhead <= SEALED_OVERHEAD_MAX_BYTES, "{}", overhead);
        prop_assert_eq!(vault.open_person(of, &aad, &sealed).unwrap(), plain);
        prop_assert_eq!(&vault.seal_person(of, &aad, b"").unwrap().key_id, &sealed.key_id);

        let of_other = PersonOf { person: &other, ..of };
        let refused = vault.open_person(of_other, &aad, &sealed).unwrap_err();
        prop_assert_eq!(refused.code().id, "sealed_corrupt", "not in the library");
        vault.seal_person(of_other, &aad, b"").unwrap();
        let refused = vault.open_person(of_other, &aad, &sealed).unwrap_err();
        prop_assert_eq!(refused.code().id, "sealed_corrupt", "in the library");
    }
}

proptest! {
    #[test]
    fn one_flipped_bit_anywhere_is_seen(
        plain in prop::collection::vec(any::<u8>(), 0..64), at: prop::sample::Index, bit in 0_u8..8, part in 0_usize..3,
    ) {
        let store = store();
        let vault = &store.1;
        let mut sealed = vault.seal_person(person("flip"), b"face", &plain).unwrap();
        let mut key_id = sealed.key_id.clone().into_bytes();
        let bytes = [&mut sealed.nonce, &mut sealed.ciphertext, &mut key_id];
        let bytes = bytes.into_iter().nth(part).unwrap();
        let at = at.index(bytes.len());
        // An ASCII text stays one.
        bytes[at] ^= 1 << if part == 2 { bit % 7 } else { bit };
        sealed.key_id = String::from_utf8(key_id).unwrap();
        prop_assert_eq!(code(vault, person("flip"), b"face", &sealed), "sealed_corrupt");
    }

    #[test]
    fn no_key_id_of_a_stranger_panics_or_leaves_the_folder(key_id in ".{0,140}", tenant in ".{0,40}") {
        let store = store();
        let vault = &store.1;
        let sealed = Sealed { key_id, nonce: vec![0; 24], ciphertext: vec![0; 16] };
        let of = PersonOf { tenant: &tenant, ..person("x") };
        let error = vault.open_person(of, b"", &sealed).unwrap_err();
        prop_assert_eq!(error.code().id, "sealed_corrupt");
        prop_assert!(error.to_string().len() < 1_000);
    }
}

#[test]
fn another_library_tenant_or_place_does_not_open_it() {
    let place = Place::new();
    let vault = place.init();
    let anna = person("anna");
    let sealed = vault.seal_person(anna, b"face-1", b"face").unwrap();
    let elsewhere = [
        PersonOf {
            tenant: "other",
            ..anna
        },
        PersonOf {
            library: Id([1; 16]),
            ..anna
        },
    ];
    for of in elsewhere {
        assert_eq!(code(&vault, of, b"face-1", &sealed), "sealed_corrupt");
        let theirs = vault.seal_person(of, b"face-1", b"face").unwrap();
        assert_ne!(theirs.key_id, sealed.key_id);
        let moved = Sealed {
            key_id: theirs.key_id,
            ..sealed.clone()
        };
        assert_eq!(code(&vault, of, b"face-1", &moved), "sealed_corrupt");
    }
    assert_eq!(code(&vault, anna, b"face-2", &sealed), "sealed_corrupt");
    // The two kinds of keys do not stand for each other.
    let error = vault.open("default", b"face-1", &sealed).unwrap_err();
    assert_eq!(error.code().id, "sealed_corrupt");
    let picture = vault.seal("default", NOW_US, b"face-1", b"face").unwrap();
    assert_eq!(code(&vault, anna, b"face-1", &picture), "sealed_corrupt");
    // A fresh process opens it; another store, with the library or without, does not call it erased.
    assert_eq!(
        place.open().open_person(anna, b"face-1", &sealed).unwrap(),
        b"face"
    );
    let stranger = Place::new().init();
    assert_eq!(
        code(&stranger, anna, b"face-1", &sealed),
        "key_store_unreadable"
    );
}

#[test]
fn a_store_with_a_library_of_the_same_id_does_not_call_it_erased() {
    let sealed = Place::new().init().seal_person(person("anna"), b"", b"");
    let place = Place::new();
    let stranger = place.init();
    stranger.seal_person(person("bert"), b"", b"").unwrap();
    let code = code(&stranger, person("anna"), b"", &sealed.unwrap());
    assert_eq!(code, "sealed_corrupt");
}

#[test]
fn a_destroyed_key_opens_nothing_and_a_new_one_does_not_open_what_it_sealed() {
    let place = Place::new();
    let (vault, worker) = (place.init(), place.open());
    let (anna, bert) = (person("anna"), person("bert"));
    assert_eq!(vault.destroy_person(anna).unwrap(), None);
    assert_eq!(persons(&vault), None, "destroying made something");

    let first = vault.seal_person(anna, b"", b"first").unwrap();
    let other = vault.seal_person(bert, b"", b"other").unwrap();
    assert_eq!(worker.open_person(anna, b"", &first).unwrap(), b"first");
    assert_eq!(
        vault.destroy_person(anna).unwrap(),
        Some(first.key_id.clone())
    );
    assert_eq!(vault.destroy_person(anna).unwrap(), None);
    for vault in [&vault, &worker, &place.open()] {
        assert_eq!(vault.open_person(anna, b"", &first), Err(gone(&first)));
        assert_eq!(vault.open_person(bert, b"", &other).unwrap(), b"other");
    }

    let second = worker.seal_person(anna, b"", b"second").unwrap();
    assert_ne!(second.key_id, first.key_id);
    for vault in [&vault, &worker, &place.open()] {
        assert_eq!(vault.open_person(anna, b"", &second).unwrap(), b"second");
        assert_eq!(vault.open_person(anna, b"", &first), Err(gone(&first)));
    }
    // Told apart from an erasure all the same.
    assert_eq!(code(&vault, bert, b"", &first), "sealed_corrupt");
    assert_eq!(persons(&vault), Some(LibraryState::Live { persons: 2 }));
}

#[test]
fn a_destroyed_library_takes_all_its_persons_and_stays_destroyed() {
    let place = Place::new();
    let (vault, worker) = (place.init(), place.open());
    let labels = ["anna", "bert", "cora"];
    let sealed = labels.map(|label| worker.seal_person(person(label), b"", b"face").unwrap());
    let kept = PersonOf {
        library: Id([7; 16]),
        ..person("anna")
    };
    let other = worker.seal_person(kept, b"", b"kept").unwrap();

    assert!(vault.destroy_library("default", LIBRARY).unwrap());
    assert!(!vault.destroy_library("default", LIBRARY).unwrap());
    for vault in [&vault, &worker, &place.open()] {
        for (label, sealed) in labels.iter().zip(&sealed) {
            let of = person(label);
            assert_eq!(vault.open_person(of, b"", sealed), Err(gone(sealed)));
            let late = vault.seal_person(of, b"", b"late").unwrap_err();
            assert_eq!(late.code().id, "key_destroyed", "{late}");
            assert_eq!(vault.destroy_person(of).unwrap(), None);
        }
        assert_eq!(vault.open_person(kept, b"", &other).unwrap(), b"kept");
    }
    assert_eq!(persons(&vault), Some(LibraryState::Destroyed));
    vault.destroy_expired(NOW_US).unwrap();
    let mut left: Vec<_> = std::fs::read_dir(place.library())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["destroyed", "lock", "unfinished"]);
}

#[test]
fn a_library_that_never_sealed_is_destroyed_too() {
    let place = Place::new();
    let vault = place.init();
    assert!(!vault.destroy_library("default", LIBRARY).unwrap());
    let late = vault.seal_person(person("anna"), b"", b"").unwrap_err();
    let key_id = format!("default/{LIBRARY}");
    assert_eq!(late, VaultError::KeyDestroyed { key_id });
    vault.destroy_expired(NOW_US).unwrap();
    assert_eq!(persons(&vault), Some(LibraryState::Destroyed));
}

#[test]
fn tenants_that_no_key_can_have_are_refused_and_not_called_destroyed() {
    let store = store();
    let vault = &store.1;
    for tenant in ["", "Bank", "../../etc"] {
        let of = PersonOf {
            tenant,
            ..person("anna")
        };
        let errors = [
            vault.seal_person(of, b"", b"").unwrap_err(),
            vault.destroy_person(of).unwrap_err(),
            vault.destroy_library(tenant, LIBRARY).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.code().id, "key_store_unreadable", "{error}");
        }
    }
}

/// Neither names of files nor what is in them, key ids and messages show whom they are about.
#[test]
fn no_label_is_in_the_store_or_in_words() {
    let place = Place::new();
    let vault = place.init();
    let label = "11010119491231002X";
    let of = person(label);
    let sealed = vault.seal_person(of, b"", b"face").unwrap();
    let key = place.only_person();
    vault.destroy_person(of).unwrap();
    let again = vault.seal_person(of, b"", b"face").unwrap();
    assert_eq!(place.only_person(), key, "the name is the person's");
    let stem = key.file_stem().unwrap().to_str().unwrap();
    for key_id in [&sealed.key_id, &again.key_id] {
        assert!(!key_id.contains(stem), "records can be joined with files");
    }
    let said = [
        format!("{of:?}"),
        format!("{:?}", vault.list_libraries(None).unwrap()),
        format!("{:?}", vault.open_person(of, b"", &sealed)),
        String::from_utf8(std::fs::read(&key).unwrap()).unwrap(),
        sealed.key_id,
    ];
    for text in said {
        assert!(!text.contains(label), "{text}");
    }
}

#[test]
fn upkeep_leaves_persons_alone_and_one_cached_library_is_enough() {
    let place = Place::new();
    place.init();
    let options = VaultOptions {
        cached_keys_max: 1,
        ..place.options()
    };
    let vault = FileVault::open(options).unwrap();
    let of = |library: u8| PersonOf {
        library: Id([library; 16]),
        ..person("anna")
    };
    let sealed: Vec<_> = (0..4)
        .map(|library| vault.seal_person(of(library), b"", &[library]).unwrap())
        .collect();
    vault.seal("default", NOW_US, b"", b"").unwrap();
    let century = 100 * 365 * 86_400_000_000;
    assert_eq!(vault.destroy_expired(NOW_US + century).unwrap().count, 1);
    for (library, sealed) in (0_u8..).zip(&sealed) {
        assert_eq!(
            vault.open_person(of(library), b"", sealed).unwrap(),
            [library]
        );
    }
    assert_eq!(vault.list_libraries(None).unwrap().len(), 4);
    assert_eq!(vault.list_libraries(Some("other")).unwrap(), []);
    assert_eq!(states(&vault).len(), 1, "libraries are no epochs");
}
