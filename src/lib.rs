//! vsync.
pub mod config;
pub mod consul;
#[cfg(feature = "demo")]
pub mod demo;
pub mod engine;
pub mod http;
pub mod kv;
pub mod state;
pub mod sync_info;
pub mod text;
pub mod vault;
