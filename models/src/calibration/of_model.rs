//! The tables of one model, and comparisons judged by them: what every stage that compares templates shares.

use shiren_contract::codes;
use shiren_contract::stage::Rejection;
use shiren_schemas::records::{self, Comparison, Template};

use super::{Basis, OperatingPoint, ReferenceKind, Table};
use crate::error::ModelError;
use crate::manifest::{Manifest, Metric};

/// One model's calibration tables, and the metric of the scores that they hold.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// The model whose templates are compared.
    pub model: String,
    /// How they are compared.
    pub metric: Metric,
    /// Its tables; tables of other models are not used.
    pub tables: Vec<Table>,
}

impl Calibration {
    /// Of the model `name`, as the manifest has it.
    ///
    /// # Errors
    /// The manifest has no such model, or no metric for it; a table cannot be read.
    pub fn load(manifest: &Manifest, name: &str) -> Result<Self, ModelError> {
        let entry = manifest.model(name)?;
        let metric = entry.output.metric.ok_or_else(|| ModelError::Manifest {
            place: name.to_owned(),
            what: "no metric".to_owned(),
        })?;
        let tables = entry.calibration.iter();
        Ok(Self {
            model: name.to_owned(),
            metric,
            tables: tables
                .map(|file| Table::load(&manifest.folder.join(file)))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The table for references of this kind.
    ///
    /// # Errors
    /// `calibration_missing`: no table of the model at all; `reference_kind_unsupported`: none of this kind.
    pub fn table(&self, kind: records::ReferenceKind) -> Result<&Table, Rejection> {
        let model = &self.model;
        let tables = self.tables.iter();
        let mut of_model = tables.filter(|t| t.model() == *model).peekable();
        if of_model.peek().is_none() {
            let what = format!("no table of {model}: it is not calibrated");
            return Err(Rejection::new(codes::CALIBRATION_MISSING, what));
        }
        of_model.find(|t| t.holds_for(kind.into())).ok_or_else(|| {
            let what = format!("no table of {model} for this kind");
            Rejection::new(codes::REFERENCE_KIND_UNSUPPORTED, what)
        })
    }

    /// The threshold for references of this kind at a false-match rate above 0 and below 1.
    ///
    /// # Errors
    /// As [`Calibration::table`]; `calibration_missing`: the table supports no such rate.
    pub fn point(
        &self,
        kind: records::ReferenceKind,
        target_fmr: f64,
    ) -> Result<OperatingPoint, Rejection> {
        let point = self.table(kind)?.threshold(target_fmr);
        point.map_err(|error| Rejection::new(error.code(), error.to_string()))
    }

    /// A template of another model must not be judged by these tables.
    ///
    /// # Errors
    /// `model_failed`.
    pub fn must_be_of_model(&self, template: &Template) -> Result<(), Rejection> {
        if template.model == self.model {
            return Ok(());
        }
        let what = format!(
            "a template of {}, this worker compares {}",
            template.model, self.model
        );
        Err(Rejection::new(codes::MODEL_FAILED, what))
    }

    /// Score and operating point, as evidence has them.
    #[must_use]
    pub fn comparison(&self, score: f64, point: &OperatingPoint) -> Comparison {
        let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        Comparison {
            score,
            threshold: point.threshold,
            metric: match self.metric {
                Metric::Cosine => "cosine".to_owned(),
                Metric::Euclidean => "one_minus_euclidean".to_owned(),
            },
            target_fmr: point.target_fmr,
            basis: point.basis.into(),
            table: point.table_name.clone(),
            false_matches: count(point.false_matches),
            n_genuine: count(point.n_genuine),
            n_impostor: count(point.n_impostor),
            identity_pairs: count(point.identity_pairs),
        }
    }
}

impl From<records::ReferenceKind> for ReferenceKind {
    fn from(kind: records::ReferenceKind) -> Self {
        match kind {
            records::ReferenceKind::Live => Self::Live,
            records::ReferenceKind::OnFile => Self::OnFile,
            records::ReferenceKind::CardPrint => Self::CardPrint,
            records::ReferenceKind::Chip => Self::Chip,
        }
    }
}

impl From<Basis> for records::Basis {
    fn from(basis: Basis) -> Self {
        match basis {
            Basis::Measured => Self::Measured,
            Basis::Extrapolated => Self::Extrapolated,
        }
    }
}
