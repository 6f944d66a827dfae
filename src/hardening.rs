//! What keeps this process's memory, which holds tokens and for moments secrets, from leaving it.
//!
//! Pages are not locked: they may reach a swap device, which has to be encrypted or absent where that matters.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Forbids core dumps, and other processes of the same user to look into this one's memory. Called before anything secret
/// is read.
///
/// A system that refuses, or that has no such thing, goes on as it is: neither is ever worse than not having asked.
pub fn begin() {
    // the hard limit, too: nothing that this process starts can raise it again
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        // also where core_pattern pipes into a program, which no limit keeps from being started
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}
