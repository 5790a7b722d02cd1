//! What a bundle becomes, before it is committed.

use shiren_log::NewRecord;

use crate::emission::End;
use crate::keeper::Reached;
use crate::segment::Emission;

/// What a bundle became.
#[derive(Default)]
pub(crate) struct Computed {
    pub(crate) outputs: Vec<NewRecord>,
    /// Up to where each partition is then.
    pub(crate) reached: Reached,
    pub(crate) ends: Vec<End>,
    /// By record: whether it became a dead letter.
    pub(crate) dead: Vec<bool>,
    pub(crate) verdicts: u64,
    pub(crate) absorbed: u64,
    pub(crate) bad_trace_headers: u64,
}

impl Computed {
    /// Counts what one record became.
    pub(crate) fn count(&mut self, emissions: &[Emission]) {
        let dead = emissions.iter().any(|emission| match emission {
            Emission::Dead { .. } => true,
            Emission::Closed { terminal, .. } => terminal.dead_letter,
            Emission::Forward { .. } | Emission::Absorbed(_) => false,
        });
        self.dead.push(dead);
        let closed = emissions
            .iter()
            .filter(|e| matches!(e, Emission::Closed { .. }))
            .count();
        self.verdicts += closed as u64;
        let absorbed = emissions
            .iter()
            .filter(|e| matches!(e, Emission::Absorbed(_)))
            .count();
        self.absorbed += absorbed as u64;
    }
}
