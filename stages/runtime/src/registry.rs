//! Which stages there are, and how each is built.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use shiren_contract::asking::{AskFailure, AskingStage, Port};
use shiren_contract::codes;
use shiren_contract::keyed::{KeyedStage, Memory};
use shiren_contract::seal::{Vault, VaultError};
use shiren_contract::sealing;
use shiren_contract::stage::{Arrival, Input, Message, Outcome, Rejection, Stage, StageDescriptor};
use shiren_schemas::Wire;
use shiren_schemas::records::{AskIntent, Envelope};

use crate::asker::{AskBounds, AskTally, Asker, Interrupted, Patience};
use crate::clock::Clock;
use crate::segment::IntentBounds;
use crate::states::{AnyStates, Source, StateBounds, States};

/// A stage that could not be built: what, where, what to do.
pub type BuildError = Box<dyn std::error::Error + Send + Sync>;

type Build = dyn Fn() -> Result<Box<dyn AnyStage>, BuildError> + Send + Sync;

/// The key of a record in the topic of a stage that has keys of its own; `None`: the case's.
pub(crate) type Rekey = dyn Fn(&dyn Message) -> Result<Option<String>, BuildError> + Send + Sync;

/// A stage's description and how to build one. Heavy objects (model sessions) are made by `build`,
/// once a worker.
#[derive(Clone)]
pub struct StageFactory {
    /// What the stage is.
    pub descriptor: StageDescriptor,
    build: Arc<Build>,
    /// Of a stage that asks.
    pub(crate) asks: Option<Arc<AskTally>>,
    /// Of a stage whose topic has keys of its own.
    pub(crate) rekey: Option<Arc<Rekey>>,
}

impl StageFactory {
    /// Builds one instance, for one worker.
    pub(crate) fn build(&self) -> Result<Box<dyn AnyStage>, BuildError> {
        (self.build)()
    }
}

/// The stages that a program knows, in any order; topology.toml names those that run, in their
/// total order.
#[derive(Clone, Default)]
pub struct Registry {
    factories: Vec<StageFactory>,
    pub(crate) clock: Clock,
}

impl Registry {
    /// No stage yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No stage yet; workers and asks go by `clock`.
    #[must_use]
    pub fn on_clock(clock: Clock) -> Self {
        Self {
            clock,
            ..Self::default()
        }
    }

    /// Adds a stage; one of the same name is replaced.
    #[must_use]
    pub fn with<S: Stage>(
        mut self,
        build: impl Fn() -> Result<S, BuildError> + Send + Sync + 'static,
    ) -> Self {
        self.factories
            .retain(|known| known.descriptor.name != S::DESCRIPTOR.name);
        self.factories.push(StageFactory {
            descriptor: S::DESCRIPTOR,
            build: Arc::new(move || Ok(Box::new(Pure(build()?)))),
            asks: None,
            rekey: None,
        });
        self
    }

    /// Adds a stage that asks `port`; one of the same name is replaced. All workers of the process keep `bounds` together.
    #[must_use]
    pub fn with_asking<S: AskingStage>(
        self,
        port: Arc<dyn Port<S::Ask, S::Reply>>,
        bounds: AskBounds,
        build: impl Fn() -> Result<S, BuildError> + Send + Sync + 'static,
    ) -> Self {
        self.put_asking(port, bounds, None, build)
    }

    /// Adds a stage that asks `port`, which may not be asked the same twice; its `state` is `AskIntent`.
    #[must_use]
    pub fn with_asking_once<S: AskingStage>(
        self,
        port: Arc<dyn Port<S::Ask, S::Reply>>,
        bounds: AskBounds,
        intents: IntentBounds,
        build: impl Fn() -> Result<S, BuildError> + Send + Sync + 'static,
    ) -> Self {
        self.put_asking(port, bounds, Some(intents), build)
    }

    fn put_asking<S: AskingStage>(
        mut self,
        port: Arc<dyn Port<S::Ask, S::Reply>>,
        bounds: AskBounds,
        intents: Option<IntentBounds>,
        build: impl Fn() -> Result<S, BuildError> + Send + Sync + 'static,
    ) -> Self {
        self.factories
            .retain(|known| known.descriptor.name != S::DESCRIPTOR.name);
        let asker = Arc::new(Asker::new(port, bounds, self.clock.clone()));
        let asks = Some(asker.tally());
        let build = move || -> Result<Box<dyn AnyStage>, BuildError> {
            let remembers = intents.is_some() && S::DESCRIPTOR.state == Some(AskIntent::NAME);
            if !asker.may_repeat() && !remembers {
                let name = S::DESCRIPTOR.name;
                let what = "must not ask twice: give it the state AskIntent, and add it by with_asking_once";
                return Err(format!("{name} {what}").into());
            }
            Ok(Box::new(Asking {
                stage: build()?,
                asker: Arc::clone(&asker),
                intents,
            }))
        };
        self.factories.push(StageFactory {
            descriptor: S::DESCRIPTOR,
            build: Arc::new(build),
            asks,
            rekey: None,
        });
        self
    }

    /// Adds a stage that remembers, within `bounds`; one of the same name is replaced.
    #[must_use]
    pub fn with_keyed<S: KeyedStage>(
        self,
        bounds: StateBounds,
        build: impl Fn() -> Result<S, BuildError> + Send + Sync + 'static,
    ) -> Self {
        self.put_keyed(bounds, None, build)
    }

    /// As [`Registry::with_keyed`], for a stage with `is_rekeyed`: whoever writes its topic gives each record the key that
    /// `rekey` says; `None`: the case's own. What the stage puts out has the case's again. Where it fails the worker
    /// stops, and nothing is lost.
    #[must_use]
    pub fn with_rekeyed<S: KeyedStage>(
        self,
        bounds: StateBounds,
        rekey: impl Fn(&S::Input) -> Result<Option<String>, BuildError> + Send + Sync + 'static,
        build: impl Fn() -> Result<S, BuildError> + Send + Sync + 'static,
    ) -> Self {
        let rekey = move |message: &dyn Message| match message.as_any().downcast_ref::<S::Input>() {
            Some(input) => rekey(input),
            None => Ok(None),
        };
        self.put_keyed(bounds, Some(Arc::new(rekey)), build)
    }

    fn put_keyed<S: KeyedStage>(
        mut self,
        bounds: StateBounds,
        rekey: Option<Arc<Rekey>>,
        build: impl Fn() -> Result<S, BuildError> + Send + Sync + 'static,
    ) -> Self {
        self.factories
            .retain(|known| known.descriptor.name != S::DESCRIPTOR.name);
        let build = move || -> Result<Box<dyn AnyStage>, BuildError> {
            Ok(Box::new(Keyed {
                stage: build()?,
                bounds,
            }))
        };
        self.factories.push(StageFactory {
            descriptor: S::DESCRIPTOR,
            asks: None,
            build: Arc::new(build),
            rekey,
        });
        self
    }

    /// The stage of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&StageFactory> {
        self.factories
            .iter()
            .find(|factory| factory.descriptor.name == name)
    }

    /// Who gives keys, by the stage whose topic has keys of its own.
    pub(crate) fn rekeys(&self) -> impl Iterator<Item = (&'static str, Arc<Rekey>)> + '_ {
        self.factories.iter().filter_map(|factory| {
            let rekey = factory.rekey.clone()?;
            Some((factory.descriptor.name, rekey))
        })
    }

    /// All descriptions.
    pub fn descriptors(&self) -> impl Iterator<Item = StageDescriptor> + '_ {
        self.factories.iter().map(|factory| factory.descriptor)
    }
}

/// A stage whose input type is not known at compile time.
pub(crate) trait AnyStage: Send {
    /// Reads the stage's input from a record of its own topic, and opens what is sealed in it.
    fn read(&self, arrival: Arrival, vault: Option<&dyn Vault>) -> Result<AnyInput, Unread>;

    /// The output of a fused predecessor as input.
    fn accept(&self, message: Box<dyn Message>) -> Option<AnyInput>;

    /// Decides, or says what must be asked first. `None` when the input is of another stage, or what it remembers.
    fn process(&mut self, input: AnyInput, remembered: Remembered<'_>) -> Option<Progress>;

    /// A place for what it remembers; `None`: nothing.
    fn states(&self) -> Option<Box<dyn AnyStates>> {
        None
    }

    /// Fires the timers of the partition that are due by this event time. `None` when what it remembers is of another stage.
    fn fire_due(&mut self, _remembered: Remembered<'_>, _event_time_us: i64) -> Option<Vec<Fired>> {
        Some(Vec::new())
    }

    /// Bounds of what the log must hold of an ask before it is made; `None`: nothing, it may be made twice.
    fn intents(&self) -> Option<IntentBounds> {
        None
    }

    /// A reply for what must not be asked.
    fn refusal(&self, _failure: AskFailure) -> Option<AnyReply> {
        None
    }

    /// Asks for the records of a bundle: one reply each, in order.
    fn ask(
        &self,
        _asks: Vec<(AnyAsk, Patience)>,
        _wait: &dyn Fn(Duration) -> bool,
    ) -> Result<Vec<AnyReply>, Interrupted> {
        Ok(Vec::new())
    }

    /// Decides on the reply. `None` when input or reply are of another stage.
    fn decide(&mut self, _input: AnyInput, _reply: AnyReply) -> Option<Outcome> {
        None
    }
}

/// What a stage remembers, and the partition that it is about.
pub(crate) type Remembered<'a> = Option<(&'a mut (dyn AnyStates + 'static), &'a Source)>;

/// A timer that fired, and what became of it.
pub(crate) struct Fired {
    pub(crate) key: Arc<str>,
    pub(crate) due_us: i64,
    pub(crate) outcome: Outcome,
}

/// An ask whose type only its stage knows.
pub(crate) type AnyAsk = Box<dyn Any + Send>;
/// A reply, or a failure, whose type only its stage knows.
pub(crate) type AnyReply = Box<dyn Any + Send>;

/// How far a stage came with a record.
pub(crate) enum Progress {
    /// To the end.
    Decided(Box<Outcome>),
    /// To its ask.
    Asks {
        /// The input, which the stage gets back with the reply.
        input: Box<AnyInput>,
        /// What it asks.
        ask: AnyAsk,
    },
}

/// Why a stage got no input.
pub(crate) enum Unread {
    /// The bytes hold no case.
    Record(Rejection),
    /// The case is readable, what is sealed in it is not.
    Case(Box<Envelope>, Rejection),
    /// The vault cannot be used now: not this record's fault.
    Vault(VaultError),
}

/// An input and, for a case, its envelope.
pub(crate) struct AnyInput {
    pub(crate) case: Option<Envelope>,
    value: Box<dyn Any + Send>,
}

/// A stage that asks nothing.
struct Pure<S>(S);

impl<S: Stage> AnyStage for Pure<S> {
    fn read(&self, arrival: Arrival, vault: Option<&dyn Vault>) -> Result<AnyInput, Unread> {
        read::<S::Input>(arrival, vault)
    }

    fn accept(&self, message: Box<dyn Message>) -> Option<AnyInput> {
        accept::<S::Input>(message)
    }

    fn process(&mut self, input: AnyInput, _: Remembered<'_>) -> Option<Progress> {
        let input = input.value.downcast::<S::Input>().ok()?;
        Some(Progress::Decided(Box::new(self.0.process(*input))))
    }
}

/// A stage with its port.
struct Asking<S: AskingStage> {
    stage: S,
    asker: Arc<Asker<S::Ask, S::Reply>>,
    intents: Option<IntentBounds>,
}

impl<S: AskingStage> AnyStage for Asking<S> {
    fn read(&self, arrival: Arrival, vault: Option<&dyn Vault>) -> Result<AnyInput, Unread> {
        read::<S::Input>(arrival, vault)
    }

    fn accept(&self, message: Box<dyn Message>) -> Option<AnyInput> {
        accept::<S::Input>(message)
    }

    fn process(&mut self, input: AnyInput, _: Remembered<'_>) -> Option<Progress> {
        let record = input.value.downcast::<S::Input>().ok()?;
        Some(match self.stage.ask(&record) {
            Some(ask) => Progress::Asks {
                input: Box::new(AnyInput {
                    case: input.case,
                    value: record,
                }),
                ask: Box::new(ask),
            },
            None => Progress::Decided(Box::new(self.stage.decide(*record, None))),
        })
    }

    fn states(&self) -> Option<Box<dyn AnyStates>> {
        let bounds = self.intents?.state;
        Some(Box::new(States::<AskIntent>::of_all_inputs(bounds)))
    }

    fn fire_due(&mut self, remembered: Remembered<'_>, event_time_us: i64) -> Option<Vec<Fired>> {
        let Some((states, source)) = remembered else {
            return Some(Vec::new());
        };
        let states = states.as_any().downcast_mut::<States<AskIntent>>()?;
        while states.pop_due(source, event_time_us).is_some() {}
        Some(Vec::new())
    }

    fn intents(&self) -> Option<IntentBounds> {
        self.intents.filter(|_| !self.asker.may_repeat())
    }

    fn refusal(&self, failure: AskFailure) -> Option<AnyReply> {
        Some(Box::new(Err::<S::Reply, AskFailure>(failure)))
    }

    fn ask(
        &self,
        asks: Vec<(AnyAsk, Patience)>,
        wait: &dyn Fn(Duration) -> bool,
    ) -> Result<Vec<AnyReply>, Interrupted> {
        let asks: Vec<(S::Ask, Patience)> = asks
            .into_iter()
            .filter_map(|(ask, patience)| Some((*ask.downcast::<S::Ask>().ok()?, patience)))
            .collect();
        let replies = self.asker.round(&asks, wait)?;
        Ok(replies
            .into_iter()
            .map(|reply| Box::new(reply) as AnyReply)
            .collect())
    }

    fn decide(&mut self, input: AnyInput, reply: AnyReply) -> Option<Outcome> {
        let input = input.value.downcast::<S::Input>().ok()?;
        let reply = reply.downcast::<Result<S::Reply, AskFailure>>().ok()?;
        Some(self.stage.decide(*input, Some(*reply)))
    }
}

/// A stage that remembers.
struct Keyed<S> {
    stage: S,
    bounds: StateBounds,
}

impl<S: KeyedStage> AnyStage for Keyed<S> {
    fn read(&self, arrival: Arrival, vault: Option<&dyn Vault>) -> Result<AnyInput, Unread> {
        read::<S::Input>(arrival, vault)
    }

    fn accept(&self, message: Box<dyn Message>) -> Option<AnyInput> {
        accept::<S::Input>(message)
    }

    fn process(&mut self, input: AnyInput, remembered: Remembered<'_>) -> Option<Progress> {
        let input = input.value.downcast::<S::Input>().ok()?;
        let (states, source) = remembered?;
        let states = states.as_any().downcast_mut::<States<S::State>>()?;
        let mut memory = Memory::new(states.part(source));
        let outcome = self.stage.process(*input, &mut memory);
        let changes = memory.into_changes();
        states.apply(source, changes).ok()?;
        Some(Progress::Decided(Box::new(outcome)))
    }

    fn states(&self) -> Option<Box<dyn AnyStates>> {
        Some(Box::new(States::<S::State>::new(self.bounds)))
    }

    fn fire_due(&mut self, remembered: Remembered<'_>, event_time_us: i64) -> Option<Vec<Fired>> {
        let (states, source) = remembered?;
        let states = states.as_any().downcast_mut::<States<S::State>>()?;
        let mut fired = Vec::new();
        // A stage that sets a timer in the past does not fire it at once: there is no end to that.
        for _ in 0..states.part(source).len() {
            let Some(due) = states.pop_due(source, event_time_us) else {
                break;
            };
            let mut memory = Memory::new(states.part(source));
            let outcome = self.stage.fire(&due.key, due.state, &mut memory);
            let changes = memory.into_changes();
            states.apply(source, changes).ok()?;
            fired.extend(outcome.map(|outcome| Fired {
                key: due.key,
                due_us: due.due_us,
                outcome,
            }));
        }
        Some(fired)
    }
}

fn read<I: Input>(arrival: Arrival, vault: Option<&dyn Vault>) -> Result<AnyInput, Unread> {
    let mut input = I::read(arrival).map_err(Unread::Record)?;
    let case = input.case().cloned();
    if let Some(envelope) = &case {
        open(&mut input, envelope, vault)?;
    }
    Ok(AnyInput {
        case,
        value: Box::new(input),
    })
}

fn accept<I: Input>(message: Box<dyn Message>) -> Option<AnyInput> {
    let case = Some(message.envelope().clone());
    let value = message.into_any();
    value.is::<I>().then_some(AnyInput { case, value })
}

fn open(
    input: &mut impl sealing::Sealable,
    case: &Envelope,
    vault: Option<&dyn Vault>,
) -> Result<(), Unread> {
    let of_case = |rejection| Unread::Case(Box::new(case.clone()), rejection);
    let Some(vault) = vault else {
        if sealing::is_sealed(input) {
            let what = "the record is sealed and this site has no vault (vault.enabled)";
            return Err(of_case(Rejection::new(codes::KEY_STORE_MISSING, what)));
        }
        return Ok(());
    };
    sealing::open(input, vault, &case.tenant, case.case_id).map_err(|error| match error {
        VaultError::KeyDestroyed { .. } | VaultError::SealedCorrupt { .. } => {
            of_case(Rejection::new(error.code(), error.to_string()))
        }
        _ => Unread::Vault(error),
    })
}
