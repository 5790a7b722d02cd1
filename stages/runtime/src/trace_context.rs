//! W3C trace context in record headers: a hint, never a ground for a decision.

use bytes::Bytes;
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::TraceContextExt;

/// Longest header value that is looked at, bytes.
const MAX_VALUE_BYTES: usize = 512;

/// Headers of a record, as a carrier.
struct Carrier<'a>(&'a [(String, Option<Bytes>)]);

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let (_, value) = self
            .0
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(key))?;
        let value = value.as_ref()?;
        (value.len() <= MAX_VALUE_BYTES).then(|| std::str::from_utf8(value).ok())?
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }
}

struct Collector(Vec<(String, Bytes)>);

impl Injector for Collector {
    fn set(&mut self, key: &str, value: String) {
        if !value.is_empty() {
            self.0.push((key.to_owned(), Bytes::from(value)));
        }
    }
}

/// The context that a record's headers name. The flag tells of a `traceparent` that was there and
/// could not be read: it is ignored, counted, and a new trace begins.
pub(crate) fn extract(headers: &[(String, Option<Bytes>)]) -> (Context, bool) {
    let context = opentelemetry::global::get_text_map_propagator(|propagator| {
        propagator.extract_with_context(&Context::new(), &Carrier(headers))
    });
    let named = headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("traceparent"));
    let bad = named && !context.span().span_context().is_valid();
    (context, bad)
}

/// The headers that carry `context` on.
pub(crate) fn inject(context: &Context) -> Vec<(String, Bytes)> {
    let mut headers = Collector(Vec::new());
    opentelemetry::global::get_text_map_propagator(|propagator| {
        propagator.inject_context(context, &mut headers);
    });
    headers.0
}

/// The `traceparent` of a record's headers, where it can be read.
pub(crate) fn traceparent(headers: &[(String, Option<Bytes>)]) -> Option<String> {
    let carried = inject(&extract(headers).0);
    let (_, value) = carried
        .into_iter()
        .find(|(name, _)| name == "traceparent")?;
    String::from_utf8(value.to_vec()).ok()
}
