//! The Overview screen.

use std::sync::Arc;
use std::time::Duration;

use ratatui::layout::Position;

use super::{assert_kept, press, snapshot};
use crate::engine::{DestinationName, DestinationPlan, Inventory, Phase, Side, UnknownSubtree};
use crate::sync_info::SyncInfo;
use crate::tui::effect::Effect;
use crate::tui::effect::failures::Judged;
use crate::tui::input::Input;
use crate::tui::message::{Message, Refreshed, SideStatus};
use crate::tui::model::Model;
use crate::tui::sample::{self, dump};
use crate::tui::screen::Screen;
use crate::tui::screen::overview::{Held, News, Seen};
use crate::tui::update::{begin, update};
use crate::tui::watch;
use crate::tui::widget::tree::Tree;

fn tell(model: &mut Model, news: News) {
    update(model, Message::Overview(news));
}

/// Everybody is asked, and somebody else is at work at one destination.
fn asked(width: u16, height: u16) -> Model {
    let mut model = sample::full(width, height);
    tell(&mut model, News::Asking(sample::time()));
    let [first, second, third] = sample::names();
    let other = Seen {
        who: "anna@vault-sync-1".into(),
        what: "sync --watch, process 4711".into(),
        since: Some("2026-11-23T09:12:03Z".parse().expect("a time")),
        own: false,
    };
    let own =
        Seen { who: "ops@bastion".into(), what: "sync, process 1".into(), since: Some(sample::time()), own: true };
    for (side, held) in [
        (Side::Origin, Ok(Held::default())),
        (Side::Destination(first), Ok(Held { cycle: None, daemon: Some(other) })),
        (Side::Destination(second), Ok(Held { cycle: Some(own), daemon: None })),
        (Side::Destination(third), Err("read vsync/eu-recovery/vsync/locks/destination: no answer".into())),
    ] {
        tell(&mut model, News::Held(side, held));
    }
    model
}

fn running(width: u16, height: u16) -> Model {
    let mut model = asked(width, height);
    model.cycle.running = true;
    model.watch.on = true;
    model.watch.now = watch::Now::Copying;
    update(&mut model, Message::Snapshot(sample::snapshot(Phase::Running)));
    model
}

fn line_of(model: &Model, text: &str) -> usize {
    let screen = dump(model);
    screen.lines().position(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}\n{screen}"))
}

#[test]
fn every_state() {
    snapshot("overview", asked);
    snapshot("overview_loading", |width, height| {
        let mut model = sample::opened(width, height);
        begin(&mut model);
        model
    });
    snapshot("overview_in_sync", |width, height| {
        let mut model = asked(width, height);
        let mut plan = (*sample::plan()).clone();
        plan.inventory = Arc::new(Inventory { unknown: Vec::new(), ..(*plan.inventory).clone() });
        for part in &mut plan.destinations {
            *part = DestinationPlan::empty(part.destination.clone());
            part.in_sync = 45;
            tell(&mut model, News::Held(Side::Destination(part.destination.clone()), Ok(Held::default())));
        }
        for side in &mut model.sides {
            side.status = Some(sample::status("2.7.2", Some(86_400)));
        }
        let tree = Tree::of_plan(&plan, &[], &[sample::mount()]);
        let failures = Ok(Judged { minded: Vec::new(), ignored: Vec::new() });
        update(&mut model, Message::Refreshed(Box::new(Refreshed { plan: Arc::new(plan), tree, failures })));
        update(&mut model, Message::Reports(Ok(vec![sample::report("0192f0c1-2345-7abc-8def-0123456789ab", false)])));
        model
    });
    snapshot("overview_nobody_answers", |width, height| {
        let mut model = sample::opened(width, height);
        tell(&mut model, News::Asking(sample::time()));
        for side in model.sides.iter().map(|side| side.side.clone()).collect::<Vec<_>>() {
            let refused = Err("connection refused".to_owned());
            let status = SideStatus { health: refused, token: None, latency: Duration::from_millis(1) };
            update(&mut model, Message::Probed(side.clone(), status));
            tell(
                &mut model,
                News::Held(side, Err("read vsync/vsync/locks/origin in Consul: connection refused".into())),
            );
        }
        update(&mut model, Message::Reports(Err("list vsync/vsync/cycles in Consul: connection refused".into())));
        let mut plan = (*sample::plan()).clone();
        plan.inventory = Arc::new(Inventory {
            secrets: SyncInfo::new(1),
            unknown: vec![UnknownSubtree { prefix: "secret/".into(), reason: "connection refused".into() }],
            ..(*plan.inventory).clone()
        });
        for part in &mut plan.destinations {
            *part = DestinationPlan::empty(part.destination.clone());
            part.unavailable = Some("read vsync/origin/index in Consul: connection refused".into());
        }
        model.unknown.clone_from(&plan.inventory.unknown);
        model.plan = Some(Arc::new(plan));
        model.listing = None;
        model
    });
    snapshot("overview_running", running);
    snapshot("overview_attention", |width, height| {
        let mut model = asked(width, height);
        model.production = [sample::names()[1].clone()].into();
        press(&mut model, "end");
        model
    });
    snapshot("overview_many", |width, height| {
        let mut model = asked(width, height);
        for number in 0..30 {
            let name = DestinationName::new(&format!("site-{number}"));
            model.sides.push(crate::tui::model::SideView {
                side: Side::Destination(name.clone()),
                address: "https://vault.example:8200".into(),
                status: Some(sample::status("2.4.1", None)),
            });
            model.destinations.push(name);
        }
        update(&mut model, Message::Reports(Ok(sample::history())));
        model
    });
    assert_kept("overview_120x40", &dump(&running(120, 40)));
}

#[test]
fn the_worst_comes_first_unless_one_wants_it_otherwise() {
    let mut model = asked(80, 40);
    // sealed before failed before drifted
    assert!(line_of(&model, "eu-recovery    sealed") < line_of(&model, "us-east        active"));
    let screen = dump(&model);
    assert!(
        screen.lines().position(|line| line.contains("origin "))
            < screen.lines().position(|line| line.contains("sealed "))
    );
    press(&mut model, "o");
    assert!(line_of(&model, "us-east        active") < line_of(&model, "ap-south       active"));
    press(&mut model, "o end");
    assert!(line_of(&model, "eu-recovery    sealed") < line_of(&model, "ap-south       active"));
}

#[test]
fn the_cursor_stays_on_its_vault_when_the_order_changes() {
    let mut model = asked(80, 24);
    press(&mut model, "down down down");
    let before = model.overview.side;
    press(&mut model, "o");
    assert_eq!(model.overview.side, before);
    let effects = press(&mut model, "enter");
    assert!(effects.is_empty());
    assert_eq!(model.screen, Screen::Plan);
    assert!(dump(&model).contains(model.destinations[before - 1].as_str()));
}

#[test]
fn everything_can_be_reached_at_80_by_24() {
    let mut model = running(80, 24);
    let mut seen = String::new();
    for _ in 0..30 {
        seen += &dump(&model);
        press(&mut model, "down");
    }
    for text in
        ["origin ", "us-east ", "ap-south ", "eu-recovery ", "is sealed", "vault-admins", "the token expires in"]
    {
        assert!(seen.contains(text), "{text}\n{seen}");
    }
    assert!(seen.contains("anna@vault-sync-1"), "who is at work: {seen}");
    press(&mut model, "g");
    assert_eq!(model.overview.side, 0);
    press(&mut model, "up");
    assert_eq!(model.overview.side, 0);
}

#[test]
fn a_matter_leads_to_where_it_can_be_seen_to() {
    // where enter leads from each matter, from the last one up
    let mut model = asked(200, 60);
    let mut seen = std::collections::HashSet::new();
    press(&mut model, "end");
    for steps in 0..12 {
        press(&mut model, "1 end");
        for _ in 0..steps {
            press(&mut model, "up");
        }
        let on_a_matter = model.overview.is_on_a_matter();
        press(&mut model, "enter");
        if on_a_matter {
            seen.insert(model.screen);
        }
    }
    for screen in [Screen::Failures, Screen::Plan, Screen::Browse] {
        assert!(seen.contains(&screen), "{seen:?}");
    }
}

#[test]
fn tiles_are_walked_in_both_directions() {
    let mut model = asked(120, 40);
    press(&mut model, "right");
    assert_eq!(model.overview.side, 3, "the sealed one");
    press(&mut model, "down");
    assert_eq!(model.overview.side, 1, "below it");
    press(&mut model, "left");
    assert_eq!(model.overview.side, 2);
    press(&mut model, "up");
    assert_eq!(model.overview.side, 0);
    press(&mut model, "left");
    assert_eq!(model.overview.side, 0);
}

#[test]
fn clicks_choose_and_open() {
    for (width, height) in [(80, 24), (200, 60)] {
        let mut model = asked(width, height);
        let screen = dump(&model);
        let at = |text: &str| {
            let y = screen.lines().position(|line| line.contains(text)).expect("it shows");
            let line = screen.lines().nth(y).expect("a line");
            let x = line.find(text).map(|byte| line[..byte].chars().count()).expect("it is there");
            Position { x: u16::try_from(x).expect("small") + 1, y: u16::try_from(y).expect("small") }
        };
        // in a tile the name is in the frame
        let place = at("sealed");
        Screen::Overview.click(&mut model, place, false);
        assert_eq!(model.overview.side, 3, "{width}");
        Screen::Overview.click(&mut model, place, true);
        assert_eq!(model.screen, Screen::Plan);
    }
    let mut model = asked(200, 60);
    let y = line_of(&model, "secrets failed");
    Screen::Overview.click(&mut model, Position { x: 5, y: u16::try_from(y).expect("small") }, true);
    assert_eq!(model.screen, Screen::Failures);
}

#[test]
fn who_is_at_work_is_said() {
    let model = asked(200, 60);
    let screen = dump(&model);
    for text in ["watch: anna@vault-sync-1", "cycle: this console since 21:40:03Z", "nobody", "its store does not tell"]
    {
        assert!(screen.contains(text), "{text}\n{screen}");
    }
    assert!(screen.contains("who is at work there could not be read"));
}

#[test]
fn what_others_changed_and_what_was_there_are_told_apart() {
    let model = asked(200, 60);
    let screen = dump(&model);
    assert!(screen.contains("us-east: 1 secret was changed there by somebody else after vsync wrote it"), "{screen}");
    assert!(screen.contains("us-east: 1 secret was there before vsync wrote it"), "{screen}");
}

#[test]
fn vaults_are_asked_again_only_while_something_goes_on() {
    let probes = |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Probe));
    let mut model = running(80, 24);
    let at = |seconds| {
        let mut snapshot = (*sample::snapshot(Phase::Running)).clone();
        snapshot.elapsed = Duration::from_secs(seconds);
        Message::Snapshot(Arc::new(snapshot))
    };
    assert!(probes(&update(&mut model, at(123))), "the locks have changed hands");
    assert!(!probes(&update(&mut model, at(140))));
    assert!(probes(&update(&mut model, at(153))));
    press(&mut model, "2");
    assert!(!probes(&update(&mut model, at(300))), "nobody looks");

    let mut model = asked(80, 24);
    let tick = |model: &mut Model| {
        let left = watch::Now::Waiting(Duration::from_secs(3));
        update(model, Message::Watch(watch::News::Now(left)))
    };
    let times = (0..65).filter(|_| probes(&tick(&mut model))).count();
    assert_eq!(times, 2, "every half a minute");
    let mut asked = asked(80, 24);
    assert!(press(&mut asked, "down").is_empty());
}

#[test]
fn the_last_course_stays_after_the_cycle() {
    let mut model = running(200, 60);
    assert!(dump(&model).contains("50.2/s"));
    model.cycle.running = false;
    update(&mut model, Message::Snapshot(sample::snapshot(Phase::Ended)));
    assert!(dump(&model).contains("61/s at most"), "{}", dump(&model));
}

#[test]
fn no_size_panics() {
    for (width, height) in [(1, 1), (60, 15), (61, 16), (79, 23), (98, 36), (110, 33), (176, 30), (300, 100)] {
        for keys in ["1", "1 end", "1 down right down", "1 o G"] {
            let mut model = running(200, 60);
            press(&mut model, keys);
            update(&mut model, Message::Input(Input::Resize(width, height)));
            dump(&model);
        }
    }
}
