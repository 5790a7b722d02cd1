//! The site's face library: which engine holds it, and the ports through which stages ask it.

mod changing;
mod searching;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use shiren_contract::asking::{AskFailure, Port};
use shiren_contract::codes;
use shiren_contract::library::{ChangeAsk, Changed, Found, SearchAsk};
use shiren_contract::seal::Vault;
use shiren_library::{
    EmbeddedLibrary, EmbeddedOptions, FaceLibrary, LibraryError, Metric, ServerLibrary,
    ServerOptions,
};
use shiren_models::manifest;
use shiren_schemas::Id;
use shiren_schemas::records::ModelRef;
use shiren_topology::LibraryEngine;
use uuid::Uuid;

use crate::site::Site;

pub use changing::ChangePort;
pub use searching::SearchPort;

/// Holds the API key of the Qdrant server.
pub const API_KEY_VARIABLE: &str = "SHIREN_LIBRARY_API_KEY";
/// Longest that an engine warms up before it answers.
const WARM_UP_MAX: Duration = Duration::from_secs(30);

/// What a site's templates are.
#[derive(Clone, Debug)]
pub struct TemplateForm {
    /// The model that makes them.
    pub model: ModelRef,
    /// Numbers in each.
    pub dimension: usize,
    /// How they are compared.
    pub metric: Metric,
}

impl TemplateForm {
    /// By the site's profile of weights.
    ///
    /// # Errors
    /// The manifest cannot be read, or its embedder is no embedder.
    pub fn of(site: &Site) -> anyhow::Result<Self> {
        let manifest = site.manifest()?;
        let name = &manifest.profile(&site.topology.models.profile)?.embedder;
        let entry = manifest.model(name)?;
        let (Some(dimension), Some(metric)) = (entry.output.embedding_size, entry.output.metric)
        else {
            anyhow::bail!("{name} is no embedder: the manifest gives no size or metric");
        };
        Ok(Self {
            model: ModelRef {
                name: name.clone(),
                sha256: entry.onnx.sha256.clone(),
            },
            dimension,
            metric: match metric {
                manifest::Metric::Cosine => Metric::Cosine,
                manifest::Metric::Euclidean => Metric::Euclidean,
            },
        })
    }

    /// A template as engines take it: of unit norm where the angle alone counts.
    #[must_use]
    pub fn shaped(&self, template: &[f32]) -> Vec<f32> {
        match self.metric {
            Metric::Euclidean => template.to_vec(),
            Metric::Cosine => {
                let squares = template.iter().map(|x| f64::from(*x) * f64::from(*x));
                let norm = squares.sum::<f64>().sqrt();
                template
                    .iter()
                    .map(|x| (f64::from(*x) / norm) as f32)
                    .collect()
            }
        }
    }
}

/// Opens the engine that the topology names. A server has until `deadline` to be there.
///
/// # Errors
/// See [`LibraryError`]; the folder is another process's, or the server's address is missing.
pub fn open(
    site: &Site,
    form: &TemplateForm,
    deadline: Instant,
) -> Result<Arc<dyn FaceLibrary>, LibraryError> {
    let settings = &site.topology.library;
    Ok(match &settings.engine {
        LibraryEngine::Embedded { dir } => Arc::new(EmbeddedLibrary::open(EmbeddedOptions {
            search_width: settings.search_width,
            // An index that no search follows is not built.
            index_from_kib: settings.compare_all_max_kib,
            compare_all_max_kib: settings.compare_all_max_kib,
            ..EmbeddedOptions::new(site.home.join(dir), form.dimension, form.metric)
        })?),
        LibraryEngine::Server { url, collection } => {
            let url = url.as_ref().ok_or_else(|| LibraryError::Unavailable {
                place: "library.url".to_owned(),
                what: "it is not set; set it, or SHIREN_LIBRARY_URL".to_owned(),
            })?;
            let api_key = std::env::var(API_KEY_VARIABLE).ok();
            let options = ServerOptions {
                collection: collection.clone(),
                api_key: api_key.filter(|key| !key.is_empty()),
                search_width: settings.search_width,
                compare_all_max_kib: settings.compare_all_max_kib,
                request_max_ms: settings.asks.call_max_wait_ms,
                ..ServerOptions::new(url, form.dimension, form.metric)
            };
            Arc::new(ServerLibrary::open(options, deadline)?)
        }
    })
}

/// The face library of a process, opened at the first ask: commands that run stages beside a running chain must not
/// find its folder locked.
pub struct SiteLibrary {
    site: Arc<Site>,
    opened: Mutex<Option<Opened>>,
}

/// An open library.
#[derive(Clone)]
struct Opened {
    form: Arc<TemplateForm>,
    library: Arc<dyn FaceLibrary>,
    vault: Option<Arc<dyn Vault>>,
}

impl SiteLibrary {
    /// The library of `site`.
    #[must_use]
    pub fn new(site: &Arc<Site>) -> Arc<Self> {
        Arc::new(Self {
            site: Arc::clone(site),
            opened: Mutex::new(None),
        })
    }

    fn opened(&self, deadline: Instant) -> Result<Opened, AskFailure> {
        let mut opened = self.opened.lock();
        if let Some(opened) = &*opened {
            return Ok(opened.clone());
        }
        let broken = |error: anyhow::Error| {
            AskFailure::transient(codes::LIBRARY_FAILED, format!("{error:#}"))
        };
        let form = TemplateForm::of(&self.site).map_err(broken)?;
        let vault = self.site.vault().map_err(broken)?;
        let library = open(&self.site, &form, deadline);
        let library = library.map_err(|error| failure(&error))?;
        library
            .warm_up(Instant::now() + WARM_UP_MAX)
            .map_err(|error| failure(&error))?;
        let new = Opened {
            form: Arc::new(form),
            library,
            vault,
        };
        *opened = Some(new.clone());
        Ok(new)
    }
}

impl Port<SearchAsk, Found> for SiteLibrary {
    fn ask(&self, asks: &[&SearchAsk], deadline: Instant) -> Vec<Result<Found, AskFailure>> {
        match self.opened(deadline) {
            Ok(opened) => SearchPort::new(opened.library, opened.form).ask(asks, deadline),
            Err(failure) => asks.iter().map(|_| Err(failure.clone())).collect(),
        }
    }
}

impl Port<ChangeAsk, Changed> for SiteLibrary {
    fn ask(&self, asks: &[&ChangeAsk], deadline: Instant) -> Vec<Result<Changed, AskFailure>> {
        let faces_max = self.site.topology.library.faces_per_person_max;
        match self.opened(deadline) {
            Ok(opened) => ChangePort::new(opened.library, opened.form, opened.vault, faces_max)
                .ask(asks, deadline),
            Err(failure) => asks.iter().map(|_| Err(failure.clone())).collect(),
        }
    }
}

fn uuid(id: Id) -> Uuid {
    Uuid::from_bytes(id.0)
}

fn id(uuid: Uuid) -> Id {
    Id(*uuid.as_bytes())
}

/// The engine's error as what became of an ask.
fn failure(error: &LibraryError) -> AskFailure {
    let code = codes::find(error.code()).copied();
    let code = code.unwrap_or(codes::STAGE_FAILED);
    // The process that has the folder may end.
    if error.is_transient() || matches!(error, LibraryError::Locked { .. }) {
        AskFailure::transient(code, error.to_string())
    } else {
        AskFailure::lasting(code, error.to_string())
    }
}
