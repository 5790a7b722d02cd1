//! How a worker process is asked to end.

use std::time::Duration;

use anyhow::Context;
use shiren_runtime::Drain;
use tokio::signal::unix::{SignalKind, signal};

/// SIGTERM and SIGINT ask for a drain; what is not drained in time is left to the log, which
/// gives uncommitted records to the next worker: the process ends with 1 then.
///
/// # Errors
/// The system does not let signals be waited for.
pub fn drain_on(drain: &Drain, drain_max: Duration) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let drain = drain.clone();
    let (mut term, mut int) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        )
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = term.recv() => {}
                    _ = int.recv() => {}
                }
                drain.request();
                tokio::time::sleep(drain_max).await;
            });
            eprintln!("shiren: not drained within {drain_max:?}; nothing is lost, uncommitted records are processed again");
            std::process::exit(1);
        })
        .context("the signal thread could not be started")?;
    Ok(())
}
