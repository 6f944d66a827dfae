//! How the program ends.

use std::process::ExitCode;

/// What the program's exit code says. The numbers are part of vsync's interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done; for `plan`: nothing to do; for `verify`: no drift.
    Done = 0,
    /// Could not do it; nothing or only part was done, the report says what.
    Failed = 1,
    /// `plan`: changes are pending; `verify`: drift was found.
    Pending = 2,
    /// The cycle finished and some secrets failed.
    SecretsFailed = 3,
    /// A guard stopped it before the first write, or no line of a saved plan holds any more.
    Guarded = 4,
    /// Another cycle holds this destination's lock.
    Locked = 5,
    /// Wrong usage.
    Usage = 64,
    /// Interrupted; state is saved.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
