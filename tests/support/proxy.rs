//! A proxy that breaks what passes through it, on demand and always in the same way.

mod message;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use regex::Regex;
use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use self::message::Message;
use super::api::wait;

/// How long a test waits for a request that must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is done to a request that a rule picks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is passed on, after this time.
    Delay(Duration),
    /// The connection is reset; the server never hears of it.
    Reset,
    /// The server does what it is asked to, then the connection is reset instead of the answer: nobody knows what became
    /// of it.
    ResetAfterwards,
    /// The answer's body ends after so many bytes, its head announces all of them, and the connection is closed.
    CutOff(usize),
    /// 200, with a body that begins as JSON. The server never hears of the request.
    Garbage,
    /// 200, with a listing in which an entry has no name. The server never hears of the request.
    Nameless,
    /// An error in Vault's form; 404 says that there is nothing. The server never hears of the request.
    Status(u16),
    /// 429 with `Retry-After` in seconds. The server never hears of the request.
    RetryAfter(u64),
    /// 307 to the same path at this address. The server never hears of the request.
    Redirect(String),
    /// This status and body, such as what the server answered at an earlier time. It never hears of the request.
    Answer(u16, String),
    /// It is passed on at once: the rule only counts.
    Nothing,
    /// It is passed on when [`FaultRule::release`] says so, or the rule is gone.
    Hold,
}

/// Which of the requests that a rule matches are picked, by their number, from 1 on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum When {
    /// All of them.
    Always,
    /// This one alone.
    Nth(u64),
    /// This one and all later ones.
    From(u64),
    /// The first so many.
    First(u64),
    /// With this probability, decided by the seed and the request's number alone.
    Random {
        /// From 0 to 1.
        probability: f64,
        /// The same seed picks the same numbers.
        seed: u64,
    },
}

impl When {
    fn picks(self, number: u64) -> bool {
        match self {
            Self::Always => true,
            Self::Nth(n) => number == n,
            Self::From(n) => number >= n,
            Self::First(n) => number <= n,
            Self::Random { probability, seed } => {
                #[allow(clippy::cast_precision_loss, reason = "53 bits are exact")]
                let share = (scrambled(seed, number) >> 11) as f64 / (1_u64 << 53) as f64;
                share < probability
            }
        }
    }
}

/// A number that looks random, always the same for the same two (`SplitMix64`).
pub fn scrambled(seed: u64, number: u64) -> u64 {
    let mut x = seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// One request that came to the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// `GET`, `LIST`, `SCAN`, …
    pub method: String,
    /// Path and query as sent.
    pub path: String,
    /// What the client was answered; `None` if it was not.
    pub status: Option<u16>,
    /// What the server answered; `None` if it was not asked.
    pub by_server: Option<u16>,
    /// When it had come.
    pub began: Instant,
    /// When its answer, or the end of the connection, was about to be sent.
    pub ended: Instant,
}

/// How many of these requests were under way at the same time, at most.
#[must_use]
pub fn most_at_once(requests: &[Exchange]) -> usize {
    let at_once = |moment: Instant| requests.iter().filter(|one| one.began <= moment && moment < one.ended).count();
    requests.iter().map(|one| at_once(one.began)).max().unwrap_or_default()
}

struct Rule {
    method: Option<String>,
    pattern: Regex,
    when: When,
    fault: Fault,
    matched: watch::Sender<u64>,
    picked: watch::Sender<u64>,
    released: watch::Sender<bool>,
}

struct Shared {
    upstream: String,
    rules: Mutex<Vec<Arc<Rule>>>,
    log: Mutex<Vec<Exchange>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A reverse proxy on a loopback port, in front of a server that speaks plain HTTP. Without rules it changes nothing.
pub struct FaultProxy {
    shared: Arc<Shared>,
    port: u16,
    runtime: Option<Runtime>,
}

impl FaultProxy {
    /// In front of `http://HOST:PORT`.
    ///
    /// # Panics
    /// If there is no free port.
    #[must_use]
    pub fn start(address: &str) -> Self {
        let upstream = address.strip_prefix("http://").expect("an http address").trim_end_matches('/').to_owned();
        let shared = Arc::new(Shared { upstream, rules: Mutex::default(), log: Mutex::default() });
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let port = listener.local_addr().expect("its address").port();
        listener.set_nonblocking(true).expect("a socket that does not block");
        runtime.spawn(accept(listener, Arc::clone(&shared)));
        let proxy = Self { shared, port, runtime: Some(runtime) };
        super::least::register(proxy.address(), address.to_owned());
        proxy
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Adds a rule for requests of this method (`""`: any) whose path and query, as sent, `pattern` finds something in.
    /// All rules count what they match; the first one that picks a request decides. It ends with [`FaultRule::remove`].
    ///
    /// # Panics
    /// If `pattern` is no regular expression.
    pub fn rule(&self, method: &str, pattern: &str, when: When, fault: Fault) -> FaultRule {
        let rule = Arc::new(Rule {
            method: (!method.is_empty()).then(|| method.to_owned()),
            pattern: Regex::new(pattern).expect("a regular expression"),
            when,
            fault,
            matched: watch::Sender::new(0),
            picked: watch::Sender::new(0),
            released: watch::Sender::new(false),
        });
        lock(&self.shared.rules).push(Arc::clone(&rule));
        FaultRule { rule, shared: Arc::clone(&self.shared) }
    }

    /// All requests so far, in the order in which they were dealt with.
    #[must_use]
    pub fn log(&self) -> Vec<Exchange> {
        lock(&self.shared.log).clone()
    }

    /// The requests so far of this method (`""`: any) whose path and query `pattern` finds something in.
    ///
    /// # Panics
    /// If `pattern` is no regular expression.
    #[must_use]
    pub fn requests(&self, method: &str, pattern: &str) -> Vec<Exchange> {
        let pattern = Regex::new(pattern).expect("a regular expression");
        let meant =
            |exchange: &Exchange| (method.is_empty() || exchange.method == method) && pattern.is_match(&exchange.path);
        self.log().into_iter().filter(meant).collect()
    }

    /// Empties the log.
    pub fn forget(&self) {
        lock(&self.shared.log).clear();
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        super::least::unregister(&self.address());
        // A runtime may not be waited for inside of another one, where some tests are.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A rule of a [`FaultProxy`]. It stays when this is dropped.
#[derive(Clone)]
pub struct FaultRule {
    rule: Arc<Rule>,
    shared: Arc<Shared>,
}

impl FaultRule {
    /// How many requests it matched.
    #[must_use]
    pub fn matched(&self) -> u64 {
        *self.rule.matched.borrow()
    }

    /// How many requests it picked.
    #[must_use]
    pub fn picked(&self) -> u64 {
        *self.rule.picked.borrow()
    }

    /// Returns when it has picked `count` requests, those that are held included.
    ///
    /// # Panics
    /// If it does not within half a minute.
    pub async fn until_picked(&self, count: u64) {
        let mut picked = self.rule.picked.subscribe();
        let enough = picked.wait_for(|picked| *picked >= count);
        let came = matches!(tokio::time::timeout(PATIENCE, enough).await, Ok(Ok(_)));
        assert!(came, "only {} of {count} requests came for {:?}", self.picked(), self.rule.fault);
    }

    /// As [`Self::until_picked`], for tests without a runtime.
    pub fn wait_until_picked(&self, count: u64) {
        let rule = self.clone();
        wait(async move { rule.until_picked(count).await });
    }

    /// Lets the requests that [`Fault::Hold`] holds go on, and all later ones pass.
    pub fn release(&self) {
        self.rule.released.send_replace(true);
    }

    /// Ends it: nothing more is picked, what is held goes on.
    pub fn remove(self) {
        lock(&self.shared.rules).retain(|rule| !Arc::ptr_eq(rule, &self.rule));
        self.release();
    }
}

async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let listener = TcpListener::from_std(listener).expect("a listening socket");
    loop {
        if let Ok((client, _)) = listener.accept().await {
            let _ = client.set_nodelay(true);
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                let mut connection = Connection { client: BufReader::new(client), server: None, shared };
                // whatever goes wrong between the two ends the connection, as if the server had
                while connection.exchange().await.unwrap_or(false) {}
            });
        }
    }
}

struct Connection {
    client: BufReader<TcpStream>,
    server: Option<BufReader<TcpStream>>,
    shared: Arc<Shared>,
}

impl Connection {
    /// Deals with one request; whether there may be another.
    async fn exchange(&mut self) -> io::Result<bool> {
        let Some(request) = Message::read_request(&mut self.client).await? else { return Ok(false) };
        let began = Instant::now();
        let (method, path) = request.target()?;
        let note = |status, by_server| {
            let (method, path, ended) = (method.to_owned(), path.to_owned(), Instant::now());
            let exchange = Exchange { method, path, status, by_server, began, ended };
            lock(&self.shared.log).push(exchange);
        };
        let rule = self.shared.pick(method, path);
        let fault = rule.as_ref().map(|rule| &rule.fault);
        let invented = match fault {
            Some(Fault::Reset) => {
                note(None, None);
                self.reset()?;
                return Ok(false);
            }
            Some(Fault::Garbage) => Some(Message::answer(200, "{\"data\": {\"keys\": [\"a".to_owned())),
            Some(Fault::Nameless) => {
                Some(Message::answer(200, "{\"data\": {\"keys\": [\"\", \"app-0\"], \"key_info\": {}}}".to_owned()))
            }
            Some(Fault::Status(status)) => Some(Message::error(*status, None)),
            Some(Fault::Redirect(address)) => Some(Message::redirect(&format!("{address}{path}"))),
            Some(Fault::Answer(status, body)) => Some(Message::answer(*status, body.clone())),
            Some(Fault::RetryAfter(seconds)) => Some(Message::error(429, Some(*seconds))),
            _ => None,
        };
        if let Some(answer) = invented {
            note(answer.status().ok(), None);
            answer.write(&mut self.client, usize::MAX).await?;
            return Ok(true);
        }
        match (fault, &rule) {
            (Some(Fault::Delay(time)), _) => tokio::time::sleep(*time).await,
            (Some(Fault::Hold), Some(rule)) => {
                // the rule lives as long as this borrows it, so its sender does
                let _ = rule.released.subscribe().wait_for(|released| *released).await;
            }
            _ => {}
        }
        let answer = match Self::ask(&mut self.server, &self.shared.upstream, &request, method).await {
            Ok(answer) => answer,
            Err(error) => {
                note(None, None);
                return Err(error);
            }
        };
        let status = answer.status().ok();
        match fault {
            Some(Fault::ResetAfterwards) => {
                note(None, status);
                self.reset()?;
                Ok(false)
            }
            Some(Fault::CutOff(bytes)) => {
                note(status, status);
                answer.write(&mut self.client, *bytes).await?;
                Ok(false)
            }
            _ => {
                note(status, status);
                answer.write(&mut self.client, usize::MAX).await?;
                Ok(true)
            }
        }
    }

    async fn ask(
        server: &mut Option<BufReader<TcpStream>>,
        upstream: &str,
        request: &Message,
        method: &str,
    ) -> io::Result<Message> {
        // A server that was restarted has closed the connection that is kept.
        let kept = server.take().filter(|kept| {
            let nothing_yet = kept.get_ref().try_read(&mut [0]);
            matches!(nothing_yet, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
        });
        let mut stream = if let Some(kept) = kept {
            kept
        } else {
            let stream = TcpStream::connect(upstream).await?;
            stream.set_nodelay(true)?;
            BufReader::new(stream)
        };
        request.write(&mut stream, usize::MAX).await?;
        let answer = Message::read_answer(&mut stream, method).await?;
        *server = Some(stream);
        Ok(answer)
    }

    fn reset(&self) -> io::Result<()> {
        self.client.get_ref().set_zero_linger()
    }
}

impl Shared {
    fn pick(&self, method: &str, path: &str) -> Option<Arc<Rule>> {
        let mut decisive = None;
        for rule in lock(&self.rules).iter() {
            if rule.method.as_deref().is_some_and(|wanted| wanted != method) || !rule.pattern.is_match(path) {
                continue;
            }
            rule.matched.send_modify(|count| *count += 1);
            if decisive.is_none() && rule.when.picks(*rule.matched.borrow()) {
                decisive = Some(Arc::clone(rule));
            }
        }
        if let Some(rule) = &decisive {
            rule.picked.send_modify(|count| *count += 1);
        }
        decisive
    }
}
