//! A person's record, as it is sealed. The number is not in it: its keyed hash is enough to find it.
//!
//! ```text
//! u8 1; name: u16 length, UTF-8; valid from, valid to: u32 yyyymmdd, 0 for none
//! portrait: u8 0 or 1, then SHA-256 of its file
//! template: u8 0 or 1, then model: u8 length, UTF-8, SHA-256 of the weights; u16 count, f32 each
//! zeros up to a multiple of 256 bytes, so that the length tells nothing of the name
//! ```

use shiren_idcard::{Date, NAME_MAX_BYTES, Name};
use shiren_schemas::Sha256;
use zeroize::Zeroizing;

use crate::port::Validity;
use crate::template::{MODEL_NAME_MAX_BYTES, ModelId, TEMPLATE_MAX_VALUES, Template};

const FORM: u8 = 1;
const PAD_BYTES: usize = 256;
/// Everything but name, model's name and template's numbers.
const FIXED_BYTES: usize = 1 + 2 + 8 + 33 + 1 + 1 + 32 + 2;
/// Largest record, bytes.
pub(super) const RECORD_MAX_BYTES: usize =
    FIXED_BYTES + NAME_MAX_BYTES + MODEL_NAME_MAX_BYTES + 4 * TEMPLATE_MAX_VALUES + PAD_BYTES;

/// What is known of a person.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record<'a> {
    /// Name, as it was given.
    pub name: &'a str,
    /// On which days the record holds.
    pub validity: Validity,
    /// SHA-256 of the portrait's file.
    pub portrait: Option<Sha256>,
    /// Template of the portrait.
    pub template: Option<&'a Template>,
}

impl Record<'_> {
    pub(crate) fn bytes(&self) -> Zeroizing<Vec<u8>> {
        // Sized first: a vector that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(RECORD_MAX_BYTES));
        bytes.push(FORM);
        // All lengths fit: their types were bounded when they were made.
        bytes.extend((self.name.len() as u16).to_le_bytes());
        bytes.extend(self.name.as_bytes());
        for day in [self.validity.from, self.validity.to] {
            bytes.extend(day.map_or(0, packed).to_le_bytes());
        }
        bytes.push(u8::from(self.portrait.is_some()));
        bytes.extend(self.portrait.iter().flat_map(|hash| hash.0));
        bytes.push(u8::from(self.template.is_some()));
        if let Some(template) = self.template {
            let model = template.model();
            bytes.push(model.name.len() as u8);
            bytes.extend(model.name.as_bytes());
            bytes.extend(model.sha256.0);
            bytes.extend((template.values().len() as u16).to_le_bytes());
            bytes.extend(template.values().iter().flat_map(|v| v.to_le_bytes()));
        }
        let padded = bytes.len().next_multiple_of(PAD_BYTES);
        bytes.resize(padded, 0);
        bytes
    }
}

/// A record that was read.
pub(super) struct Stored {
    pub(super) name: Name,
    pub(super) validity: Validity,
    pub(super) portrait: Option<Sha256>,
    pub(super) template: Option<Template>,
}

/// Reads a record; `None` for bytes that are none.
pub(super) fn read(bytes: &[u8]) -> Option<Stored> {
    let mut rest = Rest(bytes);
    if rest.array()? != [FORM] {
        return None;
    }
    let length = usize::from(u16::from_le_bytes(rest.array()?));
    let name = Name::new(std::str::from_utf8(rest.take(length)?).ok()?).ok()?;
    let validity = Validity {
        from: rest.day()?,
        to: rest.day()?,
    };
    let portrait = match rest.flag()? {
        true => Some(Sha256(rest.array()?)),
        false => None,
    };
    let template = match rest.flag()? {
        true => Some(rest.template()?),
        false => None,
    };
    let is_padding = rest.0.len() < PAD_BYTES && rest.0.iter().all(|byte| *byte == 0);
    is_padding.then_some(Stored {
        name,
        validity,
        portrait,
        template,
    })
}

/// What is left to read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn flag(&mut self) -> Option<bool> {
        match self.array()? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }

    fn day(&mut self) -> Option<Option<Date>> {
        match u32::from_le_bytes(self.array()?) {
            0 => Some(None),
            packed => unpacked(packed).map(Some),
        }
    }

    fn template(&mut self) -> Option<Template> {
        let [length] = self.array()?;
        let name = std::str::from_utf8(self.take(usize::from(length))?)
            .ok()?
            .to_owned();
        let sha256 = Sha256(self.array()?);
        let count = usize::from(u16::from_le_bytes(self.array()?));
        let (numbers, _) = self.take(4 * count)?.as_chunks();
        let values = numbers.iter().map(|v| f32::from_le_bytes(*v)).collect();
        Template::new(ModelId { name, sha256 }, values).ok()
    }
}

fn packed(day: Date) -> u32 {
    u32::from(day.year()) * 10_000 + u32::from(day.month()) * 100 + u32::from(day.day())
}

fn unpacked(packed: u32) -> Option<Date> {
    let part = |value: u32| u8::try_from(value % 100).ok();
    let year = u16::try_from(packed / 10_000).ok()?;
    Date::new(year, part(packed / 100)?, part(packed)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day() -> impl Strategy<Value = Option<Date>> {
        proptest::option::of(
            (1_u16..=9999, 1_u8..=12, 1_u8..=28).prop_map(|(y, m, d)| Date::new(y, m, d).unwrap()),
        )
    }

    fn template() -> impl Strategy<Value = Template> {
        let values = prop::collection::vec(proptest::num::f32::NORMAL, 1..40);
        ("[a-z]{1,128}", any::<[u8; 32]>(), values).prop_map(|(name, hash, values)| {
            Template::new(
                ModelId {
                    name,
                    sha256: Sha256(hash),
                },
                values,
            )
            .unwrap()
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            name in "[\u{4e00}-\u{9fff}]{1,80}",
            from in day(),
            to in day(),
            portrait in proptest::option::of(any::<[u8; 32]>()),
            template in proptest::option::of(template()),
        ) {
            let record = Record {
                name: &name,
                validity: Validity { from, to },
                portrait: portrait.map(Sha256),
                template: template.as_ref(),
            };
            let bytes = record.bytes();
            prop_assert_eq!(bytes.len() % PAD_BYTES, 0);
            let stored = read(&bytes).unwrap();
            let again = Record {
                name: stored.name.expose(),
                validity: stored.validity,
                portrait: stored.portrait,
                template: stored.template.as_ref(),
            };
            prop_assert_eq!(again, record);
            for end in 0..bytes.len() {
                // Cut within the padding it is the same record.
                if let Some(short) = read(&bytes[..end]) {
                    prop_assert_eq!(short.name.expose(), &name);
                }
            }
        }

        #[test]
        fn any_bytes_are_judged(bytes: Vec<u8>, tail: Vec<u8>) {
            let _ = read(&bytes);
            let _ = read(&[&[FORM, 1, 0, b'a'], tail.as_slice()].concat());
        }
    }

    #[test]
    fn the_largest_record_fits() {
        let model = ModelId {
            name: "m".repeat(MODEL_NAME_MAX_BYTES),
            sha256: Sha256([1; 32]),
        };
        let template = Template::new(model, vec![1.0; TEMPLATE_MAX_VALUES]).unwrap();
        let record = Record {
            name: &"n".repeat(NAME_MAX_BYTES),
            validity: Validity {
                from: None,
                to: None,
            },
            portrait: Some(Sha256([2; 32])),
            template: Some(&template),
        };
        let bytes = record.bytes();
        assert!(bytes.len() <= RECORD_MAX_BYTES);
        assert!(read(&bytes).is_some());
    }
}
