//! The citizen identity number of the People's Republic of China: 18 characters by GB 11643-1999.
//!
//! `RRRRRR YYYYMMDD SSS C`: region, birth date, sequence (odd for men), check character. No IO, no
//! clock: the day that "in the future" is measured by comes in as an argument. A number shows itself
//! masked, and wipes its memory when it is dropped.

mod check;
mod date;
mod number;
mod region;

pub use check::check_digit;
pub use date::{Date, DateError};
pub use number::{CHARACTERS, IdNumber, NumberError, Sex};
