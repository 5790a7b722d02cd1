//! Reads a document against the settings table: unknown keys, types, ranges, defaults.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::codes;
use crate::hints::key_hint;
use crate::settings::{Form, Kind, SETTINGS, Setting, is_name};
use crate::values::{Item, Origin, Value, Values};

impl Values {
    /// Reads `text`; problems are kept for [`Values::into_problems`].
    pub fn read(
        text: &str,
        file: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let mut values = Self::new(file);
        let (document, errors) = DeTable::parse_recoverable(text);
        values.walk(&Lines(text), document.get_ref(), "", "");
        if errors.is_empty() {
            values.environment(environment);
            values.fill_defaults();
        } else {
            values.syntax(text, &errors);
        }
        values
    }

    /// Whether the syntax was right, so that rules across settings make sense.
    pub fn is_whole(&self) -> bool {
        !self.problems.iter().any(|p| p.code == codes::TOML_SYNTAX)
    }

    /// The parser recovers behind an error; what it read on that line means nothing.
    fn syntax(&mut self, text: &str, errors: &[toml::de::Error]) {
        let line_of = |error: &toml::de::Error| Lines(text).at(error.span().map_or(0, |s| s.start));
        let mut errors: Vec<_> = errors.iter().map(|error| (line_of(error), error)).collect();
        errors.sort_by_key(|(line, _)| *line);
        self.problems
            .retain(|problem| !errors.iter().any(|(line, _)| *line == problem.line));
        let (mut previous, mut previous_line) = ("", 0);
        for (line, error) in errors {
            // One open bracket or quote makes the same complaint over and over.
            if line == previous_line || error.message() == previous {
                continue;
            }
            let mut what = error.message().replace('\n', ", ");
            let key = error.span().and_then(|span| text.get(span));
            if let ("duplicate key", Some(key)) = (error.message(), key) {
                what = format!("{what} {key}");
            }
            let open_list = what.starts_with("missing comma");
            let hint = open_list.then(|| "is the list before this line closed with ]?".to_owned());
            self.error(codes::TOML_SYNTAX, &Origin::Line(line), "", what, hint);
            (previous, previous_line) = (error.message(), line);
        }
    }

    fn walk(&mut self, lines: &Lines<'_>, table: &DeTable<'_>, path: &str, pattern: &str) {
        for (key, value) in table.iter() {
            let name = key.get_ref();
            let line = lines.at(key.span().start);
            let here = join(path, &quoted(name));
            let fixed = join(pattern, name);
            let free = join(pattern, "*");
            if let Some(setting) = SETTINGS.iter().find(|s| s.path == fixed) {
                self.given.insert(here.clone());
                self.leaf(lines, setting, &here, value);
            } else if is_table(&fixed) {
                self.table(lines, value, line, &here, &fixed);
            } else if is_table(&free) {
                if !is_name(name) {
                    let what = format!("{name:?} is not of the form [a-z0-9-]{{1,32}}");
                    self.error(codes::NAME_INVALID, &Origin::Line(line), &here, what, None);
                }
                self.table(lines, value, line, &here, &free);
            } else {
                let what = match path {
                    "" => "there is no such setting".to_owned(),
                    _ => format!("[{path}] has no such setting"),
                };
                self.error(
                    codes::UNKNOWN_KEY,
                    &Origin::Line(line),
                    &here,
                    what,
                    key_hint(pattern, name),
                );
            }
        }
    }

    fn table(
        &mut self,
        lines: &Lines<'_>,
        value: &Spanned<DeValue<'_>>,
        line: usize,
        path: &str,
        pattern: &str,
    ) {
        if let DeValue::Table(table) = value.get_ref() {
            self.tables.insert(path.to_owned(), line);
            self.walk(lines, table, path, pattern);
            return;
        }
        // A table given as something else is there, only wrong: nothing in it is missing.
        self.given.insert(path.to_owned());
        let hint = match pattern {
            "segment" | "scene" => format!("write [{pattern}.NAME]"),
            _ => format!("write [{path}] on a line of its own"),
        };
        let what = format!("expected a table, found {}", found(value.get_ref()));
        self.error(
            codes::WRONG_TYPE,
            &Origin::Line(line),
            path,
            what,
            Some(hint),
        );
    }

    fn leaf(
        &mut self,
        lines: &Lines<'_>,
        setting: &Setting,
        path: &str,
        value: &Spanned<DeValue<'_>>,
    ) {
        let origin = Origin::Line(lines.at(value.span().start));
        match (setting.kind, value.get_ref()) {
            (Kind::Integer { min, max }, DeValue::Integer(n)) => {
                match i64::from_str_radix(n.as_str(), n.radix()) {
                    Ok(n) if (min..=max).contains(&n) => self.set(path, Value::Integer(n), origin),
                    _ => self.out_of_range(setting, path, &origin, &n.to_string()),
                }
            }
            (Kind::Number { min, max }, DeValue::Integer(_) | DeValue::Float(_)) => {
                let written = match value.get_ref() {
                    DeValue::Integer(n) => n.to_string(),
                    DeValue::Float(n) => n.to_string(),
                    _ => String::new(),
                };
                match written.parse::<f64>() {
                    Ok(n) if (min..=max).contains(&n) => self.set(path, Value::Number(n), origin),
                    _ => self.out_of_range(setting, path, &origin, &written),
                }
            }
            (Kind::Boolean, DeValue::Boolean(truth)) => {
                self.set(path, Value::Boolean(*truth), origin);
            }
            (Kind::Text(form), DeValue::String(text)) => {
                if self.text_fits(form, path, &origin, text) {
                    self.set(path, Value::Text(text.to_string()), origin);
                }
            }
            (Kind::List { of, may_be_empty }, DeValue::Array(items)) => {
                self.read_list(lines, (path, &origin), of, may_be_empty, items);
            }
            (Kind::Properties, DeValue::Table(table)) => self.properties(lines, table, path, ""),
            (kind, other) => self.wrong_type(kind, path, &origin, other),
        }
    }

    fn read_list(
        &mut self,
        lines: &Lines<'_>,
        at: (&str, &Origin),
        of: Form,
        may_be_empty: bool,
        items: &[Spanned<DeValue<'_>>],
    ) {
        let (path, origin) = at;
        let mut list: Vec<Item> = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let at = format!("{path}[{index}]");
            let origin = Origin::Line(lines.at(item.span().start));
            let DeValue::String(text) = item.get_ref() else {
                self.wrong_type(Kind::Text(of), &at, &origin, item.get_ref());
                self.partial.insert(path.to_owned());
                continue;
            };
            if !self.text_fits(of, &at, &origin, text) {
                self.partial.insert(path.to_owned());
            } else if list.iter().any(|earlier| earlier.text == **text) {
                let what = format!("{text:?} is named twice");
                self.error(
                    codes::DUPLICATE_NAME,
                    &origin,
                    &at,
                    what,
                    Some("name it once".to_owned()),
                );
            } else {
                list.push(Item {
                    text: text.to_string(),
                    path: at,
                    origin,
                });
            }
        }
        if items.is_empty() && !may_be_empty {
            self.error(
                codes::OUT_OF_RANGE,
                origin,
                path,
                "the list is empty",
                Some("name at least one".to_owned()),
            );
            self.partial.insert(path.to_owned());
        }
        self.set(path, Value::List(list), origin.clone());
    }

    /// `sasl.mechanism` without quotes is a table in a table: both spellings are taken.
    fn properties(&mut self, lines: &Lines<'_>, table: &DeTable<'_>, path: &str, prefix: &str) {
        for (key, value) in table.iter() {
            let name = join(prefix, key.get_ref());
            let origin = Origin::Line(lines.at(key.span().start));
            let text = match value.get_ref() {
                DeValue::Table(inner) => {
                    self.properties(lines, inner, path, &name);
                    continue;
                }
                DeValue::String(text) => text.to_string(),
                DeValue::Integer(n) => n.to_string(),
                DeValue::Float(n) => n.to_string(),
                DeValue::Boolean(b) => b.to_string(),
                other => {
                    let what = format!(
                        "expected text, a number or a boolean, found {}",
                        found(other)
                    );
                    self.error(
                        codes::WRONG_TYPE,
                        &origin,
                        &join(path, &quoted(&name)),
                        what,
                        None,
                    );
                    continue;
                }
            };
            let path = join(path, &format!("{name:?}"));
            self.properties.insert(name, Item { text, path, origin });
        }
    }

    fn out_of_range(&mut self, setting: &Setting, path: &str, origin: &Origin, written: &str) {
        let what = match setting.kind {
            Kind::Integer { min, max: i64::MAX } => format!("{written} is below {min}"),
            Kind::Integer { min, max } => format!("{written} is not between {min} and {max}"),
            Kind::Number { min, max } => format!("{written} is not between {min:?} and {max:?}"),
            _ => format!("{written} is out of range"),
        };
        self.error(codes::OUT_OF_RANGE, origin, path, what, None);
    }

    fn wrong_type(&mut self, kind: Kind, path: &str, origin: &Origin, value: &DeValue<'_>) {
        let expected = match kind {
            Kind::Integer { .. } => "a whole number",
            Kind::Number { .. } => "a number",
            Kind::Boolean => "true or false",
            Kind::Text(_) => "text in quotes",
            Kind::List { .. } => "a list of texts",
            Kind::Properties => "a table",
        };
        let hint = match (kind, value) {
            (Kind::Integer { .. } | Kind::Number { .. }, DeValue::String(text))
                if text.parse::<f64>().is_ok() =>
            {
                Some(format!("write {text} without quotes"))
            }
            (Kind::Boolean, DeValue::String(text)) if text.parse::<bool>().is_ok() => {
                Some(format!("write {text} without quotes"))
            }
            (Kind::List { .. }, DeValue::String(text)) => Some(format!("write [{text:?}]")),
            _ => None,
        };
        self.error(
            codes::WRONG_TYPE,
            origin,
            path,
            format!("expected {expected}, found {}", found(value)),
            hint,
        );
    }
}

/// Line numbers of a text.
struct Lines<'t>(&'t str);

impl Lines<'_> {
    fn at(&self, byte: usize) -> usize {
        1 + self.0.bytes().take(byte).filter(|b| *b == b'\n').count()
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn quoted(name: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !name.is_empty() && name.bytes().all(bare) {
        name.to_owned()
    } else {
        format!("{name:?}")
    }
}

fn is_table(pattern: &str) -> bool {
    SETTINGS.iter().any(|s| {
        s.path
            .strip_prefix(pattern)
            .is_some_and(|rest| rest.starts_with('.'))
    })
}

fn found(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
