//! The cases of a run: who asks what, after which verdict.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use shiren_log::NewRecord;
use shiren_schemas::records::{
    IdentityClaim, Inline, Lane, LibraryCommand, LibraryOperation, PersonalText, Picture,
    PictureContent, Request, RequestKind, SearchQuestion,
};
use shiren_schemas::topics::Topic;
use shiren_schemas::{Id, Wire, ids, keys};

pub(crate) const TENANT: &str = "default";

/// Longest side of a simulated picture, pixels.
const SIDE_PX: u32 = 240;

/// Three of two people.
pub(crate) struct Pictures {
    one: Vec<u8>,
    one_again: Vec<u8>,
    other: Vec<u8>,
}

impl Pictures {
    pub(crate) fn load(home: &Path) -> Result<Self> {
        let load = |name: &str| {
            let path = home.join("pictures").join(name);
            let shown = path.display();
            let bytes = std::fs::read(&path)
                .with_context(|| format!("{shown}: run scripts/setup --tests"))?;
            let picture = image::ImageReader::new(Cursor::new(bytes))
                .with_guessed_format()?
                .decode()?;
            let mut small = Cursor::new(Vec::new());
            let picture = picture.thumbnail(SIDE_PX, SIDE_PX).to_rgb8();
            picture.write_to(&mut small, image::ImageFormat::Png)?;
            anyhow::Ok(small.into_inner())
        };
        Ok(Self {
            one: load("obama.jpg")?,
            one_again: load("obama3.jpg")?,
            other: load("biden.jpg")?,
        })
    }
}

/// What a search must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// The person's enrolment was answered before it was asked.
    Found,
    /// The person's unenrolment was.
    NotFound,
}

/// A case that a client asks for.
pub(crate) struct Case {
    pub(crate) id: Id,
    pub(crate) kind: RequestKind,
    pub(crate) record: NewRecord,
    /// Another event under the same id.
    pub(crate) conflict: NewRecord,
    /// Published once this one has its verdict.
    pub(crate) after: Option<usize>,
    pub(crate) deadline_ms: Option<i32>,
    pub(crate) promise: Option<Promise>,
}

impl Case {
    /// The same inputs give the same verdict: it depends on no dependency and no clock.
    pub(crate) fn pure(&self) -> bool {
        use RequestKind::{Compare, Detect, Liveness};
        matches!(self.kind, Compare | Detect | Liveness) && self.deadline_ms.is_none()
    }
}

fn request(request_id: &str, kind: RequestKind) -> Request {
    Request::new(request_id, kind)
}

fn inline(bytes: &[u8]) -> Option<Picture> {
    Some(Picture {
        content: PictureContent::Inline(Inline {
            bytes: bytes.to_vec(),
        }),
        reference_kind: None,
    })
}

fn case(request: &Request, after: Option<usize>, promise: Option<Promise>) -> Result<Case> {
    let tenant = TENANT.to_owned();
    let (topic, key) = match &request.command {
        Some(command) => (
            Topic::LibraryCommands { tenant },
            keys::library(TENANT, command.library),
        ),
        None => {
            let lane = Lane::Interactive;
            (
                Topic::Requests { tenant, lane },
                keys::request(TENANT, &request.request_id),
            )
        }
    };
    let topic = topic.to_string();
    let record = |request: &Request| {
        anyhow::Ok(NewRecord {
            topic: Arc::from(topic.as_str()),
            partition: None,
            key: Bytes::from(key.clone()),
            value: Some(Bytes::from(request.encode()?)),
            headers: Vec::new(),
        })
    };
    let other = Request {
        device_risk: Some(vec![1]),
        ..request.clone()
    };
    Ok(Case {
        id: ids::case(&topic, &request.request_id),
        kind: request.kind,
        record: record(request)?,
        conflict: record(&other)?,
        after,
        deadline_ms: request.deadline_ms,
        promise,
    })
}

fn command(id: &str, operation: LibraryOperation, library: Id, person: &str) -> Request {
    let kind = match operation {
        LibraryOperation::Create | LibraryOperation::Enrol => RequestKind::Enrol,
        LibraryOperation::Unenrol | LibraryOperation::Delete => RequestKind::Unenrol,
    };
    let label = if operation == LibraryOperation::Create {
        "staff"
    } else {
        ""
    };
    Request {
        command: Some(LibraryCommand {
            operation,
            library,
            label: label.to_owned(),
            person_id: person.to_owned(),
            face_id: None,
            template: None,
            sequence: 0,
        }),
        ..request(id, kind)
    }
}

/// A person is enrolled, searched, unenrolled and searched again.
fn of_library(pictures: &Pictures) -> Result<Vec<Case>> {
    let topic = Topic::LibraryCommands {
        tenant: TENANT.to_owned(),
    };
    let library = ids::library(TENANT, ids::case(&topic.to_string(), "create"));
    let create = command("create", LibraryOperation::Create, library, "");
    let enrol = Request {
        probe: inline(&pictures.one),
        consent_ref: Some("form 1".to_owned()),
        purpose: Some("access".to_owned()),
        ..command("enrol", LibraryOperation::Enrol, library, "p-1")
    };
    let unenrol = command("unenrol", LibraryOperation::Unenrol, library, "p-1");
    let search = |id: &str| Request {
        probe: inline(&pictures.one_again),
        search: Some(SearchQuestion {
            libraries: vec![library],
            persons_max: 2,
        }),
        ..request(id, RequestKind::Search)
    };
    Ok(vec![
        case(&create, None, None)?,
        case(&enrol, Some(0), None)?,
        case(&search("search-1"), Some(1), Some(Promise::Found))?,
        case(&unenrol, Some(2), None)?,
        case(&search("search-2"), Some(3), Some(Promise::NotFound))?,
    ])
}

/// Cases that stand alone.
fn alone(pictures: &Pictures) -> Result<Vec<Case>> {
    let compare = |id: &str, reference: &[u8], deadline_ms| Request {
        probe: inline(&pictures.one),
        reference: inline(reference),
        deadline_ms,
        ..request(id, RequestKind::Compare)
    };
    let with = |id: &str, kind, picture: &[u8]| Request {
        probe: inline(picture),
        ..request(id, kind)
    };
    let verify = Request {
        claim: Some(IdentityClaim {
            name: PersonalText::new("样本一"),
            number: PersonalText::new("110199199003071239"),
            valid_from: None,
            valid_to: None,
        }),
        ..with("verify", RequestKind::Verify, &pictures.one)
    };
    let all = [
        compare("same", &pictures.one_again, None),
        compare("strangers", &pictures.other, None),
        compare("late", &pictures.one_again, Some(300)),
        compare("in-time", &pictures.one_again, Some(3_000)),
        with("detect", RequestKind::Detect, &pictures.other),
        with("liveness", RequestKind::Liveness, &pictures.other),
        with("broken", RequestKind::Detect, b"no picture"),
        verify,
    ];
    all.iter()
        .map(|request| case(request, None, None))
        .collect()
}

/// The cases of a seed: those of a library in half of all, and three that stand alone; with `all`, every one.
pub(crate) fn cases(pictures: &Pictures, seed: u64, all: bool) -> Result<Vec<Case>> {
    let mut dice = fastrand::Rng::with_seed(seed ^ 0x5eed);
    let mut cases = if all || dice.bool() {
        of_library(pictures)?
    } else {
        Vec::new()
    };
    let mut others = alone(pictures)?;
    if !all {
        dice.shuffle(&mut others);
        others.truncate(3);
    }
    cases.extend(others);
    Ok(cases)
}
