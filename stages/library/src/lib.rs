//! The face library: who, of those enrolled, is most like this probe?
//!
//! [`FaceLibrary`] is the port. Two engines keep its promises: [`EmbeddedLibrary`] in this process, on
//! `qdrant-edge`, and [`ServerLibrary`] on a Qdrant server. One contract suite (module `contract_suite`,
//! feature `contract-suite`) holds both to them. docs/library-engines.md explains the whole.

mod bounds;
#[cfg(feature = "contract-suite")]
pub mod contract_suite;
mod embedded;
mod error;
mod metric;
mod order;
mod point;
mod port;
mod server;
#[cfg(feature = "stand-in")]
pub mod stand_in;

pub use bounds::{
    EUCLIDEAN_NORM_MAX, LABEL_MAX_BYTES, LibraryBounds, MODEL_MAX_BYTES, NORM_TOLERANCE,
    PERSON_MAX_BYTES, SEQUENCE_MAX, check_template,
};
pub use embedded::{EmbeddedLibrary, EmbeddedOptions};
pub use error::LibraryError;
pub use metric::Metric;
pub use port::{
    Entry, Erased, FaceEntry, FaceHit, FaceLibrary, FaceQuery, FaceWrite, FacesPage, FacesRequest,
    LibraryDescription, LibraryHead, Optimised, Standing,
};
pub use server::{ServerLibrary, ServerOptions};
