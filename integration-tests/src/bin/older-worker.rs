//! `shiren run --segment SEGMENT --slot SLOT` of the version before: the two are its arguments.

use std::sync::Arc;

use anyhow::Context;
use shiren::stages;
use shiren_integration_tests::older::OlderLog;
use shiren_integration_tests::own_worker;

fn main() -> anyhow::Result<()> {
    let mut given = std::env::args().skip(1);
    let segment = given.next().context("a segment")?;
    let slot = given.next().context("a slot")?.parse()?;
    own_worker::run(
        &segment,
        slot,
        |log| Arc::new(OlderLog(log)),
        stages::registry,
    )
}
