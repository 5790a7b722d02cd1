//! Identity-limit: so many attempts on one identity number in a window of time, before an authority is asked.
//!
//! A number's attempts lie in one partition, as the stage's topic has keys of its own: the tenant and a keyed hash of
//! the number. The number itself is kept nowhere. What is over the limit ends as an error and does not count, so that
//! who goes on trying is let through as soon as the window allows it.

use std::sync::Arc;

use shiren_contract::codes;
use shiren_contract::keyed::{KeyedStage, Memory};
use shiren_contract::stage::{Outcome, Rejection, StageDescriptor};
use shiren_contract::terminal::Terminal;
use shiren_idcard::{Date, IdNumber};
use shiren_schemas::Wire;
use shiren_schemas::records::{IdentityAttempt, IdentityAttempts, RequestKind, TemplateCase};

/// A keyed hash of a canonical number (17 digits and `0` to `9` or `X`), as text: equal for equal numbers, and it does
/// not lead back without the key.
pub type Hash = dyn Fn(&str) -> String + Send + Sync;

/// What the stage goes by.
#[derive(Clone)]
pub struct Config {
    /// Attempts within the window, 1 or more.
    pub max_attempts: usize,
    /// The window, microseconds.
    pub window_us: i64,
    /// The same wherever a case can come from.
    pub hash: Arc<Hash>,
}

/// The stage.
pub struct IdentityLimit {
    config: Config,
}

/// Key of a case in the stage's topic, `<tenant>/<hash>`; `None`: it claims no number that can be read.
#[must_use]
pub fn key(case: &TemplateCase, hash: &Hash) -> Option<String> {
    let claim = case.claim.as_ref()?;
    let today = Date::in_china(case.envelope.received_time)?;
    let number = IdNumber::parse(&claim.number.text, today).ok()?;
    Some(format!(
        "{}/{}",
        case.envelope.tenant,
        hash(number.expose())
    ))
}

impl IdentityLimit {
    /// The stage with its limit.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    /// Lets an attempt through, or says why not. A case that comes again is the attempt that it was.
    fn attempt(
        &self,
        case: &TemplateCase,
        memory: &mut Memory<'_, IdentityAttempts>,
    ) -> Result<(), Rejection> {
        let key = key(case, self.config.hash.as_ref()).ok_or_else(|| {
            let what = "there is no number, and admit lets no such case through";
            Rejection::new(codes::STAGE_FAILED, what)
        })?;
        let (case_id, time) = (case.envelope.case_id, case.envelope.received_time);
        let known = memory.get(&key).map(|known| known.attempts.clone());
        let mut attempts = known.unwrap_or_default();
        // Cases overtake each other on their way here: of one that comes late the later ones count too.
        attempts.retain(|attempt| attempt.time > time.saturating_sub(self.config.window_us));
        if attempts.iter().any(|attempt| attempt.case_id == case_id) {
            return Ok(());
        }
        if attempts.len() >= self.config.max_attempts {
            let what = format!(
                "{} attempts on this number within {} ms",
                attempts.len(),
                self.config.window_us / 1_000
            );
            return Err(Rejection::new(codes::IDENTITY_LIMIT_EXCEEDED, what));
        }
        attempts.push(IdentityAttempt { case_id, time });
        let last = attempts.iter().map(|attempt| attempt.time).max();
        let forgotten_at = last.unwrap_or(time).saturating_add(self.config.window_us);
        let state = IdentityAttempts {
            attempts,
            forgotten_at,
        };
        memory.put(&key, state);
        Ok(())
    }
}

impl KeyedStage for IdentityLimit {
    type Input = TemplateCase;
    type State = IdentityAttempts;

    const DESCRIPTOR: StageDescriptor = StageDescriptor {
        name: "identity-limit",
        kinds: &[RequestKind::Verify],
        input: TemplateCase::NAME,
        outputs: &[TemplateCase::NAME],
        checks: &[],
        state: Some(IdentityAttempts::NAME),
        is_rekeyed: true,
    };

    fn process(
        &mut self,
        case: TemplateCase,
        memory: &mut Memory<'_, IdentityAttempts>,
    ) -> Outcome {
        let rejection = match self.attempt(&case, memory) {
            Ok(()) => return Outcome::next(case),
            Err(rejection) => rejection,
        };
        let mut terminal = Terminal::error(case.envelope, Self::DESCRIPTOR.name, rejection, None);
        terminal.checks = case.checks;
        terminal.reason_codes.extend(case.reason_codes);
        terminal.models = case.models;
        terminal.pictures = case.pictures.into_iter().map(|p| p.picture).collect();
        Outcome::terminal(terminal)
    }

    fn fire(
        &mut self,
        _: &str,
        _: IdentityAttempts,
        _: &mut Memory<'_, IdentityAttempts>,
    ) -> Option<Outcome> {
        None
    }
}
