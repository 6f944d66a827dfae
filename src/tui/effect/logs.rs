//! Reading this run's log.

use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::Worker;
use crate::logging::LogTail;
use crate::tui::message::Message;
use crate::tui::screen::logs::News;

/// Between two looks at the log: however much is logged, it must not keep the console busy.
const PACE: Duration = Duration::from_millis(100);

/// Work for Logs.
#[derive(Debug, Clone, Copy)]
pub(in crate::tui) enum Request {
    /// From now on, keep what has this level or is worse.
    Keep(LevelFilter),
}

impl Worker {
    pub(super) fn logs(&mut self, request: Request) {
        let Request::Keep(level) = request;
        if let Some(log) = &self.log {
            log.keep(level);
        }
    }

    /// Sends on what is logged, as it comes; sleeps while nothing is.
    pub(in crate::tui) fn follow_log(&mut self, log: LogTail) {
        self.log = Some(log.clone());
        let messages = self.messages.clone();
        tokio::spawn(async move {
            let mut seen = 0;
            loop {
                log.changed(seen).await;
                let records = log.after(seen);
                seen = records.last().map_or(seen, |record| record.number);
                if messages.send(Message::Logs(News::Logged(records))).is_err() {
                    return;
                }
                tokio::time::sleep(PACE).await;
            }
        });
    }
}
