//! Events for runs that are compared with each other: the same ids and pictures every time.

use std::path::Path;

use shiren::requests;
use shiren_schemas::records::{Request, RequestKind};

/// Small portraits, two each of two people, and one of a third.
const PORTRAITS: &[&str] = &[
    "bieber2.jpg",
    "cage2.jpg",
    "obama4.jpg",
    "bieber.jpg",
    "cage.jpg",
];
/// Several faces, none of them the subject.
const GROUP: &str = "multi_face.jpg";

/// The first `count` of an endless list of requests, fit for [`crate::site::LARGE_FACES`]: both
/// kinds, pairs of all portraits in turn; each seventh probe is truncated, each eleventh a group,
/// each thirteenth no picture at all. So cases end in decode, in detect and in match.
///
/// # Panics
/// When set-up has not fetched the pictures.
#[must_use]
pub fn requests(home: &Path, count: usize) -> Vec<Request> {
    let portraits: Vec<Vec<u8>> = PORTRAITS.iter().map(|name| picture(home, name)).collect();
    let group = picture(home, GROUP);
    (0..count)
        .map(|i| {
            let kind = if i % 2 == 1 {
                RequestKind::Detect
            } else {
                RequestKind::Compare
            };
            let mut request = Request::new(&format!("event-{i}"), kind);
            let mut probe = portraits[i % portraits.len()].clone();
            if i % 11 == 10 {
                probe.clone_from(&group);
            }
            if i % 7 == 6 {
                probe.truncate(probe.len() / 2);
            }
            if i % 13 == 12 {
                probe = b"no picture".to_vec();
            }
            request.probe = Some(requests::inline(probe, None));
            if kind == RequestKind::Compare {
                let reference = portraits[(i / portraits.len()) % portraits.len()].clone();
                request.reference = Some(requests::inline(reference, None));
            }
            request
        })
        .collect()
}

/// A picture that set-up fetched.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn picture(home: &Path, name: &str) -> Vec<u8> {
    let path = home.join("pictures").join(name);
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run scripts/setup --tests", path.display()))
}
