//! Who a person says they are, and what an authority replied.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::request::Sealed;

/// Text about a person: plain, or sealed and then empty. `Debug` shows its length alone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonalText {
    /// Text.
    pub text: String,
    /// Filled by the chain, where it writes to a log.
    pub sealed: Option<Sealed>,
}

impl PersonalText {
    /// Plain text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            sealed: None,
        }
    }
}

impl fmt::Debug for PersonalText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sealed {
            Some(_) => f.write_str("PersonalText(sealed)"),
            None => write!(f, "PersonalText({} bytes)", self.text.len()),
        }
    }
}

/// Kind verify: who the person says they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IdentityClaim {
    /// As on the card.
    pub name: PersonalText,
    /// 18 characters of GB 11643.
    pub number: PersonalText,
    /// First day of the card, YYYY-MM-DD.
    pub valid_from: Option<String>,
    /// Last day of the card, YYYY-MM-DD; null: none, or not asked.
    pub valid_to: Option<String>,
}

/// What an authority replied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityEvidence {
    /// simulator, local_register or `official:<name>`.
    pub source: String,
    /// number_unknown, name_differs, validity_differs, not_yet_valid, expired, agrees; empty: no reply.
    pub identity: String,
    /// number_unknown, name_differs, no_portrait, score; empty: no reply. The score stands in comparison.
    pub portrait: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn personal_text_never_shows_itself() {
        let claim = IdentityClaim {
            name: PersonalText::new("张三"),
            number: PersonalText::new("990000199001010012"),
            valid_from: None,
            valid_to: None,
        };
        let shown = format!("{claim:?}");
        assert!(
            !shown.contains("张三") && !shown.contains("9900"),
            "{shown}"
        );
    }
}
