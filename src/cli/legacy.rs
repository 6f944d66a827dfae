//! The flags of vsync v0.3, which are named like keys of its configuration.

use clap::Args;

/// Each sets the key it is named after. They are not in the help: `--set` does what all of them do.
#[derive(Debug, Clone, Default, Args)]
pub struct LegacyFlags {
    #[arg(long = "log.level", global = true, hide = true, value_name = "LEVEL")]
    log_level_key: Option<String>,
    #[arg(long = "log.type", global = true, hide = true, value_name = "TYPE")]
    log_type: Option<String>,
    #[command(flatten)]
    origin: OriginFlags,
    #[command(flatten)]
    destination: DestinationFlags,
}

macro_rules! side_flags {
    ($name:ident, $side:literal, $($field:ident: $flag:literal $(| $alias:literal)? => $key:literal,)*) => {
        #[derive(Debug, Clone, Default, Args)]
        #[expect(clippy::struct_field_names, reason = "clap tells the flags of the two sides apart by these names")]
        struct $name {
            $(
                #[arg(
                    long = concat!($side, ".", $flag),
                    $(alias = concat!($side, ".", $alias),)?
                    global = true,
                    hide = true,
                    value_name = "VALUE"
                )]
                $field: Option<String>,
            )*
        }

        impl $name {
            fn settings(&self) -> impl Iterator<Item = (&'static str, &str)> {
                [$((concat!($side, ".", $key), self.$field.as_deref()),)*]
                    .into_iter()
                    .filter_map(|(key, value)| Some((key, value?)))
            }
        }
    };
}

side_flags!(
    OriginFlags, "origin",
    origin_consul_dc: "consul.dc" => "consul.dc",
    origin_consul_address: "consul.address" => "consul.address",
    origin_vault_address: "vault.address" => "vault.address",
    origin_vault_token: "vault.token" => "vault.token",
    origin_role_id: "vault.role_id" | "vault.approle.role_id" => "vault.approle.role_id",
    origin_secret_id: "vault.secret_id" | "vault.approle.secret_id" => "vault.approle.secret_id",
    origin_approle_path: "vault.approle.path" => "vault.approle.path",
    origin_sync_path: "syncPath" => "sync_path",
    origin_num_workers: "numWorkers" => "num_workers",
    origin_tick: "tick" => "tick",
    origin_timeout: "timeout" => "timeout",
    origin_renew_token: "renewToken" => "renew_token",
);

side_flags!(
    DestinationFlags, "destination",
    destination_consul_dc: "consul.dc" => "consul.dc",
    destination_consul_address: "consul.address" => "consul.address",
    destination_vault_address: "vault.address" => "vault.address",
    destination_vault_token: "vault.token" => "vault.token",
    destination_role_id: "vault.role_id" | "vault.approle.role_id" => "vault.approle.role_id",
    destination_secret_id: "vault.secret_id" | "vault.approle.secret_id" => "vault.approle.secret_id",
    destination_approle_path: "vault.approle.path" => "vault.approle.path",
    destination_sync_path: "syncPath" => "sync_path",
    destination_num_workers: "numWorkers" => "num_workers",
    destination_tick: "tick" => "tick",
    destination_timeout: "timeout" => "timeout",
    destination_renew_token: "renewToken" => "renew_token",
);

impl LegacyFlags {
    /// The same as `--set` takes it. An empty value is v0.3's default and sets nothing.
    pub(super) fn settings(&self) -> Vec<String> {
        let log = [("log.level", self.log_level_key.as_deref()), ("log.type", self.log_type.as_deref())];
        let log = log.into_iter().filter_map(|(key, value)| Some((key, value?)));
        log.chain(self.origin.settings())
            .chain(self.destination.settings())
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| format!("{key}={value}"))
            .collect()
    }
}
