//! Key ids, and the epochs that they name.

use std::fmt;

const US_A_SECOND: i64 = 1_000_000;
const US_A_MS: i64 = 1_000;
/// Longest tenant name, bytes.
const TENANT_MAX_BYTES: usize = 32;

/// Names a tenant's key of one epoch: `<tenant>/<start of the epoch, Unix seconds>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId {
    tenant: String,
    epoch: i64,
}

/// A span of time with a key of its own, microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Epoch {
    /// First microsecond.
    pub starts_us: i64,
    /// The first that is no longer in it.
    pub ends_us: i64,
}

impl KeyId {
    /// The key of `tenant` (`[a-z0-9-]{1,32}`) of the epoch that starts at `epoch` (Unix seconds);
    /// `None` for another form of name, which could leave the folder.
    #[must_use]
    pub fn new(tenant: &str, epoch: i64) -> Option<Self> {
        is_tenant(tenant).then(|| Self {
            tenant: tenant.to_owned(),
            epoch,
        })
    }

    /// Reads the text of a key id, in its one form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (tenant, epoch) = text.split_once('/')?;
        let id = Self::new(tenant, epoch.parse().ok()?)?;
        // "+5" and "05" would be second names of one key.
        (id.to_string() == text).then_some(id)
    }

    /// The key that seals at `now_us` where epochs last `epoch_ms`, and its epoch.
    pub(crate) fn at(tenant: &str, now_us: i64, epoch_ms: u64) -> Option<(Self, Epoch)> {
        let length_us = i64::try_from(epoch_ms).ok()?.checked_mul(US_A_MS)?;
        let starts_us = now_us
            .checked_div_euclid(length_us)?
            .checked_mul(length_us)?;
        let ends_us = starts_us.checked_add(length_us)?;
        let id = Self::new(tenant, starts_us.div_euclid(US_A_SECOND))?;
        Some((id, Epoch { starts_us, ends_us }))
    }

    /// Tenant.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Start of its epoch, Unix seconds.
    #[must_use]
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// The epoch by the id alone, for a key whose file cannot be read.
    pub(crate) fn epoch_of(&self, epoch_ms: u64) -> Epoch {
        let length_us = i64::try_from(epoch_ms).map_or(i64::MAX, |ms| ms.saturating_mul(US_A_MS));
        let starts_us = self.epoch.saturating_mul(US_A_SECOND);
        Epoch {
            starts_us,
            ends_us: starts_us.saturating_add(length_us),
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.epoch)
    }
}

/// `[a-z0-9-]{1,32}`, as tenants are named; nothing that a path could be made of.
pub(crate) fn is_tenant(name: &str) -> bool {
    (1..=TENANT_MAX_BYTES).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_one_form_is_a_key_id() {
        for text in ["a/0", "a-1/-900", "default/1795860000"] {
            assert_eq!(KeyId::parse(text).unwrap().to_string(), text);
        }
        let long = format!("{}/0", "a".repeat(33));
        for text in [
            "",
            "a",
            "a/",
            "/0",
            "a/+5",
            "a/05",
            "a/5 ",
            "A/5",
            "../5",
            "a/b/5",
            "a/5.key",
            "a/-0",
            &long,
            "a/99999999999999999999",
        ] {
            assert_eq!(KeyId::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn the_epoch_holds_the_time_and_neighbours_do_not_share_an_id(
            now_us in -(1_i64 << 60)..(1_i64 << 60), epoch_ms in 1_000_u64..86_400_000,
        ) {
            let (id, epoch) = KeyId::at("t", now_us, epoch_ms).unwrap();
            prop_assert!((epoch.starts_us..epoch.ends_us).contains(&now_us));
            let (next, after) = KeyId::at("t", epoch.ends_us, epoch_ms).unwrap();
            prop_assert_eq!(after.starts_us, epoch.ends_us);
            prop_assert!(next > id);
            prop_assert_eq!(KeyId::parse(&id.to_string()), Some(id));
        }

        #[test]
        fn no_time_and_no_length_panics(now_us: i64, epoch_ms: u64, epoch: i64) {
            let _ = KeyId::at("t", now_us, epoch_ms);
            if let Some(id) = KeyId::new("t", epoch) {
                let span = id.epoch_of(epoch_ms);
                prop_assert!(span.starts_us <= span.ends_us);
            }
        }
    }
}
