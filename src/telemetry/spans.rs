//! Spans on their way to a collector: bounded, counted, and never waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor,
};
use shiren_runtime::SpanTally;

/// Spans that wait for the collector; one more is dropped. OpenTelemetry's own default.
const QUEUE_MAX_SPANS: usize = 2048;

/// Sends spans by `exporter`, from a thread of its own.
pub(super) fn counted<E: SpanExporter + 'static>(
    exporter: E,
    tally: Arc<SpanTally>,
) -> impl SpanProcessor {
    let waiting = Arc::<AtomicUsize>::default();
    let exporter = CountedExporter {
        exporter,
        waiting: Arc::clone(&waiting),
        tally: Arc::clone(&tally),
    };
    let config = BatchConfigBuilder::default().with_max_queue_size(QUEUE_MAX_SPANS);
    CountedProcessor {
        batches: BatchSpanProcessor::builder(exporter)
            .with_batch_config(config.build())
            .build(),
        waiting,
        tally,
    }
}

#[derive(Debug)]
struct CountedProcessor {
    batches: BatchSpanProcessor,
    waiting: Arc<AtomicUsize>,
    tally: Arc<SpanTally>,
}

impl SpanProcessor for CountedProcessor {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        // Counted here, as the processor below drops in silence.
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= QUEUE_MAX_SPANS {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.tally.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.batches.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

#[derive(Debug)]
struct CountedExporter<E> {
    exporter: E,
    waiting: Arc<AtomicUsize>,
    tally: Arc<SpanTally>,
}

impl<E: SpanExporter> SpanExporter for CountedExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        let exported = self.exporter.export(batch).await;
        let count = match exported {
            Ok(()) => &self.tally.exported,
            Err(_) => &self.tally.failed,
        };
        count.fetch_add(spans as u64, Ordering::Relaxed);
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use opentelemetry::trace::{Tracer, TracerProvider};
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    /// Takes nothing until it is opened; then refuses or takes all.
    #[derive(Debug, Clone, Default)]
    struct Gate(Arc<(Mutex<bool>, Condvar)>);

    impl Gate {
        fn open(&self) {
            *self.0.0.lock().unwrap() = true;
            self.0.1.notify_all();
        }
    }

    impl SpanExporter for Gate {
        async fn export(&self, _batch: Vec<SpanData>) -> OTelSdkResult {
            let mut open = self.0.0.lock().unwrap();
            while !*open {
                open = self.0.1.wait(open).unwrap();
            }
            Ok(())
        }
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted_and_nobody_waits() {
        let (gate, tally) = (Gate::default(), Arc::<SpanTally>::default());
        let processor = counted(gate.clone(), Arc::clone(&tally));
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .build();
        let tracer = provider.tracer("test");
        let spans = 3 * QUEUE_MAX_SPANS;
        // The collector hangs all the while.
        for _ in 0..spans {
            drop(tracer.start("span"));
        }
        let dropped = tally.dropped.load(Ordering::Relaxed);
        assert!(dropped > 0);
        gate.open();
        provider.force_flush().unwrap();
        provider.shutdown().unwrap();
        let exported = tally.exported.load(Ordering::Relaxed);
        assert_eq!(exported + dropped, spans as u64);
        assert!(exported >= QUEUE_MAX_SPANS as u64);
        assert_eq!(tally.failed.load(Ordering::Relaxed), 0);
    }
}
