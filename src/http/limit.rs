//! How many requests may be under way at one server, found out by trying.
//!
//! ```text
//!             used, and answers come as fast as usual        429, 503, no answer, reset
//!   ceiling ─────────────────── + 1 ──────────────────┐   ┌─────────── : 2 ───────────► 1
//!                                                   limit
//!                                                     └──── − 10 % ──► a quarter of the ceiling
//!                                                    answers far slower than usual
//! ```
//!
//! It begins at the ceiling, so that a server with nothing else to do is not slowed down. Requests wait for their place
//! in the order they came; nothing waits while holding one, but for the rate limit, which all of them share anyway.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

use super::throttle::{Cut, CutCause, Throttle, Why};

/// One burst of refusals is one halving.
const BETWEEN_HALVINGS: Duration = Duration::from_secs(1);
/// How long answers are gathered before the limit is looked at again …
const WINDOW: Duration = Duration::from_millis(250);
/// … and how many there must be.
const FEW: u32 = 4;
/// Answers are slow when they take so many times as long as usual …
const SLOW_FACTOR: f64 = 2.0;
/// … and so many seconds longer: below that a busy processor looks the same.
const SLOW_BY: f64 = 0.1;
/// What is usual follows faster answers at this pace, by window …
const FASTER: f64 = 0.5;
/// … and slower ones within so many seconds: what lasts for minutes is usual.
const SLOWER: f64 = 200.0;
/// How long nobody sends when the server refuses even one request at a time and does not say how long to wait.
const MOMENT: Duration = Duration::from_millis(250);
/// For how long having waited for the rate limit counts.
const LATELY: Duration = Duration::from_secs(2);

/// What a request does: its latency is compared with that of its like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Read,
    Write,
    /// Takes as long as there is to tell.
    Listing,
}

/// The places at one server. Without a ceiling there is one for everybody.
#[derive(Debug)]
pub(super) struct Limiter {
    places: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// `None`: nothing is limited.
    ceiling: Option<usize>,
    limit: usize,
    in_flight: usize,
    waiting: usize,
    /// Places that go when they are given back, because the limit has been lowered meanwhile.
    owed: usize,
    closed_until: Option<Instant>,
    last_cut: Option<(CutCause, Instant)>,
    lowered: u64,
    last_halved: Option<Instant>,
    grown: bool,
    paced: Option<Instant>,
    window: Window,
    /// Of reads and of writes, in seconds.
    usual: [Option<f64>; 2],
}

impl State {
    fn lower(&mut self, cause: CutCause, now: Instant) {
        self.last_cut = Some((cause, now));
        self.lowered += 1;
        self.grown = false;
    }
}

/// What has been seen since the limit was last looked at.
#[derive(Debug)]
struct Window {
    since: Instant,
    most_in_flight: usize,
    /// Of reads and of writes: how many, and how long they took together.
    answers: [(u32, f64); 2],
}

impl Window {
    fn new(since: Instant) -> Self {
        Self { since, most_in_flight: 0, answers: [(0, 0.0); 2] }
    }
}

impl Limiter {
    pub(super) fn new() -> Self {
        let state = State {
            ceiling: None,
            limit: 0,
            in_flight: 0,
            waiting: 0,
            owed: 0,
            closed_until: None,
            last_cut: None,
            lowered: 0,
            last_halved: None,
            grown: false,
            paced: None,
            window: Window::new(Instant::now()),
            usual: [None; 2],
        };
        Self { places: Semaphore::new(0), state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // numbers, which a panic leaves as they are
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Up to `ceiling` requests may be under way from now on, if it was less before.
    pub(super) fn raise(&self, ceiling: usize) {
        let ceiling = ceiling.clamp(1, Semaphore::MAX_PERMITS);
        let mut state = self.lock();
        if state.ceiling.is_none_or(|before| before < ceiling) {
            let full = state.ceiling.is_none_or(|before| before == state.limit);
            state.ceiling = Some(ceiling);
            if full {
                self.resize(&mut state, ceiling);
            }
        }
    }

    /// Waits until a request may be sent. Dropping this future, or what it gives, makes room for others.
    pub(super) async fn place(&self, class: Class) -> Place<'_> {
        if self.lock().ceiling.is_none() {
            return Place { limiter: self, permit: None, class, sent: Instant::now(), under_way: false };
        }
        let _waiting = Waiting::new(self);
        loop {
            self.until_open().await;
            // never closed
            let Ok(permit) = self.places.acquire().await else { continue };
            if self.closed().is_some() {
                Self::give_back(permit, &mut self.lock());
                continue;
            }
            return Place { limiter: self, permit: Some(permit), class, sent: Instant::now(), under_way: false };
        }
    }

    fn closed(&self) -> Option<Instant> {
        self.lock().closed_until.filter(|until| *until > Instant::now())
    }

    async fn until_open(&self) {
        while let Some(until) = self.closed() {
            sleep_until(until).await;
        }
    }

    /// A request had to wait for the rate limit.
    pub(super) fn note_paced(&self) {
        self.lock().paced = Some(Instant::now());
    }

    /// How it stands; `None` if nothing is limited.
    pub(super) fn throttle(&self, requests_per_second: Option<u32>) -> Option<Throttle> {
        let state = self.lock();
        let now = Instant::now();
        let ceiling = state.ceiling?;
        let paused = state.closed_until.and_then(|until| until.checked_duration_since(now));
        let paced = state.paced.is_some_and(|at| now.duration_since(at) < LATELY);
        let cut = state.last_cut.filter(|_| state.limit < ceiling);
        let why = match cut {
            _ if paused.is_some() => Why::RetryAfter,
            Some(_) if state.grown => Why::Growing,
            Some((CutCause::Latency, _)) => Why::Latency,
            Some(_) => Why::Halved,
            None if paced && requests_per_second.is_some() => Why::RequestsPerSecond,
            None if state.limit < ceiling => Why::Growing,
            None => Why::Full,
        };
        Some(Throttle {
            limit: state.limit,
            ceiling,
            in_flight: state.in_flight,
            waiting: state.waiting,
            why,
            last_cut: cut.map(|(cause, at)| Cut { cause, ago: now.duration_since(at) }),
            lowered: state.lowered,
            paused,
            requests_per_second,
        })
    }

    fn resize(&self, state: &mut State, limit: usize) {
        if limit > state.limit {
            let more = limit - state.limit;
            let paid = more.min(state.owed);
            state.owed -= paid;
            self.places.add_permits(more - paid);
        } else {
            let fewer = state.limit - limit;
            state.owed += fewer - self.places.forget_permits(fewer);
        }
        state.limit = limit;
    }

    fn give_back(permit: SemaphorePermit<'_>, state: &mut State) {
        if state.owed > 0 {
            state.owed -= 1;
            permit.forget();
        } else {
            drop(permit);
        }
    }

    /// Looks at what has been seen, if that is enough, and changes the limit.
    fn judge(&self, state: &mut State, now: Instant) {
        let Some(ceiling) = state.ceiling else { return };
        let answers: u32 = state.window.answers.iter().map(|(count, _)| count).sum();
        if now.duration_since(state.window.since) < WINDOW || answers < FEW {
            return;
        }
        let slower = (now.duration_since(state.window.since).as_secs_f64() / SLOWER).min(FASTER);
        let mut slow = false;
        for ((count, seconds), usual) in state.window.answers.into_iter().zip(&mut state.usual) {
            if count == 0 {
                continue;
            }
            let mean = seconds / f64::from(count);
            let known = usual.get_or_insert(mean);
            slow |= count >= FEW && mean > (*known * SLOW_FACTOR).max(*known + SLOW_BY);
            *known += (mean - *known) * if mean < *known { FASTER } else { slower };
        }
        let used = state.window.most_in_flight * 2 >= state.limit;
        state.window = Window::new(now);
        state.window.most_in_flight = state.in_flight;
        let limit = state.limit;
        if slow {
            let lowest = ceiling.div_ceil(4);
            if limit > lowest {
                self.resize(state, (limit - (limit / 10).max(1)).max(lowest));
                state.lower(CutCause::Latency, now);
            }
        } else if used && limit < ceiling && state.last_halved.is_none_or(|at| now - at >= BETWEEN_HALVINGS) {
            self.resize(state, limit + 1);
            state.grown = true;
            if state.limit == ceiling {
                state.last_cut = None;
            }
        }
    }
}

/// One that waits, until this is dropped.
struct Waiting<'a>(&'a Limiter);

impl<'a> Waiting<'a> {
    fn new(limiter: &'a Limiter) -> Self {
        limiter.lock().waiting += 1;
        Self(limiter)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

/// A request's place at the server, until this is dropped.
#[derive(Debug)]
pub(super) struct Place<'a> {
    limiter: &'a Limiter,
    /// `None`: nothing is limited.
    permit: Option<SemaphorePermit<'a>>,
    class: Class,
    sent: Instant,
    under_way: bool,
}

impl Place<'_> {
    /// The request is being sent.
    pub(super) fn sent(&mut self) {
        self.sent = Instant::now();
        if self.permit.is_some() && !std::mem::replace(&mut self.under_way, true) {
            let mut state = self.limiter.lock();
            state.in_flight += 1;
            state.window.most_in_flight = state.window.most_in_flight.max(state.in_flight);
        }
    }

    /// The server has begun to answer, and not by refusing.
    pub(super) fn answered(&self) {
        let class = match self.class {
            Class::Read => 0,
            Class::Write => 1,
            Class::Listing => return,
        };
        if self.permit.is_none() {
            return;
        }
        let now = Instant::now();
        let mut state = self.limiter.lock();
        let (count, seconds) = &mut state.window.answers[class];
        *count += 1;
        *seconds += now.duration_since(self.sent).as_secs_f64();
        self.limiter.judge(&mut state, now);
    }

    /// The server has too much to do, and, if it says so, wants to be left alone for a while.
    pub(super) fn refused(&self, cause: CutCause, retry_after: Option<Duration>) {
        if self.permit.is_none() {
            return;
        }
        let now = Instant::now();
        let mut state = self.limiter.lock();
        let too_many = cause == CutCause::Status(StatusCode::TOO_MANY_REQUESTS.as_u16());
        let pause = retry_after.or((too_many && state.limit == 1).then_some(MOMENT));
        if let Some(until) = pause.map(|pause| now + pause) {
            state.closed_until = state.closed_until.max(Some(until));
        }
        // what was sent before the last halving says nothing about the limit as it is now
        if state.last_halved.is_none_or(|at| self.sent > at && now.duration_since(at) >= BETWEEN_HALVINGS) {
            let half = (state.limit / 2).max(1);
            self.limiter.resize(&mut state, half);
            state.lower(cause, now);
            state.last_halved = Some(now);
            state.window = Window::new(now);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else { return };
        let mut state = self.limiter.lock();
        state.in_flight -= usize::from(self.under_way);
        Limiter::give_back(permit, &mut state);
    }
}

#[cfg(test)]
mod tests;
