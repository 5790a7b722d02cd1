//! Several threads and processes on one library.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use shiren_contract::seal::{PersonKeys, VaultError};
use shiren_schemas::records::Sealed;
use shiren_vault::{FileVault, KekSource, LibraryState, VaultOptions};

use crate::support::{LIBRARY, NOW_US, Place, person, persons};

const THREADS: usize = 8;

#[test]
fn threads_with_a_store_each_make_one_key_a_person() {
    let place = Place::new();
    place.init();
    let start = Barrier::new(THREADS);
    let sealed: Vec<Sealed> = std::thread::scope(|scope| {
        let seal = || {
            let vault = place.open();
            start.wait();
            vault.seal_person(person("anna"), b"", b"face").unwrap()
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(seal)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let vault = place.open();
    for one in &sealed {
        assert_eq!(one.key_id, sealed[0].key_id);
        let plain = vault.open_person(person("anna"), b"", one).unwrap();
        assert_eq!(plain, b"face");
    }
    assert_eq!(persons(&vault), Some(LibraryState::Live { persons: 1 }));
}

/// Enrolments, unenrolments, openings and upkeep at once: an answer is a picture or `key_destroyed`.
#[test]
fn sealing_and_destroying_a_person_at_once_is_one_or_the_other() {
    let place = Place::new();
    let vaults: Vec<FileVault> = (0..4)
        .map(|_| FileVault::open_or_init(place.options()).unwrap())
        .collect();
    let anna = person("anna");
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for vault in &vaults[..2] {
            scope.spawn(|| {
                while !is_done.load(Ordering::Relaxed) {
                    let sealed = vault.seal_person(anna, b"", b"face").unwrap();
                    match vault.open_person(anna, b"", &sealed) {
                        Ok(plain) => assert_eq!(plain, b"face"),
                        Err(VaultError::KeyDestroyed { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                vaults[3].destroy_expired(NOW_US).unwrap();
            }
        });
        let mut ids = std::collections::HashSet::new();
        for _ in 0..60 {
            if let Some(id) = vaults[2].destroy_person(anna).unwrap() {
                assert!(ids.insert(id), "a key that came back");
            }
        }
        is_done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn late_writers_do_not_bring_a_destroyed_library_back() {
    for _ in 0..10 {
        let place = Place::new();
        let (worker, operator) = (place.init(), place.open());
        worker.seal_person(person("first"), b"", b"").unwrap();
        let start = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                for index in 0.. {
                    let label = format!("person-{index}");
                    match worker.seal_person(person(&label), b"", b"face") {
                        Ok(_) => {}
                        Err(VaultError::KeyDestroyed { .. }) => return,
                        Err(error) => panic!("{error}"),
                    }
                }
            });
            start.wait();
            assert!(operator.destroy_library("default", LIBRARY).unwrap());
        });
        assert_eq!(persons(&operator), Some(LibraryState::Destroyed));
        operator.destroy_expired(NOW_US).unwrap();
        let files = std::fs::read_dir(place.library()).unwrap();
        let is_key = |name: std::ffi::OsString| name.to_str().unwrap().ends_with(".key");
        assert!(!files.into_iter().any(|f| is_key(f.unwrap().file_name())));
    }
}

/// Who waits for a lock tries it again and again, and has its file open meanwhile.
fn is_waited_for(lock: &std::fs::File) -> bool {
    let place = |file: &std::fs::Metadata| (file.dev(), file.ino());
    let lock = place(&lock.metadata().unwrap());
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    // What is closed meanwhile cannot be followed any more.
    let files = open.filter_map(|entry| std::fs::metadata(entry.unwrap().path()).ok());
    files.filter(|file| place(file) == lock).count() > 1
}

/// Holds the library's lock while `act` runs and `call` waits for it; what `call` gave.
fn while_waiting<T: Send>(place: &Place, call: impl FnOnce() -> T + Send, act: impl FnOnce()) -> T {
    let lock = std::fs::File::open(place.library().join("lock")).unwrap();
    lock.lock().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(call);
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut waited = is_waited_for(&lock);
        while !waited && Instant::now() < deadline {
            std::thread::yield_now();
            waited = is_waited_for(&lock);
        }
        act();
        // Before any assertion: a panic would wait for a thread that waits for this lock.
        lock.unlock().unwrap();
        assert!(waited, "nobody waited for the lock");
        waiting.join().unwrap()
    })
}

#[test]
fn a_writer_that_waited_while_its_library_was_destroyed_makes_no_key() {
    let place = Place::new();
    let (worker, operator) = (place.init(), place.open());
    worker.seal_person(person("anna"), b"", b"").unwrap();
    let seal = || worker.seal_person(person("bert"), b"", b"");
    let late = while_waiting(&place, seal, || {
        assert!(operator.destroy_library("default", LIBRARY).unwrap());
    });
    assert_eq!(late.unwrap_err().code().id, "key_destroyed");
    place.only_person();
}

/// Who read a file that was being overwritten looks again when that is done.
#[test]
fn a_key_half_overwritten_is_destroyed_and_not_damaged() {
    let place = Place::new();
    let worker = place.init();
    let sealed = worker.seal_person(person("anna"), b"", b"").unwrap();
    let key = place.only_person();
    let mut half = std::fs::read(&key).unwrap();
    half[..40].fill(0);
    std::fs::write(&key, half).unwrap();
    let open = || worker.open_person(person("anna"), b"", &sealed);
    let opened = while_waiting(&place, open, || std::fs::remove_file(&key).unwrap());
    assert_eq!(opened.unwrap_err().code().id, "key_destroyed");
}

const CHILD: &str = "SHIREN_VAULT_TEST_CHILD";
const PERSONS: usize = 5;

fn label(index: usize) -> String {
    format!("person-{index}")
}

/// Processes: this test program runs itself, with the child below.
#[test]
fn processes_make_one_key_a_person() {
    let place = Place::new();
    place.init();
    let outs: Vec<_> = (0..4).map(|n| place.path(&format!("out-{n}"))).collect();
    let child = |out: &std::path::PathBuf| {
        let (dir, kek) = (place.dir(), place.kek());
        let places = [&dir, &kek, out].map(|path| path.display().to_string());
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "person_races::child_seals_for_every_person"])
            .arg("--ignored")
            .env(CHILD, places.join("\n"))
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap()
    };
    let children: Vec<_> = outs.iter().map(child).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let vault = place.open();
    let mut ids = std::collections::HashSet::new();
    for out in &outs {
        let sealed: Vec<(String, Vec<u8>, Vec<u8>)> =
            serde_json::from_slice(&std::fs::read(out).unwrap()).unwrap();
        assert_eq!(sealed.len(), PERSONS);
        for (index, (key_id, nonce, ciphertext)) in sealed.into_iter().enumerate() {
            ids.insert(key_id.clone());
            let sealed = Sealed {
                key_id,
                nonce,
                ciphertext,
            };
            let plain = vault.open_person(person(&label(index)), b"", &sealed);
            assert_eq!(plain.unwrap(), b"face");
        }
    }
    assert_eq!(ids.len(), PERSONS);
    let live = LibraryState::Live { persons: PERSONS };
    assert_eq!(persons(&vault), Some(live));
}

#[test]
#[ignore = "run by processes_make_one_key_a_person"]
fn child_seals_for_every_person() {
    let places = std::env::var(CHILD).expect("run by its parent");
    let mut places = places.lines().map(Path::new);
    let mut next = || places.next().unwrap().to_owned();
    let (dir, kek, out) = (next(), next(), next());
    let vault = FileVault::open(VaultOptions::new(dir, KekSource::File(kek))).unwrap();
    let seal = |index: usize| {
        let sealed = vault.seal_person(person(&label(index)), b"", b"face");
        let sealed = sealed.unwrap();
        (sealed.key_id, sealed.nonce, sealed.ciphertext)
    };
    let sealed: Vec<_> = (0..PERSONS).map(seal).collect();
    std::fs::write(out, serde_json::to_vec(&sealed).unwrap()).unwrap();
}
