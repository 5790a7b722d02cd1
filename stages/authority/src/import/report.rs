//! What became of an import's rows.

use shiren_contract::codes::Code;

/// How far a long call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is done, of [`Progress::total`].
    pub done: u64,
    /// All there is to do: bytes of an imported table; persons of a register.
    pub total: u64,
}

/// What became of the rows. `rows` is the sum of `added`, `replaced`, `unchanged` and the refused ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Rows, without the first line and empty ones.
    pub rows: u64,
    /// Numbers that the register did not hold.
    pub added: u64,
    /// Numbers about which the register held something else.
    pub replaced: u64,
    /// Those of the replaced whose holder is called otherwise now.
    pub renamed: u64,
    /// Rows that say what the register held, or an earlier row said.
    pub unchanged: u64,
    /// Rows that changed nothing, and why.
    pub refused: Vec<RefusedRow>,
}

/// A row that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRow {
    /// Its first line, from 1, which is the line of the columns' names.
    pub line: u64,
    /// Why.
    pub code: Code,
    /// The same in words, with name and number masked.
    pub what: String,
}

impl std::fmt::Display for RefusedRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}: {}", self.line, self.code, self.what)
    }
}
