//! Shiren with one stage more: what a crate outside of Shiren's folder does to add its own.
//!
//! Two comparisons go through the chain on the embedded log; the verdicts show what the stage
//! says. Run it in the repository's folder after `scripts/setup`: `cargo run -p own-stage`.

mod face_size;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use shiren::case_reader::VerdictReader;
use shiren::site::{self, Site};
use shiren::{requests, stages};
use shiren_contract::stage::Stage;
use shiren_log::{Log, Start};
use shiren_runtime::{Drain, Runtime, now_us};
use shiren_schemas::records::{Lane, Mode, Request, RequestKind, Verdict};

use face_size::{Config, FaceSize};

/// Two people with large faces; then one person twice, once with a smaller face.
const PAIRS: [(&str, &str); 2] = [("obama2.jpg", "biden.jpg"), ("obama2.jpg", "obama.jpg")];
const MIN_WIDTH_PX: f32 = 265.0;
const MAX_WAIT: Duration = Duration::from_secs(60);

fn main() -> anyhow::Result<()> {
    // The stages that the topology may name: Shiren's and our own.
    let mut known = stages::descriptors();
    known.push(FaceSize::DESCRIPTOR);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("topology.toml");
    let site = Arc::new(Site::open(&file, &site::home(), &known)?);
    let log = site.open_log()?;
    site.set_up(log.as_ref())?;

    // How each of them is built; each worker builds its own.
    let config = Config {
        min_width_px: MIN_WIDTH_PX,
    };
    let registry = stages::registry(&site).with(move || Ok(FaceSize::new(config)));
    let runtime = Runtime::build(site.runtime_options(&[], 0)?, registry, log.clone())?;

    let drain = Drain::new();
    let verdicts = std::thread::scope(|scope| {
        let chain = scope.spawn(|| runtime.run(&drain, || {}));
        let verdicts = ask(&site, log.as_ref());
        drain.request();
        chain.join().map_err(|_| anyhow::anyhow!("it panicked"))??;
        verdicts
    })?;
    verdicts.iter().for_each(print);
    Ok(())
}

/// Publishes the pairs and waits for their verdicts.
fn ask(site: &Site, log: &dyn Log) -> anyhow::Result<Vec<Verdict>> {
    let tenant = site.topology.tenants.first().context("no tenant")?;
    let mut reader = VerdictReader::open(log, tenant, Mode::Live, Start::End)?;
    let mut publisher = log.publisher()?;
    let run = now_us();
    for (probe, reference) in PAIRS {
        let id = format!("{probe} and {reference}, {run}");
        let mut request = Request::new(&id, RequestKind::Compare);
        let picture = |name: &str| -> anyhow::Result<_> {
            let path = site.home.join("pictures").join(name);
            let bytes = std::fs::read(&path);
            let bytes = bytes.with_context(|| format!("{}: run scripts/setup", path.display()))?;
            Ok(Some(requests::inline(bytes, None)))
        };
        request.probe = picture(probe)?;
        request.reference = picture(reference)?;
        let (record, _) = requests::record(tenant, Lane::Interactive, &request)?;
        publisher.publish(vec![record])?;
    }
    reader.await_count(PAIRS.len(), MAX_WAIT)
}

fn print(verdict: &Verdict) {
    let canonical = &verdict.canonical;
    let checks = canonical.checks.iter();
    let checks: Vec<String> = checks.map(|c| format!("{}={}", c.name, c.state)).collect();
    println!(
        "{}: {} [{}] {}",
        verdict.observed.request_id,
        canonical.decision,
        canonical.reason_codes.join(", "),
        checks.join(" ")
    );
}
