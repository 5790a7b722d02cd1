//! Events for runs that are compared with each other: the same ids and pictures every time.

use std::path::Path;

use shiren::requests;
use shiren_schemas::records::{Request, RequestKind};

/// Portraits of three people, several of one, and pictures that cannot be answered.
const PICTURES: &[&str] = &[
    "obama.jpg",
    "obama2.jpg",
    "biden.jpg",
    "multi_face.jpg",
    "coffee.png",
];

/// The first `count` of an endless list of requests: both kinds, every pair of pictures in turn,
/// each seventh with a truncated probe.
///
/// # Panics
/// When set-up has not fetched the pictures.
#[must_use]
pub fn requests(home: &Path, count: usize) -> Vec<Request> {
    let pictures: Vec<Vec<u8>> = PICTURES.iter().map(|name| picture(home, name)).collect();
    (0..count)
        .map(|i| {
            let kind = if i % 4 == 3 {
                RequestKind::Detect
            } else {
                RequestKind::Compare
            };
            let mut request = requests::request(&format!("event-{i}"), kind);
            let mut probe = pictures[i % pictures.len()].clone();
            if i % 7 == 6 {
                probe.truncate(probe.len() / 2);
            }
            request.probe = Some(requests::inline(probe, None));
            if kind == RequestKind::Compare {
                let reference = pictures[(i / pictures.len()) % 3].clone();
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
