//! Checked values by path, and the problems met on the way.

use std::collections::{BTreeMap, BTreeSet};

use crate::codes;
use crate::hints::did_you_mean;
use crate::problem::{Problem, Severity};
use crate::settings::{Absent, Form, SETTINGS, Setting, is_name};

/// Where a value comes from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// A line of the file, from 1.
    Line(usize),
    /// A variable of the environment.
    Variable(String),
}

/// A text and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub text: String,
    /// Its own path, `chain[2]`.
    pub path: String,
    pub origin: Origin,
}

/// A checked value.
#[derive(Debug)]
pub(crate) enum Value {
    Integer(i64),
    Number(f64),
    Boolean(bool),
    Text(String),
    List(Vec<Item>),
}

struct Entry {
    value: Value,
    origin: Origin,
    is_default: bool,
}

/// Values by dotted path, defaults filled in. A value that is wrong in itself is not here, so that
/// no rule reports what follows from it.
pub(crate) struct Values {
    entries: BTreeMap<String, Entry>,
    pub(crate) given: BTreeSet<String>,
    pub(crate) partial: BTreeSet<String>,
    pub(crate) tables: BTreeMap<String, usize>,
    pub(crate) properties: BTreeMap<String, Item>,
    file: String,
    pub(crate) problems: Vec<Problem>,
}

impl Values {
    /// Nothing yet.
    pub fn new(file: &str) -> Self {
        Self {
            entries: BTreeMap::new(),
            given: BTreeSet::new(),
            partial: BTreeSet::new(),
            tables: BTreeMap::new(),
            properties: BTreeMap::new(),
            file: file.to_owned(),
            problems: Vec::new(),
        }
    }

    /// A whole number.
    pub fn integer(&self, path: &str) -> Option<i64> {
        match self.entries.get(path)?.value {
            Value::Integer(n) => Some(n),
            _ => None,
        }
    }

    /// A number.
    pub fn number(&self, path: &str) -> Option<f64> {
        match self.entries.get(path)?.value {
            Value::Number(n) => Some(n),
            _ => None,
        }
    }

    /// A truth.
    pub fn boolean(&self, path: &str) -> Option<bool> {
        match self.entries.get(path)?.value {
            Value::Boolean(truth) => Some(truth),
            _ => None,
        }
    }

    /// A text.
    pub fn text(&self, path: &str) -> Option<&str> {
        match &self.entries.get(path)?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A list whose items are all right; rules about the list as a whole want this one.
    pub fn whole_list(&self, path: &str) -> Option<Vec<Item>> {
        if self.partial.contains(path) {
            return None;
        }
        self.list(path)
    }

    /// A list's good items.
    pub fn list(&self, path: &str) -> Option<Vec<Item>> {
        match &self.entries.get(path)?.value {
            Value::List(items) => Some(items.clone()),
            _ => None,
        }
    }

    /// Names in a table of tables (`segment`, `scene`) with their lines, in the order of the file.
    pub fn names(&self, head: &str) -> Vec<Item> {
        let mut names: Vec<(usize, String)> = self
            .tables
            .iter()
            .filter_map(|(path, line)| {
                Some((
                    *line,
                    path.strip_prefix(head)?.strip_prefix('.')?.to_owned(),
                ))
            })
            .collect();
        names.sort();
        names
            .into_iter()
            .map(|(line, text)| Item {
                path: format!("{head}.{text}"),
                text,
                origin: Origin::Line(line),
            })
            .collect()
    }

    /// Whether something is given under this path, right or wrong.
    pub fn is_given(&self, path: &str) -> bool {
        self.given.contains(path)
    }

    /// librdkafka properties.
    pub fn kafka_properties(&self) -> &BTreeMap<String, Item> {
        &self.properties
    }

    /// Line of a table, or of the nearest one around it that is written out; 1 when none is.
    pub fn line_of_table(&self, table: &str) -> usize {
        let mut table = table;
        loop {
            if let Some(line) = self.tables.get(table) {
                return *line;
            }
            match table.rsplit_once('.') {
                Some((outer, _)) => table = outer,
                None => return 1,
            }
        }
    }

    /// The first of these that the operator wrote, else the first: where a rule across them reports.
    pub fn culprit(&self, paths: &[&str]) -> (String, Origin) {
        let written = |path: &&&str| {
            self.entries
                .get(**path)
                .is_some_and(|entry| !entry.is_default)
        };
        let path = paths
            .iter()
            .find(written)
            .or(paths.first())
            .copied()
            .unwrap_or_default();
        let origin = self
            .entries
            .get(path)
            .map_or(Origin::Line(1), |entry| entry.origin.clone());
        (path.to_owned(), origin)
    }

    /// Adds an error.
    pub fn error(
        &mut self,
        code: &'static str,
        origin: &Origin,
        path: &str,
        what: impl Into<String>,
        hint: Option<String>,
    ) {
        self.push(code, Severity::Error, origin, path, what.into(), hint);
    }

    /// Adds an error about an item of a list.
    pub fn error_at(
        &mut self,
        code: &'static str,
        item: &Item,
        what: String,
        hint: impl Into<String>,
    ) {
        self.push(
            code,
            Severity::Error,
            &item.origin,
            &item.path,
            what,
            Some(hint.into()),
        );
    }

    /// Adds a warning.
    pub fn warning(
        &mut self,
        code: &'static str,
        origin: &Origin,
        path: &str,
        what: impl Into<String>,
        hint: Option<String>,
    ) {
        self.push(code, Severity::Warning, origin, path, what.into(), hint);
    }

    fn push(
        &mut self,
        code: &'static str,
        severity: Severity,
        origin: &Origin,
        path: &str,
        what: String,
        hint: Option<String>,
    ) {
        let (file, line, path) = match origin {
            Origin::Line(line) => (self.file.clone(), *line, path.to_owned()),
            Origin::Variable(name) => ("environment".to_owned(), 0, name.clone()),
        };
        self.problems.push(Problem {
            code,
            severity,
            file,
            line,
            path,
            what,
            hint,
        });
    }

    /// Whether the topology is refused.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|p| p.severity == Severity::Error)
    }

    /// All problems, by line; those of the environment last.
    pub fn into_problems(mut self) -> Vec<Problem> {
        let key = |p: &Problem| (p.line == 0, p.line, p.path.clone(), p.code);
        self.problems.sort_by_key(key);
        self.problems
    }
}

/// Defaults and forms.
impl Values {
    /// Fills in what is absent; what is required is a problem.
    pub fn fill_defaults(&mut self) {
        for setting in SETTINGS {
            let Some((head, rest)) = setting.path.split_once(".*.") else {
                self.fill_default(setting, setting.path.to_owned());
                continue;
            };
            for name in self.names(head) {
                self.fill_default(setting, format!("{head}.{}.{rest}", name.text));
            }
        }
    }

    fn fill_default(&mut self, setting: &Setting, path: String) {
        let enclosing = |given: &str| {
            path.strip_prefix(given)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if self.given.iter().any(|given| enclosing(given)) {
            return;
        }
        let line = path
            .rsplit_once('.')
            .map_or(1, |(table, _)| self.line_of_table(table));
        let origin = Origin::Line(line);
        let value = match setting.absent {
            Absent::Required => {
                let hint = Some(setting.doc.to_owned());
                self.error(
                    codes::MISSING_REQUIRED,
                    &origin,
                    &path,
                    "is not given and has no default",
                    hint,
                );
                return;
            }
            Absent::Unset => return,
            Absent::Integer(n) => Value::Integer(n),
            Absent::Number(n) => Value::Number(n),
            Absent::Boolean(truth) => Value::Boolean(truth),
            Absent::Text(text) => Value::Text(text.to_owned()),
            Absent::List(items) => Value::List(
                items
                    .iter()
                    .map(|text| Item {
                        text: (*text).to_owned(),
                        path: path.clone(),
                        origin: origin.clone(),
                    })
                    .collect(),
            ),
        };
        self.entries.insert(
            path,
            Entry {
                value,
                origin,
                is_default: true,
            },
        );
    }

    /// Keeps a checked value.
    pub fn set(&mut self, path: &str, value: Value, origin: Origin) {
        self.entries.insert(
            path.to_owned(),
            Entry {
                value,
                origin,
                is_default: false,
            },
        );
    }

    /// Checks a text; a misfit is a problem.
    pub fn text_fits(&mut self, form: Form, path: &str, origin: &Origin, text: &str) -> bool {
        let (code, hint) = match form {
            Form::OneOf(choices, _) if choices.contains(&text) => return true,
            Form::OneOf(choices, code) => {
                let near = did_you_mean(text, choices.to_vec(), 0.6);
                (
                    code,
                    near.or_else(|| Some(format!("one of {}", choices.join(", ")))),
                )
            }
            Form::Name if is_name(text) => return true,
            Form::Any
                if (1..=1024).contains(&text.len()) && !text.chars().any(char::is_control) =>
            {
                return true;
            }
            Form::Name | Form::Any => (codes::NAME_INVALID, None),
        };
        let what = match form {
            Form::OneOf(..) => format!("{text:?} does not exist"),
            _ => format!(
                "{:?} is not of the form {}",
                text.chars().take(64).collect::<String>(),
                form.describe().replace('`', "")
            ),
        };
        self.error(code, origin, path, what, hint);
        false
    }
}
