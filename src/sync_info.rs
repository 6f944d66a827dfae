//! What one side holds, as vsync remembers it: path → [`Insight`], spread over buckets whose checksums form the index.
//!
//! Two sides are compared by their indexes first: buckets with equal sums hold equal entries and are not loaded.
//! The bytes and sums are those of vsync v0.3, so that either program can take over from the other.

mod codec;
mod insight;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

pub use codec::{CodecError, Index, Sum, bucket_of, decode_bucket, encode_bucket};
pub use insight::{EngineKind, Insight, UpdateTime};

use crate::kv::SecretPath;

/// The entries of one bucket, in the order of their paths' bytes.
pub type Bucket = BTreeMap<SecretPath, Insight>;

/// The number of buckets when neither the configuration nor stored state says otherwise; v0.3's default.
pub const DEFAULT_BUCKETS: usize = 19;

/// Path → insight for one side. The path is the *origin's* on both sides, and so is the insight: that is what makes
/// the two comparable. Clones share their buckets until one of them is changed.
#[derive(Debug, Clone)]
pub struct SyncInfo {
    buckets: Vec<Arc<Bucket>>,
    /// The buckets' checksums, as far as they were asked for since the bucket changed.
    sums: Vec<OnceLock<Sum>>,
}

impl SyncInfo {
    /// Empty, with `count` buckets (at least one).
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self::from_buckets(vec![Arc::default(); count.max(1)])
    }

    /// Takes over buckets that were loaded; each entry must lie in its own bucket.
    #[must_use]
    pub fn from_buckets(buckets: Vec<Arc<Bucket>>) -> Self {
        debug_assert!(!buckets.is_empty());
        let sums = vec![OnceLock::new(); buckets.len()];
        Self { buckets, sums }
    }

    /// Takes over buckets that were loaded, with their checksums as far as they are known.
    #[must_use]
    pub fn from_summed_buckets(buckets: impl IntoIterator<Item = (Arc<Bucket>, Option<Sum>)>) -> Self {
        let (buckets, sums) =
            buckets.into_iter().map(|(bucket, sum)| (bucket, sum.map_or_else(OnceLock::new, OnceLock::from))).unzip();
        Self { buckets, sums }
    }

    /// The buckets in order.
    #[must_use]
    pub fn buckets(&self) -> &[Arc<Bucket>] {
        &self.buckets
    }

    /// The number of secrets in all buckets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.len()).sum()
    }

    /// Whether no bucket has an entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buckets.iter().all(|bucket| bucket.is_empty())
    }

    /// The bucket this path belongs to.
    #[must_use]
    pub fn bucket_of(&self, path: &SecretPath) -> usize {
        bucket_of(path.data_path(), self.buckets.len())
    }

    /// What is recorded of this path.
    #[must_use]
    pub fn get(&self, path: &SecretPath) -> Option<&Insight> {
        self.buckets[self.bucket_of(path)].get(path)
    }

    /// This path as it is kept here, if it is: equal paths then share one text in memory.
    #[must_use]
    pub fn shared(&self, path: SecretPath) -> SecretPath {
        let at = self.bucket_of(&path);
        self.buckets[at].get_key_value(&path).map_or(path, |(kept, _)| kept.clone())
    }

    /// Records a secret; returns the bucket that changed.
    pub fn insert(&mut self, path: SecretPath, insight: Insight) -> usize {
        let at = self.bucket_of(&path);
        Arc::make_mut(&mut self.buckets[at]).insert(path, insight);
        self.sums[at].take();
        at
    }

    /// Forgets a secret; returns the bucket it belonged to.
    pub fn remove(&mut self, path: &SecretPath) -> usize {
        let at = self.bucket_of(path);
        if self.buckets[at].contains_key(path) {
            Arc::make_mut(&mut self.buckets[at]).remove(path);
            self.sums[at].take();
        }
        at
    }

    /// All entries, bucket by bucket.
    pub fn iter(&self) -> impl Iterator<Item = (&SecretPath, &Insight)> {
        self.buckets.iter().flat_map(|bucket| bucket.iter())
    }

    /// The checksum of one bucket; computed only once while the bucket stays as it is.
    #[must_use]
    pub fn sum(&self, at: usize) -> Sum {
        *self.sums[at].get_or_init(|| Sum::of(&self.buckets[at]))
    }

    /// The checksums of all buckets.
    #[must_use]
    pub fn index(&self) -> Index {
        Index::new((0..self.buckets.len()).map(|at| self.sum(at)).collect())
    }

    /// The same entries spread over `count` buckets.
    #[must_use]
    pub fn with_buckets(&self, count: usize) -> Self {
        if count == self.buckets.len() {
            return self.clone();
        }
        let mut buckets = vec![Bucket::new(); count.max(1)];
        for (path, insight) in self.iter() {
            buckets[bucket_of(path.data_path(), count.max(1))].insert(path.clone(), *insight);
        }
        Self::from_buckets(buckets.into_iter().map(Arc::new).collect())
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::Mount;

    #[test]
    fn sums_follow_what_changes() {
        let mount = Mount::parse("kv").expect("a mount");
        let insight = |version| Insight {
            version,
            update_time: "2026-11-23T19:23:48Z".parse().expect("a time"),
            kind: EngineKind::KvV2,
        };
        let mut info = SyncInfo::new(3);
        let empty = info.index();
        let path = SecretPath::new(&mount, "a");
        let at = info.insert(path.clone(), insight(1));
        let first = info.index();
        let copy = info.clone();
        info.insert(path.clone(), insight(2));
        assert_ne!(info.sum(at), first.sums()[at]);
        assert_eq!(copy.index(), first, "a clone keeps what it has");
        info.insert(path.clone(), insight(1));
        assert_eq!(info.index(), first);
        info.remove(&path);
        assert_eq!(info.index(), empty);
        assert_eq!(copy.with_buckets(7).with_buckets(3).index(), first);
    }
}
