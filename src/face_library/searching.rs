//! Searches for `match`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use shiren_contract::asking::{AskFailure, Port};
use shiren_contract::codes;
use shiren_contract::library::{FaceFound, Found, SearchAsk};
use shiren_library::{FaceHit, FaceLibrary, FaceQuery, check_template};
use shiren_schemas::Id;

use super::{TemplateForm, failure, id, uuid};

/// Faces of a library, or why it cannot be searched.
type Size = Result<u64, AskFailure>;

/// Searches of one engine.
pub struct SearchPort {
    library: Arc<dyn FaceLibrary>,
    form: Arc<TemplateForm>,
}

impl SearchPort {
    /// Over `library`, whose templates are of `form`.
    #[must_use]
    pub fn new(library: Arc<dyn FaceLibrary>, form: Arc<TemplateForm>) -> Self {
        Self { library, form }
    }

    /// Faces in a library of this site's model.
    fn size(&self, tenant: &str, library: Id, deadline: Instant) -> Size {
        let head = self.library.head(tenant, uuid(library), deadline);
        let head = head.map_err(|error| failure(&error))?.ok_or_else(|| {
            AskFailure::lasting(codes::LIBRARY_UNKNOWN, format!("no library {library}"))
        })?;
        if head.model_sha256 != self.form.model.sha256 {
            let what = format!("the library holds templates of {}", head.model_sha256);
            return Err(AskFailure::lasting(codes::LIBRARY_MODEL_MISMATCH, what));
        }
        let count = self.library.count(tenant, uuid(library), deadline);
        count.map_err(|error| failure(&error))
    }

    /// The query of an ask and the sizes of its libraries. Each library is looked at once a bundle. One ask that no
    /// engine may see does not refuse its neighbours.
    fn query(
        &self,
        ask: &SearchAsk,
        sizes: &mut BTreeMap<(String, Id), Size>,
        deadline: Instant,
    ) -> Result<(FaceQuery, Vec<(Id, u64)>), AskFailure> {
        let template = self.form.shaped(&ask.template);
        check_template(&template, self.form.dimension, self.form.metric)
            .map_err(|error| failure(&error))?;
        let mut libraries = Vec::with_capacity(ask.libraries.len());
        for library in &ask.libraries {
            let place = (ask.tenant.clone(), *library);
            let size = sizes
                .entry(place)
                .or_insert_with(|| self.size(&ask.tenant, *library, deadline));
            libraries.push((*library, size.clone()?));
        }
        let query = FaceQuery {
            tenant: ask.tenant.clone(),
            libraries: ask.libraries.iter().map(|id| uuid(*id)).collect(),
            template,
            faces_max: ask.faces_max,
            exact: false,
        };
        Ok((query, libraries))
    }
}

impl Port<SearchAsk, Found> for SearchPort {
    fn ask(&self, asks: &[&SearchAsk], deadline: Instant) -> Vec<Result<Found, AskFailure>> {
        let mut sizes = BTreeMap::new();
        let checked: Vec<_> = asks
            .iter()
            .map(|ask| self.query(ask, &mut sizes, deadline))
            .collect();
        let sound = checked.iter().filter_map(|query| query.as_ref().ok());
        let queries: Vec<FaceQuery> = sound.map(|(query, _)| query.clone()).collect();
        let mut hits = match self.library.search(&queries, deadline) {
            Ok(hits) => hits.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(failure(&error)); queries.len()],
        }
        .into_iter();
        checked
            .into_iter()
            .map(|query| {
                let (_, libraries) = query?;
                let missing = "the engine answered fewer searches than it was asked";
                let hits = hits
                    .next()
                    .unwrap_or_else(|| Err(AskFailure::lasting(codes::LIBRARY_FAILED, missing)))?;
                Ok(Found {
                    libraries,
                    faces: hits.into_iter().map(found).collect(),
                })
            })
            .collect()
    }
}

fn found(hit: FaceHit) -> FaceFound {
    FaceFound {
        library: id(hit.library),
        person: hit.person,
        face: id(hit.face),
        score: hit.score,
        sequence: hit.sequence,
    }
}
