//! Two thousand secrets of a company that does not exist. The same ones in every demo, with ages counted from now.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::mount::{Entry, Mount};

/// How many secrets there are, deleted ones included.
pub(super) const SECRETS: usize = 2_000;

const SEED: u64 = 0x7673_796e_6300;
const DAY: i64 = 86_400;

const ENVIRONMENTS: [&str; 4] = ["dev", "test", "stage", "prod"];

const TEAMS: [(&str, &[&str]); 12] = [
    ("billing", &["dunning", "invoices", "ledger", "payouts", "pricing", "subscriptions", "tax", "usage-metering"]),
    ("checkout", &["cart", "discounts", "express", "fraud-check", "order-intake", "orders", "storefront", "wallet"]),
    ("data", &["airflow", "clickhouse", "dbt", "events", "exports", "kafka-connect", "lakehouse", "reports", "spark"]),
    ("fulfilment", &["carriers", "labels", "picking", "returns", "stock", "tracking", "warehouse-gateway"]),
    ("growth", &["campaigns", "crm", "experiments", "mailings", "push", "referrals", "segments"]),
    (
        "identity",
        &["accounts", "consent", "directory", "login", "mfa", "oidc", "passkeys", "sessions", "support-access"],
    ),
    ("machine-learning", &["features", "forecast", "model-registry", "ranking", "recommendations", "training"]),
    ("mobile", &["android", "api-gateway", "ios", "notifications", "remote-config", "tablet"]),
    ("observability", &["alerting", "dashboards", "logs", "metrics", "status-page", "traces", "uptime"]),
    ("partners", &["catalogue", "edi", "feeds", "marketplace", "onboarding", "sftp", "webhooks"]),
    ("platform", &["artifacts", "backup", "ci", "dns", "ingress", "registry", "runners", "service-mesh", "terraform"]),
    ("search", &["autocomplete", "crawler", "index", "query", "spelling", "synonyms", "vectors"]),
];

const ITEMS: [&str; 9] =
    ["database", "api-key", "cache", "oauth-client", "object-store", "signing-key", "smtp", "webhook", "tls"];

const OWNERS: [&str; 8] =
    ["a.okafor", "b.lindqvist", "c.moreau", "d.tanaka", "e.rossi", "f.schneider", "g.silva", "h.novak"];

/// Names with what people put into names.
const ODD: [&str; 6] = [
    "mobile/prod/ios/push certificate",
    "partners/prod/edi/Käufer & Söhne",
    "partners/prod/feeds/50% off?",
    "platform/prod/runners/runner#3",
    "shared/certificates/*.internal.example",
    "shared/licences/日本語",
];

/// The origin's mount.
pub(super) fn secrets(now: Timestamp) -> Mount {
    let mut random = Rng::with_seed(SEED);
    let mut mount = Mount::new();
    for name in names(&mut random) {
        let entry = entry(&mut random, &name, now);
        mount.insert(name, entry);
    }
    mount
}

fn names(random: &mut Rng) -> Vec<String> {
    let mut names: Vec<String> = ODD.iter().map(|name| (*name).to_owned()).collect();
    for (team, apps) in TEAMS {
        for app in apps {
            let mut items = ITEMS;
            random.shuffle(&mut items);
            let count = random.usize(3..=6);
            for environment in ENVIRONMENTS {
                names.extend(items[..count].iter().map(|item| format!("{team}/{environment}/{app}/{item}")));
            }
        }
    }
    for (folder, count) in [("certificates", 60), ("licences", 25), ("break-glass", 12)] {
        names.extend((1..=count).map(|number| format!("shared/{folder}/{number:03}")));
    }
    // Everybody has a corner for things to try.
    let mut number = 0;
    while names.len() < SECRETS {
        let owner = OWNERS[number % OWNERS.len()];
        names.push(format!("sandbox/{owner}/try-{:02}", number / OWNERS.len() + 1));
        number += 1;
    }
    names
}

fn entry(random: &mut Rng, name: &str, now: Timestamp) -> Entry {
    let careful = name.starts_with("identity/");
    let mut entry = Entry::new(custom_metadata(random, name)).with_settings(careful, if careful { 10 } else { 0 });
    let versions = [1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6][random.usize(..12)];
    let mut age = DAY * random.i64(40..500);
    for _ in 0..versions {
        entry.push(content(random, name), now - SignedDuration::new(age, random.i32(..1_000_000_000)));
        age = random.i64(age / 4..age).max(600);
    }
    // What once leaked is gone for good, and the one before the last was taken back.
    if versions > 3 {
        entry.destroy(1);
    }
    if versions > 2 {
        entry.delete_version(versions - 1, now - SignedDuration::from_secs(age));
    }
    if random.u8(..) < 3 {
        entry.delete(now - SignedDuration::from_secs(random.i64(60..age)));
    }
    entry
}

fn custom_metadata(random: &mut Rng, name: &str) -> Option<BTreeMap<String, String>> {
    if random.u8(..) < 150 {
        return None;
    }
    let team = name.split('/').next().unwrap_or_default();
    let mut metadata = BTreeMap::from([("owner".to_owned(), format!("{team}@example.com"))]);
    if random.bool() {
        metadata.insert("ticket".to_owned(), format!("SEC-{}", random.u32(1_000..9_000)));
    }
    if random.u8(..) < 60 {
        metadata.insert("rotate-every".to_owned(), format!("{}d", [30, 90, 180][random.usize(..3)]));
    }
    Some(metadata)
}

/// In every value that ought not to be seen, so that whoever tests can tell whether it was.
const MARK: &str = "dEm0cNrY";

fn content(random: &mut Rng, name: &str) -> Arc<RawValue> {
    let mut parts = name.rsplit('/');
    let item = parts.next().unwrap_or_default();
    let app = parts.next().unwrap_or_default();
    let environment = parts.next().unwrap_or_default();
    let mut password = |length: usize| -> String {
        let password: String = (0..length).map(|_| random.alphanumeric()).collect();
        if length > 2 * MARK.len() { format!("{MARK}{}", &password[MARK.len()..]) } else { password }
    };
    let value: Value = match item {
        "database" => json!({
            "host": format!("{app}-db.{environment}.internal.example"),
            "port": 5432,
            "username": format!("{app}_rw"),
            "password": password(24),
        }),
        "api-key" => json!({ "key": format!("ak_{}", password(32)) }),
        "cache" => {
            json!({ "url": format!("rediss://{app}-cache.{environment}.internal.example:6379"), "password": password(20) })
        }
        "oauth-client" => {
            json!({ "client_id": format!("{app}-{environment}"), "client_secret": password(40), "scopes": ["openid", "profile"] })
        }
        "object-store" => json!({
            "bucket": format!("{app}-{environment}"),
            "access_key_id": password(20),
            "secret_access_key": password(40),
            "options": { "region": "eu-west-1", "path_style": true },
        }),
        "signing-key" => json!({ "algorithm": "HS256", "key_id": password(8), "key": password(44) }),
        "smtp" => json!({ "host": "smtp.internal.example", "port": 587, "username": app, "password": password(18) }),
        "webhook" => json!({ "url": format!("https://hooks.example.com/{app}"), "secret": password(32) }),
        "tls" => json!({
            "certificate": format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", password(160)),
            "private_key": format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", password(120)),
        }),
        _ => json!({ "value": password(28), "note": "kept by hand" }),
    };
    // Text, numbers and lists of them always become JSON.
    to_raw_value(&value).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_secrets_as_the_screen_says() {
        let mount = secrets(Timestamp::now());
        assert_eq!(mount.len(), SECRETS);
        let deleted = mount.values().filter(|entry| !entry.is_live()).count();
        assert!((5..60).contains(&deleted), "{deleted}");
        assert!(mount.values().any(|entry| entry.version() == 6));
        assert!(mount.keys().filter(|name| name.starts_with("billing/prod/")).count() > 20);
    }

    #[test]
    fn two_demos_hold_the_same() {
        let now = Timestamp::now();
        assert_eq!(format!("{:?}", secrets(now)), format!("{:?}", secrets(now)));
    }
}
