//! The real loop, on a terminal and an input of the tests' own.

use std::sync::Arc;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::key;
use crate::engine::Phase;
use crate::tui::effect::{Effect, Perform};
use crate::tui::input::{Input, InputSource};
use crate::tui::message::{Message, Selected, Work};
use crate::tui::model::Model;
use crate::tui::{Exit, Host, drive, sample};

struct Keys(UnboundedReceiver<Input>);

impl InputSource for Keys {
    async fn next(&mut self) -> Input {
        self.0.recv().await.unwrap_or(Input::Terminate)
    }

    fn release(&mut self) {}
}

/// Answers effects as an engine would.
struct Answers {
    messages: UnboundedSender<Message>,
    seen: UnboundedSender<&'static str>,
}

impl Perform for Answers {
    fn perform(&mut self, effect: Effect) {
        let (word, answers) = match effect {
            Effect::Refresh => ("refresh", vec![sample::refreshed()]),
            Effect::Select { plan, asked } => {
                let mut plan = (*plan).clone();
                plan.destinations.truncate(2);
                ("select", vec![Message::Selected(Box::new(Selected { plan, asked }))])
            }
            Effect::Arm => ("arm", vec![Message::Armed]),
            Effect::Start { .. } => {
                let report = sample::report("0192f0c1-2345-7abc-8def-0123456789ab", true);
                (
                    "start",
                    vec![
                        Message::Snapshot(sample::snapshot(Phase::Running)),
                        Message::Snapshot(sample::snapshot(Phase::Ended)),
                        Message::Ended(Arc::new(report)),
                    ],
                )
            }
            _ => ("other", Vec::new()),
        };
        for answer in answers {
            self.messages.send(answer).expect("the loop listens");
        }
        let _ = self.seen.send(word);
    }
}

struct NoHost;

impl<B: ratatui::backend::Backend> Host<B> for NoHost {
    fn present(&mut self, _: &mut Terminal<B>) -> Result<(), B::Error> {
        Ok(())
    }

    fn wipe(&mut self, terminal: &mut Terminal<B>) -> Result<(), B::Error> {
        terminal.clear()
    }

    fn suspend(&mut self, _: &mut Terminal<B>, _: bool, _: bool) -> Result<(), B::Error> {
        Ok(())
    }

    fn capture_mouse(&mut self, _: &mut Terminal<B>, _: bool) -> Result<(), B::Error> {
        Ok(())
    }

    fn copy(&mut self, _: &mut Terminal<B>, _: &str) -> Result<(), B::Error> {
        Ok(())
    }
}

struct Run {
    keys: UnboundedSender<Input>,
    seen: UnboundedReceiver<&'static str>,
    messages: UnboundedSender<Message>,
    done: tokio::task::JoinHandle<(Exit, Model, String)>,
}

fn run() -> Run {
    let (keys, input) = mpsc::unbounded_channel();
    let (messages, mut receiver) = mpsc::unbounded_channel();
    let (seen, watching) = mpsc::unbounded_channel();
    let mut answers = Answers { messages: messages.clone(), seen };
    let done = tokio::spawn(async move {
        let mut terminal = Terminal::new(TestBackend::new(100, 30)).expect("a terminal");
        let mut model = sample::opened(100, 30);
        let mut input = Keys(input);
        let exit = drive(&mut terminal, &mut model, &mut receiver, &mut input, &mut answers, &mut NoHost).await;
        let screen = terminal.backend().to_string();
        (exit.expect("the loop ends well"), model, screen)
    });
    Run { keys, seen: watching, messages, done }
}

async fn until(run: &mut Run, word: &str) {
    let wait = async { while run.seen.recv().await.expect("the loop runs") != word {} };
    tokio::time::timeout(Duration::from_secs(5), wait).await.expect("it happens in time");
}

#[tokio::test]
async fn from_the_first_frame_to_the_report() {
    let mut run = run();
    until(&mut run, "refresh").await;
    // The plan has to be there before it can be executed.
    tokio::time::sleep(Duration::from_millis(50)).await;
    for text in ["3", "X"] {
        run.keys.send(key(text)).expect("the loop listens");
    }
    until(&mut run, "arm").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    for text in ["1", "enter"] {
        run.keys.send(key(text)).expect("the loop listens");
    }
    until(&mut run, "start").await;
    until(&mut run, "refresh").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    run.keys.send(key("q")).expect("the loop listens");
    let (exit, model, screen) = run.done.await.expect("no panic");
    assert_eq!(exit, Exit::Quit);
    assert!(!model.cycle.running);
    assert!(screen.contains("Report") && screen.contains("Failures (5)"), "{screen}");
}

#[tokio::test]
async fn suspending_comes_back() {
    let run = run();
    for text in ["ctrl-z", "2", "q"] {
        run.keys.send(key(text)).expect("the loop listens");
    }
    let (exit, model, _) = run.done.await.expect("no panic");
    assert_eq!(exit, Exit::Quit);
    assert_eq!(model.screen, crate::tui::screen::Screen::Browse);
}

#[tokio::test]
async fn a_terminal_that_goes_away_ends_the_loop() {
    let run = run();
    drop(run.keys);
    let (exit, ..) = run.done.await.expect("no panic");
    assert_eq!(exit, Exit::Interrupted);
}

#[tokio::test]
async fn a_panic_elsewhere_is_told_and_survived() {
    let run = run();
    run.messages.send(Message::Bug("panicked at store.rs:1".into())).expect("the loop listens");
    run.messages.send(Message::Lost(Work::Refresh)).expect("the loop listens");
    tokio::time::sleep(Duration::from_millis(200)).await;
    run.keys.send(key("q")).expect("the loop listens");
    let (exit, model, screen) = run.done.await.expect("no panic");
    assert_eq!(exit, Exit::Quit);
    assert!(screen.contains("please report it: panicked at store.rs:1"), "{screen}");
    assert!(model.listing.is_none());
}
