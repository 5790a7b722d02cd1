//! Headers of a record as one column: `NULL` for none, else for each a length and the bytes of
//! the name, then a length and the bytes of the value. Lengths are little-endian `u32`;
//! [`MISSING`] stands for a missing value.

use bytes::{Buf, BufMut, Bytes, BytesMut};

const MISSING: u32 = u32::MAX;

/// Headers in order.
pub(crate) type Headers = Vec<(String, Option<Bytes>)>;

/// Encodes; `None` when there are no headers or a length does not fit.
pub(crate) fn encode(headers: &Headers) -> Option<Bytes> {
    if headers.is_empty() {
        return None;
    }
    let mut out = BytesMut::new();
    for (name, value) in headers {
        out.put_u32_le(u32::try_from(name.len()).ok()?);
        out.put_slice(name.as_bytes());
        match value {
            Some(value) => {
                out.put_u32_le(u32::try_from(value.len()).ok().filter(|l| *l != MISSING)?);
                out.put_slice(value);
            }
            None => out.put_u32_le(MISSING),
        }
    }
    Some(out.freeze())
}

/// Decodes what [`encode`] wrote; `None` when the bytes are not that.
pub(crate) fn decode(bytes: Option<&[u8]>) -> Option<Headers> {
    let mut bytes = Bytes::copy_from_slice(bytes.unwrap_or_default());
    let mut headers = Headers::new();
    while bytes.has_remaining() {
        let name_len = usize::try_from(bytes.try_get_u32_le().ok()?).ok()?;
        let name = take(&mut bytes, name_len)?;
        let name = String::from_utf8(name.to_vec()).ok()?;
        let value = match bytes.try_get_u32_le().ok()? {
            MISSING => None,
            len => Some(take(&mut bytes, usize::try_from(len).ok()?)?),
        };
        headers.push((name, value));
    }
    Some(headers)
}

fn take(bytes: &mut Bytes, len: usize) -> Option<Bytes> {
    (len <= bytes.len()).then(|| bytes.split_to(len))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded_and_every_truncation_is_seen(
            headers in prop::collection::vec((".{0,8}", prop::option::of(prop::collection::vec(any::<u8>(), 0..9))), 0..5),
        ) {
            let headers: Headers = headers.into_iter().map(|(n, v)| (n, v.map(Bytes::from))).collect();
            let bytes = encode(&headers);
            prop_assert_eq!(decode(bytes.as_deref()), Some(headers.clone()));
            let bytes = bytes.unwrap_or_default();
            for cut in 0..bytes.len() {
                // A cut between two headers reads as fewer headers, anywhere else as damage.
                prop_assert!(decode(Some(&bytes[..cut])).is_none_or(|fewer| fewer.len() < headers.len()));
            }
        }
    }
}
