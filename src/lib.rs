//! vsync copies KV v2 secrets from one Vault (HashiCorp Vault or OpenBao) to many others, in parallel, comparing by
//! metadata alone. The binary is thin; everything it does is here.
//!
//! Read from the bottom up, each module uses what stands below it and nothing above (`tests/layers.rs` sees to it):
//!
//! ```text
//!   cli, tui, demo           what a person or a script sees
//!   daemon                   the loop of the daemons, their health endpoint
//!   connect                  from a configuration to clients, stores and the engine
//!   config, logging          file < environment < flags; the rotating log
//!   export                   reports as files for others: JSON, CSV, HTML
//!   engine                   inventory · transform · plan · guard · cycle · worker · report
//!   state                    sync info and reports, in Consul or an embedded store
//!   vault, consul            thin API clients: requests, typed answers, typed errors
//!   http                     TLS, timeouts, retry, rate limit, in one place
//!   kv, sync_info, text      the words everybody uses
//!   files                    files that an operator names
//!   hardening                what keeps the process's memory to itself
//! ```
//!
//! A secret goes **inventory → plan → cycle → report**; [`engine`] shows it as a picture. A retry is a new plan made of the
//! failures that still stand.

pub mod cli;
pub mod config;
pub mod connect;
pub mod consul;
pub mod daemon;
#[cfg(feature = "demo")]
pub mod demo;
pub mod engine;
pub mod exit;
pub mod export;
pub mod files;
pub mod hardening;
pub mod http;
pub mod kv;
pub mod logging;
pub mod state;
pub mod sync_info;
pub mod text;
pub mod tui;
pub mod vault;
