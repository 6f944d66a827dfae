//! vsync against real OpenBao and Consul, started by the tests themselves. `tests/run` fetches them.
#![allow(clippy::expect_used, reason = "a test that cannot prepare has failed")]

#[path = "../support/mod.rs"]
mod support;
#[path = "../console/terminal.rs"]
#[expect(dead_code, reason = "the tests of the console use all of it")]
mod terminal;

use support::canary;

mod auth;
mod canaries;
mod canary_again;
mod clients;
mod commands;
mod console;
mod consul;
mod daemon;
mod deletes;
mod drift;
mod engine;
mod failover;
mod fan_out;
mod faults;
mod fidelity;
mod history;
mod hostile;
mod ignored;
mod inspect;
mod kills;
mod kv1;
mod limits;
mod locks;
mod lost;
mod mounts;
mod names;
mod operators;
mod patience;
mod plans;
mod policy;
mod promises;
mod recovery;
mod rights;
mod secrecy;
mod servers;
mod sides;
mod soak;
mod sync;
mod trial;
mod trouble;
mod trust;
mod undo;
mod verify;
mod windows;
