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

#[tokio::test]
async fn redirects_are_refused_by_name() {
    let redirect =
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: https://active.example:8200/v1/x?y\r\ncontent-length: 0\r\n\r\n";
    let server = Server::start(&[redirect]).await;
    let error = server.client().send(get(Repeat::Safe)).await.err().expect("an error");
    assert_eq!(error.kind(), HttpErrorKind::Redirect);
    assert!(error.to_string().contains("redirects to https://active.example:8200;"), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let silent = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\nx-then: hang\r\n\r\nhalf";
    let server = Server::start(&[silent]).await;
    for request in [get(Repeat::Never), get(Repeat::Never).long_answer()] {
        let error = server.client().send(request.timeout(Duration::from_millis(100))).await.err().expect("an error");
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
