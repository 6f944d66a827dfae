//! `requests_per_second`: no more than so many go out, in the order they came.

use std::num::NonZeroU32;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::Mutex;

#[derive(Debug)]
pub(super) struct Pace {
    per_second: NonZeroU32,
    limiter: DefaultDirectRateLimiter,
    /// Who goes next. It is handed on in order: the limiter alone lets in whoever looks at the right moment.
    next: Mutex<()>,
}

impl Pace {
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        // A tenth of a second's worth may go at once: timers are too coarse to space out a high rate one by one.
        let burst = NonZeroU32::new(per_second.get() / 10).unwrap_or(NonZeroU32::MIN);
        let limiter = RateLimiter::direct(Quota::per_second(per_second).allow_burst(burst));
        Self { per_second, limiter, next: Mutex::new(()) }
    }

    pub(super) fn per_second(&self) -> u32 {
        self.per_second.get()
    }

    /// Waits for a turn, behind those who came before, unless it is `apart`; `waits` is called if it has to be waited for.
    pub(super) async fn turn(&self, apart: bool, waits: impl FnOnce()) {
        let _next = if apart { None } else { Some(self.next.lock().await) };
        if self.limiter.check().is_err() {
            waits();
            self.limiter.until_ready().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const LAST: u32 = 40;

    #[tokio::test]
    async fn those_who_wait_go_in_the_order_they_came_and_what_is_apart_before_them() {
        let pace = Arc::new(Pace::new(NonZeroU32::new(100).expect("a rate")));
        let gone = Arc::new(AtomicU32::new(0));
        // on one thread they come in the order they are spawned
        let waiting: Vec<_> = (0..=LAST)
            .map(|number| {
                let (pace, gone) = (Arc::clone(&pace), Arc::clone(&gone));
                tokio::spawn(async move {
                    pace.turn(number == LAST, || {}).await;
                    (number, gone.fetch_add(1, Ordering::Relaxed))
                })
            })
            .collect();
        let mut order = Vec::new();
        for waiting in waiting {
            order.push(waiting.await.expect("no panic"));
        }
        let (_, apart) = order.pop().expect("the last one");
        // only the first of those who wait is in its way, now and then
        assert!(apart < 30, "{apart}");
        assert!(order.is_sorted_by(|(_, one), (_, next)| one < next), "{order:?}");
    }
}
