//! Libraries on the embedded log: enrolled is found, erased is not, and what dies between changes nothing.

use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;

use shiren::library_truth;
use shiren::requests;
use shiren_integration_tests::libraries::{self, Client, consent, reasons};
use shiren_integration_tests::processes::{self, Worker};
use shiren_integration_tests::{run, site};
use shiren_library::stand_in::StandIn;
use shiren_log::Log;
use shiren_schemas::Id;
use shiren_schemas::records::{Decision, Request};
use tempfile::TempDir;

/// A site of its own, whose chain runs in other processes.
struct Operator {
    folder: TempDir,
    log: Arc<dyn Log>,
}

impl Operator {
    fn new(changes: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = site::embedded(folder.path(), changes);
        let log = site.open_log().unwrap();
        site.set_up(log.as_ref()).unwrap();
        Self { folder, log }
    }

    fn topology(&self) -> PathBuf {
        self.folder.path().join("topology.toml")
    }

    fn work(&self, kill_point: Option<&str>) -> Worker {
        let mut command = processes::on_embedded(&self.topology());
        command.arg("run");
        if let Some(point) = kill_point {
            command.env("SHIREN_KILL_POINT", point);
        }
        Worker::launch(command, "front")
    }

    /// `shiren library ...`
    fn library(&self, arguments: &[&str]) -> Output {
        let mut command = processes::on_embedded(&self.topology());
        command.arg("library").args(arguments).output().unwrap()
    }
}

#[test]
fn what_is_enrolled_is_found_and_what_is_erased_is_not() {
    let operator = Operator::new(&[site::LARGE_FACES]);
    let worker = operator.work(None);
    libraries::live(&operator.log);
    worker.drain();
    let verified = operator.library(&["verify"]);
    assert!(verified.status.success(), "{verified:?}");
}

#[test]
fn the_same_on_a_stand_in_for_a_qdrant_server() {
    let stand_in = StandIn::start();
    let library = site::library_at(&stand_in.url());
    let operator = Operator::new(&[site::LARGE_FACES, (library.0, &library.1)]);
    let worker = operator.work(None);
    libraries::live(&operator.log);
    worker.drain();
}

#[test]
fn what_cannot_be_done_is_refused_with_its_code() {
    let operator = Operator::new(&[
        site::LARGE_FACES,
        ("[library] ", "[library]\nfaces_per_person_max = 2\n#"),
    ]);
    let worker = operator.work(None);
    let mut client = Client::new(&operator.log, "refused");
    let staff = client.create("staff");
    let mut refused = |request: Request, code: &str| {
        let ended = client.ask(request);
        assert_eq!(ended.decision, Decision::Error, "{code}: {ended:?}");
        assert!(reasons(&ended).contains(&code), "{code}: {ended:?}");
    };
    let nowhere = Id([7; 16]);
    let template = |values: Vec<f32>| {
        Some(shiren_schemas::records::Template {
            model: "another".into(),
            model_sha256: "00".into(),
            values,
            sealed: None,
        })
    };
    let enrolment = |id: &str, library: Id| requests::enrolment(id, library, "ann", &consent());
    let by_template = |id: &str, library: Id| {
        let mut request = enrolment(id, library);
        request.command.as_mut().unwrap().template = template(vec![0.1; 128]);
        request
    };
    refused(by_template("a", nowhere), "library_unknown");
    refused(by_template("b", staff), "library_model_mismatch");
    let without = |change: fn(&mut Request)| {
        let mut request = by_template("c", staff);
        change(&mut request);
        request
    };
    refused(
        without(|request| request.consent_ref = None),
        "consent_missing",
    );
    refused(
        without(|request| request.purpose = Some(" ".into())),
        "consent_missing",
    );
    refused(without(|request| request.command = None), "topic_mismatch");
    refused(
        without(|request| {
            let command = request.command.as_mut().unwrap();
            command.person_id = "p".repeat(129);
        }),
        "command_invalid",
    );
    refused(enrolment("d", staff), "picture_missing");
    refused(
        requests::search("e", vec![nowhere], 5, picture("obama.jpg")),
        "library_unknown",
    );
    refused(
        requests::search("f", Vec::new(), 5, picture("obama.jpg")),
        "search_invalid",
    );
    // Faces of one person up to the limit; a face id of another person.
    let face = Id([3; 16]);
    let with_face = |id: &str, person: &str, name: &str| {
        let mut request = Request {
            probe: Some(requests::inline(picture(name), None)),
            ..requests::enrolment(id, staff, person, &consent())
        };
        request.command.as_mut().unwrap().face_id = Some(face);
        request
    };
    let done = client.ask(with_face("g", "obama", "obama.jpg"));
    assert_eq!(done.decision, Decision::Done, "{done:?}");
    let again = client.ask(with_face("h", "obama", "obama2.jpg"));
    assert_eq!(
        again.decision,
        Decision::Done,
        "the same face again replaces it: {again:?}"
    );
    let conflict = client.ask(with_face("i", "clooney", "clooney.jpg"));
    assert_eq!(reasons(&conflict)[..1], ["face_conflict"]);
    client.enrol(staff, "obama", "obama.jpg");
    let full = client.enrol(staff, "obama", "obama2.jpg");
    assert!(
        reasons(&full).contains(&"person_faces_over_limit"),
        "{full:?}"
    );
    // Nothing there is an answer, not an error.
    let nobody = client.unenrol(staff, "nobody");
    assert_eq!(
        (nobody.decision, reasons(&nobody)),
        (Decision::Done, vec!["nothing_enrolled"])
    );
    worker.drain();
}

fn picture(name: &str) -> Vec<u8> {
    std::fs::read(site::home().join("pictures").join(name)).unwrap()
}

/// Nobody is let in, and nobody is told to be unknown, by a library that does not answer.
#[test]
fn a_search_of_a_library_that_is_down_is_an_error_and_others_go_on() {
    let nowhere = site::library_at("http://127.0.0.1:1");
    let operator = Operator::new(&[
        site::LARGE_FACES,
        (nowhere.0, &nowhere.1),
        (
            "[library] ",
            "[library]\nask_max_wait_ms = 1000\ncall_max_wait_ms = 500\n#",
        ),
    ]);
    let worker = operator.work(None);
    let mut client = Client::new(&operator.log, "down");
    let ended = client.search(&[Id([1; 16])], "obama.jpg");
    assert_eq!(ended.decision, Decision::Error, "{ended:?}");
    assert!(
        reasons(&ended).contains(&"library_unavailable"),
        "{ended:?}"
    );
    let detect = Request {
        probe: Some(requests::inline(picture("obama.jpg"), None)),
        ..Request::new("detect", shiren_schemas::records::RequestKind::Detect)
    };
    assert_eq!(client.ask(detect).decision, Decision::Done);
    worker.drain();
}

/// The process dies between the engine's write and the commit: the next one comes to the same.
#[test]
fn killed_between_engine_and_commit_a_command_comes_to_the_same() {
    for point in ["asked@1", "produced@1", "committed@1"] {
        let operator = Operator::new(&[site::LARGE_FACES]);
        let worker = operator.work(None);
        let mut client = Client::new(&operator.log, "killed");
        let staff = client.create("staff");
        client.enrol(staff, "clooney", "clooney.jpg");
        worker.drain();
        // An enrolment.
        let enrolment = client.enrolment(staff, "obama", "obama.jpg");
        let case = client.publish(vec![enrolment]);
        operator.work(Some(point)).await_kill();
        let worker = operator.work(None);
        let enrolled = client.ends(&case).remove(0);
        assert_eq!(enrolled.canonical.decision, Decision::Done);
        assert!(
            !enrolled
                .canonical
                .reason_codes
                .contains(&"superseded".to_owned())
        );
        assert_eq!(
            client.who(&[staff], "obama2.jpg").as_deref(),
            Some("obama"),
            "{point}"
        );
        worker.drain();
        // An unenrolment.
        let id = client.next_id();
        let case = client.publish(vec![requests::unenrolment(&id, staff, "obama", None)]);
        operator.work(Some(point)).await_kill();
        let worker = operator.work(None);
        let erased = client.ends(&case).remove(0);
        assert_eq!(erased.canonical.decision, Decision::Done);
        assert!(
            !erased
                .canonical
                .reason_codes
                .contains(&"nothing_enrolled".to_owned()),
            "{point}"
        );
        assert_eq!(client.who(&[staff], "obama2.jpg"), None, "{point}");
        assert_eq!(
            client.who(&[staff], "clooney.jpg").as_deref(),
            Some("clooney"),
            "{point}"
        );
        worker.drain();
        run::no_verdict_twice(operator.log.as_ref());
        let verified = operator.library(&["verify", "staff"]);
        assert!(verified.status.success(), "{point}: {verified:?}");
    }
}

/// The engine is lost; the topic gives one that is equal.
#[test]
fn an_engine_is_made_anew_from_the_topic() {
    let operator = Operator::new(&[site::LARGE_FACES]);
    let worker = operator.work(None);
    let mut client = Client::new(&operator.log, "rebuilt");
    let staff = client.create("staff");
    for (person, picture) in [
        ("obama", "obama.jpg"),
        ("clooney", "clooney.jpg"),
        ("gone", "rihanna.jpg"),
    ] {
        client.enrol(staff, person, picture);
    }
    client.unenrol(staff, "gone");
    let locked = operator.library(&["verify"]);
    let said = String::from_utf8_lossy(&locked.stderr).into_owned();
    assert!(
        !locked.status.success() && said.contains("library_locked"),
        "{said}"
    );
    worker.drain();
    std::fs::remove_dir_all(operator.folder.path().join("library")).unwrap();
    let lost = operator.library(&["verify"]);
    assert_eq!(lost.status.code(), Some(1), "{lost:?}");
    let rebuilt = operator.library(&["rebuild", "--json"]);
    assert!(rebuilt.status.success(), "{rebuilt:?}");
    let verified = operator.library(&["verify", "--json"]);
    let line: serde_json::Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(
        (&line["equal"], &line["is_equal"]),
        (&2.into(), &true.into()),
        "{line}"
    );
    let worker = operator.work(None);
    assert_eq!(client.who(&[staff], "obama2.jpg").as_deref(), Some("obama"));
    assert_eq!(client.who(&[staff], "rihanna.jpg"), None);
    worker.drain();
}

/// What an operator does from the shell; templates in the topic are sealed.
#[test]
fn an_operator_keeps_libraries_by_command() {
    let operator = Operator::new(&[site::LARGE_FACES]);
    let worker = operator.work(None).ready();
    let said = |arguments: &[&str]| {
        let output = operator.library(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let pictures = site::home().join("pictures");
    let path = |name: &str| pictures.join(name).display().to_string();
    let consent = ["--consent-ref", "c-1", "--purpose", "door"];
    said(&["create", "staff"]);
    said(&["create", "former"]);
    let twice = operator.library(&["create", "staff"]);
    assert!(!twice.status.success());
    let table = operator.folder.path().join("persons.csv");
    let rows = [
        ("obama", "obama.jpg"),
        ("obama", "obama2.jpg"),
        ("clooney", "clooney.jpg"),
        ("nobody", "coffee.png"),
    ];
    let rows: String = rows
        .iter()
        .map(|(person, file)| format!("{person},{}\n", path(file)))
        .collect();
    std::fs::write(&table, format!("person,picture\n{rows}")).unwrap();
    let table = table.display().to_string();
    let mut import = vec!["import", "staff", table.as_str(), "--json"];
    import.extend(consent);
    let first = operator.library(&import);
    assert_eq!(first.status.code(), Some(3), "{first:?}");
    let first: serde_json::Value = serde_json::from_slice(&first.stdout).unwrap();
    assert_eq!(
        (&first["enrolled"], &first["refused"][0]["codes"]),
        (&3.into(), &"no_face".into())
    );
    let second = operator.library(&import);
    let second: serde_json::Value = serde_json::from_slice(&second.stdout).unwrap();
    assert_eq!(
        (&second["enrolled"], &second["passed_over"]),
        (&0.into(), &3.into()),
        "{second}"
    );
    let picture = path("rihanna.jpg");
    let mut enrol = vec!["enrol", "staff", "--person", "rihanna", picture.as_str()];
    enrol.extend(consent);
    said(&enrol);
    assert!(said(&["list"]).contains("3 persons, 4 faces"));
    let probe = path("obama2.jpg");
    let search = |library: &str| said(&["search", library, "--picture", &probe, "--json"]);
    assert!(search("staff").contains("\"person_id\":\"obama\""));
    said(&["move", "staff", "former", "--person", "obama"]);
    assert!(search("staff").contains("nobody"));
    assert!(search("former").contains("\"person_id\":\"obama\""));
    assert!(said(&["show", "former", "--person", "obama"]).contains("consent c-1  for door"));
    let export = operator.folder.path().join("export.jsonl");
    said(&[
        "export",
        "former",
        "--templates",
        "--out",
        &export.display().to_string(),
    ]);
    let lines: Vec<serde_json::Value> = std::fs::read_to_string(&export)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[1]["template"].as_array().unwrap().len(), 128);
    said(&["unenrol", "former", "--person", "obama"]);
    assert!(search("former").contains("nobody"));
    said(&["delete", "former"]);
    assert!(!said(&["list"]).contains("former"));
    worker.drain();
    let libraries = library_truth::read(operator.log.as_ref(), "default").unwrap();
    let staff = libraries.values().next().unwrap();
    let sealed = staff.persons.values().flatten().all(|(_, change)| {
        let template = change.template.as_ref().unwrap();
        template.values.is_empty() && template.sealed.is_some()
    });
    assert!(sealed && staff.faces() == 2, "{staff:?}");
}
