//! Telling whether two secrets hold the same values, without having both at hand.

use std::fmt;
use std::ops::ControlFlow::{self, Break, Continue};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{SecretData, end_of_string, unescape};

type Digest = [u8; 32];

/// The length of a [`FingerprintKey`]: a block of SHA-256.
pub const KEY_BYTES: usize = 64;

/// A random key for fingerprints. Nothing but fingerprints of one key can be compared, and without the key they tell
/// nobody anything, not even by trying values out.
pub struct FingerprintKey(Hmac<Sha256>);

impl FingerprintKey {
    /// A new one.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn random() -> Result<Self, getrandom::Error> {
        Ok(Self::from_bytes(&*Self::random_bytes()?))
    }

    /// What a new one can be made of, now and later.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn random_bytes() -> Result<Zeroizing<[u8; KEY_BYTES]>, getrandom::Error> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(key.as_mut())?;
        Ok(key)
    }

    /// The one made of these bytes: the same bytes, the same fingerprints.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Self {
        Self(Hmac::new(bytes.into()))
    }

    /// The fingerprint of a secret's values. The order of keys, the spelling of numbers and the escapes of strings do not
    /// matter, because servers may change them; a number is never the same as a string. `None` if the data is not JSON.
    #[must_use]
    pub fn of(&self, data: &SecretData) -> Option<Fingerprint> {
        self.of_json(data.expose_json())
    }

    /// The fingerprints of the values of a secret's top-level keys, in their order. `None` if the data is no JSON object.
    #[must_use]
    pub fn of_members(&self, data: &SecretData) -> Option<Vec<(String, Fingerprint)>> {
        let members = data.members()?;
        members.into_iter().map(|(name, value)| Some((name, self.of_json(value.get())?))).collect()
    }

    fn of_json(&self, json: &str) -> Option<Fingerprint> {
        Walk { key: &self.0, rest: json, open: Vec::new() }.run().map(Fingerprint)
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey([redacted])")
    }
}

/// What [`FingerprintKey::of`] gives: HMAC-SHA256 over the values.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(Digest);

impl Fingerprint {
    /// One that was kept.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// To keep it. Without its key it tells nobody anything.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint([redacted])")
    }
}

/// A walk through JSON text in place. It keeps a stack of its own: a secret may be nested deeper than a thread's.
struct Walk<'a> {
    key: &'a Hmac<Sha256>,
    rest: &'a str,
    open: Vec<Open>,
}

/// An array or object whose end has not been reached.
enum Open {
    Array(Hmac<Sha256>),
    /// The digests of names and values so far, and that of the name whose value comes next.
    Object {
        members: Vec<(Digest, Digest)>,
        name: Digest,
    },
}

impl Walk<'_> {
    fn run(mut self) -> Option<Digest> {
        loop {
            let value = match self.peek()? {
                '{' => {
                    self.rest = &self.rest[1..];
                    if self.peek()? != '}' {
                        let name = self.name()?;
                        self.open.push(Open::Object { members: Vec::new(), name });
                        continue;
                    }
                    self.rest = &self.rest[1..];
                    self.object(Vec::new())
                }
                '[' => {
                    self.rest = &self.rest[1..];
                    let array = self.tagged(b'[');
                    if self.peek()? != ']' {
                        self.open.push(Open::Array(array));
                        continue;
                    }
                    self.rest = &self.rest[1..];
                    finish(array)
                }
                '"' => self.string()?,
                _ => self.literal()?,
            };
            if let Break(whole) = self.close(value)? {
                return self.rest.trim_ascii_start().is_empty().then_some(whole);
            }
        }
    }

    /// Puts a value where it belongs, and ends what ends with it. Breaks with the digest of everything, if that was all.
    fn close(&mut self, mut value: Digest) -> Option<ControlFlow<Digest>> {
        while let Some(innermost) = self.open.pop() {
            let next = self.peek()?;
            self.rest = &self.rest[1..];
            value = match (innermost, next) {
                (Open::Array(mut array), ',') => {
                    array.update(&value);
                    self.open.push(Open::Array(array));
                    return Some(Continue(()));
                }
                (Open::Array(mut array), ']') => {
                    array.update(&value);
                    finish(array)
                }
                (Open::Object { mut members, name }, ',') => {
                    members.push((name, value));
                    let name = self.name()?;
                    self.open.push(Open::Object { members, name });
                    return Some(Continue(()));
                }
                (Open::Object { mut members, name }, '}') => {
                    members.push((name, value));
                    self.object(members)
                }
                _ => return None,
            };
        }
        Some(Break(value))
    }

    fn object(&self, mut members: Vec<(Digest, Digest)>) -> Digest {
        members.sort_unstable();
        let mut object = self.tagged(b'{');
        for (name, value) in members {
            object.update(&name);
            object.update(&value);
        }
        finish(object)
    }

    /// A member's name and the colon behind it.
    fn name(&mut self) -> Option<Digest> {
        if self.peek()? != '"' {
            return None;
        }
        let name = self.string()?;
        self.peek()?;
        self.rest = self.rest.strip_prefix(':')?;
        Some(name)
    }

    fn string(&mut self) -> Option<Digest> {
        let quoted = self.rest.strip_prefix('"')?;
        let (literal, rest) = quoted.split_at(end_of_string(quoted));
        self.rest = rest.strip_prefix('"')?;
        let mut string = self.tagged(b'"');
        string.update(unescape(literal).as_bytes());
        Some(finish(string))
    }

    fn literal(&mut self) -> Option<Digest> {
        let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')));
        let (literal, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        let mut digest = self.tagged(b'#');
        match literal {
            "true" | "false" | "null" => digest.update(literal.as_bytes()),
            number => digest.update(plain_number(number)?.as_bytes()),
        }
        Some(finish(digest))
    }

    fn tagged(&self, kind: u8) -> Hmac<Sha256> {
        let mut digest = self.key.clone();
        digest.update(&[kind]);
        digest
    }

    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.chars().next()
    }
}

fn finish(digest: Hmac<Sha256>) -> Digest {
    digest.finalize().into_bytes().into()
}

/// A number as its digits and a power of ten, neither beginning nor ending in zeros: `1.50`, `15e-1` and `0.015E2` are
/// one number.
fn plain_number(number: &str) -> Option<Zeroizing<String>> {
    let (sign, unsigned) = number.strip_prefix('-').map_or(("", number), |unsigned| ("-", unsigned));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let valid = !whole.is_empty()
        && !exponent_digits.is_empty()
        && [whole, fraction, exponent_digits].map(all_digits) == [true; 3];
    if !valid {
        return None;
    }
    // a power beyond all measure is compared as it is spelled
    let Some(power) = exponent.parse::<i64>().ok().and_then(|power| power.checked_sub_unsigned(fraction.len() as u64))
    else {
        return Some(Zeroizing::new(number.to_owned()));
    };
    let mut digits = Zeroizing::new(String::with_capacity(number.len()));
    digits.push_str(whole);
    digits.push_str(fraction);
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return Some(Zeroizing::new("0".to_owned()));
    }
    let zeros = digits.len() - digits.trim_end_matches('0').len();
    let power = power.checked_add_unsigned(zeros as u64)?.to_string();
    let mut plain = Zeroizing::new(String::with_capacity(number.len() + 1 + power.len()));
    for part in [sign, significant, "e", &power] {
        plain.push_str(part);
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(json: &str) -> SecretData {
        SecretData::from_json(Zeroizing::new(json.to_owned()))
    }

    #[test]
    fn spelling_does_not_matter_and_values_do() {
        let key = FingerprintKey::random().expect("a key");
        for (one, other, same) in [
            (r#"{"a":1,"b":[true,null]}"#, r#" { "b" : [ true , null ] , "a" : 1 } "#, true),
            (r#"{"a":{"x":1,"y":{}}}"#, r#"{"a":{"y":{},"x":1}}"#, true),
            (r#"{"a":1.50}"#, r#"{"a":15e-1}"#, true),
            (r#"{"a":1000}"#, r#"{"a":1E+3}"#, true),
            (r#"{"a":-0.0}"#, r#"{"a":0}"#, true),
            (r#"{"a":100}"#, r#"{"a":10}"#, false),
            (r#"{"a":-1}"#, r#"{"a":1}"#, false),
            (r#"{"a":9007199254740993}"#, r#"{"a":9007199254740992}"#, false),
            (r#"{"a":1e99999999999999999999}"#, r#"{"a":1e99999999999999999998}"#, false),
            (r#"{"a":"\u003c\u00e9\/"}"#, r#"{"a":"<é/"}"#, true),
            (r#"{"a\u0062":1}"#, r#"{"ab":1}"#, true),
            (r#"{"a":"1"}"#, r#"{"a":1}"#, false),
            (r#"{"a":"true"}"#, r#"{"a":true}"#, false),
            (r#"{"a":null}"#, "{}", false),
            (r#"{"a":[]}"#, r#"{"a":{}}"#, false),
            (r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#, false),
            (r#"{"a":[1,[2]]}"#, r#"{"a":[[1],2]}"#, false),
            (r#"{"a":"b","c":"d"}"#, r#"{"a":"d","c":"b"}"#, false),
            (r#"{"a":"x\\","b":"\""}"#, r#"{"a":"x\u005c","b":"\u0022"}"#, true),
        ] {
            let (one, other) = (key.of(&data(one)).expect(one), key.of(&data(other)).expect(other));
            assert_eq!(one == other, same, "{one:?} {other:?}");
        }
    }

    #[test]
    fn each_key_has_its_own() {
        let key = FingerprintKey::random().expect("a key");
        let one = key.of_members(&data(r#"{"a":1,"b":{"x":"y"},"c":"z"}"#)).expect("an object");
        let other = key.of_members(&data(r#"{"c":"other","b":{"x":"\u0079"},"a":1.0}"#)).expect("an object");
        assert_eq!(one.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(one[0].1 == other[2].1 && one[1].1 == other[1].1 && one[2].1 != other[0].1);
    }

    #[test]
    fn a_key_that_was_kept_gives_the_same_ones() {
        let bytes = FingerprintKey::random_bytes().expect("random bytes");
        let of = |key: &FingerprintKey| key.of(&data(r#"{"a":1}"#)).expect("an object");
        let (one, other) = (FingerprintKey::from_bytes(&bytes), FingerprintKey::from_bytes(&bytes));
        assert!(Fingerprint::from_bytes(*of(&one).as_bytes()) == of(&other));
    }

    #[test]
    fn keys_do_not_agree() {
        let (one, other) = (FingerprintKey::random().expect("a key"), FingerprintKey::random().expect("a key"));
        assert!(one.of(&data("{}")) != other.of(&data("{}")));
    }

    #[test]
    fn what_is_not_json_has_none() {
        let key = FingerprintKey::random().expect("a key");
        for text in
            ["", "{", r#"{"a"}"#, r#"{"a":}"#, r#"{"a":1"#, "[1,]", "{} {}", r#"{"a":x}"#, r#""a"#, "[1}", "{1:2}"]
        {
            assert!(key.of(&data(text)).is_none(), "{text}");
        }
    }

    #[test]
    fn depth_is_no_danger() {
        let key = FingerprintKey::random().expect("a key");
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        assert!(key.of(&data(&deep)).is_some());
    }
}
