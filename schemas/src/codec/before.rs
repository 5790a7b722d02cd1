//! Records as the program before this one wrote them: tests of an upgrade play that program with it.

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;

use super::{CodecError, SINGLE_OBJECT, Wire, open_frame, without_values};

/// A record of the current schema in the newest frozen one before it: what that does not have is left out. `None` where the
/// bytes are framed otherwise, or no version came before.
///
/// # Errors
/// [`CodecError::Unreadable`]: not a whole record.
pub fn as_before<T: Wire>(bytes: &[u8]) -> Result<Option<Vec<u8>>, CodecError> {
    let set = T::schemas();
    let Ok((fingerprint, mut body)) = open_frame(bytes, T::NAME) else {
        return Ok(None);
    };
    let previous = set
        .previous
        .and_then(|known| Some((known, set.history.get(&known)?)));
    let Some((known, schema)) = previous.filter(|_| fingerprint == set.fingerprint) else {
        return Ok(None);
    };
    let mut before = [SINGLE_OBJECT.as_slice(), &known].concat();
    GenericDatumReader::builder(&set.current)
        .reader_schema(schema)
        .human_readable(false)
        .build()
        .and_then(|reader| reader.read_value(&mut body))
        .and_then(|value| {
            let writer = GenericDatumWriter::builder(schema).human_readable(false);
            writer.build()?.write_value(&mut before, value)
        })
        .map_err(|error| CodecError::Unreadable {
            record: T::NAME,
            what: without_values(&error.to_string()),
        })?;
    Ok(Some(before))
}
