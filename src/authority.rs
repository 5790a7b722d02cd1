//! The site's authority behind the port of authority-verify: the local register, or another.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use shiren_authority::{
    Authority, AuthorityError, Check, IdempotencyKey, IdentityClaim, LocalRegister, PortraitClaim,
    PortraitReply, Probe, Template, Validity,
};
use shiren_contract::asking::{AskFailure, Port};
use shiren_contract::authority::{PortraitFound, Verified, VerifyAsk};
use shiren_contract::codes::{self, Code};
use shiren_idcard::{Date, IdNumber, Name};

use crate::register;
use crate::site::Site;

/// The authority of a site.
pub struct SiteAuthority {
    site: Arc<Site>,
    /// Once it is open.
    known: Mutex<Option<Arc<dyn Authority>>>,
}

impl SiteAuthority {
    /// The site's local register. It is opened at the first ask: a site that verifies nobody needs none.
    #[must_use]
    pub fn new(site: &Arc<Site>) -> Self {
        Self {
            site: site.clone(),
            known: Mutex::new(None),
        }
    }

    /// Another authority, which the site's `[authority]` bounds.
    #[must_use]
    pub fn of(site: &Arc<Site>, authority: Arc<dyn Authority>) -> Self {
        Self {
            site: site.clone(),
            known: Mutex::new(Some(authority)),
        }
    }

    fn known(&self) -> MutexGuard<'_, Option<Arc<dyn Authority>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A register that could not be opened is tried again at the next ask: it may have been put there.
    fn authority(&self) -> Result<Arc<dyn Authority>, AskFailure> {
        let mut known = self.known();
        if let Some(authority) = known.as_ref() {
            return Ok(authority.clone());
        }
        let options = register::options(&self.site).map_err(|error| {
            let what = format!("its options: {error:#}");
            AskFailure::lasting(codes::REGISTER_UNREADABLE, what)
        })?;
        let opened = LocalRegister::open(options).map_err(|error| failure(&error, true))?;
        let opened: Arc<dyn Authority> = Arc::new(opened);
        *known = Some(opened.clone());
        Ok(opened)
    }
}

impl Port<VerifyAsk, Verified> for SiteAuthority {
    fn ask(&self, asks: &[&VerifyAsk], deadline: Instant) -> Vec<Result<Verified, AskFailure>> {
        let authority = match self.authority() {
            Ok(authority) => authority,
            Err(failure) => return asks.iter().map(|_| Err(failure.clone())).collect(),
        };
        let one = |ask: &&VerifyAsk| verify(authority.as_ref(), ask, deadline);
        asks.iter().map(one).collect()
    }

    /// The register is only read; whether that counts, too, the site says. An authority that does not know a question
    /// again is never asked it twice, whatever the site says.
    fn may_repeat(&self) -> bool {
        let knows_again = |known: &Arc<dyn Authority>| known.honours_idempotency_keys();
        !self.site.topology.authority.ask_once && self.known().as_ref().is_none_or(knows_again)
    }
}

/// Asks `authority` both questions. A portrait that could not be compared leaves the answer on the identity standing.
fn verify(
    authority: &dyn Authority,
    ask: &VerifyAsk,
    deadline: Instant,
) -> Result<Verified, AskFailure> {
    let again = authority.honours_idempotency_keys();
    let claim = read(ask)?;
    let key = |check| IdempotencyKey::derive(&ask.tenant, ask.case, check);
    let identity = authority
        .check_identity(&claim, &key(Check::Identity), deadline)
        .map_err(|error| failure(&error, again))?;
    let portrait = PortraitClaim {
        name: claim.name,
        number: claim.number,
        probe: Probe::Template(template(ask)?),
    };
    let portrait = match authority.compare_portrait(&portrait, &key(Check::Portrait), deadline) {
        Ok(PortraitReply::NumberUnknown) => PortraitFound::NumberUnknown,
        Ok(PortraitReply::NameDiffers) => PortraitFound::NameDiffers,
        Ok(PortraitReply::NoPortrait) => PortraitFound::NoPortrait,
        Ok(PortraitReply::Score { score, .. }) => PortraitFound::Score(score),
        Err(error) => match failure(&error, again) {
            failure if failure.transient => return Err(failure),
            failure => PortraitFound::Broken(failure),
        },
    };
    Ok(Verified {
        source: authority.source().to_owned(),
        identity,
        portrait,
    })
}

/// The claim as authorities read it. Admit has checked it: what is wrong here is a fault of the chain.
fn read(ask: &VerifyAsk) -> Result<IdentityClaim, AskFailure> {
    let claim = &ask.claim;
    let today = Date::in_china(ask.received_time_us)
        .ok_or_else(|| AskFailure::lasting(codes::STAGE_FAILED, "the case has no day"))?;
    let day = |text: &Option<String>| -> Result<Option<Date>, AskFailure> {
        let day = text.as_deref().map(str::parse).transpose();
        day.map_err(|error| AskFailure::lasting(codes::CLAIM_INVALID, format!("{error}")))
    };
    let (from, to) = (day(&claim.valid_from)?, day(&claim.valid_to)?);
    Ok(IdentityClaim {
        name: Name::new(&claim.name.text)
            .map_err(|error| AskFailure::lasting(code(error.code()), error.to_string()))?,
        number: IdNumber::parse(&claim.number.text, today)
            .map_err(|error| AskFailure::lasting(code(error.code()), error.to_string()))?,
        validity: (from.is_some() || to.is_some()).then_some(Validity { from, to }),
        today,
    })
}

fn template(ask: &VerifyAsk) -> Result<Template, AskFailure> {
    let given = &ask.template;
    let invalid = |what: String| AskFailure::lasting(codes::TEMPLATE_INVALID, what);
    let model = register::model_id(&given.model, &given.model_sha256)
        .ok_or_else(|| invalid(format!("{}: its sha256 is none", given.model)))?;
    Template::new(model, given.values.clone()).map_err(|error| invalid(error.to_string()))
}

fn code(id: &str) -> Code {
    codes::find(id).copied().unwrap_or(codes::CLAIM_INVALID)
}

/// `again`: a question whose reply was lost may be asked again.
fn failure(error: &AuthorityError, again: bool) -> AskFailure {
    let late = matches!(error, AuthorityError::DeadlineExceeded { .. });
    AskFailure {
        code: error.code(),
        detail: error.to_string(),
        transient: error.is_transient() || (late && again),
    }
}
