//! The tasks of one destination that no worker holds.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use jiff::Timestamp;

use super::{Reads, lock};
use crate::engine::plan::Task;
use crate::kv::SecretPath;

/// How often a task is tried while its server answers others.
const TRIES: u8 = 2;

#[derive(Debug)]
pub(in crate::engine) struct Queue(Mutex<Tasks>);

#[derive(Debug)]
struct Tasks {
    waiting: VecDeque<Task>,
    /// What is known of tasks that were put back, by their destination path.
    again: HashMap<SecretPath, Again>,
}

/// What an earlier try has left.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Again {
    /// How often it failed while the server answered.
    tries: u8,
    /// A write may have been carried out.
    pub(super) doubtful: bool,
    /// When the secret that was to be taken away had been made at the destination.
    made: Option<Timestamp>,
}

impl Queue {
    pub(in crate::engine) fn new(tasks: Vec<Task>) -> Self {
        Self(Mutex::new(Tasks { waiting: tasks.into(), again: HashMap::new() }))
    }

    pub(in crate::engine) fn len(&self) -> usize {
        lock(&self.0).waiting.len()
    }

    /// All that wait, which do not wait any longer.
    pub(in crate::engine) fn drain(&self) -> Vec<Task> {
        std::mem::take(&mut lock(&self.0).waiting).into()
    }

    /// More to do.
    pub(in crate::engine) fn fill(&self, tasks: Vec<Task>) {
        lock(&self.0).waiting.extend(tasks);
    }

    /// Whether a write of a task that waits again may have been carried out.
    pub(in crate::engine) fn is_doubtful(&self) -> bool {
        lock(&self.0).again.values().any(|again| again.doubtful)
    }

    /// Lets somebody see all that wait.
    pub(in crate::engine) fn each(&self, see: impl FnMut(&Task)) {
        lock(&self.0).waiting.iter().for_each(see);
    }

    /// Lets somebody see those that wait of which no earlier try may have been carried out.
    pub(in crate::engine) fn each_undoubted(&self, see: impl FnMut(&Task)) {
        let tasks = lock(&self.0);
        let is_doubtful = |task: &Task| tasks.again.get(&task.destination).is_some_and(|again| again.doubtful);
        tasks.waiting.iter().filter(|task| !is_doubtful(task)).for_each(see);
    }

    /// Tells the shared reads of all that wait.
    pub(in crate::engine) fn claim(&self, reads: &Reads) {
        reads.expect(lock(&self.0).waiting.iter());
    }

    pub(super) fn take(&self) -> Option<(Task, Again)> {
        let mut tasks = lock(&self.0);
        let task = tasks.waiting.pop_front()?;
        let again = tasks.again.get(&task.destination).copied().unwrap_or_default();
        Some((task, again))
    }

    /// It was not begun, or nobody waits for what comes of it.
    pub(super) fn give_back(&self, task: Task) {
        lock(&self.0).waiting.push_front(task);
    }

    /// It, or part of it, may have been carried out.
    pub(super) fn mark_doubtful(&self, task: &Task) {
        lock(&self.0).again.entry(task.destination.clone()).or_default().doubtful = true;
    }

    /// Which secret is to be taken away: one that is made later at the same path is another. Returns whether it is
    /// another than an earlier try has met.
    pub(super) fn is_another(&self, task: &Task, made: Timestamp) -> bool {
        let mut tasks = lock(&self.0);
        let again = tasks.again.entry(task.destination.clone()).or_default();
        *again.made.get_or_insert(made) != made
    }

    /// It is over, well or not.
    pub(super) fn ended(&self, task: &Task) {
        lock(&self.0).again.remove(&task.destination);
    }

    /// Puts a task behind the others because its server did not answer; `None` if it is not to be tried again. `counts`:
    /// the server answers others.
    pub(super) fn put_back(&self, task: Task, counts: bool, doubtful: bool) -> Option<Task> {
        let mut tasks = lock(&self.0);
        let again = tasks.again.entry(task.destination.clone()).or_default();
        again.tries += u8::from(counts);
        again.doubtful |= doubtful;
        if again.tries >= TRIES {
            return Some(task);
        }
        tasks.waiting.push_back(task);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::task;

    #[test]
    fn only_tries_while_the_server_answered_others_count() {
        let queue = Queue::new(vec![task("a"), task("b")]);
        let (first, _) = queue.take().expect("a task");
        assert!(queue.put_back(first, false, true).is_none());
        let (second, again) = queue.take().expect("a task");
        assert_eq!((second.origin.name(), again.doubtful), ("b", false), "what was put back comes last");
        queue.ended(&second);
        for counts in [false, true] {
            let (task, again) = queue.take().expect("a task");
            assert!(again.doubtful, "what may have been written stays so");
            assert!(queue.put_back(task, counts, false).is_none());
        }
        assert!(queue.is_doubtful());
        queue.fill(vec![task("c")]);
        let mut undoubted = Vec::new();
        queue.each_undoubted(|task| undoubted.push(task.origin.name().to_owned()));
        assert_eq!(undoubted, ["c"]);
        let (task, _) = queue.take().expect("a task");
        let given_up = queue.put_back(task, true, false).expect("the second try that counts");
        queue.ended(&given_up);
        assert!(!queue.is_doubtful() && queue.len() == 1);
    }
}
