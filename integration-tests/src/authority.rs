//! A stand-in for an authority in the test's process, and how a worker in another process asks it.
//!
//! One line asks (`identity KEY` or `portrait KEY`), one line replies (`KEY WORD`): nothing of the person goes over.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use shiren_authority::{
    Authority, AuthorityError, Check, IdempotencyKey, IdentityClaim, IdentityReply, PortraitClaim,
    PortraitReply, ProbeForm,
};

/// What verdicts call it.
pub const SOURCE: &str = "simulator";
/// Reply to a portrait: alike by any threshold.
const ALIKE: f64 = 0.99;
/// Reply to either check where the holder is called otherwise.
const DIFFERS: &str = "name_differs";

/// How it replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// At once.
    Prompt,
    /// Not at all: it cuts the connection.
    Fails,
    /// So long after it was asked, or once the manner changes.
    Late(Duration),
    /// It cuts the connection the first time that it sees a key, and replies the next.
    LosesFirst,
    /// At once, and the same again.
    Twice,
}

/// A stand-in while it runs.
pub struct StandIn {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    manner: Manner,
    ends: bool,
    /// Keys of holders who are called otherwise.
    differ: BTreeSet<String>,
    /// How often each key was seen.
    asked: BTreeMap<String, usize>,
    /// Replies that were sent a second time.
    repeated: usize,
}

impl StandIn {
    /// Listens on a free port; prompt at first.
    ///
    /// # Panics
    /// When there is no free port.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                manner: Manner::Prompt,
                ends: false,
                differ: BTreeSet::new(),
                asked: BTreeMap::new(),
                repeated: 0,
            }),
            changed: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.state().ends {
                    return;
                }
                let (stream, shared) = (stream.expect("accepted"), Arc::clone(&accepting));
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        Self { address, shared }
    }

    /// Where a [`Connector`] comes.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on it replies so; who waits for a late reply gets it.
    pub fn manner(&self, manner: Manner) {
        self.shared.state().manner = manner;
        self.shared.changed.notify_all();
    }

    /// To these keys it says that the name differs.
    pub fn differ(&self, keys: impl IntoIterator<Item = IdempotencyKey>) {
        let keys = keys.into_iter().map(|key| key.to_string());
        self.shared.state().differ.extend(keys);
    }

    /// How often each key was seen, answered or not.
    #[must_use]
    pub fn asked(&self) -> BTreeMap<String, usize> {
        self.shared.state().asked.clone()
    }

    /// Replies that were sent a second time.
    #[must_use]
    pub fn repeated(&self) -> usize {
        self.shared.state().repeated
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.shared.state().ends = true;
        self.shared.changed.notify_all();
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until a reply fails, is not given, or the other side goes.
    fn serve(&self, stream: TcpStream) {
        let mut writing = stream.try_clone().expect("cloned");
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            let Some(reply) = self.reply(&line) else {
                return;
            };
            if writing.write_all(reply.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn reply(&self, line: &str) -> Option<String> {
        let (check, key) = line.split_once(' ').expect("a check and a key");
        let mut state = self.state();
        let seen = state.asked.entry(key.to_owned()).or_default();
        *seen += 1;
        let first = *seen == 1;
        let reply = match check {
            _ if state.differ.contains(key) => DIFFERS.to_owned(),
            "identity" => IdentityReply::Agrees.word().to_owned(),
            _ => ALIKE.to_string(),
        };
        let line = format!("{key} {reply}\n");
        match state.manner {
            Manner::Fails => return None,
            Manner::LosesFirst if first => return None,
            Manner::Prompt | Manner::LosesFirst => {}
            Manner::Twice => {
                state.repeated += 1;
                return Some(line.repeat(2));
            }
            late @ Manner::Late(wait) => {
                let waits = |state: &mut State| state.manner == late && !state.ends;
                drop(self.changed.wait_timeout_while(state, wait, waits));
            }
        }
        Some(line)
    }
}

/// The port's side: asks a [`StandIn`] over one connection, opened anew after every failure.
pub struct Connector {
    address: SocketAddr,
    open: Mutex<Option<BufReader<TcpStream>>>,
}

impl Connector {
    /// To a stand-in; connects at the first question.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            open: Mutex::new(None),
        }
    }

    fn ask(
        &self,
        check: &str,
        key: &IdempotencyKey,
        until: Instant,
    ) -> Result<String, AuthorityError> {
        let authority = || SOURCE.to_owned();
        self.exchange(check, &key.to_string(), until)
            .map_err(|error| match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => AuthorityError::DeadlineExceeded {
                    authority: authority(),
                },
                _ => AuthorityError::Unavailable {
                    authority: authority(),
                    what: error.to_string(),
                },
            })
    }

    /// The connection is kept only where it gave a reply.
    fn exchange(&self, check: &str, key: &str, until: Instant) -> std::io::Result<String> {
        let mut place = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let left = || match until.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(ErrorKind::TimedOut.into()),
            left => Ok::<_, std::io::Error>(left),
        };
        let mut stream = match place.take() {
            Some(stream) => stream,
            None => BufReader::new(TcpStream::connect_timeout(&self.address, left()?)?),
        };
        stream
            .get_mut()
            .write_all(format!("{check} {key}\n").as_bytes())?;
        loop {
            stream.get_ref().set_read_timeout(Some(left()?))?;
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            // Any other is one that came twice, to a question before.
            if let Some((_, word)) = line.trim().split_once(' ').filter(|(of, _)| *of == key) {
                *place = Some(stream);
                return Ok(word.to_owned());
            }
        }
    }
}

impl Authority for Connector {
    fn source(&self) -> &str {
        SOURCE
    }

    fn honours_idempotency_keys(&self) -> bool {
        true
    }

    fn probe_form(&self) -> ProbeForm {
        ProbeForm::Template
    }

    fn check_identity(
        &self,
        _claim: &IdentityClaim,
        key: &IdempotencyKey,
        deadline: Instant,
    ) -> Result<IdentityReply, AuthorityError> {
        let word = self.ask("identity", key, deadline)?;
        let mut known = IdentityReply::ALL.into_iter();
        Ok(known
            .find(|reply| reply.word() == word)
            .expect("a word of the stand-in"))
    }

    fn compare_portrait(
        &self,
        _claim: &PortraitClaim,
        key: &IdempotencyKey,
        deadline: Instant,
    ) -> Result<PortraitReply, AuthorityError> {
        let word = self.ask("portrait", key, deadline)?;
        if word == DIFFERS {
            return Ok(PortraitReply::NameDiffers);
        }
        let score = word.parse().expect("a score of the stand-in");
        Ok(PortraitReply::Score { score, model: None })
    }
}

/// Both keys of a case.
#[must_use]
pub fn keys(case: shiren_schemas::Id) -> [IdempotencyKey; 2] {
    [Check::Identity, Check::Portrait].map(|check| IdempotencyKey::derive("default", case, check))
}
