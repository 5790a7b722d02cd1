//! Pictures to templates on several threads, handed over in their order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use anyhow::Context;
use shiren_contract::stage::Arrival;
use shiren_runtime::{Emission, Segment, now_us};
use shiren_schemas::ids::{Field, derive};
use shiren_schemas::records::{Request, Template, TemplateCase};
use shiren_schemas::{Id, Sha256, keys};

use super::Item;
use crate::requests::{self, Consent};
use crate::site::Site;
use crate::stages;

/// How far threads may be ahead of the slowest picture.
const AHEAD_MAX: usize = 64;

/// What all pictures of an import have in common.
pub(super) struct Embedding {
    pub(super) tenant: String,
    pub(super) library: Id,
    pub(super) consent: Consent,
    /// Faces that are there already.
    pub(super) enrolled: BTreeSet<Id>,
}

/// What became of a picture.
pub(super) enum Embedded {
    Known,
    Refused(String),
    Template { face: Id, template: Template },
}

/// Takes every item through the chain's stages up to its template, and hands them over in their order.
///
/// # Errors
/// A stage cannot be built or is at fault, or `take` fails: nothing more is handed over.
pub(super) fn in_order(
    site: &Arc<Site>,
    embedding: &Embedding,
    items: &[Item],
    threads: usize,
    mut take: impl FnMut(Item, Embedded) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let threads = threads.clamp(1, items.len().max(1));
    site.judge_by_seed();
    let looks = (0..threads)
        .map(|_| Look::open(site, embedding))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let next = AtomicUsize::new(0);
    let pace = Pace::default();
    let (done, ends) = sync_channel(threads);
    std::thread::scope(|scope| {
        for mut look in looks {
            let (done, next, pace) = (done.clone(), &next, &pace);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { return };
                    if !pace.may_begin(at) || done.send((at, look.embed(item))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let mut waiting = BTreeMap::new();
        let mut handed_over = 0;
        let result = (|| {
            for (at, embedded) in ends {
                waiting.insert(at, embedded);
                while let Some(embedded) = waiting.remove(&handed_over) {
                    take(items[handed_over].clone(), embedded?)?;
                    handed_over += 1;
                    pace.reached(handed_over);
                }
            }
            Ok(())
        })();
        pace.end();
        result
    })
}

/// Keeps threads from running far ahead of the one that has the slowest picture.
#[derive(Default)]
struct Pace {
    handed_over: Mutex<Option<usize>>,
    moved: Condvar,
}

impl Pace {
    /// Waits until `at` is near enough; false when all is over.
    fn may_begin(&self, at: usize) -> bool {
        let lock = self
            .handed_over
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_far = |reached: &mut Option<usize>| {
            reached.unwrap_or(0) != usize::MAX
                && at >= reached.unwrap_or(0).saturating_add(AHEAD_MAX)
        };
        let reached = self
            .moved
            .wait_while(lock, is_far)
            .unwrap_or_else(PoisonError::into_inner);
        *reached != Some(usize::MAX)
    }

    fn reached(&self, handed_over: usize) {
        *self
            .handed_over
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(handed_over);
        self.moved.notify_all();
    }

    fn end(&self) {
        self.reached(usize::MAX);
    }
}

/// The chain up to the template, in one thread.
struct Look<'a> {
    segment: Segment,
    partitions: i32,
    embedding: &'a Embedding,
}

impl<'a> Look<'a> {
    fn open(site: &Arc<Site>, embedding: &'a Embedding) -> anyhow::Result<Self> {
        let chain = &site.topology.chain;
        let embed = chain.iter().position(|stage| stage == "embed");
        let embed = embed.context("the chain has no stage embed")?;
        let segment = Segment::build(&stages::registry(site), chain, &chain[..=embed])
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        Ok(Self {
            segment,
            partitions: site.topology.topics.partitions,
            embedding,
        })
    }

    fn embed(&mut self, item: &Item) -> anyhow::Result<Embedded> {
        let bytes = match std::fs::read(&item.picture) {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Embedded::Refused(format!("picture_unreadable: {error}"))),
        };
        let (library, consent) = (self.embedding.library, &self.embedding.consent);
        let face = face_id(library, &item.person, &bytes);
        if self.embedding.enrolled.contains(&face) {
            return Ok(Embedded::Known);
        }
        let id = format!("import-{face}");
        let request = Request {
            probe: Some(requests::inline(bytes, None)),
            ..requests::enrolment(&id, library, &item.person, consent)
        };
        let (record, _) = requests::command(&self.embedding.tenant, request)?;
        let arrival = Arrival {
            partition: keys::partition(&record.key, self.partitions),
            partitions: self.partitions,
            topic: record.topic,
            offset: 0,
            append_time_us: now_us(),
            key: Some(record.key),
            value: record.value,
        };
        let context = opentelemetry::Context::new();
        let emissions = self.segment.process(arrival, context, now_us());
        let emissions = emissions.map_err(|error| anyhow::anyhow!("{error}"))?;
        Ok(outcome(emissions, face))
    }
}

/// The first emission tells all: a case goes on to one stage, or ends.
fn outcome(emissions: Vec<Emission>, face: Id) -> Embedded {
    match emissions.into_iter().next() {
        Some(Emission::Forward { message, .. }) => {
            let Ok(case) = message.into_any().downcast::<TemplateCase>() else {
                return Embedded::Refused("stage_failed".to_owned());
            };
            if let Some(unfit) = shiren_enrol::unfit(&case) {
                return Embedded::Refused(unfit.code.id.to_owned());
            }
            match case.pictures.into_iter().next() {
                Some(picture) => Embedded::Template {
                    face,
                    template: picture.template,
                },
                None => Embedded::Refused("stage_failed".to_owned()),
            }
        }
        Some(Emission::Closed { terminal, .. }) => {
            Embedded::Refused(terminal.reason_codes.join(" "))
        }
        Some(Emission::Dead { rejection, .. }) => Embedded::Refused(rejection.code.id.to_owned()),
        Some(Emission::Absorbed(_)) | None => Embedded::Refused("stage_failed".to_owned()),
    }
}

/// One picture of one person is one face of a library, however often it is imported.
fn face_id(library: Id, person: &str, picture: &[u8]) -> Id {
    let picture = Sha256::of(picture).to_string();
    derive(
        "face",
        &[
            Field::Id(library),
            Field::Text(person),
            Field::Text(&picture),
        ],
    )
}
