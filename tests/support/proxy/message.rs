//! HTTP/1.1 messages as the proxy passes them on: head and body, nothing interpreted beyond where the body ends.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A request or an answer, as a whole.
pub(super) struct Message {
    /// The first line, without its end.
    pub(super) start: String,
    /// All header lines but those that tell where the body ends, without their ends.
    headers: Vec<String>,
    /// `None` where the message can have no body, which is not the same as an empty one.
    pub(super) body: Option<Vec<u8>>,
}

enum Framing {
    Nothing,
    Length(usize),
    Chunks,
}

impl Message {
    /// Vault's form of an error. Its 404 means that there is nothing, and has no text.
    pub(super) fn error(status: u16, retry_after: Option<u64>) -> Self {
        let errors: &[&str] = if status == 404 { &[] } else { &["an injected fault"] };
        let mut answer = Self::answer(status, format!("{}\n", serde_json::json!({ "errors": errors })));
        answer.headers.extend(retry_after.map(|seconds| format!("Retry-After: {seconds}")));
        answer
    }

    pub(super) fn redirect(location: &str) -> Self {
        let mut answer = Self::answer(307, String::new());
        answer.headers.push(format!("Location: {location}"));
        answer
    }

    pub(super) fn answer(status: u16, body: String) -> Self {
        let headers = vec!["Content-Type: application/json".to_owned(), "Cache-Control: no-store".to_owned()];
        // the reason phrase means nothing
        Self { start: format!("HTTP/1.1 {status} Injected"), headers, body: Some(body.into_bytes()) }
    }

    /// Reads a request; `None` when the connection was closed before one began.
    pub(super) async fn read_request(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Self>> {
        let Some((start, headers, framing)) = read_head(stream).await? else { return Ok(None) };
        let body = match framing {
            Framing::Nothing => None,
            Framing::Length(length) => Some(read_length(stream, length).await?),
            Framing::Chunks => Some(read_chunks(stream).await?),
        };
        Ok(Some(Self { start, headers, body }))
    }

    /// Reads the answer to a request of this method.
    pub(super) async fn read_answer(stream: &mut BufReader<TcpStream>, method: &str) -> io::Result<Self> {
        let (start, headers, framing) =
            read_head(stream).await?.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        let status = status_of(&start)?;
        let body = if method == "HEAD" || matches!(status, 204 | 304) {
            None
        } else {
            Some(match framing {
                Framing::Length(length) => read_length(stream, length).await?,
                Framing::Chunks => read_chunks(stream).await?,
                Framing::Nothing => {
                    let mut rest = Vec::new();
                    stream.read_to_end(&mut rest).await?;
                    rest
                }
            })
        };
        Ok(Self { start, headers, body })
    }

    pub(super) fn status(&self) -> io::Result<u16> {
        status_of(&self.start)
    }

    /// Method and target of a request.
    pub(super) fn target(&self) -> io::Result<(&str, &str)> {
        let mut words = self.start.split(' ');
        words.next().zip(words.next()).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }

    /// Writes it; of its body no more than `limit` bytes, whatever length its head announces.
    pub(super) async fn write(&self, stream: &mut BufReader<TcpStream>, limit: usize) -> io::Result<()> {
        let mut bytes = format!("{}\r\n", self.start).into_bytes();
        for header in &self.headers {
            bytes.extend_from_slice(header.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        if let Some(body) = &self.body {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        let body = self.body.as_deref().unwrap_or_default();
        bytes.extend_from_slice(&body[..body.len().min(limit)]);
        stream.get_mut().write_all(&bytes).await
    }
}

fn status_of(start: &str) -> io::Result<u16> {
    let status = start.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

async fn read_head(stream: &mut BufReader<TcpStream>) -> io::Result<Option<(String, Vec<String>, Framing)>> {
    let Some(start) = read_line(stream).await? else { return Ok(None) };
    let mut headers = Vec::new();
    let mut framing = Framing::Nothing;
    loop {
        let line = read_line(stream).await?.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        let Some((name, value)) = line.split_once(':') else {
            return if line.is_empty() {
                Ok(Some((start, headers, framing)))
            } else {
                Err(io::ErrorKind::InvalidData.into())
            };
        };
        if name.eq_ignore_ascii_case("content-length") {
            framing = Framing::Length(value.trim().parse().map_err(|_| io::ErrorKind::InvalidData)?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            framing = Framing::Chunks;
        } else {
            headers.push(line);
        }
    }
}

/// A line without its end; `None` at the end of the stream.
async fn read_line(stream: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(Some(line))
}

async fn read_length(stream: &mut BufReader<TcpStream>, length: usize) -> io::Result<Vec<u8>> {
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

async fn read_chunks(stream: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(stream).await?.unwrap_or_default();
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
        if size == 0 {
            // trailers, to the empty line
            while read_line(stream).await?.is_some_and(|line| !line.is_empty()) {}
            return Ok(body);
        }
        let from = body.len();
        body.resize(from + size, 0);
        stream.read_exact(&mut body[from..]).await?;
        read_line(stream).await?;
    }
}
