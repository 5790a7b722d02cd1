//! What the programs in src/bin/ share: `shiren run --segment`, but with a log or a registry of their own.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use shiren::site::{self, Site};
use shiren::{signals, stages};
use shiren_log::Log;
use shiren_runtime::{Drain, Registry, Runtime};

/// Runs a segment of the topology that `SHIREN_TOPOLOGY` names until SIGTERM; says what `shiren run` says.
///
/// # Errors
/// As `shiren run`.
pub fn run(
    segment: &str,
    slot: u32,
    log: impl FnOnce(Arc<dyn Log>) -> Arc<dyn Log>,
    registry: impl FnOnce(&Arc<Site>) -> Registry,
) -> anyhow::Result<()> {
    let file = std::env::var("SHIREN_TOPOLOGY").context("SHIREN_TOPOLOGY")?;
    let site = Site::open(file.as_ref(), &site::home(), &stages::descriptors())?;
    let site = Arc::new(site);
    let options = site.runtime_options(&[segment.to_owned()], slot)?;
    let runtime = Runtime::build(options, registry(&site), log(site.open_log()?))?;
    let drain = Drain::new();
    let drain_max_ms = site.topology.runtime.drain_max_ms;
    signals::drain_on(&drain, Duration::from_millis(drain_max_ms))?;
    let done = runtime.run(&drain, || println!("ready: {segment}"))?;
    eprintln!(
        "drained: {} records, {} verdicts, {} dead letters, {} rebuilds",
        done.records, done.verdicts, done.dead_letters, done.rebuilds
    );
    Ok(())
}
