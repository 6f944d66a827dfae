//! A token helper: a program that knows the token, called as Vault's own command calls it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;
use zeroize::Zeroizing;

use super::{ErrorKind, Target, VaultError};

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// More bytes than any token has.
const LONGEST: usize = 64 * 1024;

/// Runs `program get`; what it prints is the token. It gets no input, and what it says on stderr is dropped: the console
/// owns the terminal.
pub(super) async fn token_of(program: &Path) -> Result<Zeroizing<String>, VaultError> {
    let shown = program.display().to_string();
    let target = Target { operation: "run token helper", path: &shown };
    let failed = |reason: String| target.error(ErrorKind::NoToken, reason);
    let mut command = Command::new(program);
    command.arg("get").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let run = async {
        let mut child = command.spawn().map_err(|error| failed(format!("it cannot be started: {error}")))?;
        // As large as it may get: a buffer that grows leaves its content behind.
        let mut printed = Zeroizing::new(vec![0; LONGEST]);
        let mut length = 0;
        if let Some(mut output) = child.stdout.take() {
            while length < LONGEST {
                match output.read(&mut printed[length..]).await {
                    Ok(0) => break,
                    Ok(count) => length += count,
                    Err(error) => return Err(failed(format!("its output cannot be read: {error}"))),
                }
            }
        }
        let status = child.wait().await.map_err(|error| failed(error.to_string()))?;
        if !status.success() {
            return Err(failed(format!("it failed ({status}); run \"{shown} get\" to see why")));
        }
        match std::str::from_utf8(&printed[..length]).map(str::trim) {
            Ok("") => Err(failed(format!("it knows no token: \"{shown} get\" printed nothing"))),
            Ok(token) => Ok(Zeroizing::new(token.to_owned())),
            Err(_) => Err(failed("what it printed is no text".to_owned())),
        }
    };
    tokio::time::timeout(PATIENCE, run)
        .await
        .unwrap_or_else(|_| Err(failed(format!("it was not done within {} s", PATIENCE.as_secs()))))
}
