//! Stores and keys that cannot be used: a clear error, and nothing in clear text instead.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use shiren_contract::seal::{Vault, VaultError};
use shiren_vault::{FileVault, KekSource, LocalKek, SecretKey, VaultOptions};
use zeroize::Zeroizing;

use crate::support::{NOW_US, Place, START_S, write_private};

const DIGITS: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn refused(options: VaultOptions, code: &str, path: &Path) {
    let error = FileVault::open(options).unwrap_err();
    assert_eq!(error.code().id, code, "{error}");
    assert!(
        error.to_string().contains(&path.display().to_string()),
        "{error}"
    );
}

#[test]
fn a_store_is_made_once_and_with_rights_for_its_owner_alone() {
    let place = Place::new();
    refused(place.options(), "key_store_missing", &place.dir());
    assert!(!place.dir().exists(), "opening made something");
    let vault = place.init();
    vault.seal("default", NOW_US, b"", b"").unwrap();
    for path in [
        place.kek(),
        place.dir().join("check"),
        place.key("default", START_S),
    ] {
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
    assert_eq!(
        place.dir().metadata().unwrap().permissions().mode() & 0o777,
        0o700
    );
    let kek = std::fs::read(place.kek()).unwrap();
    let error = FileVault::init(place.options()).unwrap_err();
    assert_eq!(error.code().id, "key_store_exists");
    assert_eq!(std::fs::read(place.kek()).unwrap(), kek);
}

#[test]
fn a_check_that_is_lost_is_not_made_anew_over_keys() {
    let place = Place::new();
    place.init().seal("default", NOW_US, b"", b"").unwrap();
    std::fs::remove_file(place.dir().join("check")).unwrap();
    let error = FileVault::open_or_init(place.options()).unwrap_err();
    assert_eq!(error.code().id, "key_store_unreadable", "{error}");
}

#[test]
fn another_key_encryption_key_is_told_from_a_damaged_store() {
    let place = Place::new();
    place.init();
    write_private(&place.kek(), DIGITS.as_bytes());
    refused(place.options(), "key_wrong", &place.kek());
    std::fs::remove_file(place.kek()).unwrap();
    refused(place.options(), "key_store_unreadable", &place.kek());
}

#[test]
fn a_key_encryption_key_open_to_others_or_of_another_form_is_refused() {
    let place = Place::new();
    place.init();
    let good = std::fs::read(place.kek()).unwrap();
    for mode in [0o640, 0o604, 0o620, 0o601] {
        std::fs::set_permissions(place.kek(), std::fs::Permissions::from_mode(mode)).unwrap();
        refused(place.options(), "key_store_unreadable", &place.kek());
    }
    for bad in [
        "",
        "00",
        &DIGITS[..62],
        &format!("{DIGITS}00"),
        &DIGITS.replace('0', "g"),
    ] {
        write_private(&place.kek(), bad.as_bytes());
        refused(place.options(), "key_store_unreadable", &place.kek());
    }
    write_private(&place.kek(), &good);
    assert!(FileVault::open(place.options()).is_ok());
}

#[test]
fn the_forms_of_a_key_encryption_key_are_one() {
    let place = Place::new();
    write_private(&place.kek(), format!("{DIGITS}\n").as_bytes());
    let vault = place.init();
    let sealed = vault.seal("default", NOW_US, b"", b"face").unwrap();
    let raw: Vec<u8> = (0..32).collect();
    write_private(&place.kek(), &raw);
    assert_eq!(place.open().open("default", b"", &sealed).unwrap(), b"face");
    let variable = KekSource::Text {
        variable: "SHIREN_VAULT_KEK".to_owned(),
        digits: Zeroizing::new(DIGITS.to_uppercase()),
    };
    let options = VaultOptions::new(place.dir(), variable);
    let from_variable = FileVault::open(options).unwrap();
    assert_eq!(
        from_variable.open("default", b"", &sealed).unwrap(),
        b"face"
    );
    let error = LocalKek::from_text("SHIREN_VAULT_KEK", "secret").unwrap_err();
    assert_eq!(error.code().id, "key_store_unreadable");
    assert!(!error.to_string().contains("secret"), "{error}");
}

/// As root no right is denied, so a file is spoilt in ways that hold for root too.
#[test]
fn files_that_are_spoilt_are_named() {
    let place = Place::new();
    let vault = place.init();
    let sealed = vault.seal("default", NOW_US, b"", b"face").unwrap();
    let (check, key) = (place.dir().join("check"), place.key("default", START_S));
    let opens = |place: &Place| -> Result<Vec<u8>, VaultError> {
        FileVault::open(place.options())?.open("default", b"", &sealed)
    };
    for path in [&check, &key] {
        let good = std::fs::read(path).unwrap();
        let text = String::from_utf8(good.clone()).unwrap();
        let (before, wrapped) = text.split_once("\"wrapped\":\"").unwrap();
        let first = if wrapped.starts_with('0') { "1" } else { "0" };
        let flipped = format!("{before}\"wrapped\":\"{first}{}", &wrapped[1..]);
        let spoilt = [
            Vec::new(),
            good[..good.len() / 2].to_vec(),
            flipped.into_bytes(),
            text.replace("\"format\":1", "\"format\":2").into_bytes(),
            text.replace("\"wrapped\":\"", "\"wrapped\":\"x")
                .into_bytes(),
            vec![0; good.len()],
            vec![b' '; 65 * 1024],
        ];
        for bytes in spoilt {
            std::fs::write(path, &bytes).unwrap();
            let error = opens(&place).unwrap_err();
            assert_eq!(error.code().id, "key_store_unreadable", "{error}");
            assert!(
                error.to_string().contains(&path.display().to_string()),
                "{error}"
            );
        }
        std::fs::remove_file(path).unwrap();
        std::fs::create_dir(path).unwrap();
        assert_eq!(opens(&place).unwrap_err().code().id, "key_store_unreadable");
        std::fs::remove_dir(path).unwrap();
        std::fs::write(path, &good).unwrap();
        assert_eq!(opens(&place).unwrap(), b"face");
    }
}

#[test]
fn a_key_moved_to_another_tenant_epoch_or_span_does_not_open() {
    let place = Place::new();
    let vault = place.init();
    vault.seal("a", NOW_US, b"", b"").unwrap();
    vault.seal("b", NOW_US, b"", b"").unwrap();
    let key = std::fs::read(place.key("a", START_S)).unwrap();
    let spoilt = String::from_utf8(key.clone()).unwrap();
    let longer = spoilt.replace("\"ends_us\":", "\"ends_us\":9");
    for (path, bytes) in [
        (place.key("b", START_S), key.clone()),
        (place.key("a", START_S + 900), key),
        (place.key("a", START_S), longer.into_bytes()),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let (tenant, file) = (path.parent().unwrap(), path.file_stem().unwrap());
        let tenant = tenant.file_name().unwrap().to_str().unwrap();
        let second: i64 = file.to_str().unwrap().parse().unwrap();
        let sealing = place.open().seal(tenant, second * 1_000_000, b"", b"");
        assert_eq!(
            sealing.unwrap_err().code().id,
            "key_store_unreadable",
            "{path:?}"
        );
    }
}

#[test]
fn a_folder_that_cannot_be_written_seals_nothing() {
    let place = Place::new();
    let vault = place.init();
    std::fs::write(place.dir().join("keys"), b"in the way").unwrap();
    let error = vault.seal("default", NOW_US, b"", b"face").unwrap_err();
    assert_eq!(error.code().id, "key_store_unreadable", "{error}");
}

#[test]
fn options_out_of_range_are_refused() {
    let place = Place::new();
    place.init();
    let changes: [fn(&mut VaultOptions); 4] = [
        |options| options.epoch_ms = 999,
        |options| options.epoch_ms = u64::MAX,
        |options| options.key_ttl_ms = u64::MAX,
        |options| options.cached_keys_max = 0,
    ];
    for change in changes {
        let mut options = place.options();
        change(&mut options);
        refused(options, "key_store_unreadable", &place.dir());
    }
}

#[test]
fn no_debug_output_shows_a_key() {
    let place = Place::new();
    write_private(&place.kek(), DIGITS.as_bytes());
    let vault = place.init();
    let sealed = vault
        .seal("default", NOW_US, b"", b"a face of someone")
        .unwrap();
    let variable = KekSource::Text {
        variable: "SHIREN_VAULT_KEK".to_owned(),
        digits: Zeroizing::new(DIGITS.to_owned()),
    };
    let key = SecretKey::from_slice(&(0..32).collect::<Vec<u8>>()).unwrap();
    let said = [
        format!("{vault:?}"),
        format!("{:?}", vault.list(None).unwrap()),
        format!("{variable:?}"),
        format!("{:?}", VaultOptions::new(place.dir(), variable.clone())),
        format!("{key:?}"),
        format!(
            "{:?}",
            LocalKek::from_text("SHIREN_VAULT_KEK", DIGITS).unwrap()
        ),
        format!("{:?}", vault.open("other", b"", &sealed).unwrap_err()),
        format!("{:?}", vault.open("default", b"x", &sealed).unwrap_err()),
    ];
    for text in said {
        for secret in [
            "00010203",
            "0, 1, 2, 3",
            "someone",
            "1c1d1e1f",
            "28, 29, 30",
        ] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
