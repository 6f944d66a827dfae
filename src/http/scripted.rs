//! A server for tests that answers as scripted.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Answers requests one after another from a list, the last one forever; keeps what it was sent.
pub(crate) struct Server {
    pub(crate) address: String,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicU32>,
}

impl Server {
    /// An empty answer closes the connection instead. An answer that names no length ends with the connection.
    pub(crate) async fn start(answers: &[impl AsRef<str>]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicU32::new(0));
        let answers: Vec<String> = answers.iter().map(|answer| answer.as_ref().to_owned()).collect();
        let server = Self { address, requests: Arc::clone(&requests), connections: Arc::clone(&connections) };
        tokio::spawn(async move {
            let count = Arc::new(Mutex::new(0));
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, answers.clone(), Arc::clone(&count), Arc::clone(&requests)));
            }
        });
        server
    }

    /// An answer with a JSON body.
    pub(crate) fn json(status: u16, body: &str) -> String {
        format!("HTTP/1.1 {status} Scripted\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("the requests").clone()
    }

    pub(crate) fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn serve(
    mut stream: TcpStream,
    answers: Vec<String>,
    served: Arc<Mutex<usize>>,
    requests: Arc<Mutex<Vec<String>>>,
) {
    let mut received = Vec::new();
    loop {
        let mut part = [0; 4096];
        let Ok(count @ 1..) = stream.read(&mut part).await else { return };
        received.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&received).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let expected = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
            .map_or(0, |length| length.parse().expect("a length"));
        if body.len() < expected {
            continue;
        }
        requests.lock().expect("the requests").push(text);
        received.clear();
        let answer = {
            let mut served = served.lock().expect("the count");
            *served += 1;
            answers[(*served - 1).min(answers.len() - 1)].clone()
        };
        if answer.is_empty() || stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        if answer.contains("x-then: hang") {
            tokio::time::sleep(Duration::from_mins(1)).await;
        }
        if answer.contains("x-then: close") {
            return;
        }
    }
}
