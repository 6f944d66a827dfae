//! Canaries that earlier cycles left unverified.

use super::Run;
use crate::engine::Engine;
use crate::engine::cycle::lane::Lane;
use crate::engine::report::{Ending, Report, Unverified};

/// How many reports are read at a time.
const PAGE: usize = 20;

impl Run {
    /// Canaries that an earlier cycle wrote and could not verify come first, and so do those of cycles that may not have
    /// come to it: those that were killed, stopped or blocked. While the store does not tell, nothing is begun; reports that
    /// nobody can read are left out.
    pub(super) async fn look_again(&mut self) {
        let mut earlier = Earlier { engine: self.engine.clone(), reports: Vec::new(), more: true };
        for at in 0..self.lanes.len() {
            if !self.lanes[at].has_canaries() {
                continue;
            }
            let result = match unverified(&self.lanes[at], &mut earlier).await {
                Ok(mut again) => {
                    again.retain(|copy| self.engine.origin().filter.admits(&copy.origin));
                    self.lanes[at].look_again(again).await.map_err(|error| error.to_string())
                }
                Err(reason) => Err(reason),
            };
            if let Err(reason) = result {
                let reason = format!(
                    "it cannot be read which canaries earlier cycles left unverified, so nothing is begun until it can: {reason}; see that the state store answers, then try again"
                );
                self.canaries_failed(at, reason);
            }
        }
    }
}

/// What earlier cycles wrote of a lane's canaries, or left to each other, and may not have verified; the latest first.
async fn unverified(lane: &Lane, earlier: &mut Earlier) -> Result<Vec<Unverified>, String> {
    let mut again = Vec::new();
    for number in 0.. {
        let Some(report) = earlier.report(number).await? else { break };
        let part = report.destinations.iter().find(|part| part.destination == lane.destination.name);
        let Some(part) = part.filter(|_| report.undoes.is_none()) else { continue };
        // stopped while it looked what was left, it knows nothing
        let was_cut_off = matches!(report.ending, Ending::Cancelled | Ending::TimedOut);
        if was_cut_off && part.planned.total() == 0 && part.unverified.is_empty() {
            continue;
        }
        let is_unfinished = report.ending == Ending::Unfinished;
        if !is_unfinished && part.is_past_its_canaries() {
            break;
        }
        let knows = part.knows_its_canaries();
        if knows || is_unfinished {
            again.extend(lane.canaries_of(report.cycle).await.map_err(|error| error.to_string())?);
        }
        again.extend(part.unverified.iter().cloned());
        if knows {
            break;
        }
    }
    Ok(again)
}

/// The reports of earlier cycles, newest first, read as far as somebody wants to know them.
struct Earlier {
    engine: Engine,
    reports: Vec<Report>,
    more: bool,
}

impl Earlier {
    async fn report(&mut self, number: usize) -> Result<Option<&Report>, String> {
        if number >= self.reports.len() && self.more {
            let oldest = self.reports.last().map(|report| report.cycle);
            let read = self.engine.history_before(oldest, PAGE).await.map_err(|error| error.to_string());
            let (page, more) = read?;
            // a page of which nothing can be read leads no further
            self.more = more && !page.is_empty();
            self.reports.extend(page);
        }
        Ok(self.reports.get(number))
    }
}
