//! vsync.
pub mod cli;
pub mod config;
pub mod connect;
pub mod consul;
#[cfg(feature = "demo")]
pub mod demo;
pub mod engine;
pub mod exit;
pub mod http;
pub mod kv;
pub mod logging;
pub mod state;
pub mod sync_info;
pub mod text;
pub mod tui;
pub mod vault;
