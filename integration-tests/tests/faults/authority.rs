//! The authority fails, is slow, repeats itself; and the process that asks it dies of SIGKILL around its question.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use shiren::requests;
use shiren_idcard::check_digit;
use shiren_integration_tests::authority::{self, Manner, StandIn};
use shiren_integration_tests::cluster::Cluster;
use shiren_integration_tests::libraries::Client;
use shiren_integration_tests::processes::{self, Worker};
use shiren_integration_tests::{events, site};
use shiren_schemas::ids;
use shiren_schemas::records::{
    Decision, IdentityClaim, PersonalText, Request, RequestKind, Verdict,
};

use crate::row::{self, LATE_MAX, Row, SHORT_SESSION, SHORT_TRANSACTION, form};

/// The stage that asks has a process of its own.
const APART: (&str, &str) = (
    "[segment.front]\nstages = [\"admit\", \"decode\", \"detect\", \"quality\", \"liveness\", \"embed\", \"match\", \"enrol\", \"authority-verify\"]\nworkers = 1 ",
    "[segment.front]\nstages = [\"admit\", \"decode\", \"detect\", \"quality\", \"liveness\", \"embed\", \"match\", \"enrol\"]\n\
     [segment.authority-verify]\nstages = [\"authority-verify\"]\nworkers = 1 ",
);
const ASK_ONCE: (&str, &str) = ("[register] ", "[authority]\nask_once = true\n[register] ");
const INGRESS: &str = "shiren.default.requests.interactive";
/// Of the cases that come while no reply does.
const DEADLINE: Duration = Duration::from_secs(8);
/// Far beyond any deadline here.
const HELD: Duration = Duration::from_secs(120);
/// Cases of each death.
const CASES_A_DEATH: usize = 4;

/// A site, its authority, and who sends cases there.
struct Desk {
    cluster: Cluster,
    authority: StandIn,
    client: Client,
    cases: usize,
}

impl Desk {
    fn open() -> Self {
        let mut changes = vec![
            site::LARGE_FACES,
            site::SMALL_BUNDLES,
            APART,
            SHORT_TRANSACTION,
        ];
        changes.extend(SHORT_SESSION);
        let cluster = Cluster::without_workers(&changes);
        let client = Client::new(&cluster.log, "desk");
        Self {
            cluster,
            authority: StandIn::start(),
            client,
            cases: 0,
        }
    }

    /// The process that asks, by this topology.
    fn asking(&self, topology: &Path, kill_point: Option<&str>) -> Worker {
        let plain = processes::on_kafka(topology, &self.cluster.bootstrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_authority-worker"));
        command.arg(self.authority.address().to_string());
        command.current_dir(site::root());
        for (name, value) in plain.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        if let Some(point) = kill_point {
            command.env("SHIREN_KILL_POINT", point);
        }
        Worker::launch(command, "authority-verify")
    }

    /// Sends cases; to every second the authority shall say that the name differs.
    fn send(&mut self, name: &str, count: usize, deadline: Option<Duration>) -> Vec<String> {
        let requests: Vec<_> = (0..count).map(|n| request(name, n, deadline)).collect();
        for odd in requests.iter().skip(1).step_by(2) {
            let case = ids::case(INGRESS, &odd.request_id);
            self.authority.differ(authority::keys(case));
        }
        self.cases += count;
        self.client.publish(requests)
    }

    fn ends(&mut self, name: &str, count: usize, deadline: Option<Duration>) -> Vec<Verdict> {
        let sent = self.send(name, count, deadline);
        self.client.ends(&sent)
    }

    /// Ends of cases while it replies, each the right one.
    fn right_ends(&mut self, name: &str, count: usize) {
        let ends = self.ends(name, count, None);
        for (number, end) in ends.iter().enumerate() {
            assert!(is_right(number, end), "{name}-{number}: {end:?}");
        }
    }

    /// How often it saw the keys of these cases: about identity, about the portrait.
    fn asked(&self, name: &str, count: usize) -> Vec<[usize; 2]> {
        let asked = self.authority.asked();
        let seen = |n| {
            let case = ids::case(INGRESS, &id(name, n));
            authority::keys(case).map(|key| asked.get(&key.to_string()).copied().unwrap_or(0))
        };
        (0..count).map(seen).collect()
    }
}

fn id(name: &str, number: usize) -> String {
    format!("{name}-{number}")
}

/// A SPECIMEN person's claim; 110199 was never issued.
fn request(name: &str, number: usize, deadline: Option<Duration>) -> Request {
    let body = b"11019919900307123";
    let check = char::from(check_digit(body).unwrap());
    let claimed = format!("{}{check}", std::str::from_utf8(body).unwrap());
    Request {
        probe: Some(requests::inline(
            events::picture(&site::home(), "obama4.jpg"),
            None,
        )),
        claim: Some(IdentityClaim {
            name: PersonalText::new("样本一"),
            number: PersonalText::new(&claimed),
            valid_from: None,
            valid_to: None,
        }),
        deadline_ms: deadline.map(|deadline| i32::try_from(deadline.as_millis()).unwrap()),
        ..Request::new(&id(name, number), RequestKind::Verify)
    }
}

/// What the authority said of this case, and of no other.
fn is_right(number: usize, end: &Verdict) -> bool {
    let expected = [Decision::Accept, Decision::Reject][number % 2];
    end.canonical.decision == expected
        && end.canonical.authority_source.as_deref() == Some(authority::SOURCE)
}

fn codes(end: &Verdict) -> Vec<&str> {
    let codes = end.canonical.reason_codes.iter();
    codes.map(String::as_str).collect()
}

#[test]
fn without_its_reply_nothing_is_accepted_and_one_that_comes_twice_changes_nothing() {
    let count = form(8, 40);
    let mut row = Row::begin("authority port failing, slow, duplicate reply");
    let mut desk = Desk::open();
    let front = desk.cluster.start_worker("front", 0);
    let topology = desk.cluster.topology().to_owned();
    let asking = desk.asking(&topology, None).ready();
    // Models are loaded then: what follows has deadlines.
    desk.right_ends("calm", 2);

    let troubles = [
        ("failing", Manner::Fails, "cut off by the authority"),
        ("slow", Manner::Late(HELD), "left without a reply"),
    ];
    for (name, manner, what) in troubles {
        desk.authority.manner(manner);
        let ends = desk.ends(name, count, Some(DEADLINE));
        hold_deadlines(&mut row, name, &ends);
        let asked = desk.asked(name, count);
        let questions: usize = asked.iter().flatten().sum();
        row.injected(questions, format!("question {what}, its case ended so"));
        let again = asked.iter().flatten().filter(|seen| **seen > 1).count();
        assert!(again > 0, "{name}: no question was asked again: {asked:?}");
        desk.authority.manner(Manner::Prompt);
        let back = Instant::now();
        desk.right_ends(&format!("after-{name}"), count);
        let after = format!("the authority is no longer {name}: as many new cases have ended");
        row.recovered(after, back.elapsed());
    }

    desk.authority.manner(Manner::LosesFirst);
    desk.right_ends("lost", count);
    let asked = desk.asked("lost", count);
    assert!(asked.iter().flatten().all(|seen| *seen >= 2), "{asked:?}");
    row.injected(
        2 * count,
        "reply lost; asked again with the same key, answered the same",
    );
    desk.authority.manner(Manner::Twice);
    desk.right_ends("twice", count);
    let asked = desk.asked("twice", count);
    assert!(asked.iter().flatten().all(|seen| *seen == 1), "{asked:?}");
    row.injected(desk.authority.repeated(), "reply that came twice");

    only_known_keys(
        &desk,
        &[
            "calm",
            "failing",
            "slow",
            "after-failing",
            "after-slow",
            "lost",
            "twice",
        ],
    );
    row.await_verdicts(desk.cluster.log.as_ref(), desk.cases);
    asking.drain();
    front.drain();
    row.end();
}

/// No yes and no no without a reply, and nothing long after its deadline.
fn hold_deadlines(row: &mut Row, name: &str, ends: &[Verdict]) {
    for end in ends {
        let decision = end.canonical.decision;
        let is_open = matches!(decision, Decision::Error | Decision::Review);
        assert!(is_open, "{name}: {end:?}");
    }
    let longest = row::longest_wait(ends);
    assert!(longest <= DEADLINE + LATE_MAX, "{name}: {longest:?}");
    let codes: std::collections::BTreeSet<_> = ends.iter().flat_map(codes).collect();
    row.note(format!(
        "{name}: {} cases with a deadline of {DEADLINE:?} ended within {longest:.1?}, none accepted: {codes:?}",
        ends.len()
    ));
}

/// Every key that the authority ever saw is that of a case: no repeat had another.
fn only_known_keys(desk: &Desk, names: &[&str]) {
    let known: std::collections::BTreeSet<String> = names
        .iter()
        .flat_map(|name| (0..desk.cases).map(|n| ids::case(INGRESS, &id(name, n))))
        .flat_map(|case| authority::keys(case).map(|key| key.to_string()))
        .collect();
    let asked = desk.authority.asked();
    let unknown: Vec<_> = asked.keys().filter(|key| !known.contains(*key)).collect();
    assert!(unknown.is_empty(), "keys of no case: {unknown:?}");
}

/// A topology of its own for those that never ask twice.
fn asking_once(desk: &Desk) -> PathBuf {
    let path = desk.cluster.topology().with_file_name("once.toml");
    let text = std::fs::read_to_string(desk.cluster.topology()).unwrap();
    assert!(text.contains(ASK_ONCE.0));
    std::fs::write(&path, text.replace(ASK_ONCE.0, ASK_ONCE.1)).unwrap();
    path
}

/// Cases around one death: how often each was asked about, and how it ended.
struct Death {
    asked: Vec<[usize; 2]>,
    ends: Vec<Verdict>,
}

impl Death {
    /// One process dies at `point`; the next ends what it left.
    fn at(desk: &mut Desk, topology: &Path, name: &str, point: &str) -> Self {
        let sent = desk.send(name, CASES_A_DEATH, None);
        desk.asking(topology, Some(point)).await_kill();
        let next = desk.asking(topology, None).ready();
        let ends = desk.client.ends(&sent);
        next.drain();
        Self {
            asked: desk.asked(name, CASES_A_DEATH),
            ends,
        }
    }

    /// Numbers of the cases of unknown outcome.
    fn unknown(&self) -> Vec<usize> {
        let is_unknown = |end: &Verdict| {
            end.canonical.decision == Decision::Error && codes(end) == ["outcome_unknown"]
        };
        let ends = self.ends.iter().enumerate();
        ends.filter(|(_, end)| is_unknown(end))
            .map(|(number, _)| number)
            .collect()
    }

    fn hold_right(&self, number: usize) {
        let end = &self.ends[number];
        assert!(is_right(number, end), "{number}: {end:?}");
    }
}

#[test]
fn killed_around_its_question_the_authority_is_asked_once_where_it_must_be() {
    let short: &[&str] = &["asked@1", "committed@1", "produced@2"];
    let long = [
        "polled@1",
        "begun@1",
        "produced@1",
        "offsets_sent@1",
        "committed@1",
        "asked@1",
        "computed@1",
        "begun@2",
        "produced@2",
        "offsets_sent@2",
        "committed@2",
    ];
    let mut row = Row::begin("kill -9 of authority-verify around its question");
    let mut desk = Desk::open();
    let front = desk.cluster.start_worker("front", 0);

    // One that may be asked again is, with the same keys.
    let topology = desk.cluster.topology().to_owned();
    let death = Death::at(&mut desk, &topology, "again", "asked@1");
    (0..CASES_A_DEATH).for_each(|number| death.hold_right(number));
    let again = death.asked.iter().filter(|seen| seen[0] > 1).count();
    assert!(again > 0, "{:?}", death.asked);
    row.injected(1, "signal 9 once it was asked: asked@1");
    row.note(format!(
        "an authority that honours keys: {again} cases asked again with the same keys, all answered"
    ));

    // One that may not is not.
    let once = asking_once(&desk);
    let mut unknown: BTreeMap<usize, usize> = BTreeMap::new();
    let mut points: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for &point in form(short, &long) {
        let name = format!("once-{}", point.replace('@', "-"));
        let death = Death::at(&mut desk, &once, &name, point);
        let lost = death.unknown();
        for number in 0..CASES_A_DEATH {
            let seen = death.asked[number];
            assert!(seen.iter().all(|seen| *seen <= 1), "{point}: {seen:?}");
            if lost.contains(&number) {
                *unknown.entry(seen[0]).or_default() += 1;
            } else {
                assert_eq!(seen, [1, 1], "{point}");
                death.hold_right(number);
            }
        }
        points.entry(lost.len()).or_default().push(point);
    }
    for (lost, points) in points {
        row.injected(
            points.len(),
            format!(
                "signal 9 where nothing may be asked twice, {lost} of {CASES_A_DEATH} cases end as outcome_unknown: {}",
                points.join(", ")
            ),
        );
    }
    // Asked and without a reply in the log; noted as asked and not asked yet.
    let asked = unknown.get(&1).copied().unwrap_or(0);
    let unasked = unknown.get(&0).copied().unwrap_or(0);
    assert!(asked > 0 && unasked > 0, "{unknown:?}");
    row.note(format!(
        "ask_once: no key was seen twice; of the cases of unknown outcome {asked} had been asked, {unasked} had not yet"
    ));
    row.await_verdicts(desk.cluster.log.as_ref(), desk.cases);
    front.drain();
    row.end();
}
