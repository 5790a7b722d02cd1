//! What `shiren bench attributes` measures, and on what.

mod labels;
mod made;
mod non_faces;
mod runs;

pub use labels::{Labelled, Lists, Parameters};
pub use runs::{Bench, Count};
