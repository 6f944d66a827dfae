//! Every key there is, with its type: one row each. Files, environment and flags are all read against these tables.

/// What a key takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Any text.
    Text,
    /// A text that is never shown.
    Secret,
    /// `true` or `false`.
    Bool,
    /// A whole number, at least and at most this.
    Count(u64, u64),
    /// `10s`, `1m30s`.
    Duration,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A count or a percentage.
    MaxDelete,
    /// A list of texts.
    Texts,
    /// A section with these keys.
    Table(&'static [Key]),
    /// A list of sections with these keys.
    Tables(&'static [Key]),
}

/// More than anybody means.
const MANY: u64 = 1_000_000;

/// A key of a section.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// How vsync v0.3 spells it, where that differs.
    pub(super) legacy: Option<&'static str>,
    pub(super) kind: Kind,
    /// The value when nobody sets it, as a flag would give it. A section without one is not there unless somebody
    /// writes it.
    pub(super) default: Option<&'static str>,
    /// Whether its section cannot do without.
    pub(super) required: bool,
}

impl Key {
    const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, legacy: None, kind, default: None, required: false }
    }

    const fn legacy(mut self, name: &'static str) -> Self {
        self.legacy = Some(name);
        self
    }

    const fn default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self
    }

    const fn required(mut self) -> Self {
        self.required = true;
        self
    }
}

/// How much of a secret is copied.
const FIDELITY: Kind = Kind::Choice(&["value", "metadata", "history"]);

/// The whole file.
pub(super) const ROOT: &[Key] = &[
    Key::new("name", Kind::Text).default("vsync"),
    // two bytes of a checksum tell the bucket: further ones would stay empty
    Key::new("num_buckets", Kind::Count(1, 65_536)).legacy("numBuckets"),
    Key::new("ignore_deletes", Kind::Bool).legacy("ignoreDeletes"),
    Key::new("on_delete", Kind::Choice(ON_DELETE)),
    Key::new("canary", Kind::Texts),
    Key::new("fidelity", FIDELITY).default("value"),
    Key::new("log", Kind::Table(LOG)).default("{}"),
    Key::new("state", Kind::Table(STATE)).default("{}"),
    Key::new("health", Kind::Table(HEALTH)),
    Key::new("origin", Kind::Table(ORIGIN)).required(),
    Key::new("destinations", Kind::Tables(DESTINATION)),
    // v0.3's single destination; it becomes the one entry of `destinations`
    Key::new("destination", Kind::Table(DESTINATION)),
];

const LOG: &[Key] = &[
    // the second half is v0.3's
    Key::new("level", Kind::Choice(&["trace", "debug", "info", "warn", "error", "off", "fatal", "panic", "disabled"]))
        .default("info"),
    Key::new("type", Kind::Choice(&["console", "json"])).default("console"),
    Key::new("file", Kind::Text),
];

const STATE: &[Key] = &[Key::new("file", Kind::Text)];

const HEALTH: &[Key] = &[Key::new("address", Kind::Text).required()];

const ORIGIN: &[Key] = &[
    Key::new("vault", Kind::Table(VAULT)).required(),
    Key::new("consul", Kind::Table(CONSUL)),
    Key::new("mounts", Kind::Texts).required(),
    Key::new("sync_path", Kind::Text).legacy("syncPath").default("vsync/"),
    Key::new("num_workers", Kind::Count(1, MANY)).legacy("numWorkers").default("16"),
    Key::new("tick", Kind::Duration),
    Key::new("timeout", Kind::Duration),
    Key::new("patience", Kind::Duration),
    Key::new("renew_token", Kind::Bool).legacy("renewToken"),
    Key::new("include", Kind::Texts),
    Key::new("exclude", Kind::Texts),
    Key::new("listing", Kind::Choice(&["auto", "scan", "detailed", "plain"])).default("auto"),
    // without a default: it is found out
    Key::new("kv_version", Kind::Count(1, 2)),
    Key::new("v1_mounts", Kind::Texts),
];

/// One destination.
pub(super) const DESTINATION: &[Key] = &[
    Key::new("name", Kind::Text),
    Key::new("vault", Kind::Table(VAULT)).required(),
    Key::new("consul", Kind::Table(CONSUL)),
    Key::new("mounts", Kind::Texts),
    Key::new("sync_path", Kind::Text).legacy("syncPath"),
    Key::new("num_workers", Kind::Count(1, MANY)).legacy("numWorkers").default("16"),
    Key::new("tick", Kind::Duration),
    Key::new("timeout", Kind::Duration),
    Key::new("patience", Kind::Duration),
    Key::new("wave", Kind::Count(1, 1_000)).default("1"),
    Key::new("canary", Kind::Texts),
    Key::new("renew_token", Kind::Bool).legacy("renewToken"),
    Key::new("transforms", Kind::Tables(TRANSFORM)),
    Key::new("include", Kind::Texts),
    Key::new("exclude", Kind::Texts),
    Key::new("ignore_deletes", Kind::Bool).legacy("ignoreDeletes"),
    Key::new("on_delete", Kind::Choice(ON_DELETE)),
    Key::new("create_mounts", Kind::Bool).default("false"),
    Key::new("production", Kind::Bool).default("false"),
    Key::new("on_drift", Kind::Choice(&["report", "overwrite", "keep"])).default("report"),
    Key::new("on_existing", Kind::Choice(&["report", "adopt", "overwrite"])).default("report"),
    Key::new("fidelity", FIDELITY),
    Key::new("guards", Kind::Table(GUARDS)).default("{}"),
];

const TRANSFORM: &[Key] = &[
    Key::new("name", Kind::Text).required(),
    Key::new("from", Kind::Text).required(),
    Key::new("to", Kind::Text).required(),
];

const ON_DELETE: &[&str] = &["soft", "destroy", "purge", "ignore"];

const GUARDS: &[Key] =
    &[Key::new("max_delete", Kind::MaxDelete).default("10%"), Key::new("max_purge", Kind::MaxDelete).default("0")];

const VAULT: &[Key] = &[
    Key::new("address", Kind::Text).required(),
    Key::new("standby_addresses", Kind::Texts),
    Key::new("token", Kind::Secret),
    Key::new("token_file", Kind::Text),
    Key::new("token_helper", Kind::Text),
    Key::new("namespace", Kind::Text),
    Key::new("approle", Kind::Table(APPROLE)),
    Key::new("kubernetes", Kind::Table(KUBERNETES)),
    Key::new("jwt", Kind::Table(JWT)),
    Key::new("userpass", Kind::Table(USERPASS)),
    Key::new("ldap", Kind::Table(LDAP)),
    Key::new("cert", Kind::Table(CERT)),
    Key::new("ca_cert", Kind::Text),
    Key::new("client_cert", Kind::Text),
    Key::new("client_key", Kind::Text),
    Key::new("tls_server_name", Kind::Text),
    Key::new("tls_skip_verify", Kind::Bool).default("false"),
    Key::new("timeout", Kind::Duration).default("60s"),
    Key::new("connect_timeout", Kind::Duration).default("5s"),
    Key::new("max_retries", Kind::Count(0, MANY)).default("6"),
    Key::new("requests_per_second", Kind::Count(1, MANY)),
];

const APPROLE: &[Key] = &[
    Key::new("path", Kind::Text).default("approle"),
    Key::new("role_id", Kind::Text).required(),
    Key::new("secret_id", Kind::Secret),
    Key::new("secret_id_file", Kind::Text),
    Key::new("secret_id_env", Kind::Text),
    Key::new("secret_id_wrapped", Kind::Bool).default("false"),
];

const KUBERNETES: &[Key] = &[
    Key::new("path", Kind::Text).default("kubernetes"),
    Key::new("role", Kind::Text).required(),
    Key::new("jwt_file", Kind::Text).default("/var/run/secrets/kubernetes.io/serviceaccount/token"),
];

const JWT: &[Key] = &[
    Key::new("path", Kind::Text).default("jwt"),
    Key::new("role", Kind::Text),
    Key::new("jwt", Kind::Secret),
    Key::new("jwt_file", Kind::Text),
    Key::new("jwt_env", Kind::Text),
];

const USERPASS: &[Key] = &[
    Key::new("path", Kind::Text).default("userpass"),
    Key::new("username", Kind::Text).required(),
    Key::new("password", Kind::Secret),
    Key::new("password_file", Kind::Text),
    Key::new("password_env", Kind::Text),
];

const LDAP: &[Key] = &[
    Key::new("path", Kind::Text).default("ldap"),
    Key::new("username", Kind::Text).required(),
    Key::new("password", Kind::Secret),
    Key::new("password_file", Kind::Text),
    Key::new("password_env", Kind::Text),
];

const CERT: &[Key] = &[Key::new("path", Kind::Text).default("cert"), Key::new("name", Kind::Text)];

const CONSUL: &[Key] = &[
    Key::new("address", Kind::Text).default("http://127.0.0.1:8500"),
    Key::new("dc", Kind::Text),
    Key::new("token", Kind::Secret),
    Key::new("token_file", Kind::Text),
    Key::new("ca_cert", Kind::Text),
    Key::new("client_cert", Kind::Text),
    Key::new("client_key", Kind::Text),
    Key::new("tls_server_name", Kind::Text),
    Key::new("tls_skip_verify", Kind::Bool).default("false"),
    Key::new("timeout", Kind::Duration).default("60s"),
    Key::new("connect_timeout", Kind::Duration).default("5s"),
    Key::new("max_retries", Kind::Count(0, MANY)).default("6"),
    Key::new("requests_per_second", Kind::Count(1, MANY)),
];

/// The key of this name, in either spelling. v0.3 does not tell capitals from small letters, so neither does this.
pub(super) fn find<'a>(keys: &'a [Key], name: &str) -> Option<&'a Key> {
    keys.iter().find(|key| [Some(key.name), key.legacy].into_iter().flatten().any(|own| own.eq_ignore_ascii_case(name)))
}

/// Every key that holds a value rather than a section, with the path that leads to it.
pub(super) fn leaves(keys: &'static [Key]) -> Vec<(Vec<&'static Key>, &'static Key)> {
    fn walk(keys: &'static [Key], above: &mut Vec<&'static Key>, found: &mut Vec<(Vec<&'static Key>, &'static Key)>) {
        for key in keys {
            if let Kind::Table(inner) = key.kind {
                above.push(key);
                walk(inner, above, found);
                above.pop();
            } else {
                found.push((above.clone(), key));
            }
        }
    }
    let mut found = Vec::new();
    walk(keys, &mut Vec::new(), &mut found);
    found
}
