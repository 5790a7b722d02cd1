//! Limits, and what is refused before any engine sees it.

use std::time::Instant;

use crate::error::LibraryError;
use crate::metric::Metric;
use crate::port::{Erased, FaceQuery, FaceWrite, FacesRequest};

/// Longest tenant name, bytes.
const TENANT_MAX_BYTES: usize = 64;
/// Longest label of a person, bytes.
pub const PERSON_MAX_BYTES: usize = 128;
/// Longest label of a library, bytes.
pub const LABEL_MAX_BYTES: usize = 128;
/// Longest name of a library's model, bytes: a SHA-256 in hexadecimal digits.
pub const MODEL_MAX_BYTES: usize = 64;
/// How far a template's norm may be off 1 under [`Metric::Cosine`].
pub const NORM_TOLERANCE: f32 = 1e-3;
/// Largest norm of a template under [`Metric::Euclidean`]: engines square it in single precision.
pub const EUCLIDEAN_NORM_MAX: f32 = 1e6;
/// Largest sequence: the server compares numbers as doubles, which are exact up to here.
pub const SEQUENCE_MAX: u64 = (1 << 53) - 1;

/// Templates up to which comparing all is the quickest way that finds the best one, KiB: decision 0013.
pub(crate) const COMPARE_ALL_MAX_KIB: usize = 204_800;
/// Candidates that the index keeps beyond that: decision 0013.
pub(crate) const SEARCH_WIDTH: usize = 2_048;

/// Limits of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibraryBounds {
    /// Most queries in a call of `search`.
    pub queries_max: usize,
    /// Most libraries in a query.
    pub libraries_max: usize,
    /// Most faces that a query may ask for.
    pub faces_max: usize,
    /// Most writes in a call of `write`.
    pub writes_max: usize,
    /// Most entries in a page of `faces`.
    pub page_entries_max: usize,
}

impl Default for LibraryBounds {
    /// 64 queries of 64 libraries and 1,000 faces, 1,000 writes, pages of 1,000.
    fn default() -> Self {
        Self {
            queries_max: 64,
            libraries_max: 64,
            faces_max: 1_000,
            writes_max: 1_000,
            page_entries_max: 1_000,
        }
    }
}

/// Whether an engine for templates of `dimension` numbers under `metric` would take this one.
///
/// # Errors
/// [`LibraryError::TemplateRefused`] for another length, a number that is not finite, or a norm that is
/// not 1 within [`NORM_TOLERANCE`] (cosine), or is 0 or above [`EUCLIDEAN_NORM_MAX`] (Euclidean).
pub fn check_template(
    template: &[f32],
    dimension: usize,
    metric: Metric,
) -> Result<(), LibraryError> {
    let refused = |what: String| Err(LibraryError::TemplateRefused { what });
    if template.len() != dimension {
        let len = template.len();
        return refused(format!("it has {len} numbers, wanted are {dimension}"));
    }
    if let Some(at) = template.iter().position(|number| !number.is_finite()) {
        let number = template[at];
        return refused(format!("number {at} of it is {number}"));
    }
    let squares = template.iter().map(|x| f64::from(*x) * f64::from(*x));
    let norm = squares.sum::<f64>().sqrt();
    let max = f64::from(EUCLIDEAN_NORM_MAX);
    match metric {
        Metric::Cosine if (norm - 1.0).abs() > f64::from(NORM_TOLERANCE) => {
            refused(format!("its norm is {norm:.6}, wanted is 1"))
        }
        Metric::Euclidean if norm == 0.0 || norm > max => refused(format!(
            "its norm is {norm:e}, wanted is more than 0 and at most {max:e}"
        )),
        _ => Ok(()),
    }
}

/// Fails once `deadline` has passed.
pub(crate) fn in_time(deadline: Instant, at: &'static str) -> Result<(), LibraryError> {
    if Instant::now() < deadline {
        Ok(())
    } else {
        Err(LibraryError::DeadlineExceeded { at })
    }
}

/// What every engine asks of a call before it does anything.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(crate) dimension: usize,
    pub(crate) metric: Metric,
    pub(crate) bounds: LibraryBounds,
}

impl Gate {
    pub(crate) fn search(
        &self,
        queries: &[FaceQuery],
        deadline: Instant,
    ) -> Result<(), LibraryError> {
        count("queries", queries.len(), 0, self.bounds.queries_max)?;
        for (n, query) in queries.iter().enumerate() {
            let check = || {
                tenant(&query.tenant)?;
                let libraries = query.libraries.len();
                count("libraries", libraries, 1, self.bounds.libraries_max)?;
                count("faces_max", query.faces_max, 1, self.bounds.faces_max)?;
                check_template(&query.template, self.dimension, self.metric)
            };
            check().map_err(|error| of("query", n, error))?;
        }
        in_time(deadline, "before the search")
    }

    pub(crate) fn write(
        &self,
        writes: &[FaceWrite],
        deadline: Instant,
    ) -> Result<(), LibraryError> {
        count("writes", writes.len(), 0, self.bounds.writes_max)?;
        for (n, write) in writes.iter().enumerate() {
            self.one_write(write)
                .map_err(|error| of("write", n, error))?;
        }
        in_time(deadline, "before the write")
    }

    fn one_write(&self, write: &FaceWrite) -> Result<(), LibraryError> {
        let (name, number) = match write {
            FaceWrite::Create {
                tenant,
                label,
                model_sha256,
                sequence,
                ..
            } => {
                let bytes = label.len();
                count("bytes of the library's label", bytes, 1, LABEL_MAX_BYTES)?;
                let bytes = model_sha256.len();
                count("bytes of the library's model", bytes, 1, MODEL_MAX_BYTES)?;
                (tenant, *sequence)
            }
            FaceWrite::Enrol {
                tenant,
                person: label,
                sequence,
                template,
                ..
            } => {
                person(label)?;
                check_template(template, self.dimension, self.metric)?;
                (tenant, *sequence)
            }
            FaceWrite::Erase {
                tenant,
                erased,
                sequence,
                ..
            } => {
                if let Erased::Person(label) = erased {
                    person(label)?;
                }
                (tenant, *sequence)
            }
            FaceWrite::EraseLibrary {
                tenant, sequence, ..
            } => (tenant, *sequence),
        };
        sequence(number)?;
        tenant(name)
    }

    pub(crate) fn faces(
        &self,
        request: &FacesRequest,
        deadline: Instant,
    ) -> Result<(), LibraryError> {
        tenant(&request.tenant)?;
        if let Some(label) = &request.person {
            person(label)?;
        }
        let wanted = request.entries_max;
        count("entries_max", wanted, 1, self.bounds.page_entries_max)?;
        in_time(deadline, "before the listing")
    }

    pub(crate) fn library(&self, name: &str, deadline: Instant) -> Result<(), LibraryError> {
        tenant(name)?;
        in_time(deadline, "before the call")
    }
}

fn tenant(name: &str) -> Result<(), LibraryError> {
    count(
        "bytes of the tenant's name",
        name.len(),
        1,
        TENANT_MAX_BYTES,
    )
}

fn person(label: &str) -> Result<(), LibraryError> {
    let bytes = label.len();
    count("bytes of the person's label", bytes, 1, PERSON_MAX_BYTES)
}

fn sequence(number: u64) -> Result<(), LibraryError> {
    if number <= SEQUENCE_MAX {
        return Ok(());
    }
    let what = format!("sequence is {number}, allowed are 0 to {SEQUENCE_MAX}");
    Err(LibraryError::OverLimit { what })
}

fn count(what: &str, found: usize, min: usize, max: usize) -> Result<(), LibraryError> {
    if (min..=max).contains(&found) {
        return Ok(());
    }
    let what = format!("{what}: {found}, allowed are {min} to {max}");
    Err(LibraryError::OverLimit { what })
}

/// Says which one of a batch it was.
fn of(item: &str, n: usize, error: LibraryError) -> LibraryError {
    let named = |what: String| format!("{item} {n}: {what}");
    match error {
        LibraryError::TemplateRefused { what } => {
            LibraryError::TemplateRefused { what: named(what) }
        }
        LibraryError::OverLimit { what } => LibraryError::OverLimit { what: named(what) },
        other => other,
    }
}
