//! What must hold at the end of a run.

use std::collections::BTreeMap;

use anyhow::Result;
use shiren_contract::codes;
use shiren_contract::invariants::{
    self, ONE_TERMINAL_PER_CASE, STATE_MATCHES_OFFSET, Seen, Terminals, Violation, asked_once,
    no_accept_on_failure, no_verdict_past_deadline, state_matches_offset, verdict_of_its_case,
};
use shiren_schemas::records::{DeadLetter, Decision, LibraryChange, LibraryOperation, Verdict};
use shiren_schemas::topics::Topic;
use shiren_schemas::{Id, Wire};

use crate::simulation::{Chain, Ends, dead_letters};
use crate::workload::{Case, Promise, TENANT};

/// How each case ended, and the first invariant that does not hold.
pub(crate) fn all(chain: &Chain, reference: &Ends) -> Result<(Ends, Option<Violation>)> {
    let verdicts = chain.verdicts()?;
    let mut ends = Ends::new();
    let mut violation = terminals(chain, &verdicts, reference, &mut ends).err();
    violation = violation.or(promises(chain, &ends).err());
    violation = violation.or(conflicts(chain)?);
    for (case, times) in chain.world.asked() {
        violation = violation.or(asked_once(case, times).err());
    }
    let truth = truth(chain)?;
    violation = violation.or(state(chain, &truth).err());
    Ok((ends, violation))
}

fn broken(invariant: invariants::Invariant, what: String) -> Violation {
    Violation { invariant, what }
}

fn terminals(
    chain: &Chain,
    verdicts: &[Verdict],
    reference: &Ends,
    ends: &mut Ends,
) -> Result<(), Violation> {
    let cases: BTreeMap<Id, &Case> = chain.cases.iter().map(|case| (case.id, case)).collect();
    let requires = ["comparison".to_owned()];
    let mut terminals = Terminals::all();
    let mut doubled = 0;
    for verdict in verdicts {
        let canonical = &verdict.canonical;
        verdict_of_its_case(canonical)?;
        let Some(case) = cases.get(&canonical.case_id) else {
            let what = format!(
                "verdict of case {}, which nobody asked for",
                canonical.case_id
            );
            return Err(broken(ONE_TERMINAL_PER_CASE, what));
        };
        // Its reasons name what failed; faults stand in the evidence.
        no_accept_on_failure(
            canonical.kind,
            canonical.decision,
            &canonical.checks,
            0,
            Some(&requires),
        )?;
        let received = verdict.observed.received_time;
        let deadline = case.deadline_ms.map(|ms| received + i64::from(ms) * 1_000);
        no_verdict_past_deadline(canonical.decision, verdict.observed.decided_time, deadline)?;
        ends.entry(case.id)
            .or_insert((canonical.decision, verdict.canonical_sha256));
        if terminals.add(canonical.verdict_id, verdict.canonical_sha256)? == Seen::Again {
            doubled += 1;
        }
        if case.pure() {
            let same = reference
                .get(&case.id)
                .is_none_or(|(_, hash)| *hash == verdict.canonical_sha256);
            if !same {
                let what = format!("{} ended otherwise than without faults", case.id);
                return Err(broken(ONE_TERMINAL_PER_CASE, what));
            }
        }
    }
    chain.count_verdicts(ends.len() as u64, doubled);
    match chain.cases.iter().find(|case| !ends.contains_key(&case.id)) {
        Some(case) => Err(broken(
            ONE_TERMINAL_PER_CASE,
            format!("case {} ({}) has no verdict", case.id, case.kind),
        )),
        None => Ok(()),
    }
}

/// After an enrolment's verdict a search finds the person, after an unenrolment's none.
fn promises(chain: &Chain, ends: &Ends) -> Result<(), Violation> {
    for case in &chain.cases {
        let Some((promise, (decision, _))) = case.promise.zip(ends.get(&case.id)) else {
            continue;
        };
        let found = matches!(decision, Decision::Accept | Decision::Review);
        let kept = match promise {
            Promise::Found => found || *decision == Decision::Error,
            Promise::NotFound => !found,
        };
        if !kept {
            let what = format!("search {} was {decision}, promised: {promise:?}", case.id);
            return Err(broken(STATE_MATCHES_OFFSET, what));
        }
    }
    Ok(())
}

/// Each event that took the id of another became a dead letter, once.
fn conflicts(chain: &Chain) -> Result<Option<Violation>> {
    let mut origins = Vec::new();
    for record in chain.log.memory.records(&dead_letters().to_string()) {
        let letter = DeadLetter::decode(&record.value.unwrap_or_default())?;
        if letter.code == codes::IDEMPOTENCY_CONFLICT.id {
            origins.push((
                letter.origin_topic,
                letter.origin_partition,
                letter.origin_offset,
            ));
        }
    }
    let letters = origins.len();
    origins.sort();
    origins.dedup();
    let (found, published) = (origins.len() as u64, chain.conflicts());
    let right = letters == origins.len() && found == published;
    let what = format!("{letters} dead letters of {found} conflicts, {published} were published");
    Ok((!right).then(|| broken(ONE_TERMINAL_PER_CASE, what)))
}

/// Sequence of the newest change that stands, of each face in the log.
fn truth(chain: &Chain) -> Result<BTreeMap<Id, u64>> {
    let mut newest: BTreeMap<Id, (i64, LibraryOperation)> = BTreeMap::new();
    for record in chain.log.memory.records(&Topic::Library.to_string()) {
        let change = LibraryChange::decode(&record.value.unwrap_or_default())?;
        let Some(face) = change.face_id.filter(|_| change.tenant == TENANT) else {
            continue;
        };
        let known = newest
            .entry(face)
            .or_insert((change.sequence, change.operation));
        if known.0 <= change.sequence {
            *known = (change.sequence, change.operation);
        }
    }
    let enrolled = newest
        .into_iter()
        .filter(|(_, (_, operation))| *operation == LibraryOperation::Enrol);
    Ok(enrolled
        .map(|(face, (sequence, _))| (face, sequence.unsigned_abs()))
        .collect())
}

/// The library is what its truth in the log says.
fn state(chain: &Chain, truth: &BTreeMap<Id, u64>) -> Result<(), Violation> {
    let library = chain.world.faces();
    let at = |faces: &BTreeMap<Id, u64>, face| faces.get(face).and_then(|s| i64::try_from(*s).ok());
    for face in library.keys().chain(truth.keys()) {
        state_matches_offset(at(&library, face), at(truth, face))?;
    }
    Ok(())
}
