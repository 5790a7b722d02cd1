//! A TCP proxy on the loopback that harms what goes through it: connections that are refused or slow, and requests of
//! Kafka's protocol that are held or cut.

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
        while self.bytes().is_some() {}
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
        if self.link.mutes.load(Ordering::SeqCst) {
            self.link.muted.fetch_add(count, Ordering::SeqCst);
            return Some(());
        }
        let slow_ms = self.shared.slow_ms.load(Ordering::SeqCst);
        if slow_ms > 0 {
            std::thread::sleep(Duration::from_millis(slow_ms));
        }
        self.to.write_all(&buffer[..count]).ok()
    }

    /// One request of Kafka's protocol: its length, then API key, version and the rest.
    fn request(&mut self) -> Option<()> {
        let mut length = [0; 4];
        self.from.read_exact(&mut length).ok()?;
        let count = usize::try_from(i32::from_be_bytes(length)).ok()?;
        let mut body = vec![0; count];
        self.from.read_exact(&mut body).ok()?;
        let api_key = i16::from_be_bytes([*body.first()?, *body.get(1)?]);
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
        self.to.write_all(&length).ok()?;
        self.to.write_all(&body).ok()?;
        match harm {
            Some(Harm::CutAnswer) => self.await_muted(),
            Some(_) => {
                self.shared.held.fetch_add(1, Ordering::SeqCst);
                Some(())
            }
            None => Some(()),
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
