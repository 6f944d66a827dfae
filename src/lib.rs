//! vsync.
pub mod config;
pub mod consul;
pub mod engine;
pub mod http;
pub mod kv;
pub mod state;
pub mod sync_info;
pub mod text;
pub mod vault;
