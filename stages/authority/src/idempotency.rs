//! Keys by which an authority knows a question that it was asked before.

use std::fmt;

use sha2::{Digest, Sha256};
use shiren_schemas::Id;

/// What an authority is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Whether name and number belong together.
    Identity,
    /// How alike a probe and the registered portrait are.
    Portrait,
}

impl Check {
    const fn word(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Portrait => "portrait",
        }
    }
}

/// SHA-256 over tenant, case and check: the same question has the same key, however often it is asked.
/// Holds nothing of the person. Shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct IdempotencyKey([u8; 32]);

impl IdempotencyKey {
    /// Of a question.
    #[must_use]
    pub fn derive(tenant: &str, case: Id, check: Check) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"shiren-authority/1 idempotency key");
        for part in [tenant.as_bytes(), &case.0, check.word().as_bytes()] {
            // With its length, so that parts do not run into each other.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key that changed would be a second charge for cases that were asked before.
    #[test]
    fn keys_are_fixed() {
        let key = IdempotencyKey::derive("default", Id([7; 16]), Check::Identity);
        assert_eq!(
            key.to_string(),
            "19e01a01870b8f18967be19fcf4d859283bfbb30d4bab85c742a0115032f7909"
        );
    }

    #[test]
    fn each_part_matters() {
        let key = |tenant, case, check| IdempotencyKey::derive(tenant, Id([case; 16]), check);
        let one = key("default", 7, Check::Identity);
        assert_eq!(one, key("default", 7, Check::Identity));
        assert_ne!(one, key("bank", 7, Check::Identity));
        assert_ne!(one, key("default", 8, Check::Identity));
        assert_ne!(one, key("default", 7, Check::Portrait));
    }
}
