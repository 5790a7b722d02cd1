//! Importing a table of persons into the local register.

mod error;
mod portrait;
mod report;
mod table;

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::Path;

use shiren_contract::codes;
use shiren_idcard::Date;
use shiren_schemas::Sha256;
use zeroize::Zeroizing;

pub use error::ImportError;
pub use portrait::PortraitRefused;
pub use report::{ImportReport, Progress, RefusedRow};

use crate::error::AuthorityError;
use crate::port::Validity;
use crate::register::{Held, LocalRegister, NumberKey, Person, Record, Rewrite, State};
use crate::template::{ModelId, Template};
use portrait::Folder;
use table::{Row, Table};

/// What is imported, and how.
pub struct Import<'a> {
    /// CSV in UTF-8, with or without a byte order mark. Its first line names the columns, in any
    /// order: `name`, `number`, and where wanted `portrait`, `valid_from`, `valid_to`.
    pub rows: &'a mut dyn Read,
    /// Folder below which the portraits lie.
    pub portraits: &'a Path,
    /// The model that `embed` runs.
    pub model: &'a ModelId,
    /// Makes a template of a portrait's file, or refuses it.
    pub embed: &'a mut dyn FnMut(&[u8]) -> Result<Template, PortraitRefused>,
    /// Told after each row; counts bytes of the table.
    pub progress: &'a mut dyn FnMut(Progress),
    /// The day after which nobody is born yet.
    pub today: Date,
}

impl LocalRegister {
    /// Takes persons over from a table. A row is the whole truth about its number: what the register
    /// held under it is replaced, the portrait too. Rows that are refused are in the report and change
    /// nothing; all others are written at once. The same table again changes nothing.
    ///
    /// # Errors
    /// [`ImportError`]: the register is as it was.
    pub fn import(&self, import: Import<'_>) -> Result<ImportReport, ImportError> {
        let options = self.options();
        let text = table::read(import.rows, options)?;
        let mut table = Table::new(&text)?;
        let _held = Held::take(self.path())?;
        let state = self.current()?;
        let mut run = Run {
            register: self,
            state: &state,
            rewrite: Rewrite::begin(options, &state.keys, &state.header)?,
            folder: Folder::new(import.portraits, options.register_portrait_max_bytes),
            model: import.model,
            embed: import.embed,
            seen: HashMap::new(),
            written: HashSet::new(),
            report: ImportReport::default(),
        };
        while let Some(row) = table.next(import.today)? {
            run.report.rows += 1;
            if run.report.rows > options.register_import_max_rows {
                let limit = options.register_import_max_rows;
                return Err(options
                    .over("is to take more rows", "register_import_max_rows", limit)
                    .into());
            }
            if let Err(refused) = run.row(row)? {
                run.report.refused.push(refused);
            }
            (import.progress)(Progress {
                done: table.offset(),
                total: text.len() as u64,
            });
        }
        run.finish()
    }
}

/// An import on its way.
struct Run<'a> {
    register: &'a LocalRegister,
    state: &'a State,
    rewrite: Rewrite<'a>,
    folder: Folder<'a>,
    model: &'a ModelId,
    embed: &'a mut dyn FnMut(&[u8]) -> Result<Template, PortraitRefused>,
    /// Line and fingerprint of each number's first good row.
    seen: HashMap<NumberKey, (u64, [u8; 32])>,
    /// Whom the rewrite holds already.
    written: HashSet<NumberKey>,
    report: ImportReport,
}

/// A row that was taken or refused; or the whole import fails.
type Taken = Result<Result<(), RefusedRow>, ImportError>;

impl Run<'_> {
    fn row(&mut self, row: Result<Row, RefusedRow>) -> Taken {
        let row = match row {
            Ok(row) => row,
            Err(refused) => return Ok(Err(refused)),
        };
        let key = self.state.keys.number(&row.number);
        let print = self.fingerprint(&row);
        if let Some((line, first)) = self.seen.get(&key) {
            if *first == print {
                self.report.unchanged += 1;
                return Ok(Ok(()));
            }
            let what = format!("line {line} says otherwise about this number; that line stands");
            return Ok(Err(row.refused(codes::ROW_CONFLICT, &what)));
        }
        let taken = self.person(&row, &key);
        if let Ok(Ok(())) = taken {
            self.seen.insert(key, (row.line, print));
        }
        taken
    }

    fn person(&mut self, row: &Row, key: &NumberKey) -> Taken {
        let picture = match row
            .portrait
            .as_ref()
            .map(|path| self.folder.read(path))
            .transpose()
        {
            Ok(picture) => picture,
            Err((code, what)) => return Ok(Err(row.refused(code, &what))),
        };
        let hash = picture.as_ref().map(|bytes| Sha256::of(bytes));
        let old = self.state.persons.get(key);
        if old.is_some_and(|old| self.is_same(old, row, hash)) {
            self.report.unchanged += 1;
            return Ok(Ok(()));
        }
        if old.is_none() {
            self.room()?;
        }
        let template = match picture
            .as_ref()
            .map(|bytes| (self.embed)(bytes))
            .transpose()
        {
            Ok(template) => template,
            Err(refused) => return Ok(Err(row.refused(refused.code, &refused.what))),
        };
        if let Some(template) = &template {
            template.must_be_of(self.model)?;
        }
        let record = Record {
            name: row.name.expose(),
            validity: row.validity,
            portrait: hash,
            template: template.as_ref(),
        };
        self.write(key, &record, picture.as_ref())?;
        match old {
            None => self.report.added += 1,
            Some(old) => {
                self.report.replaced += 1;
                self.report.renamed += u64::from(!old.name.agrees_with(&row.name));
            }
        }
        Ok(Ok(()))
    }

    fn write(
        &mut self,
        key: &NumberKey,
        record: &Record<'_>,
        picture: Option<&Zeroizing<Vec<u8>>>,
    ) -> Result<(), AuthorityError> {
        let keys = &self.state.keys;
        let portrait = picture
            .map(|bytes| keys.seal_portrait(key, bytes))
            .transpose();
        let sealed = keys.seal_record(key, &record.bytes());
        let failed = |error| self.register.key_unusable(&error);
        let (sealed, portrait) = (sealed.map_err(failed)?, portrait.map_err(failed)?);
        self.rewrite
            .put(key, &sealed, &portrait.unwrap_or_default())?;
        self.written.insert(*key);
        Ok(())
    }

    /// Whether the register holds just what the row says.
    fn is_same(&self, old: &Person, row: &Row, portrait: Option<Sha256>) -> bool {
        let model = old.template.as_ref().map(Template::model);
        old.name.expose() == row.name.expose()
            && old.validity == row.validity
            && old.portrait == portrait
            && (portrait.is_none() || model == Some(self.model))
    }

    /// Before the work is done, not when the file is written.
    fn room(&self) -> Result<(), AuthorityError> {
        let options = self.register.options();
        let persons = self.state.persons.len() as u64 + self.report.added;
        let limit = options.register_max_persons as u64;
        match persons < limit {
            true => Ok(()),
            false => Err(options.over("would have more persons", "register_max_persons", limit)),
        }
    }

    fn fingerprint(&self, row: &Row) -> [u8; 32] {
        let Validity { from, to } = row.validity;
        let day = |day: Option<Date>| day.map(|d| d.to_string()).unwrap_or_default();
        let portrait = row.portrait.as_ref().map(|path| path.as_bytes());
        self.state.keys.fingerprint(&[
            row.name.expose_folded().as_bytes(),
            day(from).as_bytes(),
            day(to).as_bytes(),
            portrait.unwrap_or_default(),
        ])
    }

    /// Takes over whom the table did not touch, and puts the new file in place.
    fn finish(mut self) -> Result<ImportReport, ImportError> {
        if self.written.is_empty() {
            return Ok(self.report);
        }
        for (key, person) in self.state.in_order() {
            if !self.written.contains(key) {
                self.rewrite.copy(self.state, person)?;
            }
        }
        self.rewrite.finish()?;
        self.register.current()?;
        Ok(self.report)
    }
}
