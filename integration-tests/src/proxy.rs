//! A TCP proxy on the loopback that harms what goes through it: connections that are refused or slow, and requests of
//! Kafka's protocol that are held or cut.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Between two looks for a connection.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Longest wait for an answer that is to be cut off.
const ANSWER_MAX_WAIT: Duration = Duration::from_secs(20);
/// `EndTxn` in Kafka's protocol: the request that commits or aborts a transaction.
pub const END_TXN: i16 = 26;
/// `InitProducerId`: the request of a new producer that raises the epoch and fences the one before.
pub const INIT_PRODUCER_ID: i16 = 22;

/// What is done to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// The connection is cut before the broker sees it.
    CutRequest,
    /// The broker sees it and answers; the connection is cut before the client sees that.
    CutAnswer,
    /// It is kept so long, then sent on, whether or not the client still waits.
    Hold(Duration),
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Requests that never arrived.
    pub cut_requests: usize,
    /// Answers that never arrived, of requests that did.
    pub cut_answers: usize,
    /// Requests that arrived late.
    pub held: usize,
}

/// A request that ends a transaction or begins a producer, and the broker's answer.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    /// Kafka's API key.
    pub api_key: i16,
    /// Whether it was [`Harm::Hold`].
    pub is_held: bool,
    /// When the client sent it.
    pub taken: Instant,
    /// When it was sent on to the broker.
    pub sent: Instant,
    /// When the broker's answer came.
    pub answered: Instant,
    /// Kafka's error code; 0: done.
    pub error_code: i16,
}

/// A proxy while it runs.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_kafka: bool,
    target: Mutex<Option<SocketAddr>>,
    /// By the count of requests of this kind, from 1.
    harms: Mutex<Vec<(u64, Harm)>>,
    api_key: Mutex<Option<i16>>,
    seen: AtomicU64,
    cut_requests: AtomicUsize,
    cut_answers: AtomicUsize,
    held: AtomicUsize,
    exchanges: Mutex<Vec<Exchange>>,
    refused: AtomicUsize,
    refuses: AtomicBool,
    slow_ms: AtomicU64,
    ends: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// Listens on a free port. Connections end at once while there is no target.
    ///
    /// # Panics
    /// When there is no free port.
    #[must_use]
    pub fn start() -> Self {
        Self::with(Shared::default())
    }

    /// As [`Proxy::start`], for Kafka's protocol: requests can be harmed.
    ///
    /// # Panics
    /// As [`Proxy::start`].
    #[must_use]
    pub fn of_kafka() -> Self {
        Self::with(Shared {
            is_kafka: true,
            ..Shared::default()
        })
    }

    fn with(shared: Shared) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        listener.set_nonblocking(true).expect("set");
        let shared = Arc::new(shared);
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &accepting));
        Self { port, shared }
    }

    /// Where clients come.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it leads.
    ///
    /// # Panics
    /// When a thread of it has panicked.
    pub fn lead_to(&self, port: u16) {
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        *self.shared.target.lock().expect("sound") = Some(target);
    }

    /// Does each harm to the request of this kind (Kafka's API key) with its number, counted from 1 from now on.
    ///
    /// # Panics
    /// When a thread of it has panicked.
    pub fn harm(&self, api_key: i16, harms: &[(u64, Harm)]) {
        self.shared.seen.store(0, Ordering::SeqCst);
        *self.shared.harms.lock().expect("sound") = harms.to_vec();
        *self.shared.api_key.lock().expect("sound") = Some(api_key);
    }

    /// What was done so far.
    #[must_use]
    pub fn done(&self) -> Done {
        let count = |count: &AtomicUsize| count.load(Ordering::SeqCst);
        Done {
            cut_requests: count(&self.shared.cut_requests),
            cut_answers: count(&self.shared.cut_answers),
            held: count(&self.shared.held),
        }
    }

    /// What was asked and answered so far of [`END_TXN`] and [`INIT_PRODUCER_ID`], in the order of the answers.
    ///
    /// # Panics
    /// When a thread of it has panicked.
    #[must_use]
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.shared.exchanges.lock().expect("sound").clone()
    }

    /// From now on, whether connections are refused; those that are open are cut.
    ///
    /// # Panics
    /// When a thread of it has panicked.
    pub fn refuse(&self, refuses: bool) {
        self.shared.refuses.store(refuses, Ordering::SeqCst);
        if refuses {
            for stream in self.shared.open.lock().expect("sound").drain(..) {
                // It may have ended by itself.
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }

    /// Connections that were refused so far.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.shared.refused.load(Ordering::SeqCst)
    }

    /// From now on, how late what the target says arrives.
    ///
    /// # Panics
    /// When it is longer than a clock holds.
    pub fn slow(&self, by: Duration) {
        let ms = u64::try_from(by.as_millis()).expect("a time");
        self.shared.slow_ms.store(ms, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::SeqCst);
        self.refuse(true);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while !shared.ends.load(Ordering::SeqCst) {
        let Ok((client, _)) = listener.accept() else {
            std::thread::sleep(LOOK_EVERY);
            continue;
        };
        if shared.refuses.load(Ordering::SeqCst) {
            shared.refused.fetch_add(1, Ordering::SeqCst);
            continue;
        }
        let target = *shared.target.lock().expect("sound");
        let server = target.and_then(|target| TcpStream::connect(target).ok());
        if let Some(server) = server {
            join(client, server, shared);
        }
    }
}

/// Moves bytes both ways, in two threads, until one side ends.
fn join(client: TcpStream, server: TcpStream, shared: &Arc<Shared>) {
    client.set_nonblocking(false).expect("set");
    let copy = |stream: &TcpStream| stream.try_clone().expect("a second handle");
    let mut open = shared.open.lock().expect("sound");
    open.extend([copy(&client), copy(&server)]);
    drop(open);
    let link = Arc::new(Link::default());
    let there = Way {
        from: copy(&client),
        to: copy(&server),
        link: Arc::clone(&link),
        shared: Arc::clone(shared),
    };
    let back = Way {
        from: server,
        to: client,
        link,
        shared: Arc::clone(shared),
    };
    std::thread::spawn(move || there.requests());
    std::thread::spawn(move || back.answers());
}

/// What the two directions of a connection know of each other.
#[derive(Default)]
struct Link {
    /// Answers are counted and no longer handed on.
    mutes: AtomicBool,
    muted: AtomicUsize,
    /// What is asked and not answered, by correlation id.
    asked: Mutex<HashMap<[u8; 4], Asked>>,
}

/// A request whose answer is to be read.
struct Asked {
    api_key: i16,
    api_version: i16,
    is_held: bool,
    taken: Instant,
    sent: Instant,
}

impl Asked {
    /// With a body of tagged fields: the header of its answer ends with one, too.
    fn is_flexible(&self) -> bool {
        self.api_version >= if self.api_key == END_TXN { 3 } else { 2 }
    }
}

struct Way {
    from: TcpStream,
    to: TcpStream,
    link: Arc<Link>,
    shared: Arc<Shared>,
}

impl Way {
    fn requests(mut self) {
        if self.shared.is_kafka {
            while self.request().is_some() {}
        } else {
            while self.bytes().is_some() {}
        }
        self.cut();
    }

    fn answers(mut self) {
        if self.shared.is_kafka {
            while self.answer().is_some() {}
        } else {
            while self.bytes().is_some() {}
        }
        self.cut();
    }

    /// One read of whatever there is.
    fn bytes(&mut self) -> Option<()> {
        let mut buffer = [0; 65_536];
        let count = self
            .from
            .read(&mut buffer)
            .ok()
            .filter(|count| *count > 0)?;
        self.hand_on(&buffer[..count])
    }

    fn hand_on(&mut self, bytes: &[u8]) -> Option<()> {
        if self.link.mutes.load(Ordering::SeqCst) {
            self.link.muted.fetch_add(bytes.len(), Ordering::SeqCst);
            return Some(());
        }
        let slow_ms = self.shared.slow_ms.load(Ordering::SeqCst);
        if slow_ms > 0 {
            std::thread::sleep(Duration::from_millis(slow_ms));
        }
        self.to.write_all(bytes).ok()
    }

    /// One message of Kafka's protocol: its length, then as many bytes.
    fn message(&mut self) -> Option<Vec<u8>> {
        let mut message = vec![0; 4];
        self.from.read_exact(&mut message).ok()?;
        let count = i32::from_be_bytes(*message.first_chunk()?);
        message.resize(4 + usize::try_from(count).ok()?, 0);
        self.from.read_exact(&mut message[4..]).ok()?;
        Some(message)
    }

    /// One answer: its correlation id, then the rest.
    fn answer(&mut self) -> Option<()> {
        let message = self.message()?;
        let correlation_id = *message.get(4..)?.first_chunk()?;
        let asked = self
            .link
            .asked
            .lock()
            .expect("sound")
            .remove(&correlation_id);
        if let Some(asked) = asked {
            // Correlation id, tagged fields, throttle time, error code.
            let at = 4 + 4 + usize::from(asked.is_flexible()) + 4;
            let error_code = i16::from_be_bytes(*message.get(at..)?.first_chunk()?);
            let exchange = Exchange {
                api_key: asked.api_key,
                is_held: asked.is_held,
                taken: asked.taken,
                sent: asked.sent,
                answered: Instant::now(),
                error_code,
            };
            self.shared.exchanges.lock().expect("sound").push(exchange);
        }
        self.hand_on(&message)
    }

    /// One request: API key, version, correlation id, then the rest.
    fn request(&mut self) -> Option<()> {
        let message = self.message()?;
        let taken = Instant::now();
        let api_key = i16::from_be_bytes(*message.get(4..)?.first_chunk()?);
        let harm = self.shared.harm_of(api_key);
        if harm == Some(Harm::CutRequest) {
            self.shared.cut_requests.fetch_add(1, Ordering::SeqCst);
            return None;
        }
        if let Some(Harm::Hold(time)) = harm {
            std::thread::sleep(time);
        }
        let mutes = harm == Some(Harm::CutAnswer);
        self.link.mutes.fetch_or(mutes, Ordering::SeqCst);
        let correlation_id = *message.get(8..)?.first_chunk()?;
        if [END_TXN, INIT_PRODUCER_ID].contains(&api_key) {
            let asked = Asked {
                api_key,
                api_version: i16::from_be_bytes(*message.get(6..)?.first_chunk()?),
                is_held: matches!(harm, Some(Harm::Hold(_))),
                taken,
                sent: Instant::now(),
            };
            let mut all = self.link.asked.lock().expect("sound");
            all.insert(correlation_id, asked);
        }
        self.to.write_all(&message).ok()?;
        match harm {
            Some(Harm::CutAnswer) => self.await_muted(),
            Some(_) => {
                self.shared.held.fetch_add(1, Ordering::SeqCst);
                self.await_answer(correlation_id);
                Some(())
            }
            None => Some(()),
        }
    }

    /// The client may be gone, which ends the connection; the answer is read before.
    fn await_answer(&self, correlation_id: [u8; 4]) {
        let deadline = Instant::now() + ANSWER_MAX_WAIT;
        let is_asked = || {
            let all = self.link.asked.lock().expect("sound");
            all.contains_key(&correlation_id)
        };
        while is_asked() && Instant::now() < deadline {
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Until the broker has answered; then the connection ends.
    fn await_muted(&self) -> Option<()> {
        let deadline = Instant::now() + ANSWER_MAX_WAIT;
        while self.link.muted.load(Ordering::SeqCst) == 0 && Instant::now() < deadline {
            std::thread::sleep(LOOK_EVERY);
        }
        if self.link.muted.load(Ordering::SeqCst) > 0 {
            self.shared.cut_answers.fetch_add(1, Ordering::SeqCst);
        }
        None
    }

    fn cut(&self) {
        for stream in [&self.from, &self.to] {
            // The other direction may have been first.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn harm_of(&self, api_key: i16) -> Option<Harm> {
        if *self.api_key.lock().expect("sound") != Some(api_key) {
            return None;
        }
        let number = self.seen.fetch_add(1, Ordering::SeqCst) + 1;
        let harms = self.harms.lock().expect("sound");
        harms
            .iter()
            .find(|(at, _)| *at == number)
            .map(|(_, harm)| *harm)
    }
}
