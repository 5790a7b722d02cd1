//! The port: what an authority is asked and what it may reply.

use std::fmt;
use std::time::Instant;

pub use shiren_contract::authority::IdentityReply;
use shiren_idcard::{Date, IdNumber, Name};
use zeroize::Zeroizing;

use crate::error::AuthorityError;
use crate::idempotency::IdempotencyKey;
use crate::template::{ModelId, Template};

/// Knows who holds which number and what that person looks like. Calls block until the deadline at
/// most; whoever drives the port runs them on a thread that may wait.
pub trait Authority: Send + Sync {
    /// The source that a verdict names: `simulator`, `local_register` or `official:<name>`.
    fn source(&self) -> &str;

    /// Whether the same key gets the same reply and no second charge. If not, a question must never be
    /// asked again whose reply was lost.
    fn honours_idempotency_keys(&self) -> bool;

    /// In which form it compares a probe.
    fn probe_form(&self) -> ProbeForm;

    /// Whether the number is known, its holder is called so, and the validity, where one is claimed, is
    /// that of the record and holds.
    ///
    /// # Errors
    /// [`AuthorityError`]: there is no reply. It is never to be taken for one.
    fn check_identity(
        &self,
        claim: &IdentityClaim,
        key: &IdempotencyKey,
        deadline: Instant,
    ) -> Result<IdentityReply, AuthorityError>;

    /// How alike the probe and the number's registered portrait are.
    ///
    /// # Errors
    /// [`AuthorityError`]: there is no reply. It is never to be taken for one.
    fn compare_portrait(
        &self,
        claim: &PortraitClaim,
        key: &IdempotencyKey,
        deadline: Instant,
    ) -> Result<PortraitReply, AuthorityError>;
}

/// The days on which something holds, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// First day; `None` where it is not known.
    pub from: Option<Date>,
    /// Last day; `None` where it is not known or there is none.
    pub to: Option<Date>,
}

impl Validity {
    /// Whether it begins after a day.
    #[must_use]
    pub fn begins_after(&self, day: Date) -> bool {
        self.from.is_some_and(|from| from > day)
    }

    /// Whether it is over on a day.
    #[must_use]
    pub fn is_over(&self, day: Date) -> bool {
        self.to.is_some_and(|to| to < day)
    }

    /// Whether a claim states another day than this record does. What the record leaves open is not
    /// compared.
    #[must_use]
    pub fn differs_from(&self, claimed: &Self) -> bool {
        let differs = |own: Option<Date>, other| own.is_some() && own != other;
        // A first day that was not read is no other day; no last day is a card without an end.
        claimed.from.is_some() && differs(self.from, claimed.from) || differs(self.to, claimed.to)
    }
}

/// "This name and this number belong together."
#[derive(Clone, Debug)]
pub struct IdentityClaim {
    /// Name.
    pub name: Name,
    /// Number.
    pub number: IdNumber,
    /// The card's validity, where the scene asks for it and it was read whole: no last day is a card
    /// without an end here.
    pub validity: Option<Validity>,
    /// The day on which validity must hold: the case's, not the clock's.
    pub today: Date,
}

/// "The person of this name and number looks like this."
#[derive(Clone, Debug)]
pub struct PortraitClaim {
    /// Name.
    pub name: Name,
    /// Number.
    pub number: IdNumber,
    /// The live face, in the form of [`Authority::probe_form`].
    pub probe: Probe,
}

/// In which form an authority compares a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeForm {
    /// A template of the model that made the authority's own.
    Template,
    /// A picture's file.
    Picture,
}

impl fmt::Display for ProbeForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Template => "template",
            Self::Picture => "picture",
        })
    }
}

/// A live face.
#[derive(Clone, Debug)]
pub enum Probe {
    /// Its template.
    Template(Template),
    /// Its picture.
    Picture(Picture),
}

/// A picture's file, JPEG or PNG as given. Its memory is overwritten when it is dropped; `Debug` shows
/// its size alone.
#[derive(Clone)]
pub struct Picture(Zeroizing<Vec<u8>>);

impl Picture {
    /// Of a file's bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The file's bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({} bytes)", self.0.len())
    }
}

/// What an authority found on a portrait.
#[derive(Clone, Debug, PartialEq)]
pub enum PortraitReply {
    /// It knows no such number.
    NumberUnknown,
    /// The number's holder is called otherwise.
    NameDiffers,
    /// The record has no portrait.
    NoPortrait,
    /// How alike they are; higher is more alike. Which score is enough is the caller's matter.
    Score {
        /// Comparison score: by the register's [`crate::Metric`] where the authority compares templates;
        /// otherwise on the scale that the authority documents.
        score: f64,
        /// The model that made the templates; `None` where the authority does not say.
        model: Option<ModelId>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validity(from: &str, to: &str) -> Validity {
        let day = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
        Validity {
            from: day(from),
            to: day(to),
        }
    }

    #[test]
    fn a_validity_holds_on_both_its_ends() {
        let ten_years = validity("2016-05-01", "2026-05-01");
        for (day, early, late) in [
            ("2016-04-30", true, false),
            ("2016-05-01", false, false),
            ("2026-05-01", false, false),
            ("2026-05-02", false, true),
        ] {
            let day = day.parse().unwrap();
            assert_eq!(ten_years.begins_after(day), early, "{day}");
            assert_eq!(ten_years.is_over(day), late, "{day}");
        }
        assert!(!validity("", "").is_over("9999-12-31".parse().unwrap()));
    }

    #[test]
    fn only_what_the_record_states_is_compared() {
        let record = validity("2016-05-01", "2026-05-01");
        assert!(!record.differs_from(&record));
        assert!(!record.differs_from(&validity("", "2026-05-01")));
        assert!(record.differs_from(&validity("2016-05-02", "2026-05-01")));
        assert!(record.differs_from(&validity("2016-05-01", "")));
        assert!(!validity("", "").differs_from(&record));
    }
}
