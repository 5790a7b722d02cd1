//! A real OpenTelemetry collector, as `scripts/setup --tests` fetches it.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use tempfile::NamedTempFile;

use crate::processes::await_that;
use crate::site;

/// A running collector that writes down each span it gets. Killed, by pid, when dropped.
pub struct Collector {
    child: Child,
    port: u16,
    spans: NamedTempFile,
}

/// A span that has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenSpan {
    /// Trace id, hexadecimal.
    pub trace: String,
    /// Span id, hexadecimal.
    pub id: String,
    /// The span above it; empty: none.
    pub parent: String,
    /// Its name.
    pub name: String,
}

impl Collector {
    /// Starts one.
    ///
    /// # Panics
    /// When it is not fetched, or does not start.
    #[must_use]
    pub fn start() -> Self {
        let program = site::home().join("collector/rotel-agent");
        assert!(
            program.exists(),
            "{}: not fetched; run scripts/setup --tests",
            program.display()
        );
        // Both are bound before either is let go, so that they differ.
        let free = || TcpListener::bind("127.0.0.1:0").expect("a free port");
        let [grpc, http] = [free(), free()].map(|l| l.local_addr().expect("bound").port());
        let spans = NamedTempFile::new().expect("a temporary file");
        let child = Command::new(program)
            .args(["start", "--exporter", "blackhole", "--debug-log", "traces"])
            .args(["--debug-log-verbosity", "detailed"])
            .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")])
            .args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")])
            .stdout(spans.reopen().expect("reopened"))
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        await_that("the collector listens", || {
            TcpStream::connect(("127.0.0.1", http)).is_ok()
        });
        Self {
            child,
            port: http,
            spans,
        }
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The spans of a trace that have arrived.
    ///
    /// # Panics
    /// When its output cannot be read.
    #[must_use]
    pub fn spans(&self, trace: &str) -> Vec<SeenSpan> {
        let text = std::fs::read_to_string(self.spans.path()).expect("its output");
        // The last one may not be whole yet.
        let spans = text.split("Span #").skip(1).filter_map(span);
        spans.filter(|span| span.trace == trace).collect()
    }
}

/// A span as the collector writes it: `Trace ID       : 4bf9...`, a line a field.
fn span(text: &str) -> Option<SeenSpan> {
    let field = |name: &str| {
        let value = |line: &str| {
            let (found, value) = line.split_once(':')?;
            (found.trim() == name).then(|| value.trim().to_owned())
        };
        text.lines().find_map(value)
    };
    field("End time")?;
    Some(SeenSpan {
        trace: field("Trace ID")?,
        id: field("ID")?,
        parent: field("Parent ID")?,
        name: field("Name")?,
    })
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
