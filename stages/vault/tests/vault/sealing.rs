//! What is sealed opens again, at its place and nowhere else.

use std::sync::LazyLock;

use proptest::prelude::*;
use shiren_contract::seal::{SEALED_OVERHEAD_MAX_BYTES, Vault};
use shiren_schemas::records::Sealed;
use shiren_vault::FileVault;

use crate::support::{DAY_US, EPOCH_S, NOW_US, Place, START_S};

/// One store for all cases: what differs is what is sealed.
static STORE: LazyLock<(Place, FileVault)> = LazyLock::new(|| {
    let place = Place::new();
    let vault = place.init();
    (place, vault)
});

fn code(vault: &FileVault, tenant: &str, aad: &[u8], sealed: &Sealed) -> &'static str {
    let error = vault.open(tenant, aad, sealed).unwrap_err();
    assert!(!error.to_string().is_empty());
    error.code().id
}

proptest! {
    #[test]
    fn what_is_sealed_opens(
        tenant in "[a-z0-9-]{1,32}", second in 0_i64..4 * EPOCH_S, aad: Vec<u8>,
        plain in prop::collection::vec(any::<u8>(), 0..2048),
    ) {
        let vault = &STORE.1;
        let now_us = NOW_US + second * 1_000_000;
        let sealed = vault.seal(&tenant, now_us, &aad, &plain).unwrap();
        let overhead = sealed.key_id.len() + sealed.nonce.len() + sealed.ciphertext.len() - plain.len();
        prop_assert!(overhead <= SEALED_OVERHEAD_MAX_BYTES);
        prop_assert_eq!(vault.open(&tenant, &aad, &sealed).unwrap(), plain.clone());
        prop_assert!(plain.len() < 8 || !sealed.ciphertext.windows(plain.len()).any(|w| w == plain));
        let again = vault.seal(&tenant, now_us, &aad, &plain).unwrap();
        prop_assert_ne!(again.nonce, sealed.nonce);
    }

    #[test]
    fn one_flipped_bit_anywhere_is_seen(
        plain in prop::collection::vec(any::<u8>(), 0..256), at: prop::sample::Index, bit in 0_u8..8,
        in_nonce: bool,
    ) {
        let vault = &STORE.1;
        let mut sealed = vault.seal("default", NOW_US, b"case/probe", &plain).unwrap();
        let bytes = if in_nonce { &mut sealed.nonce } else { &mut sealed.ciphertext };
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert_eq!(code(vault, "default", b"case/probe", &sealed), "sealed_corrupt");
    }

    #[test]
    fn one_truncated_or_extended_is_seen(
        plain in prop::collection::vec(any::<u8>(), 0..256), cut: prop::sample::Index, more in 1_usize..40,
    ) {
        let vault = &STORE.1;
        let sealed = vault.seal("default", NOW_US, b"", &plain).unwrap();
        let mut short = sealed.clone();
        short.ciphertext.truncate(cut.index(sealed.ciphertext.len()));
        prop_assert_eq!(code(vault, "default", b"", &short), "sealed_corrupt");
        let mut long = sealed.clone();
        long.ciphertext.resize(sealed.ciphertext.len() + more, 0);
        prop_assert_eq!(code(vault, "default", b"", &long), "sealed_corrupt");
        let mut nonce = sealed;
        nonce.nonce.truncate(cut.index(24));
        prop_assert_eq!(code(vault, "default", b"", &nonce), "sealed_corrupt");
    }

    #[test]
    fn no_key_id_of_a_stranger_panics_or_leaves_the_folder(key_id in ".{0,80}", tenant in ".{0,40}") {
        let vault = &STORE.1;
        let sealed = Sealed { key_id, nonce: vec![0; 24], ciphertext: vec![0; 16] };
        let error = vault.open(&tenant, b"", &sealed).unwrap_err();
        prop_assert!(["sealed_corrupt", "key_store_unreadable"].contains(&error.code().id), "{}", error);
        prop_assert!(error.to_string().len() < 1_000);
    }
}

#[test]
fn another_tenant_place_or_epoch_does_not_open_it() {
    let vault = &STORE.1;
    let sealed = vault
        .seal("bank", NOW_US, b"case-1/probe", b"face")
        .unwrap();
    assert_eq!(sealed.key_id, format!("bank/{START_S}"));
    let other = vault
        .seal("door", NOW_US, b"case-1/probe", b"face")
        .unwrap();
    let later = NOW_US + EPOCH_S * 1_000_000;
    let next = vault.seal("bank", later, b"case-1/probe", b"face").unwrap();
    assert_eq!(next.key_id, format!("bank/{}", START_S + EPOCH_S));

    let corrupt = "sealed_corrupt";
    assert_eq!(code(vault, "door", b"case-1/probe", &sealed), corrupt);
    assert_eq!(code(vault, "bank", b"case-1/reference", &sealed), corrupt);
    assert_eq!(code(vault, "bank", b"case-2/probe", &sealed), corrupt);
    for key_id in [&other.key_id, &next.key_id] {
        let moved = Sealed {
            key_id: key_id.clone(),
            ..sealed.clone()
        };
        let tenant = key_id.split('/').next().unwrap();
        assert_eq!(code(vault, tenant, b"case-1/probe", &moved), corrupt);
    }
    assert_eq!(
        vault.open("bank", b"case-1/probe", &sealed).unwrap(),
        b"face"
    );
}

#[test]
fn a_new_process_opens_what_an_old_one_sealed_and_a_copied_store_elsewhere_does_not() {
    let place = Place::new();
    let sealed = place.init().seal("default", NOW_US, b"", b"face").unwrap();
    assert_eq!(place.open().open("default", b"", &sealed).unwrap(), b"face");

    let elsewhere = Place::new();
    let stranger = elsewhere.init();
    assert_eq!(
        code(&stranger, "default", b"", &sealed),
        "key_store_unreadable"
    );
    stranger.seal("default", NOW_US, b"", b"").unwrap();
    assert_eq!(code(&stranger, "default", b"", &sealed), "sealed_corrupt");
}

#[test]
fn the_bound_on_cached_keys_changes_nothing_but_speed() {
    let place = Place::new();
    place.init();
    let mut options = place.options();
    options.cached_keys_max = 1;
    let vault = FileVault::open(options).unwrap();
    let seal = |epoch: i64| {
        let plain = epoch.to_le_bytes();
        vault.seal("default", NOW_US + epoch * EPOCH_S * 1_000_000, b"", &plain)
    };
    let sealed: Vec<Sealed> = (0..5).map(|epoch| seal(epoch).unwrap()).collect();
    for (epoch, sealed) in (0_i64..).zip(&sealed) {
        let plain = vault.open("default", b"", sealed).unwrap();
        assert_eq!(plain, epoch.to_le_bytes());
    }
}

#[test]
fn names_and_times_that_no_key_can_have_are_refused() {
    let vault = &STORE.1;
    for (tenant, now_us) in [
        ("", NOW_US),
        ("Bank", NOW_US),
        ("../../etc", NOW_US),
        ("bank", i64::MAX),
        ("bank", i64::MIN),
    ] {
        let error = vault.seal(tenant, now_us, b"", b"").unwrap_err();
        assert_eq!(error.code().id, "key_store_unreadable", "{tenant} {now_us}");
    }
    let old = vault.seal("bank", -DAY_US, b"", b"before 1970").unwrap();
    assert_eq!(vault.open("bank", b"", &old).unwrap(), b"before 1970");
}
