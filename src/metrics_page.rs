//! `docs/metrics.md`: every metric and invariant, and rules to alert by.

use std::fmt::Write as _;

use shiren_contract::invariants;
use shiren_runtime::{Kind, METRICS};

const HEAD: &str = "\
# Metrics, health, traces

Generated from the program's own tables by `shiren docs write`; do not edit.

A process that runs workers (`shiren run`) listens where `telemetry.listen` or `SHIREN_TELEMETRY_LISTEN` says, for example
`127.0.0.1:9464`. It has no authentication: keep it inside. The address is printed on standard error at the start.

| path | 200 when | else |
| --- | --- | --- |
| `/metrics` | always | |
| `/healthz` | every worker loop has turned within `telemetry.turn_max_ms`; one that starts or restores is not judged, one that waits for a dependency turns | 503: it hangs, restart it |
| `/readyz` | the state is `ready` | 503 with `starting` (stages are built, the log is opened, or it is opened anew), `restoring` (state is read), `draining` (it ends) |

Both answer JSON: `{\"state\":\"ready\",\"workers\":[{\"segment\":\"front\",\"lane\":\"interactive\",\"slot\":0,\"state\":\"ready\",\"still_for_ms\":12,\"reason\":\"\"}]}`;
the process is where the last of its workers is.

## Metrics

A counter begins at 0 with the process. Labels are bounded by topology and code: none holds a case, a person or a key.

| metric | type | labels | meaning |
| --- | --- | --- | --- |
";

const ALERTS: &str = "
## Alerts

Rules to begin with; the numbers are yours to set.

```yaml
groups:
  - name: shiren
    rules:
      - alert: ShirenInvariantBroken
        expr: increase(shiren_invariant_violations_total[10m]) > 0
        labels: {severity: page}
        annotations: {summary: \"{{ $labels.invariant }} did not hold on {{ $labels.instance }}\"}
      - alert: ShirenNotReady
        expr: sum by (instance) (shiren_worker_phase{phase=\"ready\"}) < count by (instance) (shiren_worker_phase{phase=\"ready\"})
        for: 5m
        annotations: {summary: \"a worker of {{ $labels.instance }} is not ready\"}
      - alert: ShirenLagGrows
        expr: sum by (segment, lane) (shiren_consumer_lag_records) > 1000 and sum by (segment, lane) (deriv(shiren_consumer_lag_records[10m])) > 0
        for: 10m
        annotations: {summary: \"{{ $labels.segment }} falls behind in lane {{ $labels.lane }}\"}
      - alert: ShirenDeadLetters
        expr: sum by (segment) (rate(shiren_dead_letters_total[10m])) > 0.05 * sum by (segment) (rate(shiren_records_total[10m]))
        for: 10m
        annotations: {summary: \"more than 5 % of the records of {{ $labels.segment }} become dead letters\"}
      - alert: ShirenDependencyDown
        expr: shiren_ask_breaker_open == 1
        for: 1m
        annotations: {summary: \"what {{ $labels.stage }} asks does not answer\"}
      - alert: ShirenRebuilds
        expr: increase(shiren_worker_rebuilds_total[10m]) > 3
        annotations: {summary: \"workers of {{ $labels.segment }} are built anew again and again\"}
      - alert: ShirenMemory
        expr: shiren_resident_memory_bytes > 0.9 * shiren_resident_memory_max_bytes
        for: 5m
        annotations: {summary: \"{{ $labels.instance }} is near its memory bound\"}
```

## Traces

Spans leave by OTLP over HTTP where `OTEL_EXPORTER_OTLP_ENDPOINT` is set. A producer's `traceparent` header begins the trace; each stage adds a span a
record, each ask a span `ask <stage>` of its own, and the verdict's `traceparent` ends it, across processes. A collector that is down or
slow is not waited for: 2,048 spans wait for it, further ones are dropped and counted in `shiren_spans_total`. OpenTelemetry's own
variables (`OTEL_EXPORTER_OTLP_TIMEOUT`, `OTEL_BSP_SCHEDULE_DELAY`) hold.
";

/// The page.
pub(crate) fn markdown() -> String {
    let mut page = String::from(HEAD);
    for metric in METRICS {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let labels: Vec<String> = metric.labels.iter().map(|l| format!("`{l}`")).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| `{}` | {kind} | {} | {} |",
            metric.name,
            labels.join(", "),
            metric.meaning
        );
    }
    page.push_str(
        "\n## Invariants\n\nWhat must hold whatever happens; unit tests, tests of the chain and the workers themselves check it by the same code\n\
         (`stages/contract/src/invariants.rs`). A worker that finds one broken fails closed: a verdict that says yes becomes an error with\n\
         `invariant_violated`, a bundle out of order is not processed, a process over its budget stops.\n\n\
         | invariant | what holds |\n| --- | --- |\n",
    );
    for invariant in invariants::ALL {
        let _ = writeln!(page, "| `{}` | {} |", invariant.name, invariant.meaning);
    }
    page.push_str(ALERTS);
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_name_metrics_that_there_are() {
        let named = |text: &str| -> Vec<String> {
            text.split(|c: char| !c.is_ascii_lowercase() && c != '_')
                .filter(|word| word.starts_with("shiren_"))
                .map(str::to_owned)
                .collect()
        };
        let known: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
        let alerts = named(ALERTS);
        assert!(alerts.len() > 5);
        for name in alerts {
            assert!(known.contains(&name.as_str()), "{name}");
        }
    }
}
