//! What a stage is: a pure function over records, and the words it answers in.
//!
//! No IO, no clock, no threads here: the runtime owns every effect.

pub mod asking;
pub mod authority;
pub mod codes;
pub mod invariants;
pub mod judgement;
pub mod keyed;
pub mod library;
pub mod policies;
pub mod policy;
pub mod raster;
pub mod seal;
pub mod sealing;
pub mod stage;
pub mod still;
pub mod terminal;
