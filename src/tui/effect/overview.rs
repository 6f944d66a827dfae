//! Work for Overview: who is at work.

use tokio::sync::mpsc::UnboundedSender;

use crate::engine::{Engine, Side};
use crate::state::LockTaken;
use crate::text::sanitize;
use crate::tui::message::Message;
use crate::tui::screen::overview::{Held, News, Seen};

/// Asks a side's store who has its locks.
pub(super) async fn look_for_holders(engine: Engine, side: Side, messages: UnboundedSender<Message>) {
    let held = engine.holders(&side).await.map_err(|error| error.to_string());
    let seen = |taken: Option<LockTaken>| taken.map(|taken| seen(&engine, &taken));
    let held = held.map(|held| Held { cycle: seen(held.cycle), daemon: seen(held.daemon) });
    let _ = messages.send(Message::Overview(News::Held(side, held)));
}

fn seen(engine: &Engine, taken: &LockTaken) -> Seen {
    match taken.holder() {
        Some(holder) => {
            let (operator, host, purpose) =
                (sanitize(&holder.operator), sanitize(&holder.host), sanitize(&holder.purpose));
            Seen {
                who: format!("{operator}@{host}"),
                what: format!("{purpose}, process {}", holder.pid),
                since: Some(holder.since),
                own: engine.is_own(holder),
            }
        }
        None => {
            Seen { who: "somebody".to_owned(), what: "whose name cannot be read".to_owned(), since: None, own: false }
        }
    }
}
