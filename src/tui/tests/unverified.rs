//! What nobody may miss: that certificates are not checked.

use super::press;
use crate::engine::Phase;
use crate::tui::message::Message;
use crate::tui::model::Model;
use crate::tui::sample;
use crate::tui::sample::text;
use crate::tui::update::update;

fn unverified(width: u16, height: u16) -> Model {
    let mut model = sample::full(width, height);
    model.unverified = vec!["us-east".to_owned()];
    model
}

fn assert_said(model: &Model, keys: &str) {
    let screen = text(model);
    assert!(screen.contains("TLS unverified"), "{keys}:\n{screen}");
}

#[test]
fn every_screen_says_that_certificates_are_not_checked() {
    for (width, height) in [(80, 24), (60, 15), (200, 60)] {
        for screen in 1..=8 {
            for keys in [format!("{screen}"), format!("{screen} ?"), format!("{screen} :"), format!("{screen} q")] {
                let mut model = unverified(width, height);
                press(&mut model, &keys);
                assert_said(&model, &keys);
                // with everything else that wants to be said at the top
                model.read_only = true;
                model.title = Some("a title that is long".to_owned());
                model.cycle.running = true;
                for phase in [Phase::Running, Phase::Paused, Phase::Stopping, Phase::Ended] {
                    update(&mut model, Message::Snapshot(sample::snapshot(phase)));
                    assert_said(&model, &keys);
                }
            }
        }
    }
}

#[test]
fn questions_leave_it_in_sight() {
    for (width, height) in [(80, 24), (60, 15)] {
        for keys in ["3 X", "3 a x", "5 X", "5 R", "3 X ?"] {
            let mut model = unverified(width, height);
            let effects = press(&mut model, keys);
            if let Some(crate::tui::effect::Effect::Select { asked, .. }) = effects.into_iter().next() {
                super::select(&mut model, (*sample::plan()).clone(), asked.purpose);
                assert!(model.dialog.is_some(), "{keys} asks");
            }
            assert_said(&model, keys);
        }
    }
}

#[test]
fn nothing_is_said_where_they_are_checked() {
    assert!(!text(&sample::full(80, 24)).contains("TLS unverified"));
}
