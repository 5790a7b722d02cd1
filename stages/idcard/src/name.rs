//! Names: compared by what they mean, shown masked.

use std::fmt;

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// Longest name, bytes of UTF-8.
pub const NAME_MAX_BYTES: usize = 256;
/// Rounds of folding after which a name counts as folded; two are enough for every character there is.
const ROUNDS_MAX: usize = 4;
/// Most stars of a mask: more would tell the length of a name by which few are called.
const STARS_MAX: usize = 8;
/// What all dots within a name become.
const DOT: char = '\u{b7}';
/// Dots that are written between the parts of a name, as keyboards, OCR and systems give them. Full
/// stops are among them. NFKC has made one of further forms before.
const DOTS: &[char] = &[
    '.', '\u{b7}', '\u{387}', '\u{1427}', '\u{16eb}', '\u{2022}', '\u{2027}', '\u{2219}',
    '\u{22c5}', '\u{2e31}', '\u{2e33}', '\u{30fb}', '\u{a78f}',
];

/// Why a text is no name. Never says what stood there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing but spaces.
    #[error("the name is empty")]
    Empty,
    /// Longer than [`NAME_MAX_BYTES`].
    #[error("the name has more than {NAME_MAX_BYTES} bytes")]
    TooLong,
    /// Control characters, or the character that stands for what could not be decoded.
    #[error("the name holds control or replacement characters: it was garbled on its way here")]
    Garbled,
}

impl NameError {
    /// Its code: stable, lower snake case.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "name_empty",
            Self::TooLong => "name_too_long",
            Self::Garbled => "name_garbled",
        }
    }
}

/// A person's name. `Debug` and `Display` show the first character and stars; it cannot be serialised;
/// its memory is overwritten when it is dropped.
#[derive(Clone)]
pub struct Name {
    given: Zeroizing<String>,
    folded: Zeroizing<String>,
}

impl Name {
    /// Of a text, as it stands on a card or in a table.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn new(text: &str) -> Result<Self, NameError> {
        let text = text.trim();
        if text.len() > NAME_MAX_BYTES {
            return Err(NameError::TooLong);
        }
        let garbled = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
        if text.contains(garbled) {
            return Err(NameError::Garbled);
        }
        let folded = fold(text);
        if folded.is_empty() {
            return Err(NameError::Empty);
        }
        let given = Zeroizing::new(text.to_owned());
        Ok(Self { given, folded })
    }

    /// Whether the two are one name, however they are typed: NFKC, width, case, the kind of dot and
    /// spaces make no difference.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        self.folded == other.folded
    }

    /// The name in the clear, as it was given. For a connector; not for a log, a message or a file.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.given
    }

    /// What is compared, in the clear.
    #[must_use]
    pub fn expose_folded(&self) -> &str {
        &self.folded
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut characters = self.given.chars();
        let first = characters.next().unwrap_or('*');
        let stars = characters.count().clamp(1, STARS_MAX);
        write!(f, "{first}{}", "*".repeat(stars))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

/// The text that all ways to type a name share. Folding twice changes nothing.
fn fold(text: &str) -> Zeroizing<String> {
    let mut folded = fold_once(text);
    for _ in 1..ROUNDS_MAX {
        let again = fold_once(&folded);
        if again == folded {
            break;
        }
        folded = again;
    }
    folded
}

fn fold_once(text: &str) -> Zeroizing<String> {
    let seen = |c: &char| !c.is_whitespace() && !is_invisible(*c);
    let one_dot = |c: char| if DOTS.contains(&c) { DOT } else { c };
    // Upper case first: it has one form of letters that have several lower ones, as sigma.
    let case = |c: char| c.to_uppercase().flat_map(char::to_lowercase);
    let characters = text.nfkc().filter(seen).map(one_dot).flat_map(case).nfkc();
    // Sized first: a string that grows leaves copies behind.
    let bytes = characters.clone().map(char::len_utf8).sum();
    let mut folded = Zeroizing::new(String::with_capacity(bytes));
    folded.extend(characters);
    folded
}

/// Characters without width that copying from other programs leaves in names.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
        // Variation selectors choose a glyph, not another character.
        || matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests;
