//! The end of a key: by time, by an operator, by another process.

use shiren_contract::seal::{Vault, VaultError};
use shiren_vault::{Destroyed, DestroyedBy, FileVault, KeyState};

use crate::support::{DAY_US, EPOCH_S, HOUR_US, NOW_US, Place, START_S, states};

const EPOCH_US: i64 = EPOCH_S * 1_000_000;
/// When the first epoch's key is due, by default.
const DUE_US: i64 = (START_S + EPOCH_S) * 1_000_000 + DAY_US;

fn gone(epoch: i64) -> VaultError {
    let key_id = format!("default/{epoch}");
    VaultError::KeyDestroyed { key_id }
}

#[test]
fn a_key_is_destroyed_at_its_time_and_not_before() {
    let place = Place::new();
    let vault = place.init();
    let first = vault.seal("default", NOW_US, b"", b"first").unwrap();
    let second = vault
        .seal("default", NOW_US + EPOCH_US, b"", b"second")
        .unwrap();

    assert_eq!(
        vault.destroy_expired(DUE_US - 1).unwrap(),
        Destroyed { count: 0 }
    );
    assert_eq!(vault.open("default", b"", &first).unwrap(), b"first");
    assert_eq!(
        vault.destroy_expired(DUE_US).unwrap(),
        Destroyed { count: 1 }
    );
    assert_eq!(vault.open("default", b"", &first), Err(gone(START_S)));
    assert_eq!(vault.open("default", b"", &second).unwrap(), b"second");
    assert_eq!(
        vault.destroy_expired(DUE_US).unwrap(),
        Destroyed { count: 0 }
    );
    assert!(!place.key("default", START_S).exists());

    // Never made again, not even by a late case.
    assert_eq!(vault.seal("default", NOW_US, b"", b""), Err(gone(START_S)));
    assert_eq!(
        place.open().open("default", b"", &first),
        Err(gone(START_S))
    );
}

#[test]
fn another_instance_that_had_the_key_open_loses_it_at_once() {
    let place = Place::new();
    let (worker, operator) = (place.init(), place.open());
    let sealed = worker.seal("default", NOW_US, b"", b"face").unwrap();
    assert_eq!(worker.open("default", b"", &sealed).unwrap(), b"face");
    let destroyed = operator.destroy("default", START_S..=START_S, NOW_US + 1);
    assert_eq!(destroyed.unwrap(), Destroyed { count: 1 });
    assert_eq!(worker.open("default", b"", &sealed), Err(gone(START_S)));
    assert_eq!(worker.seal("default", NOW_US, b"", b""), Err(gone(START_S)));
}

#[test]
fn an_operator_destroys_a_range_of_one_tenant() {
    let place = Place::new();
    let vault = place.init();
    for epoch in 0..4 {
        for tenant in ["a", "b"] {
            let now_us = NOW_US + epoch * EPOCH_US;
            vault.seal(tenant, now_us, b"", b"").unwrap();
        }
    }
    let range = START_S + EPOCH_S..=START_S + 2 * EPOCH_S;
    let destroyed = vault.destroy("a", range, NOW_US).unwrap();
    assert_eq!(destroyed.count, 2);
    let live = |tenant: &str| -> Vec<bool> {
        let keys = vault.list(Some(tenant)).unwrap();
        keys.iter()
            .map(|key| matches!(key.state, KeyState::Live { .. }))
            .collect()
    };
    assert_eq!(live("a"), [true, false, false, true]);
    assert_eq!(live("b"), [true; 4]);
    assert_eq!(
        vault.destroy("nobody", 0..=i64::MAX, NOW_US).unwrap().count,
        0
    );
    assert_eq!(
        vault.destroy("../..", 0..=i64::MAX, NOW_US).unwrap().count,
        0
    );
}

#[test]
fn the_list_says_when_a_key_was_made_is_due_and_was_destroyed() {
    let place = Place::new();
    let vault = place.init();
    vault.seal("default", NOW_US, b"", b"").unwrap();
    let state = |vault: &FileVault| vault.list(None).unwrap().remove(0).state;
    let live = KeyState::Live {
        created_us: NOW_US,
        starts_us: START_S * 1_000_000,
        ends_us: (START_S + EPOCH_S) * 1_000_000,
        expires_us: DUE_US,
    };
    assert_eq!(state(&vault), live);
    vault.destroy_expired(DUE_US + 5).unwrap();
    let by_time = KeyState::Destroyed {
        destroyed_us: DUE_US + 5,
        by: DestroyedBy::Expiry,
    };
    assert_eq!(state(&vault), by_time);
}

#[test]
fn old_tombstones_go_and_their_keys_stay_destroyed() {
    let place = Place::new();
    place.init();
    let mut options = place.options();
    options.tombstones_kept_ms = 3_600_000;
    let vault = FileVault::open(options).unwrap();
    let seal = |epoch: i64| vault.seal("default", NOW_US + epoch * EPOCH_US, b"", b"face");
    let (first, _, last) = (seal(0).unwrap(), seal(1).unwrap(), seal(200).unwrap());
    let later = DUE_US + EPOCH_US;
    assert_eq!(vault.destroy_expired(later).unwrap().count, 2);
    assert_eq!(states(&vault).len(), 3);

    vault.destroy_expired(later + HOUR_US - 1).unwrap();
    assert_eq!(states(&vault).len(), 3);
    vault.destroy_expired(later + HOUR_US).unwrap();
    assert_eq!(states(&vault), [(last.key_id.clone(), "live")]);
    assert_eq!(vault.open("default", b"", &first), Err(gone(START_S)));
    assert_eq!(seal(0), Err(gone(START_S)));
    assert_eq!(seal(1), Err(gone(START_S + EPOCH_S)));
    assert!(seal(2).is_ok(), "an epoch behind the floor");
}

#[test]
fn a_tombstone_stays_while_an_older_key_lives() {
    let place = Place::new();
    place.init();
    let mut options = place.options();
    options.tombstones_kept_ms = 0;
    let vault = FileVault::open(options).unwrap();
    let older = vault.seal("default", NOW_US, b"", b"face").unwrap();
    let newer = vault.seal("default", NOW_US + EPOCH_US, b"", b"").unwrap();
    let epoch = START_S + EPOCH_S;
    vault
        .destroy("default", epoch..=epoch, NOW_US + EPOCH_US)
        .unwrap();
    vault.destroy_expired(NOW_US + 2 * EPOCH_US).unwrap();
    let expected = [(older.key_id.clone(), "live"), (newer.key_id, "destroyed")];
    assert_eq!(states(&vault), expected);
    assert_eq!(vault.open("default", b"", &older).unwrap(), b"face");
}

#[test]
fn what_a_crash_left_is_finished() {
    let place = Place::new();
    let vault = place.init();
    let sealed = vault.seal("default", NOW_US, b"", b"face").unwrap();
    let key = place.key("default", START_S);
    // Between link and removal of the file beside it, and between tombstone and removal of the key.
    let beside = key.with_file_name(format!(".{START_S}.key.1.0.tmp"));
    std::fs::hard_link(&key, &beside).unwrap();
    let kept = std::fs::read(&key).unwrap();
    vault.destroy("default", START_S..=START_S, NOW_US).unwrap();
    assert_ne!(std::fs::read(&beside).unwrap(), kept, "not overwritten");
    std::fs::write(&key, &kept).unwrap();
    assert_eq!(
        place.open().open("default", b"", &sealed),
        Err(gone(START_S))
    );
    assert_eq!(states(&vault), [(sealed.key_id.clone(), "destroyed")]);

    assert_eq!(vault.destroy_expired(DUE_US).unwrap().count, 1);
    assert!(!key.exists() && !beside.exists());
    assert_eq!(vault.open("default", b"", &sealed), Err(gone(START_S)));
}

/// Between link and removal of the file beside it: the second name goes, not the bytes of the live key.
#[test]
fn upkeep_does_not_overwrite_a_live_key_by_its_second_name() {
    let place = Place::new();
    let vault = place.init();
    let sealed = vault.seal("default", NOW_US, b"", b"face").unwrap();
    let key = place.key("default", START_S);
    let beside = key.with_file_name(format!(".{START_S}.key.1.0.tmp"));
    std::fs::hard_link(&key, &beside).unwrap();
    vault.destroy_expired(NOW_US).unwrap();
    assert!(!beside.exists());
    assert_eq!(place.open().open("default", b"", &sealed).unwrap(), b"face");
}

#[test]
fn one_damaged_key_expires_by_its_name_and_one_that_cannot_go_spares_no_other() {
    let place = Place::new();
    let vault = place.init();
    for epoch in 0..3 {
        vault
            .seal("default", NOW_US + epoch * EPOCH_US, b"", b"")
            .unwrap();
    }
    std::fs::write(place.key("default", START_S), b"{").unwrap();
    let stuck = place.key("default", START_S + EPOCH_S);
    std::fs::remove_file(&stuck).unwrap();
    std::fs::create_dir(&stuck).unwrap();
    let error = vault.destroy_expired(DUE_US + 2 * EPOCH_US).unwrap_err();
    assert_eq!(error.code().id, "key_store_unreadable");
    assert!(
        error.to_string().contains(&stuck.display().to_string()),
        "{error}"
    );
    assert!(!place.key("default", START_S).exists());
    assert!(!place.key("default", START_S + 2 * EPOCH_S).exists());
}
