//! New templates of the portraits that a register keeps, for another model.

use super::{
    Held, LocalRegister, NumberKey, Person, Record, Rewrite, State, inaccessible, key_unusable,
    unreadable,
};
use crate::error::{AuthorityError, Unreadable};
use crate::import::{PortraitRefused, Progress};
use crate::template::{ModelId, Template};

/// What became of the portraits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReEmbedReport {
    /// Persons with a new template.
    pub renewed: u64,
    /// Persons whose template was the model's already.
    pub unchanged: u64,
    /// Persons without a portrait.
    pub without_portrait: u64,
    /// Portraits that the model refused, by masked name and reason. These persons keep their old
    /// template: comparing them is `register_model_mismatch`.
    pub refused: Vec<(String, PortraitRefused)>,
}

impl LocalRegister {
    /// Makes the template of every portrait anew by `model`; `embed` makes one of a portrait's file.
    ///
    /// # Errors
    /// [`AuthorityError::RegisterLocked`]; [`AuthorityError::RegisterModelMismatch`] when `embed` gives
    /// templates of another model; otherwise as [`LocalRegister::open`]. The register is then as it was.
    pub fn re_embed(
        &self,
        model: &ModelId,
        embed: &mut dyn FnMut(&[u8]) -> Result<Template, PortraitRefused>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<ReEmbedReport, AuthorityError> {
        let _held = Held::take(self.path())?;
        let state = self.current()?;
        let mut report = ReEmbedReport::default();
        let mut rewrite = Rewrite::begin(&self.options, &state.keys, &state.header)?;
        let total = state.persons.len() as u64;
        for (done, (key, person)) in (1..).zip(state.in_order()) {
            if person.portrait.is_none() {
                report.without_portrait += 1;
                rewrite.copy(&state, person)?;
            } else if person.template.as_ref().is_some_and(|t| t.model() == model) {
                report.unchanged += 1;
                rewrite.copy(&state, person)?;
            } else {
                self.renew(
                    &state,
                    (key, person),
                    model,
                    embed,
                    &mut rewrite,
                    &mut report,
                )?;
            }
            progress(Progress { done, total });
        }
        if report.renewed > 0 {
            rewrite.finish()?;
            self.current()?;
        }
        Ok(report)
    }

    fn renew(
        &self,
        state: &State,
        (key, person): (&NumberKey, &Person),
        model: &ModelId,
        embed: &mut dyn FnMut(&[u8]) -> Result<Template, PortraitRefused>,
        rewrite: &mut Rewrite<'_>,
        report: &mut ReEmbedReport,
    ) -> Result<(), AuthorityError> {
        let path = self.path();
        let sealed = state.read_at(person.sealed_portrait);
        let sealed = sealed.map_err(|error| inaccessible(path, &error))?;
        let picture = state.portrait(key, &sealed).ok_or_else(|| {
            let what = "is damaged: a portrait's seal does not fit; put it back from a backup";
            unreadable(path, Unreadable::Damaged, what)
        })?;
        let template = match embed(&picture) {
            Ok(template) => template,
            Err(refused) => {
                report.refused.push((person.name.to_string(), refused));
                return rewrite.copy(state, person);
            }
        };
        template.must_be_of(model)?;
        let record = Record {
            name: person.name.expose(),
            validity: person.validity,
            portrait: person.portrait,
            template: Some(&template),
        };
        let record = state.keys.seal_record(key, &record.bytes());
        let record = record.map_err(|error| key_unusable(path, &error))?;
        report.renewed += 1;
        rewrite.put(key, &record, &sealed)
    }
}
