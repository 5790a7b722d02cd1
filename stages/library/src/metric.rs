//! How templates are compared.

/// How two templates are compared. A property of the model that made them: templates of one model are
/// told apart by no other metric as well as by the one that it was trained for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Cosine of the angle between them, -1 to 1. Templates are of unit norm.
    Cosine,
    /// 1 minus their Euclidean distance: 1 for the same template, and no lower bound. Templates have any
    /// norm but 0, up to [`EUCLIDEAN_NORM_MAX`](crate::EUCLIDEAN_NORM_MAX).
    Euclidean,
}

impl Metric {
    /// The score, of which more is more alike, for what the engines give: a cosine, or a distance.
    pub(crate) fn score(self, given: f32) -> f32 {
        match self {
            Self::Cosine => given,
            Self::Euclidean => 1.0 - given,
        }
    }
}
