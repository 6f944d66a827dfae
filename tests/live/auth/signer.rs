//! JWTs, signed with a key made for the test.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::canary;

/// What comes before the point of a P-256 key in its DER form (RFC 5480): the two object identifiers, and lengths.
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

pub(super) struct Signer(EcdsaKeyPair);

impl Signer {
    pub(super) fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"))
    }

    /// In PEM.
    pub(super) fn public_key(&self) -> String {
        let der = [&P256[..], self.0.public_key().as_ref()].concat();
        let text = STANDARD.encode(der);
        let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    /// One that the search after each test looks for.
    pub(super) fn sign(&self, claims: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&json!({ "alg": "ES256", "typ": "JWT" })), encode(claims));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).expect("a signature");
        let jwt = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()));
        canary::register(&jwt);
        jwt
    }
}

/// Claims with the times between which they hold.
pub(super) fn valid(mut claims: Value) -> Value {
    let now = jiff::Timestamp::now().as_second();
    for (name, time) in [("iat", now - 10), ("nbf", now - 10), ("exp", now + 3_600)] {
        claims[name] = time.into();
    }
    claims
}

/// What a JWT says, unverified.
pub(super) fn claims(jwt: &str) -> Value {
    let claims = jwt.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    claims.and_then(|claims| serde_json::from_slice(&claims).ok()).unwrap_or_default()
}
