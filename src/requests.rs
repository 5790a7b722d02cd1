//! Making ingress records, as any producer would.

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use shiren_log::NewRecord;
use shiren_schemas::records::{
    IdentityClaim, Inline, Lane, LibraryCommand, LibraryOperation, PersonalText, Picture,
    PictureContent, ReferenceKind, Request, RequestKind, SearchQuestion,
};
use shiren_schemas::topics::Topic;
use shiren_schemas::{CodecError, Id, Wire, ids, keys};

/// A picture in the record.
#[must_use]
pub fn inline(bytes: Vec<u8>, reference_kind: Option<ReferenceKind>) -> Picture {
    Picture {
        content: PictureContent::Inline(Inline { bytes }),
        reference_kind,
    }
}

/// A claim as a person writes it down.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    name: String,
    number: String,
    valid_from: Option<String>,
    valid_to: Option<String>,
}

/// Who a person says they are, of `{"name": ..., "number": ..., "valid_from": ..., "valid_to": ...}`; the days may be left
/// out.
///
/// # Errors
/// It is no such object. The message says where, and nothing of what stands there.
pub fn claim(json: &str) -> anyhow::Result<IdentityClaim> {
    let claim: Claim = serde_json::from_str(json).map_err(|error| {
        anyhow::anyhow!(
            "line {}, column {}: not an object with the texts name and number, and where wanted valid_from and valid_to",
            error.line(),
            error.column()
        )
    })?;
    Ok(IdentityClaim {
        name: PersonalText::new(claim.name),
        number: PersonalText::new(claim.number),
        valid_from: claim.valid_from,
        valid_to: claim.valid_to,
    })
}

/// The record that carries a library command, and the id of its case. A command that creates a library is given the
/// library's id here: it follows from the case.
///
/// # Errors
/// [`CodecError::Unwritable`]: a fault of this program.
pub fn command(tenant: &str, mut request: Request) -> Result<(NewRecord, Id), CodecError> {
    let topic = Topic::LibraryCommands {
        tenant: tenant.to_owned(),
    }
    .to_string();
    let case = ids::case(&topic, &request.request_id);
    let mut key = keys::request(tenant, &request.request_id);
    if let Some(command) = &mut request.command {
        if command.operation == LibraryOperation::Create {
            command.library = ids::library(tenant, case);
        }
        key = keys::library(tenant, command.library);
    }
    let record = NewRecord {
        topic: Arc::from(topic),
        partition: None,
        key: Bytes::from(key),
        value: Some(Bytes::from(request.encode()?)),
        headers: Vec::new(),
    };
    Ok((record, case))
}

/// The record that carries `request` to a tenant's lane, and the id of its case.
///
/// # Errors
/// [`CodecError::Unwritable`]: a fault of this program.
pub fn record(tenant: &str, lane: Lane, request: &Request) -> Result<(NewRecord, Id), CodecError> {
    let topic = Topic::Requests {
        tenant: tenant.to_owned(),
        lane,
    }
    .to_string();
    let case = ids::case(&topic, &request.request_id);
    let record = NewRecord {
        topic: Arc::from(topic),
        partition: None,
        key: Bytes::from(keys::request(tenant, &request.request_id)),
        value: Some(Bytes::from(request.encode()?)),
        headers: Vec::new(),
    };
    Ok((record, case))
}

/// Why a person's face may be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// Where it is on record.
    pub consent_ref: String,
    /// What the face is kept for.
    pub purpose: String,
}

/// A command of a library with nothing but its operation.
#[must_use]
pub fn of_library(request_id: &str, operation: LibraryOperation, library: Id) -> Request {
    let kind = match operation {
        LibraryOperation::Create | LibraryOperation::Enrol => RequestKind::Enrol,
        LibraryOperation::Unenrol | LibraryOperation::Delete => RequestKind::Unenrol,
    };
    Request {
        command: Some(LibraryCommand {
            operation,
            library,
            label: String::new(),
            person_id: String::new(),
            face_id: None,
            template: None,
            sequence: 0,
        }),
        ..Request::new(request_id, kind)
    }
}

/// The command that makes a library of this name.
#[must_use]
pub fn creation(request_id: &str, label: &str) -> Request {
    let mut request = of_library(request_id, LibraryOperation::Create, Id([0; 16]));
    if let Some(command) = &mut request.command {
        label.clone_into(&mut command.label);
    }
    request
}

/// The enrolment of a person; its picture or template is still to be added.
#[must_use]
pub fn enrolment(request_id: &str, library: Id, person: &str, consent: &Consent) -> Request {
    Request {
        consent_ref: Some(consent.consent_ref.clone()),
        purpose: Some(consent.purpose.clone()),
        ..of_person(request_id, LibraryOperation::Enrol, library, person)
    }
}

/// The unenrolment of a person, or of one face of them.
#[must_use]
pub fn unenrolment(request_id: &str, library: Id, person: &str, face: Option<Id>) -> Request {
    let mut request = of_person(request_id, LibraryOperation::Unenrol, library, person);
    if let Some(command) = &mut request.command {
        command.face_id = face;
    }
    request
}

fn of_person(request_id: &str, operation: LibraryOperation, library: Id, person: &str) -> Request {
    let mut request = of_library(request_id, operation, library);
    if let Some(command) = &mut request.command {
        person.clone_into(&mut command.person_id);
    }
    request
}

/// A search of libraries for the face of a picture.
#[must_use]
pub fn search(request_id: &str, libraries: Vec<Id>, persons_max: i32, probe: Vec<u8>) -> Request {
    Request {
        probe: Some(inline(probe, None)),
        search: Some(SearchQuestion {
            libraries,
            persons_max,
        }),
        ..Request::new(request_id, RequestKind::Search)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code: a panic is how it speaks")]

    use super::*;

    #[test]
    fn a_claim_is_read_and_what_is_none_is_not_shown() {
        let read = claim(r#"{"name": "样本一", "number": "1", "valid_to": "2040-05-01"}"#).unwrap();
        assert_eq!(
            (read.name.text.as_str(), read.number.text.as_str()),
            ("样本一", "1")
        );
        assert_eq!(
            (read.valid_from, read.valid_to.as_deref()),
            (None, Some("2040-05-01"))
        );
        for wrong in [
            "样本一",
            r#"{"name": 110199199003071239, "number": "1"}"#,
            r#"{"name": "样本一"}"#,
            r#"{"name": "样本一", "number": "1", "样本一": 1}"#,
        ] {
            let error = format!("{:#}", claim(wrong).unwrap_err());
            assert!(
                !error.contains('样') && !error.contains("110199"),
                "{error}"
            );
        }
    }
}
