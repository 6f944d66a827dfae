//! The limit under a clock that the tests turn.

use std::sync::Arc;

use super::*;

fn limiter(ceiling: usize) -> Arc<Limiter> {
    let limiter = Limiter::new();
    limiter.raise(ceiling);
    Arc::new(limiter)
}

fn shown(limiter: &Limiter) -> String {
    limiter.throttle(None).expect("a limit").to_string()
}

fn limit(limiter: &Limiter) -> usize {
    limiter.throttle(None).expect("a limit").limit
}

const TOO_MANY: CutCause = CutCause::Status(429);

/// `count` requests one after the other on each place, each answered after `latency`.
async fn work(limiter: &Arc<Limiter>, class: Class, count: usize, latency: Duration) {
    let workers = (0..limit(limiter)).map(|_| {
        let limiter = Arc::clone(limiter);
        tokio::spawn(async move {
            for _ in 0..count {
                let mut place = limiter.place(class).await;
                place.sent();
                tokio::time::sleep(latency).await;
                place.answered();
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.expect("a worker");
    }
}

/// A request that is refused as soon as it is sent.
async fn refuse(limiter: &Limiter, retry_after: Option<Duration>) {
    let mut place = limiter.place(Class::Read).await;
    place.sent();
    tokio::time::sleep(Duration::from_millis(1)).await;
    place.refused(TOO_MANY, retry_after);
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_limit_are_under_way() {
    let limiter = limiter(2);
    let (mut first, second) = (limiter.place(Class::Read).await, limiter.place(Class::Read).await);
    first.sent();
    let third = Arc::clone(&limiter);
    let third = tokio::spawn(async move { drop(third.place(Class::Read).await) });
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(!third.is_finished());
    let throttle = limiter.throttle(None).expect("a limit");
    assert_eq!((throttle.limit, throttle.in_flight, throttle.waiting), (2, 1, 1));
    drop(second);
    third.await.expect("its place");
    drop(first);
    assert_eq!(limiter.throttle(None).expect("a limit").in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_leaves_no_gap() {
    let limiter = limiter(1);
    let only = limiter.place(Class::Read).await;
    assert!(tokio::time::timeout(Duration::from_secs(1), limiter.place(Class::Read)).await.is_err());
    assert_eq!(limiter.throttle(None).expect("a limit").waiting, 0);
    drop(only);
    drop(limiter.place(Class::Read).await);
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_refusals_is_one_halving_and_the_next_another() {
    let limiter = limiter(16);
    let burst: Vec<_> = (0..16)
        .map(|_| {
            let limiter = Arc::clone(&limiter);
            tokio::spawn(async move { refuse(&limiter, None).await })
        })
        .collect();
    for one in burst {
        one.await.expect("refused");
    }
    assert_eq!(shown(&limiter), "limit 8 of 16 (halved 0 s ago: 429)");
    for expected in [4, 2, 1, 1] {
        tokio::time::sleep(Duration::from_secs(2)).await;
        refuse(&limiter, None).await;
        assert_eq!(limit(&limiter), expected);
    }
    // places that were taken back while they were in use are gone for good
    let held = limiter.place(Class::Read).await;
    assert!(tokio::time::timeout(Duration::from_secs(1), limiter.place(Class::Read)).await.is_err());
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn it_grows_back_while_answers_come_as_fast_as_usual() {
    let limiter = limiter(8);
    refuse(&limiter, None).await;
    assert_eq!(limit(&limiter), 4);
    work(&limiter, Class::Read, 40, Duration::from_millis(20)).await;
    assert_eq!(limit(&limiter), 4, "not within a second");
    work(&limiter, Class::Read, 50, Duration::from_millis(20)).await;
    assert!(shown(&limiter).contains("of 8 (growing, halved"), "{}", shown(&limiter));
    work(&limiter, Class::Read, 100, Duration::from_millis(20)).await;
    assert_eq!(shown(&limiter), "limit 8 of 8");
}

#[tokio::test(start_paused = true)]
async fn it_does_not_grow_unused() {
    let limiter = limiter(16);
    refuse(&limiter, None).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    for _ in 0..1_000 {
        let mut place = limiter.place(Class::Read).await;
        place.sent();
        tokio::time::sleep(Duration::from_millis(20)).await;
        place.answered();
    }
    assert_eq!(limit(&limiter), 8);
}

#[tokio::test(start_paused = true)]
async fn slow_answers_lower_it_gently_and_lasting_slowness_is_usual() {
    let limiter = limiter(16);
    work(&limiter, Class::Read, 50, Duration::from_millis(10)).await;
    // writes are no slow reads, and listings tell nothing
    work(&limiter, Class::Write, 50, Duration::from_millis(60)).await;
    work(&limiter, Class::Listing, 5, Duration::from_secs(2)).await;
    assert_eq!(shown(&limiter), "limit 16 of 16");
    work(&limiter, Class::Read, 4, Duration::from_millis(300)).await;
    assert!(shown(&limiter).contains("slow answers"), "{}", shown(&limiter));
    work(&limiter, Class::Read, 100, Duration::from_millis(300)).await;
    assert_eq!(limit(&limiter), 4, "a quarter, and no less");
    for _ in 0..10 {
        work(&limiter, Class::Read, 100, Duration::from_millis(300)).await;
    }
    assert_eq!(shown(&limiter), "limit 16 of 16");
}

#[tokio::test(start_paused = true)]
async fn latency_that_a_busy_machine_has_lowers_nothing() {
    let limiter = limiter(16);
    work(&limiter, Class::Read, 100, Duration::from_millis(1)).await;
    work(&limiter, Class::Read, 500, Duration::from_millis(90)).await;
    assert_eq!(shown(&limiter), "limit 16 of 16");
}

#[tokio::test(start_paused = true)]
async fn when_the_server_wants_to_be_left_alone_nobody_sends() {
    let limiter = limiter(4);
    refuse(&limiter, Some(Duration::from_secs(10))).await;
    assert!(shown(&limiter).starts_with("paused for 10 s as the server asks; limit 2 of 4"), "{}", shown(&limiter));
    let start = Instant::now();
    drop(limiter.place(Class::Write).await);
    assert!(start.elapsed() >= Duration::from_secs(9), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn sides_that_share_a_server_have_the_larger_ceiling() {
    let limiter = limiter(4);
    limiter.raise(2);
    assert_eq!(limit(&limiter), 4);
    limiter.raise(6);
    assert_eq!(limit(&limiter), 6);
    refuse(&limiter, None).await;
    limiter.raise(10);
    assert_eq!(shown(&limiter), "limit 3 of 10 (halved 0 s ago: 429)");
}

#[tokio::test]
async fn without_a_ceiling_nothing_is_limited() {
    let limiter = Limiter::new();
    let places: Vec<_> = futures_util::future::join_all((0..100).map(|_| limiter.place(Class::Read))).await;
    places[0].refused(TOO_MANY, Some(Duration::from_secs(10)));
    drop(limiter.place(Class::Read).await);
    assert_eq!(limiter.throttle(None), None);
}
