//! A face library and an authority in memory, each with faults of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use shiren_contract::asking::{AskFailure, Port};
use shiren_contract::authority::{IdentityReply, PortraitFound, Verified, VerifyAsk};
use shiren_contract::codes;
use shiren_contract::library::{Change, ChangeAsk, Changed, FaceFound, Found, SearchAsk};
use shiren_models::manifest::Metric;
use shiren_models::{Template, score};
use shiren_schemas::Id;

use crate::plan::{AskFault, Mutation, Plan, crash};
use crate::time::SimulatedTime;

/// Longest time that a slow reply takes, milliseconds.
const SLOW_MAX_MS: usize = 400;

#[derive(Default)]
struct Library {
    faces: BTreeMap<Id, Enrolled>,
    /// What became of each command.
    replies: BTreeMap<u64, Changed>,
}

struct Enrolled {
    person: String,
    template: Vec<f32>,
    sequence: u64,
}

/// Both ports. Clones share them.
#[derive(Clone)]
pub(crate) struct World {
    libraries: Arc<Mutex<BTreeMap<Id, Library>>>,
    /// How often the authority was asked, by case.
    asked: Arc<Mutex<BTreeMap<Id, u64>>>,
    /// The authority must not be asked the same twice.
    once: bool,
    plan: Plan,
    time: SimulatedTime,
    metric: Metric,
    mutation: Option<Mutation>,
}

impl World {
    pub(crate) fn new(
        plan: Plan,
        time: SimulatedTime,
        metric: Metric,
        mutation: Option<Mutation>,
        once: bool,
    ) -> Self {
        Self {
            libraries: Arc::default(),
            asked: Arc::default(),
            once,
            plan,
            time,
            metric,
            mutation,
        }
    }

    /// How often the authority was asked, by case, where it must not be asked the same twice.
    pub(crate) fn asked(&self) -> BTreeMap<Id, u64> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if self.once {
            asked.clone()
        } else {
            BTreeMap::new()
        }
    }

    /// Sequence of the newest command that stands, of each face.
    pub(crate) fn faces(&self) -> BTreeMap<Id, u64> {
        let libraries = self
            .libraries
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let faces = libraries.values().flat_map(|library| &library.faces);
        faces
            .map(|(face, enrolled)| (*face, enrolled.sequence))
            .collect()
    }

    /// Answers in order; when one fails all behind it do.
    fn answer<A, R>(
        &self,
        asks: &[&A],
        down: &AskFailure,
        mut one: impl FnMut(&A) -> R,
    ) -> Vec<Result<R, AskFailure>> {
        let mut failed = false;
        let mut given = Vec::with_capacity(asks.len());
        for ask in asks {
            let fault = if failed {
                Some(AskFault::Refused)
            } else {
                self.plan.ask()
            };
            let reply = match fault {
                Some(AskFault::Refused) => Err(down.clone()),
                Some(AskFault::ReplyLost) => {
                    one(ask);
                    Err(down.clone())
                }
                Some(AskFault::Slow) => {
                    let ms = self.plan.below(SLOW_MAX_MS) as u64;
                    self.time.advance(Duration::from_millis(ms));
                    Ok(one(ask))
                }
                Some(AskFault::CrashAfter) => {
                    one(ask);
                    crash()
                }
                None => Ok(one(ask)),
            };
            failed |= reply.is_err();
            given.push(reply);
        }
        given
    }

    fn change(&self, ask: &ChangeAsk) -> Changed {
        let mut libraries = self
            .libraries
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if matches!(ask.change, Change::Create { .. }) {
            libraries.entry(ask.library).or_default();
            return done(Vec::new());
        }
        let Some(library) = libraries.get_mut(&ask.library) else {
            return Changed::LibraryUnknown;
        };
        if let Some(reply) = library.replies.get(&ask.sequence) {
            return reply.clone();
        }
        let reply = match &ask.change {
            Change::Enrol {
                person,
                face,
                template,
                ..
            } => {
                let enrolled = Enrolled {
                    person: person.clone(),
                    template: template.clone(),
                    sequence: ask.sequence,
                };
                if self.mutation != Some(Mutation::ChangeForgotten) {
                    library.faces.insert(*face, enrolled);
                }
                done(vec![*face])
            }
            Change::Unenrol { person, .. } => {
                let mut erased = Vec::new();
                library.faces.retain(|face, enrolled| {
                    let keep = enrolled.person != *person;
                    if !keep {
                        erased.push(*face);
                    }
                    keep
                });
                match erased.is_empty() {
                    true => Changed::NothingThere,
                    false => done(erased),
                }
            }
            Change::Create { .. } | Change::Delete => done(Vec::new()),
        };
        library.replies.insert(ask.sequence, reply.clone());
        reply
    }

    fn search(&self, ask: &SearchAsk) -> Found {
        let libraries = self
            .libraries
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let template = |values: &Vec<f32>| Template {
            model: String::new(),
            values: values.clone(),
        };
        let mut found = Found {
            libraries: Vec::new(),
            faces: Vec::new(),
        };
        for id in &ask.libraries {
            let Some(library) = libraries.get(id) else {
                continue;
            };
            found.libraries.push((*id, library.faces.len() as u64));
            for (face, enrolled) in &library.faces {
                let (probe, reference) = (template(&ask.template), template(&enrolled.template));
                found
                    .faces
                    .extend(
                        score::compare(&probe, &reference, self.metric)
                            .ok()
                            .map(|score| FaceFound {
                                library: *id,
                                person: enrolled.person.clone(),
                                face: *face,
                                score,
                                sequence: enrolled.sequence,
                            }),
                    );
            }
        }
        found.faces.sort_by(|a, b| b.score.total_cmp(&a.score));
        found.faces.truncate(ask.faces_max);
        found
    }
}

fn done(faces: Vec<Id>) -> Changed {
    Changed::Done {
        faces,
        key_destroyed: None,
    }
}

fn library_down() -> AskFailure {
    AskFailure::transient(codes::LIBRARY_UNAVAILABLE, "simulated")
}

impl Port<ChangeAsk, Changed> for World {
    fn ask(&self, asks: &[&ChangeAsk], _: Instant) -> Vec<Result<Changed, AskFailure>> {
        self.answer(asks, &library_down(), |ask| self.change(ask))
    }
}

impl Port<SearchAsk, Found> for World {
    fn ask(&self, asks: &[&SearchAsk], _: Instant) -> Vec<Result<Found, AskFailure>> {
        self.answer(asks, &library_down(), |ask| self.search(ask))
    }
}

impl Port<VerifyAsk, Verified> for World {
    fn ask(&self, asks: &[&VerifyAsk], _: Instant) -> Vec<Result<Verified, AskFailure>> {
        let down = AskFailure::transient(codes::AUTHORITY_UNAVAILABLE, "simulated");
        for ask in asks {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            *asked.entry(ask.case).or_default() += 1;
        }
        self.answer(asks, &down, |_| Verified {
            source: "simulator".to_owned(),
            identity: IdentityReply::Agrees,
            portrait: PortraitFound::Score(0.99),
        })
    }

    fn may_repeat(&self) -> bool {
        !self.once
    }
}
