//! The number itself: read, asked, masked.

use std::fmt;

use zeroize::Zeroizing;

use crate::check::{BODY_DIGITS, check_digit};
use crate::date::{Date, number};
use crate::region::is_province;

/// Characters of a number.
pub const CHARACTERS: usize = BODY_DIGITS + 1;
/// Characters of the old numbers, issued until 1999.
const OLD_CHARACTERS: usize = 15;
/// Characters that a mask leaves at either end: the province, and the end that people tell each other.
const SHOWN: usize = 2;
/// Characters that are counted of a text that is far too long.
const COUNTED_MAX_CHARACTERS: usize = 256;
/// The first birth year that a number may hold: before it lies a misread digit, not a person.
const BIRTH_YEAR_MIN: u16 = 1800;

/// Why a text is no identity number. Says where, never what stood there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// It has neither 18 characters nor the form of an old number.
    #[error("an identity number has {CHARACTERS} characters, this has {characters}; read it again")]
    Length {
        /// Characters that it has; counted up to 256.
        characters: usize,
    },
    /// It is an old number of 15 digits, out of use since 2013: it has no check character.
    #[error(
        "an old number of {OLD_CHARACTERS} digits, which is out of use; take the {CHARACTERS} characters of the present card"
    )]
    OldForm,
    /// A character that may not stand where it stands.
    #[error(
        "character {position} is none that may stand there: digits, and X at the end; read it again"
    )]
    Character {
        /// Its place, from 1.
        position: usize,
    },
    /// It begins with no code of a province.
    #[error("the first two digits are no province-level code of GB/T 2260; read them again")]
    Region,
    /// Digits 7 to 14 are no day.
    #[error("digits 7 to 14 are no day that exists; read them again")]
    BirthDate,
    /// The birth date lies before 1800.
    #[error("the birth date lies before {BIRTH_YEAR_MIN}; read digits 7 to 10 again")]
    BirthDateTooEarly,
    /// The birth date lies after the day that was given.
    #[error("the birth date lies in the future; read digits 7 to 14 again, or set the clock")]
    BirthDateFuture,
    /// The last character does not fit the 17 in front of it.
    #[error(
        "the check character does not fit: one or more characters are wrong; read the number again"
    )]
    CheckDigit,
}

impl NumberError {
    /// Its code: stable, lower snake case.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Length { .. } => "number_length_invalid",
            Self::OldForm => "number_old_form",
            Self::Character { .. } => "number_character_invalid",
            Self::Region => "number_region_invalid",
            Self::BirthDate => "number_birth_date_invalid",
            Self::BirthDateTooEarly => "number_birth_date_too_early",
            Self::BirthDateFuture => "number_birth_date_future",
            Self::CheckDigit => "number_check_digit_wrong",
        }
    }
}

/// Sex, as the number's 17th digit states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sex {
    /// An even digit.
    Female,
    /// An odd digit.
    Male,
}

/// An identity number whose form, date and check character are right; whether it was ever issued, an
/// authority knows.
///
/// `Debug` and `Display` show it masked. It cannot be serialised; its memory is overwritten when it is
/// dropped.
#[derive(Clone, PartialEq, Eq)]
// On the heap, so that a move leaves no copy.
pub struct IdNumber(Zeroizing<String>);

impl IdNumber {
    /// Reads a number. Full-width digits, and `x` in any width and case, are taken for what they
    /// mean; spaces are not. `today` is the day after which nobody is born yet.
    ///
    /// # Errors
    /// [`NumberError`]: the first thing that is wrong, in the order of its variants.
    pub fn parse(text: &str, today: Date) -> Result<Self, NumberError> {
        let text = fold(text)?;
        let digits = text.as_bytes();
        let province = digits.get(..2).and_then(number);
        let province = province.and_then(|two| u8::try_from(two).ok());
        if !province.is_some_and(is_province) {
            return Err(NumberError::Region);
        }
        let born = birth_date(&text).ok_or(NumberError::BirthDate)?;
        if born.year() < BIRTH_YEAR_MIN {
            return Err(NumberError::BirthDateTooEarly);
        }
        if born > today {
            return Err(NumberError::BirthDateFuture);
        }
        let (body, last) = (digits.first_chunk(), digits.last().copied());
        if body.and_then(check_digit) != last {
            return Err(NumberError::CheckDigit);
        }
        Ok(Self(text))
    }

    /// The canonical text in the clear: 17 digits and `0` to `9` or `X`. For a connector and a keyed
    /// hash; not for a log, a message or a file.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The six digits of the region that first issued it. Only the first two are known to be a code.
    #[must_use]
    pub fn region(&self) -> &str {
        self.0.get(..6).unwrap_or_default()
    }

    /// The birth date.
    #[must_use]
    pub fn birth_date(&self) -> Date {
        // Parsing has seen to it that the day exists.
        birth_date(&self.0).unwrap_or(Date::FIRST)
    }

    /// The number among those of one region and day, 0 to 999.
    #[must_use]
    pub fn sequence(&self) -> u16 {
        let digits = self.0.as_bytes().get(14..17).and_then(number);
        digits.and_then(|n| u16::try_from(n).ok()).unwrap_or(0)
    }

    /// The sex that the sequence states.
    #[must_use]
    pub fn sex(&self) -> Sex {
        if self.sequence().is_multiple_of(2) {
            Sex::Female
        } else {
            Sex::Male
        }
    }
}

fn birth_date(text: &str) -> Option<Date> {
    text.as_bytes().get(6..14).and_then(Date::from_digits)
}

/// 17 digits and a digit or `X`.
fn fold(text: &str) -> Result<Zeroizing<String>, NumberError> {
    let characters = text.chars().take(COUNTED_MAX_CHARACTERS).count();
    if characters != CHARACTERS {
        let is_old = characters == OLD_CHARACTERS && text.chars().all(|c| digit(c).is_some());
        return Err(if is_old {
            NumberError::OldForm
        } else {
            NumberError::Length { characters }
        });
    }
    // Sized first: a string that grows leaves copies behind.
    let mut folded = Zeroizing::new(String::with_capacity(CHARACTERS));
    for (at, c) in text.chars().enumerate() {
        let is_last = at + 1 == CHARACTERS;
        let ten = (is_last && matches!(c, 'X' | 'x' | 'Ｘ' | 'ｘ')).then_some('X');
        let position = at + 1;
        let folded_c = digit(c).or(ten);
        folded.push(folded_c.ok_or(NumberError::Character { position })?);
    }
    Ok(folded)
}

/// An ASCII digit for one of either width.
fn digit(c: char) -> Option<char> {
    let value = match c {
        '0'..='9' => u32::from(c) - u32::from('0'),
        '０'..='９' => u32::from(c) - u32::from('０'),
        _ => return None,
    };
    char::from_digit(value, 10)
}

impl fmt::Display for IdNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.0.get(..SHOWN).unwrap_or_default();
        let last = self.0.get(CHARACTERS - SHOWN..).unwrap_or_default();
        write!(f, "{first}{}{last}", "*".repeat(CHARACTERS - 2 * SHOWN))
    }
}

impl fmt::Debug for IdNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdNumber({self})")
    }
}
