//! Figures of a result: numbers, or medians with their range; any of them may be missing.

use serde_json::Value;

use crate::bench::spread::Spread;

/// Stands for a figure that a result does not have.
const ABSENT: &str = "–";

/// The figure at `pointer` (`/a/b`), a number or a median.
pub(super) fn median(result: &Value, pointer: &str) -> Option<f64> {
    let found = result.pointer(pointer)?;
    found.get("median").unwrap_or(found).as_f64()
}

/// The figure at `pointer` as it is shown: the median with its range, where there is one.
pub(super) fn shown(result: &Value, pointer: &str, decimals: usize) -> String {
    let Some(median) = median(result, pointer) else {
        return ABSENT.to_owned();
    };
    let found = result.pointer(pointer);
    match found.and_then(|found| serde_json::from_value::<Spread>(found.clone()).ok()) {
        Some(Spread { min, max, .. }) => {
            format!("{median:.decimals$} ({min:.decimals$} to {max:.decimals$})")
        }
        None => format!("{median:.decimals$}"),
    }
}

/// Whether the result has a figure there.
pub(super) fn has(result: &Value, pointer: &str) -> bool {
    median(result, pointer).is_some()
}

/// What a figure has to be.
#[derive(Clone, Copy)]
pub(super) enum Bound {
    AtMost,
    Below,
    AtLeast,
}

/// A figure that a result is judged by.
pub(super) struct Target {
    /// The figure, as Markdown.
    figure: String,
    bound: Bound,
    limit: Option<f64>,
    measured: Option<f64>,
    decimals: usize,
}

impl Target {
    /// The figure at `pointer` of the result against the limit at `limit`.
    pub(super) fn of(
        result: &Value,
        pointer: &str,
        bound: Bound,
        limit: &str,
        decimals: usize,
    ) -> Self {
        let name = pointer.rsplit('/').next().unwrap_or_default();
        Self {
            figure: format!("`{name}`"),
            bound,
            limit: median(result, limit),
            measured: median(result, pointer),
            decimals,
        }
    }

    /// The figure at `pointer` of the result against a limit of its own.
    pub(super) fn at(
        result: &Value,
        pointer: &str,
        bound: Bound,
        limit: f64,
        decimals: usize,
    ) -> Self {
        Self {
            limit: Some(limit),
            ..Self::of(result, pointer, bound, "", decimals)
        }
    }

    /// Says of what the figure is.
    pub(super) fn named(mut self, words: &str) -> Self {
        self.figure = format!("{}, {words}", self.figure);
        self
    }

    fn is_met(&self) -> Option<bool> {
        let (measured, limit) = (self.measured?, self.limit?);
        Some(match self.bound {
            Bound::AtMost => measured <= limit,
            Bound::Below => measured < limit,
            Bound::AtLeast => measured >= limit,
        })
    }

    /// Its cells behind the bench's name.
    pub(super) fn row(&self) -> String {
        let bound = match self.bound {
            Bound::AtMost => "at most",
            Bound::Below => "below",
            Bound::AtLeast => "at least",
        };
        let limit = self.limit.map_or(ABSENT.into(), |limit| limit.to_string());
        let decimals = self.decimals;
        let measured = match self.measured {
            Some(measured) => format!("{measured:.decimals$}"),
            None => super::NOT_MEASURED.to_owned(),
        };
        let word = match self.is_met() {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "",
        };
        format!(
            "| {} | {bound} {limit} | {measured} | {word} |",
            self.figure
        )
    }
}
