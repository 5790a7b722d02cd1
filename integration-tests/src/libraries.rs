//! Libraries of faces, as a client makes, fills and searches them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use shiren::cases::{Cases, Ended};
use shiren::requests::{self, Consent};
use shiren_log::Log;
use shiren_schemas::records::{Check, CheckState, Decision, Lane, LibraryOperation, Request};
use shiren_schemas::{Id, ids};

use crate::{events, run, site};

/// A client of the tenant `default`. Request ids are numbered by it.
pub struct Client {
    cases: Cases,
    name: &'static str,
    count: u32,
}

impl Client {
    /// A client of its own name, so that no two send the same request id.
    ///
    /// # Panics
    /// When the log cannot be read.
    #[must_use]
    pub fn new(log: &Arc<dyn Log>, name: &'static str) -> Self {
        let wait: Duration = run::MAX_WAIT;
        let cases = Cases::open(log.clone(), "default", wait).expect("the topics");
        Self {
            cases,
            name,
            count: 0,
        }
    }

    /// A request id that was not used yet.
    pub fn next_id(&mut self) -> String {
        self.count += 1;
        format!("{}-{}", self.name, self.count)
    }

    /// Sends a request and waits for its end.
    ///
    /// # Panics
    /// When there is none in time.
    pub fn ask(&mut self, request: Request) -> Ended {
        self.cases.ask(Lane::Interactive, request).expect("an end")
    }

    /// Sends requests without waiting; their ids.
    ///
    /// # Panics
    /// When the log refuses them.
    pub fn publish(&self, requests: Vec<Request>) -> Vec<String> {
        self.cases
            .publish(Lane::Interactive, requests)
            .expect("published")
    }

    /// The ends of these requests, in their order.
    ///
    /// # Panics
    /// When one does not come in time.
    pub fn ends(&mut self, ids: &[String]) -> Vec<shiren_schemas::records::Verdict> {
        let mut ends = vec![None; ids.len()];
        self.cases
            .each_end(ids.len(), |verdict| {
                let at = ids.iter().position(|id| *id == verdict.observed.request_id);
                if let Some(at) = at {
                    ends[at] = Some(verdict.clone());
                }
                at.is_some()
            })
            .expect("all ends");
        ends.into_iter().map(|end| end.expect("an end")).collect()
    }

    /// Makes a library.
    ///
    /// # Panics
    /// When it is not made.
    pub fn create(&mut self, label: &str) -> Id {
        let request = requests::creation(&self.next_id(), label);
        let ended = self.ask(request);
        assert_eq!(ended.decision, Decision::Done, "{ended:?}");
        ids::library("default", ended.case_id)
    }

    /// Enrols the face of a picture.
    pub fn enrol(&mut self, library: Id, person: &str, picture: &str) -> Ended {
        let request = self.enrolment(library, person, picture);
        self.ask(request)
    }

    /// The request of [`Client::enrol`].
    pub fn enrolment(&mut self, library: Id, person: &str, picture: &str) -> Request {
        let id = self.next_id();
        Request {
            probe: Some(requests::inline(of_home(picture), None)),
            ..requests::enrolment(&id, library, person, &consent())
        }
    }

    /// Unenrols a person.
    pub fn unenrol(&mut self, library: Id, person: &str) -> Ended {
        let request = requests::unenrolment(&self.next_id(), library, person, None);
        self.ask(request)
    }

    /// Deletes a library.
    pub fn delete(&mut self, library: Id) -> Ended {
        let request = requests::of_library(&self.next_id(), LibraryOperation::Delete, library);
        self.ask(request)
    }

    /// Searches libraries for the face of a picture.
    pub fn search(&mut self, libraries: &[Id], picture: &str) -> Ended {
        let request = requests::search(&self.next_id(), libraries.to_vec(), 5, of_home(picture));
        self.ask(request)
    }

    /// The person whom a search finds; `None` when it says nobody.
    ///
    /// # Panics
    /// When it says anything else.
    pub fn who(&mut self, libraries: &[Id], picture: &str) -> Option<String> {
        let ended = self.search(libraries, picture);
        match ended.decision {
            Decision::Nobody => {
                let failed = |check: &&Check| check.state == CheckState::Failed;
                let failed: Vec<_> = ended.checks.iter().filter(failed).collect();
                assert_eq!(failed.len(), 1, "{failed:?}");
                assert_eq!(failed[0].name, "comparison");
                None
            }
            Decision::Accept | Decision::Review => {
                let results = ended.results.as_ref().expect("candidates");
                let first = results.candidates.first().expect("a candidate");
                let subject = format!("{}/{}", first.library, first.person_id);
                assert_eq!(ended.matched_subject, Some(subject));
                Some(first.person_id.clone())
            }
            _ => panic!("{ended:?}"),
        }
    }
}

/// A consent for tests.
#[must_use]
pub fn consent() -> Consent {
    Consent {
        consent_ref: "test-consent".to_owned(),
        purpose: "test".to_owned(),
    }
}

fn of_home(picture: &str) -> Vec<u8> {
    let home: &Path = &site::home();
    events::picture(home, picture)
}

/// Reason codes of an end.
#[must_use]
pub fn reasons(ended: &Ended) -> Vec<&str> {
    ended.reason_codes.iter().map(String::as_str).collect()
}

/// The whole life of two libraries, on whatever log and engine.
///
/// # Panics
/// When an answer is another than it should be.
pub fn live(log: &Arc<dyn Log>) {
    let mut client = Client::new(log, "life");
    let (staff, guests) = (client.create("staff"), client.create("guests"));
    assert_eq!(client.who(&[staff], "obama2.jpg"), None, "an empty library");
    let enrolled = client.enrol(staff, "obama", "obama.jpg");
    assert_eq!(enrolled.decision, Decision::Done, "{enrolled:?}");
    assert_eq!(client.who(&[staff], "obama2.jpg").as_deref(), Some("obama"));
    assert_eq!(
        client.who(&[staff], "cranston.jpg"),
        None,
        "a library of one stranger"
    );
    assert_eq!(client.who(&[guests], "obama2.jpg"), None, "another library");
    for (library, person) in [(guests, "rihanna"), (staff, "clooney")] {
        let enrolled = client.enrol(library, person, &format!("{person}.jpg"));
        assert_eq!(enrolled.decision, Decision::Done, "{enrolled:?}");
    }
    assert_eq!(
        client.who(&[guests, staff], "clooney.jpg").as_deref(),
        Some("clooney")
    );
    assert_eq!(client.who(&[guests], "clooney.jpg"), None);
    // A second face of a person, then the person is gone with both.
    client.enrol(staff, "obama", "obama2.jpg");
    let erased = client.unenrol(staff, "obama");
    let faces = erased
        .results
        .as_ref()
        .and_then(|r| r.enrolment.as_ref())
        .map(|e| e.faces.len());
    assert_eq!(
        (erased.decision, faces),
        (Decision::Done, Some(2)),
        "{erased:?}"
    );
    assert_eq!(client.who(&[staff, guests], "obama2.jpg"), None);
    assert_eq!(
        client.who(&[staff], "clooney.jpg").as_deref(),
        Some("clooney")
    );
    // Enrolled again, found again.
    client.enrol(staff, "obama", "obama.jpg");
    assert_eq!(client.who(&[staff], "obama2.jpg").as_deref(), Some("obama"));
    let deleted = client.delete(staff);
    assert_eq!(deleted.decision, Decision::Done, "{deleted:?}");
    let gone = client.search(&[staff], "obama2.jpg");
    assert_eq!(
        (gone.decision, reasons(&gone).contains(&"library_unknown")),
        (Decision::Error, true)
    );
    // Made again under its name it is another library.
    let again = client.create("staff");
    assert_ne!(again, staff);
    assert_eq!(client.who(&[again], "obama2.jpg"), None);
}
