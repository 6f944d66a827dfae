//! This run's log.

use std::sync::Arc;

use jiff::SignedDuration;
use tracing::Level;
use tracing::level_filters::LevelFilter;

use super::{press, snapshot};
use crate::logging::{KEPT_RECORDS, LogRecord};
use crate::tui::effect::Effect;
use crate::tui::effect::logs::Request;
use crate::tui::message::Message;
use crate::tui::model::Model;
use crate::tui::sample::{self, dump};
use crate::tui::screen::logs::News;
use crate::tui::update::update;

fn record(
    number: u64,
    level: Level,
    target: &'static str,
    message: &str,
    fields: &[(&'static str, &str)],
) -> LogRecord {
    LogRecord {
        number,
        at: sample::time() + SignedDuration::from_secs(i64::try_from(number).expect("small")),
        level,
        target,
        message: message.to_owned(),
        fields: fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
    }
}

/// A cycle as the log tells it, and a name that would like to be more than a name.
fn a_cycle() -> Vec<LogRecord> {
    let mut records = vec![
        record(1, Level::INFO, "vsync::engine", "the origin was listed", &[("secrets", "37"), ("unknown_parts", "1")]),
        record(
            2,
            Level::WARN,
            "vsync::engine::planning",
            "a guard stands against the plan: 4 of 34 would be deleted, more than 10%",
            &[("destination", "eu-recovery")],
        ),
        record(
            3,
            Level::INFO,
            "vsync::engine::cycle::run",
            "the cycle starts",
            &[("cycle", "0192f0c1-2345-7abc-8def-0123456789ab"), ("purpose", "sync")],
        ),
        record(4, Level::INFO, "vsync::engine::cycle::lane", "the lock is taken", &[("destination", "us-east")]),
        record(
            5,
            Level::WARN,
            "vsync::http::retry",
            "waiting 3 s before trying again, as the server asks",
            &[
                ("server", "https://vault.ap-south.example:8200"),
                ("status", "429"),
                ("path", "secret/data/v2/search/prod/api/secrets"),
            ],
        ),
        record(6, Level::DEBUG, "vsync::vault::auth", "logged in", &[("mount", "approle"), ("lease", "3600")]),
        record(
            7,
            Level::WARN,
            "vsync::engine::cycle::run",
            "failed: write: permission denied",
            &[("destination", "ap-south"), ("origin", "secret/payments/\u{1b}[2Jprod"), ("attempts", "1")],
        ),
        record(
            8,
            Level::ERROR,
            "vsync::engine::cycle::run",
            "state not saved: put vsync/us-east/index: 500 Internal Server Error",
            &[("destination", "us-east")],
        ),
        record(
            9,
            Level::INFO,
            "vsync::engine::cycle::run",
            "the cycle has ended: completed",
            &[("done", "1646"), ("failed", "3")],
        ),
    ];
    records.extend((10..14).map(|number| record(number, Level::INFO, "vsync::daemon", &format!("tick {number}"), &[])));
    records
}

fn log(model: &mut Model, records: impl IntoIterator<Item = LogRecord>) {
    let records = records.into_iter().map(Arc::new).collect();
    update(model, Message::Logs(News::Logged(records)));
}

fn logged(width: u16, height: u16, keys: &str) -> Model {
    let mut model = sample::full(width, height);
    log(&mut model, a_cycle());
    press(&mut model, &format!("8 {keys}"));
    model
}

/// What shows of the list, without its frame.
fn lines(model: &Model) -> Vec<String> {
    let dump = dump(model);
    let body = dump.split("--- styles").next().unwrap_or_default();
    body.lines()
        .filter(|line| line.starts_with('│') && line.contains("21:4"))
        .map(|line| line.trim_matches(['│', ' ']).to_owned())
        .collect()
}

#[test]
fn every_state() {
    snapshot("logs", |width, height| logged(width, height, "+ k k k k k k enter"));
    snapshot("logs_wrapped", |width, height| logged(width, height, "w"));
    snapshot("logs_empty", |width, height| {
        let mut model = sample::opened(width, height);
        press(&mut model, "8");
        model
    });
    snapshot("logs_none_with_this_filter", |width, height| logged(width, height, "/ n o t h i n g"));
    snapshot("logs_errors_paused", |width, height| {
        let mut model = logged(width, height, "- - p");
        log(&mut model, [record(14, Level::ERROR, "vsync", "while it is paused", &[])]);
        model
    });
}

#[test]
fn a_log_that_is_off_says_so() {
    let mut model = logged(80, 24, "- - -");
    assert!(dump(&model).contains("Nothing shows at this level. + shows errors"));
    press(&mut model, "+");
    assert_eq!(lines(&model).len(), 1);

    let source = crate::tui::screen::logs::Source { level: LevelFilter::OFF, file: None };
    model.log_list = crate::tui::screen::logs::State::new(Some(source));
    assert!(dump(&model).contains("The log is off. + shows errors"));
    let effects = press(&mut model, "+");
    assert!(matches!(effects.as_slice(), [Effect::Logs(Request::Keep(LevelFilter::ERROR))]), "{effects:?}");

    model.log_list = crate::tui::screen::logs::State::new(None);
    assert!(press(&mut model, "+").is_empty());
    press(&mut model, "g");
    assert!(dump(&model).contains("This console keeps no log."));
}

#[test]
fn more_than_configured_is_kept_only_while_it_is_asked_for() {
    let mut model = logged(80, 24, "g");
    let effects = press(&mut model, "+");
    assert!(matches!(effects.as_slice(), [Effect::Logs(Request::Keep(LevelFilter::DEBUG))]), "{effects:?}");
    assert!(dump(&model).contains("debug and worse is kept from now on, in this console."));
    let effects = press(&mut model, "-");
    assert!(matches!(effects.as_slice(), [Effect::Logs(Request::Keep(LevelFilter::INFO))]), "{effects:?}");
    assert!(press(&mut model, "-").is_empty(), "what is kept stays as configured");
}

#[test]
fn the_end_is_followed_until_somebody_looks_up() {
    let mut model = logged(80, 24, "j");
    log(&mut model, (14..60).map(|number| record(number, Level::INFO, "vsync", &format!("n{number}"), &[])));
    assert!(lines(&model).last().is_some_and(|line| line.ends_with("n59")), "{:?}", lines(&model));
    press(&mut model, "k");
    let before = lines(&model);
    log(&mut model, (60..70).map(|number| record(number, Level::INFO, "vsync", &format!("n{number}"), &[])));
    assert_eq!(lines(&model), before);
    assert!(dump(&model).contains(" 11 below "));
    for key in ["G", "f", "end"] {
        press(&mut model, "g");
        press(&mut model, key);
        assert!(lines(&model).last().is_some_and(|line| line.ends_with("n69")), "{key}");
        assert!(dump(&model).contains(" following "));
    }
}

#[test]
fn a_pause_holds_still_and_loses_nothing() {
    let mut model = logged(80, 24, "p");
    let before = lines(&model);
    log(&mut model, (14..30).map(|number| record(number, Level::INFO, "vsync", &format!("n{number}"), &[])));
    log(&mut model, [record(30, Level::DEBUG, "vsync", "not of this level", &[])]);
    assert_eq!(lines(&model), before);
    assert!(dump(&model).contains(" paused, 16 new "));
    press(&mut model, "p");
    assert!(lines(&model).last().is_some_and(|line| line.ends_with("n29")));
}

#[test]
fn the_cursor_stays_on_its_line_while_old_ones_go() {
    let mut model = logged(80, 24, "g");
    let many = KEPT_RECORDS as u64;
    log(&mut model, (14..many).map(|number| record(number, Level::INFO, "vsync", &format!("n{number}"), &[])));
    press(&mut model, "j j j enter");
    assert!(dump(&model).contains("Line 4 "));
    log(&mut model, (many..many + 3).map(|number| record(number, Level::INFO, "vsync", &format!("n{number}"), &[])));
    assert!(dump(&model).contains("Line 4 "), "{}", dump(&model));
    log(&mut model, (many + 3..many + 50).map(|number| record(number, Level::INFO, "vsync", "more", &[])));
    assert!(dump(&model).contains("Line 50 "), "its line is gone, so it is on the oldest");
    assert_eq!(model.log_list.records.len(), KEPT_RECORDS);
}

#[test]
fn filter_level_copy_and_the_end_of_a_long_line() {
    let mut model = logged(80, 24, "/ A P - S O U T H");
    assert_eq!(lines(&model).len(), 0, "a capital asks for capitals");
    press(&mut model, "esc");
    press(&mut model, "/ l a n e enter");
    assert_eq!(lines(&model).len(), 1, "by where it comes from");
    let effects = press(&mut model, "c");
    assert!(
        matches!(effects.as_slice(), [Effect::Copy(line)] if line == "2026-11-23T21:40:07Z INFO vsync::engine::cycle::lane the lock is taken destination=us-east"),
        "{effects:?}"
    );
    press(&mut model, "esc");
    press(&mut model, "g j j j j");
    assert!(!dump(&model).contains("search/prod/api/secrets"));
    press(&mut model, "l l l l l l");
    assert!(dump(&model).contains("search/prod/api/secrets"));
    press(&mut model, "h h h h h h");
    assert!(dump(&model).contains("waiting 3 s"));
}
