//! What authority-verify asks an authority, and what it answers.

use std::fmt;

use shiren_schemas::Id;
use shiren_schemas::records::{IdentityClaim, Template};

use crate::asking::AskFailure;
use crate::codes::{self, Code};

/// Kind verify: do name and number belong together, and how alike are the live face and the registered portrait?
#[derive(Clone, PartialEq)]
pub struct VerifyAsk {
    /// Whose case.
    pub tenant: String,
    /// Case: by it an authority knows a question that it was asked before.
    pub case: Id,
    /// Who the person says they are, as admit has checked it.
    pub claim: IdentityClaim,
    /// Append time of the request, microseconds since the Unix epoch: validity must hold on its day in UTC+8.
    pub received_time_us: i64,
    /// The live face's template.
    pub template: Template,
}

/// Nothing of the person.
impl fmt::Debug for VerifyAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyAsk({}, {})", self.tenant, self.case)
    }
}

/// What an authority answered. The two results are apart: one says nothing about the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    /// `simulator`, `local_register` or `official:<name>`.
    pub source: String,
    /// Whether name and number belong together.
    pub identity: IdentityReply,
    /// What it found on the portrait.
    pub portrait: PortraitFound,
}

/// What an authority found on a claim. The first that applies, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityReply {
    /// It knows no such number.
    NumberUnknown,
    /// The number's holder is called otherwise.
    NameDiffers,
    /// The record holds another validity than the claim: the card was replaced or withdrawn.
    ValidityDiffers,
    /// The validity, claimed or recorded, begins after today.
    NotYetValid,
    /// The validity, claimed or recorded, is over.
    Expired,
    /// All that was claimed agrees.
    Agrees,
}

impl IdentityReply {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::NumberUnknown,
        Self::NameDiffers,
        Self::ValidityDiffers,
        Self::NotYetValid,
        Self::Expired,
        Self::Agrees,
    ];

    /// A stable word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NumberUnknown => "number_unknown",
            Self::NameDiffers => "name_differs",
            Self::ValidityDiffers => "validity_differs",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::Agrees => "agrees",
        }
    }

    /// Why the check `identity` failed; `None`: it passed.
    #[must_use]
    pub const fn code(self) -> Option<Code> {
        Some(match self {
            Self::NumberUnknown => codes::IDENTITY_NUMBER_UNKNOWN,
            Self::NameDiffers => codes::IDENTITY_NAME_DIFFERS,
            Self::ValidityDiffers => codes::IDENTITY_VALIDITY_DIFFERS,
            Self::NotYetValid => codes::IDENTITY_NOT_YET_VALID,
            Self::Expired => codes::IDENTITY_EXPIRED,
            Self::Agrees => return None,
        })
    }
}

/// What an authority found on a portrait.
#[derive(Clone, Debug, PartialEq)]
pub enum PortraitFound {
    /// It knows no such number.
    NumberUnknown,
    /// The number's holder is called otherwise.
    NameDiffers,
    /// Its record has no portrait.
    NoPortrait,
    /// Comparison score, by the metric of the calibration tables; higher is more alike.
    Score(f64),
    /// It answered on the identity, and could not on the portrait.
    Broken(AskFailure),
}

impl PortraitFound {
    /// A stable word for it; empty: no reply.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::NumberUnknown => "number_unknown",
            Self::NameDiffers => "name_differs",
            Self::NoPortrait => "no_portrait",
            Self::Score(_) => "score",
            Self::Broken(_) => "",
        }
    }
}
