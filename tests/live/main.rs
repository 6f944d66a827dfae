//! vsync against real OpenBao and Consul, started by the tests themselves. `tests/run` fetches them.

#[path = "../support/mod.rs"]
mod support;

mod clients;
mod consul;
mod servers;
