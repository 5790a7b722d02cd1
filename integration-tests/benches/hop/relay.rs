//! Shiren's side: the runtime with a stage that hands its input on.

use std::sync::Arc;

use shiren_contract::stage::{Outcome, Stage, StageDescriptor};
use shiren_log::Log;
use shiren_runtime::{Drain, Options, Registry, Runtime, SegmentOptions, Summary};
use shiren_schemas::records::{AdmittedCase, Lane, RequestKind};

use crate::meter::Meter;
use crate::records::{STAGE, TENANT};

/// The chain: only the one in the middle runs, so it reads a stage's topic and writes another's.
const CHAIN: [&str; 3] = ["head", STAGE, "tail"];

/// The stage of this place in [`CHAIN`].
struct Relay<const PLACE: usize> {
    meter: Arc<Meter>,
}

impl<const PLACE: usize> Stage for Relay<PLACE> {
    type Input = AdmittedCase;

    const DESCRIPTOR: StageDescriptor = StageDescriptor {
        name: CHAIN[PLACE],
        kinds: &[RequestKind::Detect],
        input: "AdmittedCase",
        outputs: &["AdmittedCase"],
        checks: &[],
        state: None,
        is_rekeyed: false,
    };

    fn process(&mut self, input: Self::Input) -> Outcome {
        self.meter.record();
        Outcome::next(input)
    }
}

/// Runs the hop until `drain` is asked for. `shipped` gives every bound.
pub(crate) fn run(
    log: &Arc<dyn Log>,
    shipped: Options,
    meter: &Arc<Meter>,
    drain: &Drain,
) -> Summary {
    fn with<const PLACE: usize>(registry: Registry, meter: &Arc<Meter>) -> Registry {
        let meter = Arc::clone(meter);
        registry.with(move || {
            let meter = Arc::clone(&meter);
            Ok(Relay::<PLACE> { meter })
        })
    }
    let registry = with::<0>(with::<1>(with::<2>(Registry::new(), meter), meter), meter);
    let options = Options {
        chain: CHAIN.map(str::to_owned).into(),
        segments: vec![SegmentOptions {
            name: STAGE.to_owned(),
            stages: vec![STAGE.to_owned()],
            workers: 1,
            first_slot: 0,
        }],
        tenants: vec![TENANT.to_owned()],
        lanes: vec![Lane::Interactive],
        ..shipped
    };
    let runtime = Runtime::build(options, registry, Arc::clone(log)).expect("a runtime");
    runtime.run(drain, || {}).expect("the hop")
}
