//! `shiren run --segment authority-verify` with a test's stand-in for the authority behind the port: its address is the
//! only argument.

use std::sync::Arc;

use anyhow::Context;
use shiren::authority::SiteAuthority;
use shiren::stages;
use shiren_integration_tests::authority::Connector;
use shiren_integration_tests::own_worker;
use shiren_runtime::Clock;

fn main() -> anyhow::Result<()> {
    let at = std::env::args().nth(1).context("address of the stand-in")?;
    let connector = Arc::new(Connector::new(at.parse()?));
    own_worker::run(
        "authority-verify",
        0,
        |log| log,
        |site| stages::registry_with(site, SiteAuthority::of(site, connector), Clock::default()),
    )
}
