//! What keys of persons cost on this disk: `cargo test -p shiren-vault --test vault costs -- --ignored
//! --nocapture`; docs/vault.md has the figures. The store is made in `TMPDIR`.

use std::time::{Duration, Instant};

use shiren_contract::seal::PersonKeys;
use shiren_vault::LibraryState;

use crate::support::{LIBRARY, NOW_US, Place, person, persons};

/// A template of 512 floats.
const PLAIN: [u8; 2048] = [7; 2048];
/// Persons, unless SHIREN_VAULT_PERSONS says otherwise.
const PERSONS: usize = 50_000;

fn timed<T>(what: &str, count: usize, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = run();
    let took = start.elapsed();
    let each = took / u32::try_from(count).unwrap().max(1);
    println!("{what}: {count} in {took:.2?}, {each:.1?} each");
    assert!(took < Duration::from_secs(3_600));
    done
}

fn has_persons(place: &Place) -> bool {
    let mut files = std::fs::read_dir(place.library()).unwrap();
    files.any(|file| file.unwrap().path().extension().is_some_and(|e| e == "key"))
}

#[test]
#[ignore = "measures, minutes"]
fn costs_of_persons() {
    let count = std::env::var("SHIREN_VAULT_PERSONS").map_or(PERSONS, |n| n.parse().unwrap());
    let place = Place::new();
    let vault = place.init();
    let label = |index: usize| format!("person-{index}");
    let sealed: Vec<_> = timed("make a key and seal", count, || {
        let seal = |index| vault.seal_person(person(&label(index)), b"", &PLAIN);
        (0..count).map(|index| seal(index).unwrap()).collect()
    });
    let fresh = place.open();
    timed("open", count, || {
        for (index, sealed) in sealed.iter().enumerate() {
            let plain = fresh.open_person(person(&label(index)), b"", sealed);
            assert_eq!(plain.unwrap(), PLAIN);
        }
    });
    timed("seal again", count, || {
        for index in 0..count {
            fresh
                .seal_person(person(&label(index)), b"", &PLAIN)
                .unwrap();
        }
    });
    timed("upkeep", 1, || vault.destroy_expired(NOW_US).unwrap());
    timed("count", 1, || {
        assert_eq!(persons(&vault), Some(LibraryState::Live { persons: count }));
    });
    let some = count.min(1_000);
    timed("destroy a person", some, || {
        for index in 0..some {
            assert!(
                vault
                    .destroy_person(person(&label(index)))
                    .unwrap()
                    .is_some()
            );
        }
    });
    timed("destroy the library", 1, || {
        assert!(vault.destroy_library("default", LIBRARY).unwrap());
    });
    timed(
        "upkeep that sweeps behind it",
        count.div_ceil(1_000),
        || {
            while has_persons(&place) {
                vault.destroy_expired(NOW_US).unwrap();
            }
        },
    );
}
