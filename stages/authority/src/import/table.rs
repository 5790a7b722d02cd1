//! The table, row by row: what is wrong with a row is said by its line.

use std::io::Read;

use csv::{Position, StringRecord};
use shiren_contract::codes::{self, Code};
use shiren_idcard::{Date, IdNumber, Name};
use zeroize::Zeroizing;

use super::error::ImportError;
use super::report::RefusedRow;
use crate::port::Validity;
use crate::register::RegisterOptions;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A row of the table that can be taken.
pub(super) struct Row {
    pub(super) line: u64,
    pub(super) name: Name,
    pub(super) number: IdNumber,
    pub(super) validity: Validity,
    /// Path below the folder of portraits.
    pub(super) portrait: Option<Zeroizing<String>>,
}

impl Row {
    pub(super) fn refused(&self, code: Code, what: &str) -> RefusedRow {
        RefusedRow {
            line: self.line,
            code,
            what: format!("{} {}: {what}", self.name, self.number),
        }
    }
}

/// The table's text: bounded, and UTF-8 to its end, so that nothing is done for a table that is not.
pub(super) fn read(
    from: &mut dyn Read,
    options: &RegisterOptions,
) -> Result<Zeroizing<String>, ImportError> {
    let limit = options.register_import_max_bytes;
    let mut bytes = Zeroizing::new(Vec::new());
    let read = from.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|error| ImportError::Unreadable {
        what: error.to_string(),
    })?;
    if bytes.len() as u64 > limit {
        let over = options.over(
            "is to take a table of more bytes",
            "register_import_max_bytes",
            limit,
        );
        return Err(over.into());
    }
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) => {
            let up_to = error.utf8_error().valid_up_to();
            *bytes = error.into_bytes();
            let line = 1 + line_ends(bytes.get(..up_to).unwrap_or_default());
            Err(ImportError::NotUtf8 { line })
        }
    }
}

/// Ends of lines: LF, CR LF, or CR alone.
fn line_ends(bytes: &[u8]) -> u64 {
    let next = bytes.iter().skip(1).map(Some).chain([None]);
    let ends = bytes.iter().zip(next);
    ends.filter(|(byte, next)| **byte == b'\n' || **byte == b'\r' && *next != Some(&b'\n'))
        .count() as u64
}

/// Which column is where.
struct Columns {
    count: usize,
    name: usize,
    number: usize,
    portrait: Option<usize>,
    valid_from: Option<usize>,
    valid_to: Option<usize>,
}

/// A table that is being read.
pub(super) struct Table<'a> {
    text: &'a str,
    reader: csv::Reader<&'a [u8]>,
    columns: Columns,
    record: StringRecord,
    /// Up to where lines were counted, and which line is there.
    counted: (usize, u64),
}

impl<'a> Table<'a> {
    /// Reads the columns' names.
    pub(super) fn new(text: &'a str) -> Result<Self, ImportError> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(text.as_bytes());
        let mut record = StringRecord::new();
        reader.read_record(&mut record).map_err(unreadable)?;
        let columns = Columns::of(&record)?;
        Ok(Self {
            text,
            reader,
            columns,
            record,
            counted: (0, 1),
        })
    }

    /// Bytes of the text that were read.
    pub(super) fn offset(&self) -> u64 {
        self.reader.position().byte()
    }

    /// The next row; `None` behind the last.
    pub(super) fn next(
        &mut self,
        today: Date,
    ) -> Result<Option<Result<Row, RefusedRow>>, ImportError> {
        if !self
            .reader
            .read_record(&mut self.record)
            .map_err(unreadable)?
        {
            return Ok(None);
        }
        let line = self.line();
        let row = self.row(line, today);
        Ok(Some(row.map_err(|(code, what)| RefusedRow {
            line,
            code,
            what,
        })))
    }

    /// The line on which the record begins. The reader's own count stands before a CR LF's second byte
    /// and before empty lines.
    fn line(&mut self) -> u64 {
        let start = self.record.position().map_or(0, Position::byte);
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let bytes = self.text.as_bytes();
        let ahead = bytes.get(start..).unwrap_or_default();
        let ends = ahead
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'));
        let start = start + ends.count();
        let (from, line) = self.counted;
        let line = line + line_ends(bytes.get(from..start).unwrap_or_default());
        self.counted = (start, line);
        line
    }

    fn row(&self, line: u64, today: Date) -> Result<Row, (Code, String)> {
        let columns = &self.columns;
        if self.record.len() != columns.count {
            let what = format!(
                "{} fields where line 1 has {}",
                self.record.len(),
                columns.count
            );
            return Err((codes::ROW_COLUMNS_WRONG, what));
        }
        let field = |at: usize| self.record.get(at).unwrap_or_default().trim();
        let name = Name::new(field(columns.name));
        let name = name.map_err(|error| (code_of(error.code()), error.to_string()))?;
        let number = IdNumber::parse(field(columns.number), today);
        let number = number.map_err(|error| (code_of(error.code()), format!("{name}: {error}")))?;
        let filled = |at: Option<usize>| at.map(field).filter(|text| !text.is_empty());
        let day = |at: Option<usize>, column: &str| match filled(at).map(str::parse::<Date>) {
            None => Ok(None),
            Some(Ok(day)) => Ok(Some(day)),
            Some(Err(error)) => {
                let what = format!("{name} {number}: {column}: {error}");
                Err((codes::ROW_DATE_INVALID, what))
            }
        };
        let from = day(columns.valid_from, "valid_from")?;
        let to = day(columns.valid_to, "valid_to")?;
        if from.zip(to).is_some_and(|(from, to)| to < from) {
            let what = format!("{name} {number}: valid_to lies before valid_from");
            return Err((codes::ROW_DATE_INVALID, what));
        }
        let portrait = filled(columns.portrait).map(|path| Zeroizing::new(path.to_owned()));
        let validity = Validity { from, to };
        Ok(Row {
            line,
            name,
            number,
            validity,
            portrait,
        })
    }
}

impl Columns {
    /// What the first line names. Does not repeat it: where the names are missing, a person stands there.
    fn of(first: &StringRecord) -> Result<Self, ImportError> {
        const KNOWN: [&str; 5] = ["name", "number", "portrait", "valid_from", "valid_to"];
        let wrong = |what: &str| ImportError::Columns {
            what: format!(
                "{what}; name and number are needed, portrait, valid_from and valid_to may be there"
            ),
        };
        if let Some(at) = first.iter().position(|text| !KNOWN.contains(&text.trim())) {
            return Err(wrong(&format!("column {} is none that is known", at + 1)));
        }
        let places = KNOWN.map(|known| {
            let mut places =
                (0..first.len()).filter(|at| first.get(*at).map(str::trim) == Some(known));
            (places.next(), places.next().is_some())
        });
        if places.iter().any(|(_, is_twice)| *is_twice) {
            return Err(wrong("a column is there twice"));
        }
        let [name, number, portrait, valid_from, valid_to] = places.map(|(place, _)| place);
        let (Some(name), Some(number)) = (name, number) else {
            return Err(wrong("name or number is missing"));
        };
        Ok(Self {
            count: first.len(),
            name,
            number,
            portrait,
            valid_from,
            valid_to,
        })
    }
}

/// The page of a name's or number's error.
fn code_of(id: &str) -> Code {
    codes::find(id).copied().unwrap_or(codes::STAGE_FAILED)
}

fn unreadable(error: csv::Error) -> ImportError {
    ImportError::Unreadable {
        what: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bytes: &[u8]) -> Result<Zeroizing<String>, ImportError> {
        let options = RegisterOptions::new("r", shiren_vault::KekSource::File("k".into()));
        read(&mut &*bytes, &options)
    }

    #[test]
    fn every_error_of_name_and_number_has_its_code() {
        use shiren_idcard::{NameError, NumberError as E};
        let all = [
            E::Length { characters: 1 },
            E::OldForm,
            E::Character { position: 1 },
            E::Region,
            E::BirthDate,
            E::BirthDateTooEarly,
            E::BirthDateFuture,
            E::CheckDigit,
        ];
        let ids = all.iter().map(|error| error.code());
        let of_names = [NameError::Empty, NameError::TooLong, NameError::Garbled];
        for id in ids.chain(of_names.iter().map(|error| error.code())) {
            assert_eq!(code_of(id).id, id);
        }
    }

    #[test]
    fn lines_are_counted_by_what_ends_them() {
        for (text, ends) in [
            ("", 0),
            ("a", 0),
            ("a\nb", 1),
            ("a\r\nb\r\n", 2),
            ("a\rb\r", 2),
            ("\n\r\n\r", 3),
        ] {
            assert_eq!(line_ends(text.as_bytes()), ends, "{text:?}");
        }
    }

    #[test]
    fn another_encoding_is_named_by_its_line() {
        // "样本" in GB18030.
        let table = b"name,number\r\nSpecimen,1\r\n\xd1\xf9\xb1\xbe,2\r\n";
        assert_eq!(read_all(table), Err(ImportError::NotUtf8 { line: 3 }));
        let utf16: Vec<u8> = "\u{feff}name"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(read_all(&utf16), Err(ImportError::NotUtf8 { line: 1 }));
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        let text = read_all("\u{feff}name,number\n".as_bytes()).unwrap();
        assert!(Table::new(&text).is_ok());
    }

    #[test]
    fn rows_know_their_lines() {
        let today = Date::new(2026, 11, 28).unwrap();
        for end in ["\n", "\r\n", "\r"] {
            let text = ["name,number", "", "a,1", "\"b", "b\",1", "", "", "c,1"].join(end);
            let mut table = Table::new(&text).unwrap();
            let mut lines = Vec::new();
            while let Some(row) = table.next(today).unwrap() {
                lines.push(row.err().unwrap().line);
            }
            assert_eq!(lines, [3, 4, 8], "{end:?}");
        }
    }

    #[test]
    fn columns_are_known_and_there_once() {
        for good in [
            "number,name",
            " name , number ,portrait",
            "valid_to,valid_from,portrait,number,name",
        ] {
            assert!(Table::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "name",
            "name,number,name",
            "name,number,sex",
            "Specimen,110199199003071239",
            "name;number",
        ] {
            let error = Table::new(bad).err().unwrap();
            assert_eq!(error.code().id, "import_columns_wrong", "{bad}");
            assert!(!error.to_string().contains("Specimen") && !error.to_string().contains("1990"));
        }
    }
}
