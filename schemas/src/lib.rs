//! The wire: ids, keys, topic names, Avro records and their codec.
//!
//! Everything here is costly to change later; `docs/wire.md` is its page.

pub mod codec;
pub mod ids;
pub mod keys;
pub mod records;
pub mod topics;

pub use codec::{CodecError, Wire, framing};
pub use ids::{Id, Sha256};
