//! Several threads and processes on one folder.

use std::path::Path;
use std::process::Command;
use std::sync::Barrier;

use shiren_contract::seal::{Vault, VaultError};
use shiren_schemas::records::Sealed;
use shiren_vault::{FileVault, KekSource, VaultOptions};

use crate::support::{EPOCH_S, NOW_US, Place, START_S, states};

const THREADS: usize = 8;

#[test]
fn threads_with_a_store_each_make_one_key() {
    let place = Place::new();
    place.init();
    let start = Barrier::new(THREADS);
    let seal = |index: u8| {
        let vault = place.open();
        start.wait();
        vault.seal("default", NOW_US, b"", &[index]).unwrap()
    };
    let sealed: Vec<Sealed> = std::thread::scope(|scope| {
        let seal = &seal;
        let threads: Vec<_> = (0..THREADS)
            .map(|index| scope.spawn(move || seal(u8::try_from(index).unwrap())))
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let vault = place.open();
    for (index, sealed) in sealed.iter().enumerate() {
        let plain = vault.open("default", b"", sealed).unwrap();
        assert_eq!(plain, [u8::try_from(index).unwrap()]);
    }
    assert_eq!(states(&vault).len(), 1);
}

#[test]
fn threads_that_make_a_store_make_one() {
    let place = Place::new();
    let start = Barrier::new(THREADS);
    let sealed: Vec<Sealed> = std::thread::scope(|scope| {
        let seal = || {
            start.wait();
            let vault = FileVault::open_or_init(place.options()).unwrap();
            vault.seal("default", NOW_US, b"", b"face").unwrap()
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(seal)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    for sealed in &sealed {
        assert_eq!(place.open().open("default", b"", sealed).unwrap(), b"face");
    }
}

/// Sealing goes on while another destroys: every answer is a picture or `key_destroyed`, and what
/// is sealed after the destruction was refused.
#[test]
fn sealing_and_destroying_at_once_leave_no_key_behind() {
    for _ in 0..20 {
        let place = Place::new();
        let (worker, operator) = (place.init(), place.open());
        worker.seal("default", NOW_US, b"", b"").unwrap();
        let start = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                loop {
                    match worker.seal("default", NOW_US, b"", b"face") {
                        Ok(sealed) => match worker.open("default", b"", &sealed) {
                            Ok(plain) => assert_eq!(plain, b"face"),
                            Err(VaultError::KeyDestroyed { .. }) => {}
                            Err(error) => panic!("{error}"),
                        },
                        Err(VaultError::KeyDestroyed { .. }) => return,
                        Err(error) => panic!("{error}"),
                    }
                }
            });
            start.wait();
            operator
                .destroy("default", START_S..=START_S, NOW_US)
                .unwrap();
        });
        assert!(!place.key("default", START_S).exists());
    }
}

const CHILD: &str = "SHIREN_VAULT_TEST_CHILD";
const EPOCHS: i64 = 5;

/// Processes: this test program runs itself, with the child below.
#[test]
fn processes_make_one_key_an_epoch() {
    let place = Place::new();
    place.init();
    let outs: Vec<_> = (0..4).map(|n| place.path(&format!("out-{n}"))).collect();
    let children: Vec<_> = outs
        .iter()
        .map(|out| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "races::child_seals_in_every_epoch", "--ignored"])
                .env(
                    CHILD,
                    format!(
                        "{}\n{}\n{}",
                        place.dir().display(),
                        place.kek().display(),
                        out.display()
                    ),
                )
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let vault = place.open();
    for out in &outs {
        let sealed: Vec<(String, Vec<u8>, Vec<u8>)> =
            serde_json::from_slice(&std::fs::read(out).unwrap()).unwrap();
        assert_eq!(sealed.len(), usize::try_from(EPOCHS).unwrap());
        for (key_id, nonce, ciphertext) in sealed {
            let sealed = Sealed {
                key_id,
                nonce,
                ciphertext,
            };
            assert_eq!(vault.open("default", b"", &sealed).unwrap(), b"face");
        }
    }
    assert_eq!(states(&vault).len(), usize::try_from(EPOCHS).unwrap());
}

#[test]
#[ignore = "run by processes_make_one_key_an_epoch"]
fn child_seals_in_every_epoch() {
    let places = std::env::var(CHILD).expect("run by its parent");
    let mut places = places.lines().map(Path::new);
    let mut next = || places.next().unwrap().to_owned();
    let (dir, kek, out) = (next(), next(), next());
    let vault = FileVault::open(VaultOptions::new(dir, KekSource::File(kek))).unwrap();
    let seal = |epoch: i64| {
        let now_us = NOW_US + epoch * EPOCH_S * 1_000_000;
        let sealed = vault.seal("default", now_us, b"", b"face").unwrap();
        (sealed.key_id, sealed.nonce, sealed.ciphertext)
    };
    let sealed: Vec<_> = (0..EPOCHS).map(seal).collect();
    std::fs::write(out, serde_json::to_vec(&sealed).unwrap()).unwrap();
}
