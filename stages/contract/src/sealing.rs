//! Which fields of a record show a person, and how they are sealed and opened in their place.
//!
//! The runtime seals what it writes to a log and opens what it reads from one; between the stages of a
//! segment records stay as they are.

use shiren_schemas::records::{
    AdmittedCase, DeadLetter, DeadLetterContent, Evidence, FaceCase, FacedPicture, IdentityClaim,
    LibraryChange, LibraryCommand, PersonalText, Sealed, StillCase, Template, TemplateCase,
};
use shiren_schemas::{CodecError, Id, Wire};

use crate::seal::{PersonOf, Vault, VaultError};

/// A field's plain content.
enum Plain<'a> {
    Bytes(&'a mut Vec<u8>),
    Text(&'a mut String),
    Values(&'a mut Vec<f32>),
}

/// One such field: plain, or sealed and then empty.
pub struct Secret<'a> {
    plain: Plain<'a>,
    sealed: &'a mut Option<Sealed>,
    /// Where it stands in its record; sealed bytes open nowhere else.
    place: String,
}

impl<'a> Secret<'a> {
    fn bytes(place: String, bytes: &'a mut Vec<u8>, sealed: &'a mut Option<Sealed>) -> Self {
        let plain = Plain::Bytes(bytes);
        Self {
            plain,
            sealed,
            place,
        }
    }
}

/// A record with such fields.
pub trait Sealable {
    /// All of them.
    fn secrets(&mut self) -> Vec<Secret<'_>>;
}

impl Sealable for AdmittedCase {
    fn secrets(&mut self) -> Vec<Secret<'_>> {
        let pictures = self.pictures.iter_mut();
        pictures
            .map(|p| Secret::bytes(p.role.to_string(), &mut p.bytes, &mut p.sealed))
            .chain(of_command(&mut self.command))
            .chain(of_claim(&mut self.claim))
            .collect()
    }
}

impl Sealable for StillCase {
    fn secrets(&mut self) -> Vec<Secret<'_>> {
        let pictures = self.pictures.iter_mut();
        pictures
            .map(|p| Secret::bytes(p.role.to_string(), &mut p.bytes, &mut p.sealed))
            .chain(of_command(&mut self.command))
            .chain(of_claim(&mut self.claim))
            .collect()
    }
}

impl Sealable for FaceCase {
    fn secrets(&mut self) -> Vec<Secret<'_>> {
        let pictures = self.pictures.iter_mut().flat_map(of_picture);
        pictures
            .chain(of_command(&mut self.command))
            .chain(of_claim(&mut self.claim))
            .collect()
    }
}

impl Sealable for TemplateCase {
    fn secrets(&mut self) -> Vec<Secret<'_>> {
        let mut secrets = Vec::new();
        for templated in &mut self.pictures {
            let place = format!("{}/template", templated.picture.role);
            secrets.push(of_template(place, &mut templated.template));
            secrets.extend(of_picture(&mut templated.picture));
        }
        secrets.extend(of_command(&mut self.command));
        secrets.extend(of_claim(&mut self.claim));
        secrets
    }
}

impl Sealable for Evidence {
    fn secrets(&mut self) -> Vec<Secret<'_>> {
        self.pictures.iter_mut().flat_map(of_picture).collect()
    }
}

fn of_template(place: String, template: &mut Template) -> Secret<'_> {
    Secret {
        plain: Plain::Values(&mut template.values),
        sealed: &mut template.sealed,
        place,
    }
}

fn of_command(command: &mut Option<LibraryCommand>) -> Option<Secret<'_>> {
    let template = command.as_mut()?.template.as_mut()?;
    Some(of_template("command/template".to_owned(), template))
}

fn of_claim(claim: &mut Option<IdentityClaim>) -> Vec<Secret<'_>> {
    let Some(claim) = claim else {
        return Vec::new();
    };
    vec![
        of_text("claim/name", &mut claim.name),
        of_text("claim/number", &mut claim.number),
    ]
}

fn of_text<'a>(place: &str, text: &'a mut PersonalText) -> Secret<'a> {
    Secret {
        plain: Plain::Text(&mut text.text),
        sealed: &mut text.sealed,
        place: place.to_owned(),
    }
}

fn of_picture(picture: &mut FacedPicture) -> Vec<Secret<'_>> {
    let mut secrets = Vec::new();
    let role = picture.role;
    for (index, face) in picture.faces.iter_mut().enumerate() {
        if let Some(crop) = &mut face.crop {
            let place = format!("{role}/{index}/crop");
            secrets.push(Secret::bytes(place, &mut crop.rgb, &mut crop.sealed));
        }
        for (view, seen) in face.views.iter_mut().enumerate() {
            let place = format!("{role}/{index}/view/{view}");
            let pixels = &mut seen.pixels;
            secrets.push(Secret::bytes(place, &mut pixels.rgb, &mut pixels.sealed));
        }
    }
    secrets
}

/// Seals every field that is not sealed yet. On an error some are sealed and some plain: the record must
/// not be written.
///
/// # Errors
/// See [`Vault::seal`].
pub fn seal(
    record: &mut (impl Sealable + ?Sized),
    vault: &dyn Vault,
    tenant: &str,
    case: Id,
    now_us: i64,
) -> Result<(), VaultError> {
    for secret in record.secrets() {
        if secret.sealed.is_some() {
            continue;
        }
        let aad = aad(case, &secret.place);
        let sealed = match &secret.plain {
            Plain::Bytes(bytes) => vault.seal(tenant, now_us, &aad, bytes),
            Plain::Text(text) => vault.seal(tenant, now_us, &aad, text.as_bytes()),
            Plain::Values(values) => vault.seal(tenant, now_us, &aad, &bytes_of(values)),
        };
        *secret.sealed = Some(sealed?);
        match secret.plain {
            Plain::Bytes(bytes) => *bytes = Vec::new(),
            Plain::Text(text) => *text = String::new(),
            Plain::Values(values) => *values = Vec::new(),
        }
    }
    Ok(())
}

/// Opens every sealed field.
///
/// # Errors
/// See [`Vault::open`]; [`VaultError::SealedCorrupt`] also for what is no template or no text.
pub fn open(
    record: &mut (impl Sealable + ?Sized),
    vault: &dyn Vault,
    tenant: &str,
    case: Id,
) -> Result<(), VaultError> {
    for secret in record.secrets() {
        let Some(sealed) = secret.sealed.as_ref() else {
            continue;
        };
        let opened = vault.open(tenant, &aad(case, &secret.place), sealed)?;
        match secret.plain {
            Plain::Bytes(bytes) => *bytes = opened,
            Plain::Text(text) => {
                *text = String::from_utf8(opened).map_err(|_| corrupt(sealed, "no text"))?
            }
            Plain::Values(values) => {
                *values = values_of(&opened, sealed)?;
            }
        }
        *secret.sealed = None;
    }
    Ok(())
}

/// Seals the template of a library's change under the key of its person, where it is not sealed yet.
///
/// # Errors
/// See [`crate::seal::PersonKeys::seal_person`].
pub fn seal_change(change: &mut LibraryChange, keys: &dyn Vault) -> Result<(), VaultError> {
    let Some(mut template) = change.template.take() else {
        return Ok(());
    };
    if template.sealed.is_none() {
        let plain = bytes_of(&template.values);
        template.sealed = Some(keys.seal_person(person_of(change), &aad_of(change), &plain)?);
        template.values = Vec::new();
    }
    change.template = Some(template);
    Ok(())
}

/// Opens the template of a library's change.
///
/// # Errors
/// See [`crate::seal::PersonKeys::open_person`].
pub fn open_change(change: &mut LibraryChange, keys: &dyn Vault) -> Result<(), VaultError> {
    let sealed = change.template.as_mut().and_then(|t| t.sealed.take());
    let Some(sealed) = sealed else {
        return Ok(());
    };
    let opened = keys.open_person(person_of(change), &aad_of(change), &sealed)?;
    let values = values_of(&opened, &sealed)?;
    if let Some(template) = &mut change.template {
        template.values = values;
    }
    Ok(())
}

fn person_of(change: &LibraryChange) -> PersonOf<'_> {
    PersonOf {
        tenant: &change.tenant,
        library: change.library,
        person: &change.person_id,
    }
}

fn aad_of(change: &LibraryChange) -> Vec<u8> {
    aad(change.case_id, "change/template")
}

fn bytes_of(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn values_of(bytes: &[u8], sealed: &Sealed) -> Result<Vec<f32>, VaultError> {
    let (whole, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(corrupt(sealed, "no whole template"));
    }
    Ok(whole
        .iter()
        .map(|value| f32::from_le_bytes(*value))
        .collect())
}

fn corrupt(sealed: &Sealed, what: &str) -> VaultError {
    VaultError::SealedCorrupt {
        key_id: sealed.key_id.clone(),
        what: what.to_owned(),
    }
}

/// Seals what a dead letter keeps of its origin's content. Where the epoch's key was destroyed the letter keeps nothing
/// of it.
///
/// # Errors
/// See [`Vault::seal`].
pub fn seal_letter(
    letter: &mut DeadLetter,
    content: &DeadLetterContent,
    vault: &dyn Vault,
    now_us: i64,
) -> Result<(), LetterError> {
    let plain = content.encode()?;
    let aad = aad(letter.id, LETTER);
    letter.content = match vault.seal(&letter.tenant, now_us, &aad, &plain) {
        Ok(sealed) => Some(sealed),
        Err(VaultError::KeyDestroyed { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(())
}

/// Opens what a dead letter keeps; `None`: it keeps nothing.
///
/// # Errors
/// See [`Vault::open`]; the bytes are no such record.
pub fn open_letter(
    letter: &DeadLetter,
    vault: &dyn Vault,
) -> Result<Option<DeadLetterContent>, LetterError> {
    let Some(sealed) = &letter.content else {
        return Ok(None);
    };
    let plain = vault.open(&letter.tenant, &aad(letter.id, LETTER), sealed)?;
    Ok(Some(DeadLetterContent::decode(&plain)?))
}

/// Why a dead letter's content cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum LetterError {
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// No record of the content.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// Place of a dead letter's content.
const LETTER: &str = "dead_letter/content";

/// Whether a field of the record is sealed.
#[must_use]
pub fn is_sealed(record: &mut (impl Sealable + ?Sized)) -> bool {
    record
        .secrets()
        .iter()
        .any(|secret| secret.sealed.is_some())
}

/// Takes out what shows a person.
pub fn strip(evidence: &mut Evidence) {
    for face in evidence.pictures.iter_mut().flat_map(|p| &mut p.faces) {
        face.crop = None;
        face.views.clear();
    }
}

fn aad(case: Id, place: &str) -> Vec<u8> {
    [case.0.as_slice(), place.as_bytes()].concat()
}
