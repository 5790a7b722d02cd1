//! Rounds against ports that fail as told.

use std::collections::VecDeque;

use super::*;

const BOUNDS: AskBounds = AskBounds {
    max_wait: Duration::from_secs(20),
    call_max_wait: Duration::from_secs(5),
    max_attempts: 3,
    backoff: Duration::from_millis(1),
    breaker_max_failures: 100,
    breaker_pause: Duration::from_secs(3600),
    max_calls: 4,
};

type Answers = Vec<Result<u32, AskFailure>>;

/// Gives the answers that it was told, call by call; keeps what it was asked.
#[derive(Default)]
struct Told {
    answers: Mutex<VecDeque<Answers>>,
    asked: Mutex<Vec<Vec<u32>>>,
}

impl Told {
    fn new(answers: impl IntoIterator<Item = Answers>) -> Arc<Self> {
        Arc::new(Self {
            answers: Mutex::new(answers.into_iter().collect()),
            asked: Mutex::default(),
        })
    }

    fn asked(&self) -> Vec<Vec<u32>> {
        self.asked.lock().unwrap().clone()
    }
}

impl Port<u32, u32> for Told {
    fn ask(&self, asks: &[&u32], _deadline: Instant) -> Answers {
        let asks: Vec<u32> = asks.iter().map(|ask| **ask).collect();
        self.asked.lock().unwrap().push(asks.clone());
        let told = self.answers.lock().unwrap().pop_front();
        told.unwrap_or_else(|| asks.iter().map(|_| Err(down())).collect())
    }
}

fn down() -> AskFailure {
    AskFailure::transient(codes::MODEL_FAILED, "down")
}

fn wrong() -> AskFailure {
    AskFailure::lasting(codes::STAGE_FAILED, "wrong")
}

fn bounded(asks: &[u32]) -> Vec<(u32, Patience)> {
    asks.iter().map(|ask| (*ask, Patience::Bounded)).collect()
}

fn go_on(_pause: Duration) -> bool {
    false
}

#[test]
fn replies_come_in_the_order_of_the_asks() {
    let port = Told::new([vec![Ok(10), Err(wrong()), Ok(30)]]);
    let asker = Asker::new(port.clone(), BOUNDS, Clock::default());
    let replies = asker.round(&bounded(&[1, 2, 3]), &go_on).unwrap();
    assert_eq!(replies, [Ok(10), Err(wrong()), Ok(30)]);
    assert_eq!(port.asked(), [vec![1, 2, 3]]);
}

#[test]
fn only_what_may_succeed_later_is_asked_again_in_its_order() {
    let port = Told::new([vec![Ok(10), Err(down()), Err(down())], vec![Ok(20), Ok(30)]]);
    let asker = Asker::new(port.clone(), BOUNDS, Clock::default());
    let replies = asker.round(&bounded(&[1, 2, 3]), &go_on).unwrap();
    assert_eq!(replies, [Ok(10), Ok(20), Ok(30)]);
    assert_eq!(port.asked(), [vec![1, 2, 3], vec![2, 3]]);
}

#[test]
fn attempts_end() {
    let port = Told::new([]);
    let asker = Asker::new(port.clone(), BOUNDS, Clock::default());
    let replies = asker.round(&bounded(&[1]), &go_on).unwrap();
    assert_eq!(replies, [Err(down())]);
    assert_eq!(port.asked().len(), 3);
}

#[test]
fn a_deadline_that_is_over_is_not_asked_for() {
    let port = Told::new([vec![Ok(20)]]);
    let asker = Asker::new(port.clone(), BOUNDS, Clock::default());
    let asks = [(1, Patience::Until(Instant::now())), (2, Patience::Bounded)];
    let replies = asker.round(&asks, &go_on).unwrap();
    assert_eq!(
        replies[0].as_ref().unwrap_err().code,
        codes::DEADLINE_EXCEEDED
    );
    assert_eq!(replies[1], Ok(20));
    assert_eq!(port.asked(), [vec![2]]);
}

#[test]
fn without_bound_it_is_asked_until_it_is_back() {
    let failures = (0..10).map(|_| vec![Err(down())]);
    let port = Told::new(failures.chain([vec![Ok(10)]]));
    let asker = Asker::new(port.clone(), BOUNDS, Clock::default());
    let replies = asker.round(&[(1, Patience::Unbounded)], &go_on).unwrap();
    assert_eq!(replies, [Ok(10)]);
    assert_eq!(port.asked().len(), 11);
}

#[test]
fn a_drain_ends_the_wait() {
    let asker = Asker::new(Told::new([]), BOUNDS, Clock::default());
    let drained = asker.round(&[(1, Patience::Unbounded)], &|_| true);
    assert_eq!(drained, Err(Interrupted));
}

#[test]
fn a_port_that_keeps_failing_is_left_alone_and_its_failure_is_named() {
    let bounds = AskBounds {
        breaker_max_failures: 2,
        max_wait: Duration::from_millis(30),
        ..BOUNDS
    };
    let port = Told::new([]);
    let asker = Asker::new(port.clone(), bounds, Clock::default());
    let pause = |pause| {
        std::thread::sleep(pause);
        false
    };
    for _ in 0..2 {
        let replies = asker.round(&bounded(&[1]), &pause).unwrap();
        assert_eq!(replies, [Err(down())]);
    }
    assert_eq!(port.asked().len(), 2, "only until the breaker opened");
}

#[test]
fn a_success_closes_the_breaker() {
    let bounds = AskBounds {
        breaker_max_failures: 2,
        ..BOUNDS
    };
    let answers = [
        vec![Err(down())],
        vec![Ok(1)],
        vec![Err(down())],
        vec![Ok(2)],
    ];
    let asker = Asker::new(Told::new(answers), bounds, Clock::default());
    for wanted in [1, 2] {
        assert_eq!(asker.round(&bounded(&[0]), &go_on).unwrap(), [Ok(wanted)]);
    }
}

/// Holds every call until told to go on, and counts those under way.
struct Held {
    under_way: Mutex<(u32, u32)>,
    barrier: std::sync::Barrier,
}

impl Port<u32, u32> for Held {
    fn ask(&self, asks: &[&u32], _deadline: Instant) -> Answers {
        {
            let mut counts = self.under_way.lock().unwrap();
            counts.0 += 1;
            counts.1 = counts.1.max(counts.0);
        }
        self.barrier.wait();
        self.under_way.lock().unwrap().0 -= 1;
        asks.iter().map(|ask| Ok(**ask)).collect()
    }
}

#[test]
fn calls_under_way_are_bounded() {
    let port = Arc::new(Held {
        under_way: Mutex::default(),
        barrier: std::sync::Barrier::new(2),
    });
    let bounds = AskBounds {
        max_calls: 2,
        ..BOUNDS
    };
    let asker = Asker::new(port.clone(), bounds, Clock::default());
    std::thread::scope(|scope| {
        for ask in 0..6 {
            let asker = &asker;
            scope.spawn(move || {
                assert_eq!(asker.round(&bounded(&[ask]), &go_on).unwrap(), [Ok(ask)]);
            });
        }
    });
    assert_eq!(port.under_way.lock().unwrap().1, 2);
}

/// A reply that is missing, or came twice, would move the others to asks that they do not answer.
#[test]
fn replies_that_are_not_one_an_ask_are_nobodys() {
    for given in [vec![Ok(10)], vec![Ok(10), Ok(10), Ok(20)]] {
        let asker = Asker::new(Told::new([given]), BOUNDS, Clock::default());
        let replies = asker.round(&bounded(&[1, 2]), &go_on).unwrap();
        let codes = replies.iter().map(|reply| reply.as_ref().unwrap_err().code);
        assert_eq!(codes.collect::<Vec<_>>(), [codes::STAGE_FAILED; 2]);
    }
}

#[test]
fn what_became_of_asks_and_calls_is_counted() {
    let port = Told::new([vec![Ok(10), Err(wrong())]]);
    let bounds = AskBounds {
        breaker_max_failures: 1,
        max_attempts: 1,
        ..BOUNDS
    };
    let asker = Asker::new(port, bounds, Clock::default());
    let tally = asker.tally();
    asker.round(&bounded(&[1, 2]), &go_on).unwrap();
    assert!(!tally.is_open());
    asker.round(&bounded(&[3]), &go_on).unwrap();
    assert!(tally.is_open(), "left alone after one failed call");
    let asks: Vec<u64> = tally.asks().into_iter().map(|(_, count)| count).collect();
    assert_eq!(asks, [1, 1, 1, 0, 0]);
    assert_eq!(tally.calls(), [("done", 1), ("failed", 1)]);
}
