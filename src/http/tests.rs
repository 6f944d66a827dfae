//! The client against a server that answers each connection as scripted.

use std::num::NonZeroU32;
use std::sync::Mutex;

use tokio::net::TcpListener;
use tokio::time::Instant;

use super::scripted::Server;
use super::*;

impl Server {
    fn client(&self) -> HttpClient {
        self.client_with(HttpSettings { max_retries: 3, ..HttpSettings::default() })
    }

    fn client_with(&self, settings: HttpSettings) -> HttpClient {
        HttpClient::new(&HttpSettings { address: self.address.clone(), ..settings }).expect("a client")
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const SEALED: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
const BROKEN: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";
const CUT_OFF: &str = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\nx-then: close\r\n\r\nhalf";
const CUT_OFF_CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-then: close\r\n\r\n4\r\nhalf\r\n";

fn get(repeat: Repeat) -> Request {
    Request::new(Method::GET, "v1/x", repeat)
}

#[tokio::test]
async fn reads_are_repeated_until_they_succeed() {
    let server = Server::start(&[SEALED, "", CUT_OFF, OK]).await;
    let attempts = Attempts::default();
    let answer = server.client().observed(attempts.clone()).send(get(Repeat::Safe)).await.expect("an answer");
    assert_eq!((answer.status.as_u16(), answer.body.as_slice()), (200, b"ok".as_slice()));
    assert_eq!(attempts.get(), 4);
}

#[tokio::test]
async fn writes_are_not_repeated_after_an_ambiguous_end() {
    for (answer, status) in [(BROKEN, Some(500)), ("", None), (CUT_OFF, None)] {
        let server = Server::start(&[answer, OK]).await;
        let request = Request::new(Method::POST, "v1/x", Repeat::IfUnprocessed).body("{}");
        let result = server.client().send(request).await;
        assert_eq!(result.ok().map(|answer| answer.status.as_u16()), status);
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn writes_are_repeated_after_a_refusal() {
    let server = Server::start(&[SEALED, OK]).await;
    let request = Request::new(Method::POST, "v1/x", Repeat::IfUnprocessed).body(r#"{"a":1}"#);
    assert_eq!(server.client().send(request).await.expect("an answer").status, 200);
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[1].ends_with("\r\n\r\n{\"a\":1}"), "{}", requests[1]);
}

#[tokio::test]
async fn the_last_answer_is_given_when_attempts_run_out() {
    let server = Server::start(&[SEALED]).await;
    let client = server.client_with(HttpSettings { max_retries: 1, ..HttpSettings::default() });
    assert_eq!(client.send(get(Repeat::Safe)).await.expect("an answer").status, 503);
    assert_eq!(server.requests().len(), 2);
    assert_eq!(client.send(get(Repeat::Never)).await.expect("an answer").status, 503);
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_short_body_is_never_a_success() {
    for answer in [CUT_OFF, CUT_OFF_CHUNKED] {
        let server = Server::start(&[answer]).await;
        let error = server.client().send(get(Repeat::Never)).await.err().expect("an error");
        assert_eq!(error.kind(), HttpErrorKind::CutOff);
        assert!(error.to_string().starts_with("the answer was cut off"), "{error}");
    }
}

#[tokio::test]
async fn a_body_is_read_while_it_comes_in() {
    fn to_text(mut body: Incoming) -> std::io::Result<String> {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut body, &mut text).map(|_| text)
    }
    let refused = "HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\nnone";
    let server = Server::start(&[SEALED, CUT_OFF, CUT_OFF_CHUNKED, OK, refused, CUT_OFF]).await;
    let Ok(Reading::Read(Ok(text))) = server.client().send_reading(get(Repeat::Safe), to_text).await else {
        panic!("no answer");
    };
    assert_eq!((text.as_str(), server.requests().len()), ("ok", 4));
    let Ok(Reading::Refused(answer)) = server.client().send_reading(get(Repeat::Safe), to_text).await else {
        panic!("no answer");
    };
    assert_eq!((answer.status.as_u16(), answer.body.as_slice()), (404, b"none".as_slice()));
    let error = server.client().send_reading(get(Repeat::Never), to_text).await.err().expect("an error");
    assert_eq!(error.kind(), HttpErrorKind::CutOff);
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let busy = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n";
    let server = Server::start(&[busy, OK]).await;
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let logging = tracing::subscriber::set_default(subscriber);
    let start = Instant::now();
    assert_eq!(server.client().send(get(Repeat::IfUnprocessed)).await.expect("an answer").status, 200);
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
    drop(logging);
    let line = log.text();
    for part in ["WARN", "trying again, as the server asks", &server.address, "status=429", "seconds=1."] {
        assert!(line.contains(part), "{part} in {line}");
    }
}

/// What has been logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("the log")).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, part: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("the log").write(part)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn redirect_to(address: &str) -> String {
    format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {address}/v1/elsewhere?y\r\ncontent-length: 0\r\n\r\n")
}

fn with_token(repeat: Repeat) -> Request {
    let token = header::HeaderValue::from_static("t0ken");
    Request::new(Method::POST, "v1/x", repeat)
        .header(header::HeaderName::from_static("x-vault-token"), token)
        .body("{}")
}

#[tokio::test]
async fn redirects_are_refused_by_name() {
    let server = Server::start(&[redirect_to("https://active.example:8200")]).await;
    let error = server.client().send(get(Repeat::Safe)).await.err().expect("an error");
    assert_eq!(error.kind(), HttpErrorKind::Redirect);
    for part in
        ["redirects to https://active.example:8200;", "add \"https://active.example:8200\"", "standby_addresses"]
    {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_redirect_is_followed_to_configured_addresses_only() {
    let active = Server::start(&[OK]).await;
    let standby = Server::start(&[redirect_to(&active.address)]).await;
    let error = standby.client().send(with_token(Repeat::IfUnprocessed)).await.err().expect("an error");
    assert!(error.to_string().contains(&format!("add \"{}\"", active.address)), "{error}");
    assert_eq!(active.connections(), 0, "nothing goes to where nobody said it may");

    let of_cluster = HttpSettings { standby_addresses: vec![active.address.clone()], ..HttpSettings::default() };
    let (client, attempts) = (standby.client_with(of_cluster), Attempts::default());
    let client = client.observed(attempts.clone());
    assert_eq!(client.send(with_token(Repeat::IfUnprocessed)).await.expect("an answer").status, 200);
    let sent = active.requests();
    // the same request, not what the redirect says
    assert!(sent[0].starts_with("POST /v1/x HTTP/1.1\r\n") && sent[0].ends_with("{}"), "{}", sent[0]);
    assert!(sent[0].contains("x-vault-token: t0ken"), "{}", sent[0]);
    assert_eq!(attempts.get(), 1);
    // the active node is remembered
    assert_eq!(client.send(with_token(Repeat::Never)).await.expect("an answer").status, 200);
    assert_eq!((standby.requests().len(), active.requests().len()), (2, 2));
}

#[tokio::test]
async fn nodes_that_redirect_to_each_other_are_found_out() {
    let server = Server::start(&[redirect_to("/v1/x")]).await;
    let error = server.client().send(get(Repeat::Safe)).await.err().expect("an error");
    assert!(error.to_string().contains("redirect to each other"), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn another_node_takes_over_where_one_is_gone_or_sealed() {
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", gone.local_addr().expect("an address"));
    drop(gone);
    let (sealed, active) = (Server::start(&[SEALED]).await, Server::start(&[OK]).await);
    let settings = HttpSettings {
        address,
        standby_addresses: vec![sealed.address.clone(), active.address.clone()],
        max_retries: 0,
        ..HttpSettings::default()
    };
    let client = HttpClient::new(&settings).expect("a client");
    for _ in 0..3 {
        assert_eq!(client.send(with_token(Repeat::IfUnprocessed)).await.expect("an answer").status, 200);
    }
    assert_eq!((sealed.requests().len(), active.requests().len()), (1, 3), "it stays with the one that works");
    // what may have been done by one is not done again by another
    let broken = Server::start(&[BROKEN]).await;
    let client =
        broken.client_with(HttpSettings { standby_addresses: vec![active.address.clone()], ..HttpSettings::default() });
    assert_eq!(client.send(with_token(Repeat::IfUnprocessed)).await.expect("an answer").status, 500);
    assert_eq!(active.requests().len(), 3);
}

#[tokio::test]
async fn a_place_is_held_only_while_a_request_is_under_way() {
    let busy = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n";
    let server = Server::start(&[busy, OK]).await;
    let client = server.client();
    client.allow_in_flight(2);
    let first = tokio::spawn({
        let client = client.clone();
        async move { client.send(get(Repeat::Safe)).await.map(|answer| answer.status) }
    });
    while client.throttle().is_none_or(|throttle| throttle.paused.is_none()) {
        tokio::task::yield_now().await;
    }
    let throttle = client.throttle().expect("a limit");
    assert_eq!((throttle.limit, throttle.in_flight), (1, 0), "{throttle}");
    // how the server is can be asked all the same
    assert_eq!(client.send(get(Repeat::Never).apart()).await.expect("an answer").status, 200);
    assert_eq!(server.requests().len(), 2);
    let start = Instant::now();
    assert_eq!(client.send(get(Repeat::Never)).await.expect("an answer").status, 200);
    assert!(start.elapsed() >= Duration::from_millis(800), "others wait, too: {:?}", start.elapsed());
    assert_eq!(first.await.expect("no panic").expect("an answer"), 200);
}

#[tokio::test]
async fn waiting_for_a_place_is_not_waiting_for_an_answer() {
    let server = Server::start(&[OK]).await;
    let client = server.client();
    client.allow_in_flight(1);
    let place = client.shared.limiter.place(limit::Class::Read).await;
    let attempts = Attempts::default();
    let waiting = client.observed(attempts.clone());
    let waiting = tokio::spawn(async move {
        waiting.send(get(Repeat::Never).with_timeout(Duration::from_millis(50))).await.map(|answer| answer.status)
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished() && !attempts.left_a_trace());
    assert_eq!(attempts.unanswered_for(), Duration::ZERO);
    drop(place);
    assert_eq!(waiting.await.expect("no panic").expect("an answer"), 200);
    assert!(attempts.left_a_trace());
    assert_eq!(attempts.unanswered_for(), Duration::ZERO, "it has ended");
}

#[tokio::test]
async fn what_was_refused_left_no_trace() {
    let server = Server::start(&[SEALED, BROKEN]).await;
    let client = server.client_with(HttpSettings { max_retries: 0, ..HttpSettings::default() });
    let attempts = Attempts::default();
    let client = client.observed(attempts.clone());
    for trace in [false, true] {
        client.send(get(Repeat::Never)).await.expect("an answer");
        assert_eq!(attempts.left_a_trace(), trace);
    }
    attempts.reset();
    assert!(!attempts.left_a_trace());
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let silent = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\nx-then: hang\r\n\r\nhalf";
    let server = Server::start(&[silent]).await;
    for request in [get(Repeat::Never), get(Repeat::Never).long_answer()] {
        let error =
            server.client().send(request.with_timeout(Duration::from_millis(100))).await.err().expect("an error");
        assert_eq!((error.kind(), error.to_string().as_str()), (HttpErrorKind::Timeout, "no answer within 100ms"));
    }
}

#[tokio::test]
async fn nobody_there_is_said_plainly() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let client = HttpClient::new(&HttpSettings { address, ..HttpSettings::default() }).expect("a client");
    let error = client.send(get(Repeat::Never)).await.err().expect("an error");
    assert_eq!((error.kind(), error.to_string().as_str()), (HttpErrorKind::Connect, "connection refused"));

    let server = Server::start(&[""]).await;
    let error = server.client().send(get(Repeat::Never)).await.err().expect("an error");
    assert_eq!(error.kind(), HttpErrorKind::Reset);

    let client = HttpClient::new(&HttpSettings {
        address: server.address.replace("http://", "https://"),
        tls: TlsSettings { skip_verify: true, ..TlsSettings::default() },
        connect_timeout: Duration::from_millis(100),
        ..HttpSettings::default()
    });
    let error = client.expect("a client").send(get(Repeat::Never)).await.err().expect("an error");
    assert_eq!((error.kind(), error.to_string().as_str()), (HttpErrorKind::Connect, "no connection in time"));
}

#[tokio::test]
async fn connections_are_reused() {
    let server = Server::start(&[OK]).await;
    let client = server.client();
    let workers: Vec<_> = (0..64)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                for _ in 0..20 {
                    client.send(get(Repeat::Never)).await.expect("an answer");
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.expect("a worker");
    }
    assert_eq!(server.requests().len(), 64 * 20);
    assert!(server.connections() <= 64, "{}", server.connections());
}

#[tokio::test]
async fn the_rate_is_limited_for_all_clones_together() {
    let server = Server::start(&[OK]).await;
    let client =
        server.client_with(HttpSettings { requests_per_second: NonZeroU32::new(50), ..HttpSettings::default() });
    let start = Instant::now();
    let sends = (0..25).map(|_| {
        let client = client.clone();
        async move { client.send(get(Repeat::Never)).await.map(|_| ()) }
    });
    futures_util::future::try_join_all(sends).await.expect("all answers");
    assert!(start.elapsed() >= Duration::from_millis(380), "{:?}", start.elapsed());
}
