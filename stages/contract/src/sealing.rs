//! Which fields of a record show a person, and how they are sealed and opened in their place.
//!
//! The runtime seals what it writes to a log and opens what it reads from one; between the stages of a
//! segment records stay as they are.

use shiren_schemas::Id;
use shiren_schemas::records::{
    AdmittedCase, Evidence, FaceCase, FacedPicture, Sealed, StillCase, TemplateCase,
};

use crate::seal::{Vault, VaultError};

/// A field's plain content.
enum Plain<'a> {
    Bytes(&'a mut Vec<u8>),
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
            .collect()
    }
}

impl Sealable for StillCase {
    fn secrets(&mut self) -> Vec<Secret<'_>> {
        let pictures = self.pictures.iter_mut();
        pictures
            .map(|p| Secret::bytes(p.role.to_string(), &mut p.bytes, &mut p.sealed))
            .collect()
    }
}

impl Sealable for FaceCase {
    fn secrets(&mut self) -> Vec<Secret<'_>> {
        self.pictures.iter_mut().flat_map(of_picture).collect()
    }
}

impl Sealable for TemplateCase {
    fn secrets(&mut self) -> Vec<Secret<'_>> {
        let mut secrets = Vec::new();
        for templated in &mut self.pictures {
            let template = &mut templated.template;
            secrets.push(Secret {
                plain: Plain::Values(&mut template.values),
                sealed: &mut template.sealed,
                place: format!("{}/template", templated.picture.role),
            });
            secrets.extend(of_picture(&mut templated.picture));
        }
        secrets
    }
}

impl Sealable for Evidence {
    fn secrets(&mut self) -> Vec<Secret<'_>> {
        self.pictures.iter_mut().flat_map(of_picture).collect()
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
            Plain::Values(values) => {
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                vault.seal(tenant, now_us, &aad, &bytes)
            }
        };
        *secret.sealed = Some(sealed?);
        match secret.plain {
            Plain::Bytes(bytes) => *bytes = Vec::new(),
            Plain::Values(values) => *values = Vec::new(),
        }
    }
    Ok(())
}

/// Opens every sealed field.
///
/// # Errors
/// See [`Vault::open`]; [`VaultError::SealedCorrupt`] also for what is no template.
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
            Plain::Values(values) => {
                let (whole, rest) = opened.as_chunks::<4>();
                if !rest.is_empty() {
                    return Err(VaultError::SealedCorrupt {
                        key_id: sealed.key_id.clone(),
                        what: "no whole template".to_owned(),
                    });
                }
                *values = whole.iter().map(|v| f32::from_le_bytes(*v)).collect();
            }
        }
        *secret.sealed = None;
    }
    Ok(())
}

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
