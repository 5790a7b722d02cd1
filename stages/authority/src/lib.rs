//! The authority port, and the local register behind it.
//!
//! An authority knows who holds which number and what that person looks like. [`Authority`] is how the
//! rest asks one; [`LocalRegister`] answers from one sealed file on the operator's own machine. Which
//! score is enough is not its matter. Names and numbers show themselves masked, are wiped when they
//! are dropped, and cannot be serialised. docs/register.md explains the register.

mod error;
mod idempotency;
mod import;
mod port;
mod register;
mod template;

pub use error::{AuthorityError, Unreadable};
pub use idempotency::{Check, IdempotencyKey};
pub use import::{Import, ImportError, ImportReport, PortraitRefused, Progress, RefusedRow};
pub use port::{
    Authority, IdentityClaim, IdentityReply, Picture, PortraitClaim, PortraitReply, Probe,
    ProbeForm, Validity,
};
pub use register::{LocalRegister, ReEmbedReport, RegisterOptions, RegisterSummary, SOURCE};
pub use template::{Metric, ModelId, TEMPLATE_MAX_VALUES, Template, TemplateError};
