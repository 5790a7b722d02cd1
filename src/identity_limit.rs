//! Attempts on identity numbers: how many the site allows, and the key that numbers are hashed under.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use shiren_contract::keyed::KeyedStage;
use shiren_contract::seal::VaultError;
use shiren_identity_limit::{Config, Hash, IdentityLimit};
use shiren_runtime::BuildError;
use shiren_schemas::records::TemplateCase;
use shiren_vault::KeyedHash;

use crate::site::Site;
use crate::vault;

/// Holds the key as 64 hexadecimal digits; wins over `identity_limit.key_file`.
pub const KEY_VARIABLE: &str = "SHIREN_IDENTITY_LIMIT_KEY";
const PURPOSE: &str = "shiren identity-limit/1";

/// The site's key, read when it is first needed: a chain without the stage needs none.
pub(crate) struct SiteHash {
    site: Arc<Site>,
    hash: OnceLock<Arc<Hash>>,
}

impl SiteHash {
    pub(crate) fn new(site: &Arc<Site>) -> Arc<Self> {
        Arc::new(Self {
            site: site.clone(),
            hash: OnceLock::new(),
        })
    }

    fn get(&self) -> Result<Arc<Hash>, VaultError> {
        if let Some(hash) = self.hash.get() {
            return Ok(hash.clone());
        }
        let keyed = open(&self.site)?;
        let hash: Arc<Hash> = Arc::new(move |number: &str| keyed.of(PURPOSE, number));
        Ok(self.hash.get_or_init(|| hash).clone())
    }

    /// Key of a case in the stage's topic.
    pub(crate) fn key(&self, case: &TemplateCase) -> Result<Option<String>, BuildError> {
        let hash = self.get()?;
        Ok(shiren_identity_limit::key(case, hash.as_ref()))
    }

    pub(crate) fn build(&self) -> Result<IdentityLimit, BuildError> {
        let settings = &self.site.topology.identity_limit;
        let window = Duration::from_millis(settings.window_ms);
        Ok(IdentityLimit::new(Config {
            max_attempts: settings.max_attempts,
            window_us: i64::try_from(window.as_micros()).unwrap_or(i64::MAX),
            hash: self.get()?,
        }))
    }
}

fn open(site: &Site) -> Result<KeyedHash, VaultError> {
    let file = site.home.join(&site.topology.identity_limit.key_file);
    KeyedHash::open(&vault::kek(KEY_VARIABLE, file))
}

/// That the key is there where the chain has the stage: before work begins, not at the first case.
///
/// # Errors
/// As [`KeyedHash::open`].
pub(crate) fn check(site: &Site) -> Result<(), VaultError> {
    let stage = IdentityLimit::DESCRIPTOR.name;
    if site.topology.chain.iter().all(|name| name != stage) {
        return Ok(());
    }
    open(site).map(drop)
}
