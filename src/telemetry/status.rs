//! Metrics and health of a process that runs workers, by HTTP.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};
use serde_json::{Value, json};
use shiren_runtime::{Health, Instruments, Phase, WorkerHealth};
use shiren_topology::{Telemetry, Topology};
use tokio::sync::{Semaphore, oneshot};

/// Rest after a connection could not be accepted: the process has no file to spare.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// What a process shows.
#[derive(Clone)]
pub struct Status {
    registry: Registry,
    /// Keeps the instruments' readings.
    _provider: SdkMeterProvider,
    instruments: Instruments,
    health: Health,
    turn_max: Duration,
}

impl Status {
    /// Instruments and health of a process that starts.
    ///
    /// # Errors
    /// A fault of this program.
    pub fn new(topology: &Topology) -> anyhow::Result<Self> {
        let registry = Registry::new();
        // The names are Prometheus' already.
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .without_units()
            .without_counter_suffixes()
            .without_target_info()
            .scope_info_enabled(false)
            .build()?;
        let provider = SdkMeterProvider::builder().with_reader(exporter).build();
        let health = Health::new();
        let max_bytes = topology.runtime.max_resident_mib * 1024 * 1024;
        let meter = provider.meter("shiren");
        let instruments = Instruments::new(&meter, &health, max_bytes, super::spans());
        Ok(Self {
            registry,
            _provider: provider,
            instruments,
            health,
            turn_max: Duration::from_millis(topology.telemetry.turn_max_ms),
        })
    }

    /// What the runtime measures with.
    #[must_use]
    pub fn instruments(&self) -> Instruments {
        self.instruments.clone()
    }

    /// Where the runtime says how its workers are.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Serves it where `settings` say; `None`: nowhere.
    ///
    /// # Errors
    /// The address cannot be listened at.
    pub fn serve(&self, settings: &Telemetry) -> anyhow::Result<Option<StatusServer>> {
        let Some(listen) = &settings.listen else {
            return Ok(None);
        };
        StatusServer::start(self.clone(), listen, settings).map(Some)
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return response(StatusCode::METHOD_NOT_ALLOWED, "text/plain", String::new());
        }
        match request.uri().path() {
            "/metrics" => self.metrics(),
            "/healthz" => self.healthz(),
            "/readyz" => self.readyz(),
            _ => response(StatusCode::NOT_FOUND, "text/plain", String::new()),
        }
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        match TextEncoder::new().encode_to_string(&self.registry.gather()) {
            Ok(text) => response(StatusCode::OK, prometheus::TEXT_FORMAT, text),
            Err(error) => {
                let code = StatusCode::INTERNAL_SERVER_ERROR;
                response(code, "text/plain", error.to_string())
            }
        }
    }

    fn healthz(&self) -> Response<Full<Bytes>> {
        let workers = self.health.workers();
        let lives = workers.iter().all(|worker| worker.turns(self.turn_max));
        let shown = workers.iter().map(|worker| {
            let mut shown = describe(worker);
            shown["turns"] = worker.turns(self.turn_max).into();
            shown
        });
        answer(
            lives,
            json!({"alive": lives, "workers": shown.collect::<Vec<_>>()}),
        )
    }

    fn readyz(&self) -> Response<Full<Bytes>> {
        let phase = self.health.phase();
        let workers = self.health.workers();
        let shown: Vec<Value> = workers.iter().map(describe).collect();
        answer(
            phase == Phase::Ready,
            json!({"state": phase.name(), "workers": shown}),
        )
    }
}

fn describe(worker: &WorkerHealth) -> Value {
    json!({
        "segment": worker.segment,
        "lane": worker.lane.to_string(),
        "slot": worker.slot,
        "state": worker.phase.name(),
        "still_for_ms": u64::try_from(worker.still_for.as_millis()).unwrap_or(u64::MAX),
        "reason": worker.reason,
    })
}

fn answer(is_well: bool, body: Value) -> Response<Full<Bytes>> {
    let code = match is_well {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    response(code, "application/json", format!("{body}\n"))
}

fn response(code: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    headers.insert(
        CACHE_CONTROL,
        hyper::header::HeaderValue::from_static("no-store"),
    );
    response
}

/// A listener on a thread of its own; it ends when this is dropped.
pub struct StatusServer {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl StatusServer {
    fn start(status: Status, listen: &str, settings: &Telemetry) -> anyhow::Result<Self> {
        let hint = || {
            format!(
                "telemetry.listen = {listen:?} cannot be listened at; take a free `address:port`, or port 0"
            )
        };
        let listener = TcpListener::bind(listen).with_context(hint)?;
        listener.set_nonblocking(true).with_context(hint)?;
        let address = listener.local_addr().with_context(hint)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let bounds = Bounds {
            connection_max: Duration::from_millis(settings.connection_max_ms),
            head_max_bytes: settings.head_max_bytes,
            places: Arc::new(Semaphore::new(settings.connections_max)),
        };
        let (stop, stopped) = oneshot::channel();
        std::thread::Builder::new()
            .name("status".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        _ = stopped => {}
                        () = accept(listener, status, bounds) => {}
                    }
                });
            })
            .context("the thread of the listener could not be started")?;
        Ok(Self {
            address,
            _stop: stop,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

struct Bounds {
    connection_max: Duration,
    head_max_bytes: usize,
    places: Arc<Semaphore>,
}

async fn accept(listener: TcpListener, status: Status, bounds: Bounds) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "metrics and health are not served");
            return;
        }
    };
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
            continue;
        };
        // Without a place it is closed.
        let Ok(place) = Arc::clone(&bounds.places).try_acquire_owned() else {
            continue;
        };
        let status = status.clone();
        let service = service_fn(move |request| {
            let answer = status.answer(&request);
            async move { Ok::<_, Infallible>(answer) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(bounds.connection_max)
            .max_buf_size(bounds.head_max_bytes)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        let connection_max = bounds.connection_max;
        tokio::spawn(async move {
            // Whoever is slow or speaks no HTTP is hung up on.
            let _ = tokio::time::timeout(connection_max, connection).await;
            drop(place);
        });
    }
}
