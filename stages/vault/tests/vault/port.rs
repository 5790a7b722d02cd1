//! A key management service behind the port: the key-encryption key never leaves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use shiren_contract::seal::Vault;
use shiren_vault::{
    FileVault, KekError, KekSource, KeyEncryption, LocalKek, SecretKey, VaultOptions,
};

use crate::support::{EPOCH_S, NOW_US, Place};

struct Service {
    inside: LocalKek,
    is_down: AtomicBool,
}

impl KeyEncryption for Service {
    fn id(&self) -> &str {
        "projects/people/keys/pictures"
    }

    fn wrap(&self, place: &[u8], key: &SecretKey) -> Result<Vec<u8>, KekError> {
        self.answer()?;
        self.inside.wrap(place, key)
    }

    fn unwrap(&self, place: &[u8], wrapped: &[u8]) -> Result<SecretKey, KekError> {
        self.answer()?;
        self.inside.unwrap(place, wrapped)
    }
}

impl Service {
    fn answer(&self) -> Result<(), KekError> {
        match self.is_down.load(Ordering::Relaxed) {
            true => Err(KekError("the service does not answer".to_owned())),
            false => Ok(()),
        }
    }
}

#[test]
fn a_service_wraps_the_keys_and_its_silence_is_told() {
    let place = Place::new();
    let service = Arc::new(Service {
        inside: LocalKek::new(SecretKey::random().unwrap()),
        is_down: AtomicBool::new(false),
    });
    let options = VaultOptions::new(place.dir(), KekSource::Port(service.clone()));
    let vault = FileVault::init(options.clone()).unwrap();
    let sealed = vault.seal("default", NOW_US, b"", b"face").unwrap();
    let fresh = FileVault::open(options.clone()).unwrap();
    assert_eq!(fresh.open("default", b"", &sealed).unwrap(), b"face");

    service.is_down.store(true, Ordering::Relaxed);
    // What is open stays open; a new key cannot be made, and nothing goes out unsealed.
    assert_eq!(fresh.open("default", b"", &sealed).unwrap(), b"face");
    let later = NOW_US + EPOCH_S * 1_000_000;
    let error = fresh.seal("default", later, b"", b"face").unwrap_err();
    assert_eq!(error.code().id, "key_store_unreadable");
    assert!(error.to_string().contains("does not answer"), "{error}");
    assert!(FileVault::open(options).is_err());
}
