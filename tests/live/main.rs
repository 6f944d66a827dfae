//! vsync against real OpenBao and Consul, started by the tests themselves. `tests/run` fetches them.

#[path = "../support/mod.rs"]
mod support;

mod consul;
mod servers;
