//! What the targets share: where their first inputs go, and records made by hand.

use std::path::Path;

use shiren_schemas::Id;
use shiren_schemas::records::{
    IdentityClaim, Inline, LibraryCommand, LibraryOperation, PersonalText, Picture, PictureContent,
    ReferenceKind, Request, RequestKind, SearchQuestion,
};

/// Writes the first inputs of a target into the folder that `SHIREN_FUZZ_SEEDS` names, before libFuzzer reads it.
///
/// # Panics
/// When they cannot be written.
pub fn seed(inputs: impl IntoIterator<Item = Vec<u8>>) {
    let Some(folder) = std::env::var_os("SHIREN_FUZZ_SEEDS") else {
        return;
    };
    for (index, input) in inputs.into_iter().enumerate() {
        let file = Path::new(&folder).join(format!("seed-{index}"));
        std::fs::write(&file, input).expect("the folder of seeds can be written");
    }
}

/// A request of `kind` with as many small pictures as it takes; they are not pictures at all.
#[must_use]
pub fn request(kind: RequestKind) -> Request {
    let picture = |reference_kind| {
        Some(Picture {
            content: PictureContent::Inline(Inline {
                bytes: vec![0xFF, 0xD8, 0xFF, 0xE0],
            }),
            reference_kind,
        })
    };
    Request {
        deadline_ms: Some(1000),
        capture_time: Some(1_795_860_000_000_000),
        purpose: Some("door".to_owned()),
        probe: picture(None),
        reference: (kind == RequestKind::Compare)
            .then(|| picture(Some(ReferenceKind::OnFile)))
            .flatten(),
        search: (kind == RequestKind::Search).then(|| SearchQuestion {
            libraries: vec![Id([7; 16])],
            persons_max: 3,
        }),
        command: matches!(kind, RequestKind::Enrol | RequestKind::Unenrol).then(|| {
            LibraryCommand {
                operation: LibraryOperation::Enrol,
                library: Id([7; 16]),
                label: "door".to_owned(),
                person_id: "p-1".to_owned(),
                face_id: None,
                template: None,
                sequence: 0,
            }
        }),
        claim: (kind == RequestKind::Verify).then(|| IdentityClaim {
            name: PersonalText::new("A"),
            number: PersonalText::new("11010519491231002X"),
            valid_from: None,
            valid_to: None,
        }),
        ..Request::new("seed", kind)
    }
}
