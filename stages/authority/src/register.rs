//! The local register: who holds which number, in one sealed file.
//!
//! The whole file is authenticated and read when it is opened, portraits excepted, which stay sealed.
//! It is written anew as a whole, beside itself, and renamed into place under a lock, so that a reader
//! sees the old or the new one. Every question looks whether the file is still the one that was read:
//! who was removed by another process is unknown at once.

mod file;
mod keys;
mod lock;
mod options;
mod person;
mod re_embed;
mod rewrite;
mod state;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use shiren_idcard::{IdNumber, Name};
use shiren_vault::SecretKey;

pub use options::RegisterOptions;
pub use re_embed::ReEmbedReport;

pub(crate) use keys::NumberKey;
pub(crate) use lock::Held;
pub(crate) use person::Record;
pub(crate) use rewrite::Rewrite;
pub(crate) use state::{Person, State};

use crate::error::{AuthorityError, Unreadable};
use crate::idempotency::IdempotencyKey;
use crate::port::{
    Authority, IdentityClaim, IdentityReply, PortraitClaim, PortraitReply, Probe, ProbeForm,
};
use crate::template::ModelId;
use file::Header;
use keys::Keys;
use state::Stamp;

/// What verdicts call this source.
pub const SOURCE: &str = "local_register";

/// An open register. Threads share it; processes share its file.
pub struct LocalRegister {
    options: RegisterOptions,
    state: RwLock<Arc<State>>,
    /// Held by whoever reads the file anew, so that it is read once.
    reading: Mutex<()>,
}

/// What a register holds, in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterSummary {
    /// Persons.
    pub persons: usize,
    /// Persons with a portrait.
    pub portraits: usize,
    /// Persons with a template, by model.
    pub templates: Vec<(ModelId, usize)>,
    /// Size of the file.
    pub bytes: u64,
}

impl LocalRegister {
    /// Opens a register: authenticates and reads all of it.
    ///
    /// # Errors
    /// [`AuthorityError::RegisterUnreadable`], [`AuthorityError::RegisterOverLimit`].
    pub fn open(options: RegisterOptions) -> Result<Self, AuthorityError> {
        let state = RwLock::new(Arc::new(State::load(&options)?));
        Ok(Self {
            options,
            state,
            reading: Mutex::new(()),
        })
    }

    /// Makes an empty register, and opens it. Where its key comes from a file that is not there, a
    /// fresh random one is made; one that is there is used, never overwritten.
    ///
    /// # Errors
    /// [`AuthorityError::RegisterExists`]; otherwise as [`LocalRegister::open`].
    pub fn init(options: RegisterOptions) -> Result<Self, AuthorityError> {
        {
            let path = options.file.as_path();
            lock::make_parent(path)?;
            let _held = Held::take(path)?;
            let there = path
                .try_exists()
                .map_err(|error| inaccessible(path, &error))?;
            if there {
                let path = path.display().to_string();
                return Err(AuthorityError::RegisterExists { path });
            }
            let unusable = |error| key_unusable(path, &error);
            options.kek.make_missing().map_err(unusable)?;
            let kek = options.kek.keys().map_err(unusable)?;
            let kek = kek
                .first()
                .ok_or_else(|| key_unusable(path, &"there is none"))?;
            let data = SecretKey::random().map_err(|error| key_unusable(path, &error))?;
            let header =
                Header::make(kek.as_ref(), &data).map_err(|error| key_unusable(path, &error))?;
            let keys = Keys::new(data, header.salt);
            Rewrite::begin(&options, &keys, &header)?.finish()?;
        }
        Self::open(options)
    }

    /// Forgets the holder of a number. `false`: nobody had it.
    ///
    /// # Errors
    /// [`AuthorityError::RegisterLocked`]; otherwise as [`LocalRegister::open`].
    pub fn remove(&self, number: &IdNumber) -> Result<bool, AuthorityError> {
        let _held = Held::take(self.path())?;
        let state = self.current()?;
        let gone = state.keys.number(number);
        if !state.persons.contains_key(&gone) {
            return Ok(false);
        }
        let mut rewrite = Rewrite::begin(&self.options, &state.keys, &state.header)?;
        for (_, person) in state
            .in_order()
            .into_iter()
            .filter(|(key, _)| **key != gone)
        {
            rewrite.copy(&state, person)?;
        }
        rewrite.finish()?;
        self.current().map(|_| true)
    }

    /// What it holds, in numbers.
    ///
    /// # Errors
    /// As [`LocalRegister::open`].
    pub fn summary(&self) -> Result<RegisterSummary, AuthorityError> {
        let state = self.current()?;
        let persons = state.persons.values();
        let mut templates: BTreeMap<_, usize> = BTreeMap::new();
        for model in persons
            .clone()
            .filter_map(|p| Some(p.template.as_ref()?.model()))
        {
            *templates.entry((&model.name, model.sha256)).or_default() += 1;
        }
        let named = |((name, sha256), count): ((&String, _), _)| {
            let name = name.clone();
            (ModelId { name, sha256 }, count)
        };
        Ok(RegisterSummary {
            persons: state.persons.len(),
            portraits: persons.filter(|p| p.portrait.is_some()).count(),
            templates: templates.into_iter().map(named).collect(),
            bytes: state.bytes,
        })
    }

    /// Its options.
    #[must_use]
    pub fn options(&self) -> &RegisterOptions {
        &self.options
    }

    pub(crate) fn key_unusable(&self, why: &dyn std::fmt::Display) -> AuthorityError {
        key_unusable(self.path(), why)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.options.file
    }

    /// What the file holds now: read anew when it is another one than was read.
    pub(crate) fn current(&self) -> Result<Arc<State>, AuthorityError> {
        let stamp = Stamp::of_path(self.path())?;
        if let Some(state) = self.read(&stamp) {
            return Ok(state);
        }
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been first.
        if let Some(state) = self.read(&stamp) {
            return Ok(state);
        }
        let fresh = Arc::new(State::load(&self.options)?);
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = fresh.clone();
        Ok(fresh)
    }

    fn read(&self, stamp: &Stamp) -> Option<Arc<State>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        (state.stamp == *stamp).then(|| state.clone())
    }

    /// The state that a question may use, before its deadline.
    fn asked(&self, deadline: Instant) -> Result<Arc<State>, AuthorityError> {
        let in_time = || match Instant::now() < deadline {
            true => Ok(()),
            false => Err(AuthorityError::DeadlineExceeded {
                authority: SOURCE.to_owned(),
            }),
        };
        in_time()?;
        let state = self.current()?;
        // Reading a changed file may have taken long.
        in_time()?;
        Ok(state)
    }
}

/// The holder of a number, or why there is none of that name.
enum Found<'a> {
    Unknown,
    OtherName,
    Holder(&'a Person),
}

fn find<'a>(state: &'a State, number: &IdNumber, name: &Name) -> Found<'a> {
    match state.persons.get(&state.keys.number(number)) {
        None => Found::Unknown,
        Some(person) if !person.name.agrees_with(name) => Found::OtherName,
        Some(person) => Found::Holder(person),
    }
}

impl Authority for LocalRegister {
    fn source(&self) -> &str {
        SOURCE
    }

    /// Reading twice changes nothing and costs nothing.
    fn honours_idempotency_keys(&self) -> bool {
        true
    }

    fn probe_form(&self) -> ProbeForm {
        ProbeForm::Template
    }

    fn check_identity(
        &self,
        claim: &IdentityClaim,
        _key: &IdempotencyKey,
        deadline: Instant,
    ) -> Result<IdentityReply, AuthorityError> {
        let state = self.asked(deadline)?;
        let person = match find(&state, &claim.number, &claim.name) {
            Found::Unknown => return Ok(IdentityReply::NumberUnknown),
            Found::OtherName => return Ok(IdentityReply::NameDiffers),
            Found::Holder(person) => person,
        };
        let claimed = claim.validity.as_ref();
        if claimed.is_some_and(|claimed| person.validity.differs_from(claimed)) {
            return Ok(IdentityReply::ValidityDiffers);
        }
        let both = || [Some(&person.validity), claimed].into_iter().flatten();
        Ok(if both().any(|v| v.begins_after(claim.today)) {
            IdentityReply::NotYetValid
        } else if both().any(|v| v.is_over(claim.today)) {
            IdentityReply::Expired
        } else {
            IdentityReply::Agrees
        })
    }

    fn compare_portrait(
        &self,
        claim: &PortraitClaim,
        _key: &IdempotencyKey,
        deadline: Instant,
    ) -> Result<PortraitReply, AuthorityError> {
        let Probe::Template(probe) = &claim.probe else {
            return Err(AuthorityError::ProbeUnsupported {
                authority: SOURCE.to_owned(),
                wanted: self.probe_form(),
            });
        };
        let state = self.asked(deadline)?;
        let person = match find(&state, &claim.number, &claim.name) {
            Found::Unknown => return Ok(PortraitReply::NumberUnknown),
            Found::OtherName => return Ok(PortraitReply::NameDiffers),
            Found::Holder(person) => person,
        };
        let Some(template) = &person.template else {
            return Ok(PortraitReply::NoPortrait);
        };
        Ok(PortraitReply::Score {
            score: template.compare(probe, self.options.metric)?,
            model: Some(template.model().clone()),
        })
    }
}

impl std::fmt::Debug for LocalRegister {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalRegister")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// [`AuthorityError::RegisterUnreadable`] of `path`.
fn unreadable(path: &Path, cause: Unreadable, what: impl std::fmt::Display) -> AuthorityError {
    AuthorityError::RegisterUnreadable {
        path: path.display().to_string(),
        cause,
        what: what.to_string(),
    }
}

fn inaccessible(path: &Path, error: &std::io::Error) -> AuthorityError {
    let what = format!("cannot be read or written: {error}; look at access rights and disk");
    unreadable(path, Unreadable::Inaccessible, what)
}

fn key_unusable(path: &Path, why: &dyn std::fmt::Display) -> AuthorityError {
    let what = format!("its key cannot be used: {why}");
    unreadable(path, Unreadable::KeyUnusable, what)
}
