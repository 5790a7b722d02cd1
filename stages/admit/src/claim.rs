//! Kind verify: whether name, number and validity can be what stands on a card. No message holds any of them.

use shiren_contract::codes::{self, Code};
use shiren_contract::stage::Rejection;
use shiren_idcard::{Date, IdNumber, Name};
use shiren_schemas::records::{IdentityClaim, PersonalText, Request, RequestKind};

/// Checks the claim of a request of kind verify that was appended at `append_time_us`.
pub(crate) fn check(request: &Request, append_time_us: i64) -> Result<(), Rejection> {
    if request.kind != RequestKind::Verify {
        return Ok(());
    }
    let Some(claim) = &request.claim else {
        let what = "verify needs a name and a number";
        return Err(Rejection::new(codes::CLAIM_MISSING, what));
    };
    let Some(today) = Date::in_china(append_time_us) else {
        let what = format!("{append_time_us} is no time at which a request can be appended");
        return Err(Rejection::new(codes::STAGE_FAILED, what));
    };
    Name::new(plain("name", &claim.name)?)
        .map_err(|error| Rejection::new(code(error.code()), error.to_string()))?;
    IdNumber::parse(plain("number", &claim.number)?, today)
        .map_err(|error| Rejection::new(code(error.code()), error.to_string()))?;
    validity(claim)
}

/// Only the chain seals: what came sealed would be opened by nobody.
fn plain<'a>(what: &str, text: &'a PersonalText) -> Result<&'a str, Rejection> {
    match text.sealed {
        Some(_) => Err(invalid(format!("{what} came sealed"))),
        None => Ok(&text.text),
    }
}

fn validity(claim: &IdentityClaim) -> Result<(), Rejection> {
    let day = |what: &str, text: &Option<String>| -> Result<Option<Date>, Rejection> {
        let day = text.as_deref().map(str::parse).transpose();
        day.map_err(|error| invalid(format!("{what}: {error}")))
    };
    let from = day("valid_from", &claim.valid_from)?;
    let to = day("valid_to", &claim.valid_to)?;
    match from.zip(to) {
        Some((from, to)) if to < from => Err(invalid("valid_to lies before valid_from".to_owned())),
        _ => Ok(()),
    }
}

fn invalid(what: String) -> Rejection {
    Rejection::new(codes::CLAIM_INVALID, what)
}

fn code(id: &str) -> Code {
    codes::find(id).copied().unwrap_or(codes::CLAIM_INVALID)
}

#[cfg(test)]
#[path = "claim_tests.rs"]
mod tests;
