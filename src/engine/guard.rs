//! What stops a cycle before its first write.

use std::fmt;
use std::str::FromStr;

/// How many deletes are too many.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxDelete {
    /// More than this many.
    Count(u64),
    /// More than this share of the secrets recorded at the destination, in percent.
    Percent(f64),
}

impl Default for MaxDelete {
    /// 10 %.
    fn default() -> Self {
        Self::Percent(10.0)
    }
}

/// Neither a count nor a percentage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is neither a count (25) nor a percentage from 0% to 100% (5%)")]
pub struct MaxDeleteError(String);

impl FromStr for MaxDelete {
    type Err = MaxDeleteError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || MaxDeleteError(text.to_owned());
        if let Some(number) = text.trim().strip_suffix('%') {
            let percent: f64 = number.trim().parse().map_err(|_| refused())?;
            if (0.0..=100.0).contains(&percent) { Ok(Self::Percent(percent)) } else { Err(refused()) }
        } else {
            text.trim().parse().map(Self::Count).map_err(|_| refused())
        }
    }
}

impl fmt::Display for MaxDelete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}
