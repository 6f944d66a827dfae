//! Asking on the terminal.

use std::io::{self, BufRead, IsTerminal, Write};

use super::CliError;
use super::interrupt::Interrupts;

/// Whether there is somebody to ask.
pub(super) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks a question that wants a yes.
///
/// # Errors
/// [`CliError::Interrupted`] when a signal comes first.
pub(super) async fn ask(question: &str, interrupts: &mut Interrupts) -> Result<bool, CliError> {
    let line = answer(&format!("{question} [y/N] "), interrupts).await?;
    Ok(matches!(line.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Asks for a line. The answer is waited for on a thread of its own, so that signals are heard meanwhile.
///
/// # Errors
/// [`CliError::Interrupted`] when a signal comes first.
pub(super) async fn answer(question: &str, interrupts: &mut Interrupts) -> Result<String, CliError> {
    let question = question.to_owned();
    let (sender, answer) = tokio::sync::oneshot::channel();
    // a plain thread: the runtime must not wait for it if a signal ends the program
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = write!(io::stderr(), "{question}");
        let _ = io::stderr().flush();
        let read = io::stdin().lock().read_line(&mut line);
        let _ = sender.send(if read.is_ok() { line } else { String::new() });
    });
    Ok(interrupts.unless(answer).await?.unwrap_or_default())
}
