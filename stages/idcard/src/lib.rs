//! What stands on an identity card of the People's Republic of China: the number, 18 characters by GB 11643-1999, and
//! the name.
//!
//! `RRRRRR YYYYMMDD SSS C`: region, birth date, sequence (odd for men), check character. No IO, no
//! clock: the day that "in the future" is measured by comes in as an argument. Numbers and
//! names show themselves masked, and wipe their memory when they are dropped.

mod check;
mod date;
mod name;
mod number;
mod region;

pub use check::check_digit;
pub use date::{Date, DateError};
pub use name::{NAME_MAX_BYTES, Name, NameError};
pub use number::{CHARACTERS, IdNumber, NumberError, Sex};
