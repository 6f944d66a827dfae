//! Real servers for tests. Each test starts its own on free loopback ports; they end when their value is dropped, when
//! the test panics, and when the test process is killed.
#![allow(dead_code, unused_imports, unreachable_pub, reason = "each test program uses a part of it")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test whose servers do not work has failed")]

mod api;
mod audit;
mod background;
mod bao;
pub mod canary;
mod consul;
mod least;
mod process;
mod proxy;
mod vsync;

pub use api::RootClient;
pub use audit::{Audit, AuditEntry};
pub use background::Background;
pub use bao::{BaoOptions, BaoServer, Tls};
pub use canary::canary;
pub use consul::{ConsulOptions, ConsulServer};
pub use least::token_with;
pub use process::free_port;
pub use proxy::{Exchange, Fault, FaultProxy, FaultRule, When, most_at_once, scrambled};
pub use vsync::{Run, Running, Vsync};
