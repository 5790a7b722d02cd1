//! The last look at a verdict before it is written: fail closed.

use shiren_contract::codes;
use shiren_contract::invariants::{self, Violation};
use shiren_contract::stage::Rejection;
use shiren_contract::terminal::Terminal;
use shiren_schemas::records::Decision;

use crate::emission::Emitter;
use crate::ends::{deadline_exceeded, deadline_us};

impl Emitter {
    /// The end itself; or an error in its place where it says yes and must not. `now_us`: when it is decided.
    pub(crate) fn guarded(&self, terminal: Terminal, now_us: i64) -> Terminal {
        if terminal.decision != Decision::Accept {
            return terminal;
        }
        if let Err(violation) = self.may_accept(&terminal) {
            self.instruments.violated(&violation);
            let rejection = Rejection::new(codes::INVARIANT_VIOLATED, violation.to_string());
            let mut end = Terminal::error(terminal.envelope, &self.layout, rejection, None);
            end.dead_letter = true;
            return end;
        }
        // Late is what happens under load; that it would be accepted is what must not.
        let deadline_us = deadline_us(&terminal.envelope);
        match invariants::no_verdict_past_deadline(terminal.decision, now_us, deadline_us) {
            Ok(()) => terminal,
            Err(_) => deadline_exceeded(&terminal.envelope, &self.layout),
        }
    }

    fn may_accept(&self, terminal: &Terminal) -> Result<(), Violation> {
        let scene = self.policies.of(&terminal.envelope);
        invariants::no_accept_on_failure(
            terminal.envelope.kind,
            terminal.decision,
            &terminal.checks,
            terminal.faults.len(),
            scene.as_ref().map(|scene| scene.requires.as_slice()),
        )
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
