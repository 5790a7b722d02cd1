//! `shiren run`: the long-running worker process.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use shiren_contract::seal::Vault;
use shiren_runtime::{Drain, Runtime};

use super::{Place, print_line};
use crate::telemetry::Status;
use crate::{policy, signals, slots, stages, vault};

#[derive(Args)]
pub(crate) struct RunArgs {
    /// Segments to run; none: all of the topology
    #[arg(long = "segment")]
    segments: Vec<String>,
    /// Slot of the first worker: processes that run the same segment need slots of their own
    #[arg(long, default_value_t = 0, conflicts_with = "slots_dir")]
    slot: u32,
    /// Take free slots by locked files in this folder, which all processes of these segments share: on one machine
    #[arg(long)]
    slots_dir: Option<PathBuf>,
    /// Create missing topics first
    #[arg(long)]
    apply_topics: bool,
}

pub(crate) fn run(place: &Place, args: &RunArgs) -> anyhow::Result<ExitCode> {
    let site = place.site()?;
    let status = Status::new(&site.topology)?;
    // Before the log: that it is not reached yet is worth telling.
    let server = status.serve(&site.topology.telemetry)?;
    if let Some(server) = &server {
        eprintln!("metrics and health: http://{}", server.address());
    }
    let log = site.open_log()?;
    if args.apply_topics {
        site.set_up(log.as_ref())?;
    } else {
        // A scene that was added to topology.toml since.
        policy::seed(&site, log.as_ref())?;
    }
    let keys = vault::open(&site).map_err(vault::coded)?;
    let sealing = keys.clone().map(|keys| keys as Arc<dyn Vault>);
    let mut options = site.options(&args.segments, args.slot, sealing)?;
    (options.instruments, options.health) = (status.instruments(), status.health());
    let slots_dir = args.slots_dir.as_deref();
    // Held until the process ends.
    let _slots = slots_dir
        .map(|dir| slots::take(dir, &mut options.segments))
        .transpose()?;
    let names: Vec<_> = options
        .segments
        .iter()
        .map(|segment| segment.name.clone())
        .collect();
    let runtime = Runtime::build(options, stages::registry(&site), log)?;
    let drain = Drain::new();
    let drain_max = Duration::from_millis(site.topology.runtime.drain_max_ms);
    signals::drain_on(&drain, drain_max)?;
    if let Some(keys) = keys {
        vault::upkeep(keys, &drain, vault::UPKEEP_EVERY)?;
    }
    let summary = runtime.run(&drain, || {
        // Supervisors and tests wait for this line.
        let _ = print_line(&format!("ready: {}", names.join(", ")));
    })?;
    eprintln!(
        "drained: {} records, {} verdicts, {} dead letters, {} duplicates, {} rebuilds",
        summary.records, summary.verdicts, summary.dead_letters, summary.absorbed, summary.rebuilds
    );
    Ok(ExitCode::SUCCESS)
}
