//! Logs to standard error, spans to OpenTelemetry, metrics and health by HTTP. None carries names, numbers or pictures.

mod spans;
mod status;

pub use status::{Status, StatusServer};

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::Context;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use shiren_runtime::SpanTally;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Keeps telemetry running; what is still buffered is sent when it is dropped.
pub struct Telemetry(SdkTracerProvider);

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown_with_timeout(SPANS_MAX_WAIT) {
            eprintln!("shiren: telemetry could not be closed: {error}");
        }
    }
}

/// Longest wait for the last spans when a process ends: a collector that hangs must not hold a drain up.
const SPANS_MAX_WAIT: Duration = Duration::from_secs(1);

/// How spans left this process.
pub(crate) fn spans() -> Arc<SpanTally> {
    static SPANS: LazyLock<Arc<SpanTally>> = LazyLock::new(Arc::default);
    Arc::clone(&SPANS)
}

/// Warnings, but for two that the face library's engine gives at every start and nobody can do anything about: it keeps what
/// they ask for private.
const DEFAULT_FILTER: &str =
    "warn,qdrant_edge::common::flags=error,qdrant_edge::common::mmap::ops=error";

/// Starts telemetry for this process. `RUST_LOG` filters the log (default `warn`), spans are
/// exported where `OTEL_EXPORTER_OTLP_ENDPOINT` names a collector; without one they still carry
/// the trace context from record to record.
///
/// # Errors
/// The exporter could not be built, or telemetry runs already.
pub fn start() -> anyhow::Result<Telemetry> {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let mut provider = SdkTracerProvider::builder();
    if std::env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT").is_some() {
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .build()
            .context("OTEL_EXPORTER_OTLP_ENDPOINT: the exporter could not be built")?;
        provider = provider.with_span_processor(spans::counted(exporter, spans()));
    }
    let provider = provider.build();
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // Spans go to OpenTelemetry whatever the log's level: the trace context depends on them.
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("shiren"))
        .with_tracked_inactivity(false);
    tracing_subscriber::registry()
        .with(tracing_subscriber::Layer::with_filter(
            spans,
            tracing_subscriber::filter::LevelFilter::INFO,
        ))
        .with(tracing_subscriber::Layer::with_filter(log, filter))
        .try_init()
        .context("telemetry runs already")?;
    Ok(Telemetry(provider))
}
