//! Kind verify on the embedded log: what the register says becomes a verdict, and nobody shows. SPECIMEN persons; 110199
//! was never issued.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use shiren::site::Site;
use shiren::{case_reader, requests};
use shiren_idcard::check_digit;
use shiren_integration_tests::processes::{self, Worker};
use shiren_integration_tests::{events, run, site};
use shiren_log::{Log, Start};
use shiren_schemas::records::{
    CheckState, DeadLetter, Decision, IdentityClaim, Lane, PersonalText, Request, RequestKind,
    Verdict,
};
use shiren_schemas::{Id, Wire};
use tempfile::TempDir;

/// Run of a picture's file that only the ingress may hold.
const TELLTALE_BYTES: usize = 24;
/// What all names of these tests begin with, and nothing else does.
const NAMES: &str = "样本";

fn number(body: &str) -> String {
    let check = check_digit(body.as_bytes().try_into().unwrap()).unwrap();
    format!("{body}{}", char::from(check))
}

/// Of obama.jpg, without a portrait, of biden.jpg with a card that is over, and of nobody.
pub(super) fn numbers() -> [String; 4] {
    ["7123", "7121", "7125", "7127"].map(|end| number(&format!("1101991990030{end}")))
}

/// A number whose last digit but one was misread.
fn misread() -> String {
    let [mut wrong, ..] = numbers();
    let other = if &wrong[16..17] == "3" { "4" } else { "3" };
    wrong.replace_range(16..17, other);
    wrong
}

pub(super) fn request(id: &str, name: &str, number: &str, probe: &str) -> Request {
    Request {
        probe: Some(requests::inline(
            events::picture(&site::home(), probe),
            None,
        )),
        claim: Some(IdentityClaim {
            name: PersonalText::new(name),
            number: PersonalText::new(number),
            valid_from: None,
            valid_to: None,
        }),
        ..Request::new(id, RequestKind::Verify)
    }
}

fn cases() -> Vec<Request> {
    let [one, two, three, nobody] = numbers();
    let mut shortest = request("r", "样本一", &misread(), "obama2.jpg");
    shortest.probe = None;
    let mut elsewhere = request("elsewhere", "样本一", &one, "obama2.jpg");
    elsewhere.kind = RequestKind::Detect;
    let mut nothing = request("nothing", "样本一", &one, "obama2.jpg");
    nothing.claim = None;
    let mut replaced = request("replaced", "样本三", &three, "biden.jpg");
    replaced.claim.as_mut().unwrap().valid_to = Some("2040-05-01".to_owned());
    vec![
        request("right", "样本一", &one, "obama2.jpg"),
        request("typed", " 样 本一", &one, "obama2.jpg"),
        request("misread", "样本一", &misread(), "obama2.jpg"),
        request("garbled", "样本\u{fffd}", &one, "obama2.jpg"),
        request("name", "样本二", &one, "obama2.jpg"),
        request("stranger", "样本一", &one, "biden.jpg"),
        request("unknown", "样本四", &nobody, "obama2.jpg"),
        request("portrait", "样本二", &two, "obama2.jpg"),
        request("expired", "样本三", &three, "biden.jpg"),
        request("faceless", "样本一", &one, "coffee.png"),
        replaced,
        shortest,
        elsewhere,
        nothing,
    ]
}

/// Decision, the reason that matters, and the states of identity and portrait.
type Expected = (
    Decision,
    &'static str,
    Option<CheckState>,
    Option<CheckState>,
);

fn expected() -> BTreeMap<&'static str, Expected> {
    use CheckState::{Failed, NotChecked, Passed};
    use Decision::{Accept, Error, Reject};
    [
        ("right", (Accept, "", Some(Passed), Some(Passed))),
        ("typed", (Accept, "", Some(Passed), Some(Passed))),
        ("misread", (Error, "number_check_digit_wrong", None, None)),
        ("garbled", (Error, "name_garbled", None, None)),
        (
            "name",
            (
                Reject,
                "identity_name_differs",
                Some(Failed),
                Some(NotChecked),
            ),
        ),
        (
            "stranger",
            (
                Reject,
                "portrait_below_threshold",
                Some(Passed),
                Some(Failed),
            ),
        ),
        (
            "unknown",
            (
                Reject,
                "identity_number_unknown",
                Some(Failed),
                Some(NotChecked),
            ),
        ),
        (
            "portrait",
            (
                Error,
                "portrait_missing_at_authority",
                Some(Passed),
                Some(NotChecked),
            ),
        ),
        (
            "expired",
            (Reject, "identity_expired", Some(Failed), Some(Passed)),
        ),
        (
            "replaced",
            (
                Reject,
                "identity_validity_differs",
                Some(Failed),
                Some(Passed),
            ),
        ),
        ("faceless", (Error, "no_face", None, None)),
        ("r", (Error, "number_check_digit_wrong", None, None)),
        ("elsewhere", (Error, "question_unexpected", None, None)),
        ("nothing", (Error, "claim_missing", None, None)),
    ]
    .into()
}

/// A site with a register of three persons.
pub(super) struct Place {
    folder: TempDir,
    site: Arc<Site>,
    pub(super) log: Arc<dyn Log>,
}

impl Place {
    fn new(changes: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = site::embedded(folder.path(), changes);
        let log = site.open_log().unwrap();
        site.set_up(log.as_ref()).unwrap();
        Self { folder, site, log }
    }

    pub(super) fn with_register(changes: &[(&str, &str)]) -> Self {
        let place = Self::new(changes);
        place.shiren(&["register", "init"], "");
        let [one, two, three, _] = numbers();
        let table = format!(
            "name,number,portrait,valid_from,valid_to\n样本一,{one},obama.jpg,,\n样本二,{two},,,\n\
             样本三,{three},biden.jpg,2010-05-01,2020-05-01\n"
        );
        std::fs::write(place.path("persons.csv"), table).unwrap();
        let (table, pictures) = (place.path("persons.csv"), site::home().join("pictures"));
        let (table, pictures) = (table.to_str().unwrap(), pictures.to_str().unwrap());
        place.shiren(&["register", "import", table, "--portraits", pictures], "");
        place
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a command said on either stream.
    pub(super) fn shiren(&self, arguments: &[&str], input: &str) -> String {
        let mut command = processes::on_embedded(&self.path("topology.toml"));
        command.args(arguments).env("RUST_LOG", "trace");
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        let Output {
            status,
            stdout,
            stderr,
        } = child.wait_with_output().unwrap();
        let said = String::from_utf8([stdout, stderr].concat()).unwrap();
        assert!(status.success(), "{said}");
        said
    }

    /// Every value, and key, of a topic.
    fn bytes(&self, topic: &str) -> Vec<Bytes> {
        let mut reader = self.log.reader(topic, Start::Beginning).unwrap();
        let mut all = Vec::new();
        while !reader.at_end().unwrap() {
            let records = reader.read(100, std::time::Duration::from_millis(50));
            for record in records.unwrap() {
                all.extend(record.value.into_iter().chain(record.key));
                all.extend(record.headers.into_iter().filter_map(|(_, value)| value));
            }
        }
        all
    }
}

fn reasons(verdict: &Verdict) -> Vec<&str> {
    let reasons = verdict.canonical.reason_codes.iter();
    reasons.map(String::as_str).collect()
}

fn check_verdicts(verdicts: &[Verdict]) {
    let expected = expected();
    assert_eq!(verdicts.len(), expected.len());
    for verdict in verdicts {
        let id = verdict.observed.request_id.as_str();
        let (decision, reason, identity, portrait) = expected[id];
        let canonical = &verdict.canonical;
        assert_eq!(canonical.decision, decision, "{id}: {canonical:?}");
        assert!(
            reason.is_empty() || reasons(verdict).contains(&reason),
            "{id}: {canonical:?}"
        );
        let state = |name: &str| {
            let check = canonical.checks.iter().find(|check| check.name == name);
            check.map(|check| check.state)
        };
        assert_eq!(
            (state("identity"), state("portrait")),
            (identity, portrait),
            "{id}"
        );
        let source = identity.map(|_| "local_register");
        assert_eq!(canonical.authority_source.as_deref(), source, "{id}");
    }
}

/// Texts and bytes that identify somebody, each by a name for messages.
fn secrets() -> Vec<(String, Vec<u8>)> {
    let mut secrets = vec![
        ("a name".to_owned(), NAMES.as_bytes().to_vec()),
        ("a name in JSON".to_owned(), b"\\u6837".to_vec()),
        ("a name in Debug".to_owned(), b"\\u{6837}".to_vec()),
        ("bytes of a name".to_owned(), b"230, 160, 183".to_vec()),
    ];
    let all = numbers().into_iter().chain([misread()]);
    secrets.extend(all.map(|number| ("a number".to_owned(), number.into_bytes())));
    for name in ["obama.jpg", "obama2.jpg", "biden.jpg"] {
        let file = events::picture(&site::home(), name);
        let middle = file.len() / 2;
        let telltale = &file[middle..middle + TELLTALE_BYTES];
        secrets.push((name.to_owned(), telltale.to_vec()));
        // As Debug shows bytes.
        let shown: Vec<_> = telltale[..8].iter().map(ToString::to_string).collect();
        secrets.push((format!("{name} in Debug"), shown.join(", ").into_bytes()));
    }
    secrets
}

fn shows_nobody(place: &str, bytes: &[u8]) {
    for (what, secret) in secrets() {
        let found = bytes.windows(secret.len()).any(|window| window == secret);
        assert!(!found, "{what} in {place}");
    }
}

fn dead_letters(log: &dyn Log) -> Vec<DeadLetter> {
    case_reader::dead_letters(log, "default").unwrap()
}

/// A record of kind verify that breaks off behind the number.
fn truncated() -> shiren_log::NewRecord {
    let mut shortest = request("t", "样本一", &numbers()[0], "obama2.jpg");
    shortest.probe = None;
    let (mut record, _) = requests::record("default", Lane::Interactive, &shortest).unwrap();
    record.value = record.value.map(|value| value.slice(..value.len() - 2));
    assert!(record.value.as_ref().unwrap().len() < 100);
    record
}

#[test]
fn what_the_register_says_becomes_a_verdict_and_nobody_shows() {
    let place = Place::with_register(&[site::LARGE_FACES, site::ONE_STAGE_A_SEGMENT]);
    let mut command = processes::on_embedded(&place.path("topology.toml"));
    command.arg("run").env("RUST_LOG", "trace");
    let worker = Worker::launch(command, "verify").ready();
    let log = place.log.as_ref();
    log.publisher().unwrap().publish(vec![truncated()]).unwrap();
    run::publish(log, &cases());
    let verdicts = run::verdicts(log, expected().len());
    check_verdicts(&verdicts);

    // Of the refused requests and the unreadable one, dead letters hold the framing alone.
    let letters = dead_letters(log);
    let codes: Vec<_> = letters.iter().map(|letter| letter.code.as_str()).collect();
    let wanted = expected()
        .values()
        .filter(|e| e.1.starts_with("number_"))
        .count();
    let count = |code: &str| codes.iter().filter(|c| **c == code).count();
    assert_eq!(count("number_check_digit_wrong"), wanted, "{codes:?}");
    assert_eq!(
        (count("avro_unreadable"), letters.len()),
        (1, 6),
        "{codes:?}"
    );
    for letter in &letters {
        assert_eq!(letter.head, framing(), "{}", letter.code);
    }

    // The scores are in the evidence, the source in both.
    let evidence = case_reader::evidence(log, "default").unwrap();
    let of = |id: &str| {
        let verdict = verdicts
            .iter()
            .find(|v| v.observed.request_id == id)
            .unwrap();
        &evidence[&verdict.canonical.case_id]
    };
    let right = of("right");
    let authority = right.authority.as_ref().unwrap();
    let words = (authority.identity.as_str(), authority.portrait.as_str());
    assert_eq!(words, ("agrees", "score"));
    let comparison = right.comparison.as_ref().unwrap();
    assert_eq!(comparison.metric, "one_minus_euclidean");
    assert!(comparison.score >= comparison.threshold);
    let stranger = of("stranger").comparison.as_ref().unwrap();
    assert!(stranger.score < stranger.threshold);

    // Where producers write, all of it stands: what is looked for can be found.
    let ingress = place.bytes("shiren.default.requests.interactive");
    let probe = |(what, _): &(String, Vec<u8>)| what == "obama2.jpg";
    let telltale = secrets().into_iter().find(probe).unwrap().1;
    for secret in [NAMES.as_bytes(), numbers()[0].as_bytes(), &telltale] {
        let mut windows = ingress.iter().flat_map(|bytes| bytes.windows(secret.len()));
        assert!(windows.any(|window| window == secret));
    }
    for spec in place.site.topics() {
        if spec.name.contains(".requests.") {
            continue;
        }
        let all = place.bytes(&spec.name);
        let idle = [
            "shadow",
            "backfill",
            ".attempts.",
            ".match.",
            ".enrol.",
            ".state.authority-verify.",
            ".library",
            ".results",
        ];
        let is_idle = idle.iter().any(|part| spec.name.contains(part));
        assert!(is_idle || !all.is_empty(), "{}", spec.name);
        for bytes in all {
            shows_nobody(&spec.name, &bytes);
        }
    }
    let before_end = worker.messages();
    assert!(before_end.contains("TRACE"), "no trace was captured");
    shows_nobody("the log of the worker", before_end.as_bytes());
    worker.drain();
    for arguments in [&["verdicts", "--json"][..], &["verdicts"]] {
        shows_nobody("shiren verdicts", place.shiren(arguments, "").as_bytes());
    }
}

/// Marker and fingerprint of a request: all that a dead letter keeps of one.
fn framing() -> Vec<u8> {
    [&[0xc3, 0x01][..], &Request::schemas().fingerprint()].concat()
}

#[test]
fn layouts_agree() {
    let ends = |changes: &[(&str, &str)]| {
        let place = Place::with_register(changes);
        run::publish(place.log.as_ref(), &cases());
        let count = expected().len();
        let (verdicts, _) = run::beside(&place.site, &place.log, || {
            run::verdicts(place.log.as_ref(), count)
        });
        check_verdicts(&verdicts);
        run::canonical(&verdicts)
    };
    let fused = ends(&[site::LARGE_FACES]);
    let apart = ends(&[site::LARGE_FACES, site::ONE_STAGE_A_SEGMENT]);
    assert_eq!(fused, apart);
}

/// Publishes one right request and gives the reasons of its verdict.
fn ask(place: &Place, id: &str, seen: usize) -> (Decision, Vec<String>, Id) {
    let [one, ..] = numbers();
    run::publish(
        place.log.as_ref(),
        &[request(id, "样本一", &one, "obama2.jpg")],
    );
    let verdicts = run::verdicts(place.log.as_ref(), seen);
    let verdict = verdicts
        .iter()
        .find(|v| v.observed.request_id == id)
        .unwrap();
    let canonical = &verdict.canonical;
    (
        canonical.decision,
        canonical.reason_codes.clone(),
        canonical.case_id,
    )
}

#[test]
fn without_a_register_every_case_is_an_error_and_the_chain_runs() {
    let place = Place::new(&[site::LARGE_FACES]);
    let ((decision, reasons, case), _) =
        run::beside(&place.site, &place.log, || ask(&place, "a", 1));
    assert_eq!(decision, Decision::Error);
    assert!(
        reasons.contains(&"register_unreadable".to_owned()),
        "{reasons:?}"
    );
    let evidence = &case_reader::evidence(place.log.as_ref(), "default").unwrap()[&case];
    assert_eq!(evidence.faults[0].stage, "authority-verify");
    assert!(evidence.authority.is_none());
}

#[test]
fn a_register_without_its_key_is_an_error_until_the_key_is_back() {
    let place = Place::with_register(&[site::LARGE_FACES]);
    let (key, aside) = (place.path("register.kek"), place.path("aside"));
    let away = |from: &Path, to: &Path| std::fs::rename(from, to).unwrap();
    away(&key, &aside);
    run::beside(&place.site, &place.log, || {
        let (decision, reasons, _) = ask(&place, "a", 1);
        assert_eq!(decision, Decision::Error);
        assert!(
            reasons.contains(&"register_unreadable".to_owned()),
            "{reasons:?}"
        );
        away(&aside, &key);
        let (decision, reasons, _) = ask(&place, "b", 2);
        assert_eq!(decision, Decision::Accept, "{reasons:?}");
        // Who is removed by another process is unknown at once.
        place.shiren(&["register", "remove"], &format!("{}\n", numbers()[0]));
        let (decision, reasons, _) = ask(&place, "c", 3);
        assert_eq!(decision, Decision::Reject);
        assert!(
            reasons.contains(&"identity_number_unknown".to_owned()),
            "{reasons:?}"
        );
    });
}

#[test]
fn a_claim_is_published_from_a_file_or_standard_input() {
    let place = Place::with_register(&[site::LARGE_FACES]);
    let claim = format!(r#"{{"name": "样本一", "number": "{}"}}"#, numbers()[0]);
    std::fs::write(place.path("claim.json"), &claim).unwrap();
    let probe = site::home().join("pictures/obama2.jpg");
    let probe = probe.to_str().unwrap();
    let publish = ["publish", "--kind", "verify", "--probe", probe, "--claim"];
    for from in [place.path("claim.json").to_str().unwrap(), "-"] {
        let arguments: Vec<&str> = publish.iter().copied().chain([from]).collect();
        shows_nobody(
            "shiren publish",
            place.shiren(&arguments, &claim).as_bytes(),
        );
    }
    let (verdicts, _) = run::beside(&place.site, &place.log, || {
        run::verdicts(place.log.as_ref(), 2)
    });
    for verdict in &verdicts {
        assert_eq!(verdict.canonical.decision, Decision::Accept);
    }
}
