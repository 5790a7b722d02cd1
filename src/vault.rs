//! The site's key store: how it is opened, and the thread that destroys expired keys.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use shiren_contract::seal::VaultError;
use shiren_runtime::{Drain, now_us};
use shiren_topology::LogSettings;
use shiren_vault::{FileVault, KekSource, VaultOptions};
use zeroize::Zeroizing;

use crate::site::Site;

/// Holds the key-encryption key as 64 hexadecimal digits; wins over `vault.kek_file`.
pub const KEK_VARIABLE: &str = "SHIREN_VAULT_KEK";
/// Between two looks for expired keys: a key outlives its time to live by this at most, while a worker runs.
pub const UPKEEP_EVERY: Duration = Duration::from_secs(30);

/// Where the site's key store is, and by which key-encryption key it is opened.
#[must_use]
pub fn options(site: &Site) -> VaultOptions {
    let settings = &site.topology.vault;
    let kek = kek(KEK_VARIABLE, site.home.join(&settings.kek_file));
    VaultOptions {
        epoch_ms: settings.epoch_ms,
        key_ttl_ms: settings.key_ttl_ms,
        ..VaultOptions::new(site.home.join(&settings.dir), kek)
    }
}

/// A key-encryption key of the environment, which wins, or of a file.
pub(crate) fn kek(variable: &str, file: PathBuf) -> KekSource {
    // Compose files and unit files pass unset variables on as empty ones.
    match std::env::var_os(variable).filter(|digits| !digits.is_empty()) {
        Some(digits) => KekSource::Text {
            variable: variable.to_owned(),
            // What is not even text is refused as no digits, rather than passed over for the file.
            digits: Zeroizing::new(digits.to_string_lossy().into_owned()),
        },
        None => KekSource::File(file),
    }
}

/// The site's key store, or `None` where `vault.enabled` is false. On the embedded log, whose workers
/// are one process, a store that is not there is made; on Kafka it is an error, as a store a host
/// would open nothing of the others.
///
/// # Errors
/// As [`FileVault::open`].
pub fn open(site: &Site) -> Result<Option<Arc<FileVault>>, VaultError> {
    if !site.topology.vault.enabled {
        return Ok(None);
    }
    let vault = match site.topology.log {
        LogSettings::Embedded(_) => FileVault::open_or_init(options(site)),
        LogSettings::Kafka(_) => FileVault::open(options(site)),
    };
    Ok(Some(Arc::new(vault?)))
}

/// Destroys expired keys now and each time `every` has passed, on a thread of its own, until `drain` is
/// asked for. A failure is logged, and tried again at the next turn.
///
/// # Errors
/// The thread cannot be started.
pub fn upkeep(
    vault: Arc<FileVault>,
    drain: &Drain,
    every: Duration,
) -> anyhow::Result<JoinHandle<()>> {
    let drain = drain.clone();
    std::thread::Builder::new()
        .name("vault-upkeep".to_owned())
        .spawn(move || {
            while !drain.requested() {
                match vault.destroy_expired(now_us()) {
                    Ok(destroyed) if destroyed.count > 0 => {
                        tracing::info!(count = destroyed.count, "expired keys destroyed");
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::error!(%error, code = error.code().id, "expired keys were not all destroyed");
                    }
                }
                drain.wait(every);
            }
        })
        .context("the thread that destroys expired keys could not be started")
}

/// The error with its code in front.
pub(crate) fn coded(error: VaultError) -> anyhow::Error {
    let code = format!("[{}]", error.code());
    anyhow::Error::new(error).context(code)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use shiren_contract::seal::Vault;

    use super::*;

    const DAY_US: i64 = 86_400_000_000;
    const MAX_WAIT: Duration = Duration::from_secs(60);

    fn await_that(mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + MAX_WAIT;
        while !holds() {
            assert!(Instant::now() < deadline, "not within {MAX_WAIT:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn upkeep_destroys_what_has_expired_at_each_turn_and_ends_with_the_drain() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("vault");
        let kek = KekSource::File(folder.path().join("kek"));
        let vault = Arc::new(FileVault::init(VaultOptions::new(dir, kek)).unwrap());
        let seal = |days_ago: i64| {
            let at = now_us() - days_ago * DAY_US;
            vault.seal("default", at, b"", b"face").unwrap()
        };
        let is_gone = |sealed: &_| match vault.open("default", b"", sealed) {
            Err(VaultError::KeyDestroyed { .. }) => true,
            Ok(plain) => plain != b"face",
            Err(error) => panic!("{error}"),
        };
        let (old, fresh) = (seal(3), seal(0));
        let drain = Drain::new();
        let thread = upkeep(vault.clone(), &drain, Duration::from_millis(1)).unwrap();
        await_that(|| is_gone(&old));
        // Not at the first turn only.
        let older = seal(5);
        await_that(|| is_gone(&older));
        drain.request();
        thread.join().unwrap();
        assert!(!is_gone(&fresh));

        // A thread that waits long ends at once, too.
        let drain = Drain::new();
        let thread = upkeep(vault.clone(), &drain, Duration::from_secs(3_600)).unwrap();
        drain.request();
        await_that(|| thread.is_finished());
    }
}
