//! The configuration: one file, under environment variables, under flags, with the place each value came from.
//!
//! ```text
//! vsync.toml ─ format ─▶ tree of values with places ◀─ VSYNC_… ◀─ --set
//!                            │ check: every key against its table (schema), all that is wrong at once
//!                            │ defaults: what nobody set
//!                            ▼
//!                  Config (model) ─ validate: what only the whole can tell
//! ```
//!
//! The way back is short: `edit` writes rules into the file, and nothing else.

mod check;
mod defaults;
mod deletes;
mod document;
mod edit;
mod error;
mod exposure;
mod format;
mod layer;
mod legacy;
mod load;
mod model;
mod schema;
mod show;
mod validate;
mod ways_in;

pub use check::parse_duration;
pub use document::{Place, SourceFile};
pub use edit::{ChangedLine, EditedRule, RulesChange, RulesError, RulesFile};
pub use error::{ConfigError, Problem};
pub use exposure::ExposedFile;
pub use load::{Loaded, Purpose, Sources, load};
pub use model::{
    AppRole, Cert, Config, Consul, Destination, Guards, Health, Jwt, Kubernetes, Log, LogFormat, Origin, Password,
    Sensitive, StateFile, Transform, Vault,
};
pub use show::Setting;
