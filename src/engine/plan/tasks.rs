//! The tasks of one destination.

use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;

use super::{OperationCounts, Task};

/// Tasks, counted once as long as they stay as they are: there may be a million of them, and a screen asks with every
/// key.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    list: Vec<Task>,
    counts: OnceLock<OperationCounts>,
}

impl Tasks {
    /// How many of each operation.
    #[must_use]
    pub fn counts(&self) -> OperationCounts {
        *self.counts.get_or_init(|| self.list.iter().map(|task| task.operation).collect())
    }
}

impl Deref for Tasks {
    type Target = Vec<Task>;

    fn deref(&self) -> &Vec<Task> {
        &self.list
    }
}

impl DerefMut for Tasks {
    fn deref_mut(&mut self) -> &mut Vec<Task> {
        self.counts.take();
        &mut self.list
    }
}

impl From<Vec<Task>> for Tasks {
    fn from(list: Vec<Task>) -> Self {
        Self { list, counts: OnceLock::new() }
    }
}

impl FromIterator<Task> for Tasks {
    fn from_iter<I: IntoIterator<Item = Task>>(tasks: I) -> Self {
        Vec::from_iter(tasks).into()
    }
}

impl IntoIterator for Tasks {
    type Item = Task;
    type IntoIter = std::vec::IntoIter<Task>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl<'a> IntoIterator for &'a Tasks {
    type Item = &'a Task;
    type IntoIter = std::slice::Iter<'a, Task>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

impl<'a> IntoIterator for &'a mut Tasks {
    type Item = &'a mut Task;
    type IntoIter = std::slice::IterMut<'a, Task>;

    fn into_iter(self) -> Self::IntoIter {
        self.deref_mut().iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Operation;
    use crate::engine::testing;
    use crate::engine::{Expected, Source};
    use crate::kv::{Mount, SecretPath};

    fn task(operation: Operation, name: &str) -> Task {
        let path = SecretPath::new(&Mount::parse("secret").expect("a mount"), name);
        Task {
            operation,
            origin: path.clone(),
            destination: path,
            insight: Some(testing::insight(1)),
            rule: "identity".into(),
            expected: Expected::Recorded,
            source: Source::Origin,
        }
    }

    #[test]
    fn counts_follow_the_list() {
        let mut tasks = Tasks::from(vec![task(Operation::Add, "a"), task(Operation::Delete, "b")]);
        assert_eq!((tasks.counts().add, tasks.counts().delete), (1, 1));
        tasks.retain(|task| task.operation == Operation::Add);
        assert_eq!((tasks.counts().add, tasks.counts().delete), (1, 0));
        for task in &mut tasks {
            task.operation = Operation::Update;
        }
        assert_eq!((tasks.counts().add, tasks.counts().update), (0, 1));
    }
}
