//! Hexadecimal text of keys and of wrapped keys.

use zeroize::Zeroizing;

/// Lower-case hexadecimal.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from_digit(u32::from(n), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// The bytes of hexadecimal text, either case; `None` for anything else.
pub(crate) fn decode(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let digit = |b: u8| {
        char::from(b)
            .to_digit(16)
            .and_then(|n| u8::try_from(n).ok())
    };
    if !text.len().is_multiple_of(2) {
        return None;
    }
    // Sized first: a vector that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 2));
    for pair in text.chunks_exact(2) {
        let &[high, low] = pair else { return None };
        bytes.push(digit(high)? << 4 | digit(low)?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(bytes: Vec<u8>) {
            let text = encode(&bytes);
            prop_assert_eq!(text.len(), 2 * bytes.len());
            prop_assert_eq!(decode(text.as_bytes()).map(|b| b.to_vec()), Some(bytes.clone()));
            prop_assert_eq!(decode(text.to_uppercase().as_bytes()).map(|b| b.to_vec()), Some(bytes));
        }
    }

    #[test]
    fn other_text_is_not_hexadecimal() {
        for text in ["0", "0g", " 0", "zz", "é"] {
            assert!(decode(text.as_bytes()).is_none(), "{text:?}");
        }
    }
}
