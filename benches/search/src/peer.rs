//! The `usearch` crate on the same templates, libraries filtered by a callback.

use anyhow::Context;
use usearch::{Index, IndexOptions, MetricKind, ScalarKind};
use uuid::Uuid;

use super::templates::{Made, Scope};

pub(super) struct Peer<'a> {
    made: &'a Made,
    index: Index,
}

impl<'a> Peer<'a> {
    pub(super) fn new(made: &'a Made) -> anyhow::Result<Self> {
        let options = IndexOptions {
            dimensions: made.dimension(),
            metric: MetricKind::Cos,
            quantization: ScalarKind::F32,
            // As wide as our own search.
            expansion_search: 256,
            ..IndexOptions::default()
        };
        let index = Index::new(&options)?;
        index.reserve(made.len())?;
        for at in 0..made.len() {
            index.add(at as u64, made.template(at))?;
        }
        Ok(Self { made, index })
    }

    pub(super) fn first(&self, scope: &Scope, probe: &[f32]) -> anyhow::Result<Option<Uuid>> {
        let found = self.index.filtered_search(probe, 1, |key| {
            usize::try_from(key).is_ok_and(|index| Made::in_scope(scope, index))
        });
        let found = found.context("a search")?;
        let first = found
            .keys
            .first()
            .and_then(|key| usize::try_from(*key).ok());
        Ok(first.map(|index| self.made.face(index)))
    }
}
