//! "Did you mean ...".

use std::collections::BTreeSet;

use crate::settings::SETTINGS;

/// The nearest key of the same table; else where a key of exactly this name lives.
pub(crate) fn key_hint(pattern: &str, name: &str) -> Option<String> {
    let siblings: BTreeSet<&str> = SETTINGS
        .iter()
        .filter_map(|s| {
            if pattern.is_empty() {
                Some(s.path)
            } else {
                s.path.strip_prefix(pattern)?.strip_prefix('.')
            }
        })
        .filter_map(|rest| rest.split('.').next())
        .collect();
    let elsewhere = || {
        let tail = format!(".{name}");
        let homes: Vec<&str> = SETTINGS
            .iter()
            .map(|s| s.path)
            .filter(|path| path.ends_with(&tail))
            .collect();
        (!homes.is_empty()).then(|| format!("it belongs to {}", homes.join(" or ")))
    };
    did_you_mean(name, siblings, 0.6).or_else(elsewhere)
}

/// "did you mean ...", when one of `known` is at least this like `given` (0..=1).
#[must_use]
pub fn did_you_mean<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
    likeness: f64,
) -> Option<String> {
    known
        .into_iter()
        .map(|name| (strsim::normalized_damerau_levenshtein(given, name), name))
        .filter(|(score, _)| *score >= likeness)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| format!("did you mean {name}?"))
}
