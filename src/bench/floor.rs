//! What a case costs at least: model runs and decoding, with nothing around them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use shiren_models::{BareModel, Manifest};
use shiren_stills::bare::BareDecoder;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context as LayerContext, Layer, SubscriberExt};

/// What a stretch of work did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Model and input size of each run, in order.
    pub runs: Vec<(String, u32, u32)>,
    /// Size of each picture that was decoded, as its decoder gave it.
    pub decodes: Vec<(u32, u32)>,
}

/// Does `work` and tells what it did.
pub fn watch<T>(work: impl FnOnce() -> T) -> (T, Work) {
    let seen = Arc::new(Mutex::new(Work::default()));
    let subscriber = tracing_subscriber::registry().with(Watcher(seen.clone()));
    let done = tracing::subscriber::with_default(subscriber, work);
    let work = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (done, work)
}

struct Watcher(Arc<Mutex<Work>>);

impl<S: Subscriber> Layer<S> for Watcher {
    fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut work = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let target = event.metadata().target();
        if target == shiren_models::RUN {
            work.runs.push((fields.model, fields.width, fields.height));
        } else if target == shiren_stills::DECODED {
            work.decodes.push((fields.width, fields.height));
        }
    }
}

#[derive(Default)]
struct Fields {
    model: String,
    width: u32,
    height: u32,
}

impl Visit for Fields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        let value = u32::try_from(value).unwrap_or(u32::MAX);
        match field.name() {
            "width" => self.width = value,
            "height" => self.height = value,
            _ => {}
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "model" {
            value.clone_into(&mut self.model);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

/// Sessions and a decoder, kept from run to run.
pub struct Floor {
    models: HashMap<String, BareModel>,
    decoder: BareDecoder,
}

impl Floor {
    /// Opens the named models.
    ///
    /// # Errors
    /// A model cannot be opened.
    pub fn open(
        manifest: &Manifest,
        home: &Path,
        names: &[&str],
        threads: usize,
    ) -> anyhow::Result<Self> {
        let mut models = HashMap::new();
        for name in names {
            let model = BareModel::open(manifest, home, name, threads)?;
            models.insert((*name).to_owned(), model);
        }
        Ok(Self {
            models,
            decoder: BareDecoder::default(),
        })
    }

    /// One run.
    ///
    /// # Errors
    /// The model was not opened, or does not take that size.
    pub fn run(&mut self, model: &str, width: u32, height: u32) -> anyhow::Result<()> {
        let model = self.models.get_mut(model).context("a model not opened")?;
        Ok(model.run(width, height)?)
    }

    /// Decodes a JPEG by libjpeg-turbo, whole, or reduced until it has no more than `width` pixels across.
    ///
    /// # Errors
    /// It is none.
    pub fn decode(&mut self, jpeg: &[u8], width: Option<u32>) -> anyhow::Result<()> {
        self.decoder
            .decode(jpeg, width)
            .map_err(|error| anyhow::anyhow!("libjpeg-turbo: {error}"))
    }
}
