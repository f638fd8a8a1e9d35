//! `keys.toml`: the tenants of a server.

use super::tenant::{Limits, Tenant, Usage};
use crate::failure::{Failure, Result};
use crate::repository::is_name;
use constant_time_eq::constant_time_eq_32;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;

/// What the file holds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    tenant: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    sha256: Hashes,
    models: Option<BTreeSet<String>>,
    #[serde(default)]
    admin: bool,
    max_requests: Option<NonZeroU32>,
    max_per_second: Option<NonZeroU32>,
    max_bytes: Option<NonZeroUsize>,
}

/// The hash of a key, or several, so that a new key can be given out before an old one ends.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a hash or a list of hashes")]
enum Hashes {
    One(String),
    Several(Vec<String>),
}

/// The tenants of a server.
#[derive(Debug, Default)]
pub(super) struct Tenants(Vec<Arc<Tenant>>);

impl Tenants {
    /// Reads the file. Tenants that were there before keep what they have at the moment.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Code::InvalidArgument) saying what was expected; never with a hash in it.
    pub(super) fn parse(text: &str, before: &Tenants) -> Result<Self> {
        // The parser's own message shows the line, which may hold a key that somebody took for its hash.
        let file: File = toml::from_str(text).map_err(|e| Failure::invalid(format!("{}{}", place(text, &e), e.message())))?;
        let mut tenants: Vec<Arc<Tenant>> = Vec::new();
        for entry in file.tenant {
            let tenant = tenant(entry, before)?;
            let name = &tenant.name;
            if tenants.iter().any(|other| other.name == *name) {
                return Err(Failure::invalid(format!("the tenant `{name}` stands there twice")));
            }
            let mut others = tenants.iter().flat_map(|other| &other.hashes);
            if others.any(|hash| tenant.hashes.contains(hash)) {
                return Err(Failure::invalid(format!("the tenant `{name}` has the key of another")));
            }
            tenants.push(Arc::new(tenant));
        }
        Ok(Tenants(tenants))
    }

    /// Whose key it is. Each hash is compared, whole, so that the time says nothing of them.
    pub(super) fn of(&self, key: &[u8]) -> Option<Arc<Tenant>> {
        let hash: [u8; 32] = Sha256::digest(key).into();
        let mut found = None;
        for tenant in &self.0 {
            for known in &tenant.hashes {
                if constant_time_eq_32(known, &hash) {
                    found = Some(tenant);
                }
            }
        }
        found.cloned()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Where in the text something is wrong.
fn place(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    before.map_or(String::new(), |before| format!("line {}: ", before.matches('\n').count() + 1))
}

fn tenant(entry: Entry, before: &Tenants) -> Result<Tenant> {
    let Entry { name, sha256, models, admin, max_requests, max_per_second, max_bytes } = entry;
    if !is_name(&name) {
        return Err(Failure::invalid("name: expected at most 128 letters, digits, `_`, `-` and `.`, and no `.` first"));
    }
    let invalid = |what: &str| Failure::invalid(format!("tenant `{name}`: {what}"));
    let texts = match sha256 {
        Hashes::One(text) => vec![text],
        Hashes::Several(texts) => texts,
    };
    let hashes: Option<Vec<[u8; 32]>> = texts.iter().map(|text| hash(text)).collect();
    let hashes = hashes.ok_or_else(|| invalid("sha256: expected 64 hexadecimal digits, as of `printf %s KEY | sha256sum`"))?;
    if admin && models.is_some() {
        return Err(invalid("expected either admin or models: whoever changes the repository sees all of it"));
    }
    let limits = Limits {
        requests: max_requests.map(NonZeroU32::get),
        per_second: max_per_second.map(NonZeroU32::get),
        bytes: max_bytes.map(NonZeroUsize::get),
    };
    let known = before.0.iter().find(|tenant| *tenant.name == *name);
    let usage = known.map_or_else(Arc::<Usage>::default, |tenant| tenant.usage.clone());
    Ok(Tenant { name: name.into(), hashes, models, admin, limits, usage })
}

/// The bytes of a hash in hexadecimal digits.
fn hash(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
        let [high, low] = pair.map(|digit| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok()));
        *byte = (high? << 4) | low?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    /// Of `printf %s secret | sha256sum`.
    const SECRET: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
    /// Of `printf %s other | sha256sum`.
    const OTHER: &str = "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa";

    fn parse(text: &str) -> Result<Tenants> {
        Tenants::parse(text, &Tenants::default())
    }

    #[test]
    fn keys_are_known_by_their_hashes() {
        let text = format!(
            "[[tenant]]\nname = \"a\"\nsha256 = \"{}\"\nmodels = [\"m\"]\nmax_requests = 3\n\
             [[tenant]]\nname = \"b\"\nsha256 = [\"{OTHER}\"]\nadmin = true\n",
            SECRET.to_uppercase()
        );
        let tenants = parse(&text).expect("it is well formed");
        let a = tenants.of(b"secret").expect("the key is known");
        assert_eq!((&**a.name(), a.sees("m"), a.sees("n"), a.is_admin()), ("a", true, false, false));
        assert_eq!(a.limits, Limits { requests: Some(3), ..Limits::default() });
        let b = tenants.of(b"other").expect("the key is known");
        assert_eq!((&**b.name(), b.sees("n"), b.is_admin()), ("b", true, true));
        for unknown in ["", "Secret", "secret ", SECRET] {
            assert!(tenants.of(unknown.as_bytes()).is_none());
        }
    }

    #[test]
    fn what_is_running_is_known_after_a_reload() {
        let of = |limit: u32| format!("[[tenant]]\nname = \"a\"\nsha256 = \"{SECRET}\"\nmax_requests = {limit}\n");
        let before = parse(&of(1)).expect("it is well formed");
        let turn = before.of(b"secret").expect("the key is known").begin(Instant::now());
        let after = Tenants::parse(&of(2), &before).expect("it is well formed");
        let tenant = after.of(b"secret").expect("the key is known");
        let _second = tenant.begin(Instant::now()).expect("there is room for one more");
        assert!(tenant.begin(Instant::now()).is_err());
        drop(turn);
        assert!(tenant.begin(Instant::now()).is_ok());
    }

    #[test]
    fn what_is_wrong_is_said_and_no_hash_with_it() {
        let tenant = |more: &str| format!("[[tenant]]\nname = \"a\"\nsha256 = \"{SECRET}\"\n{more}");
        for (text, says) in [
            ("tenant = 3".to_string(), "line 1"),
            ("[[tenant]]\nname = \"a\"".to_string(), "sha256"),
            ("[[tenant]]\nname = \"a\"\nsha256 = \"secret\"".to_string(), "64 hexadecimal digits"),
            (format!("[[tenant]]\nname = \"../a\"\nsha256 = \"{SECRET}\""), "name"),
            (tenant("max_requests = 0"), "line 4"),
            (tenant("key = \"secret\""), "unknown field `key`"),
            (tenant("admin = true\nmodels = [\"m\"]"), "either admin or models"),
            (tenant(&tenant("")), "twice"),
            (tenant(&tenant("").replace("\"a\"", "\"b\"")), "the key of another"),
        ] {
            let failure = parse(&text).expect_err(&text);
            assert!(failure.message().contains(says), "expected `{says}` in `{failure}`");
            assert!(!failure.message().contains(SECRET) && !failure.message().contains("secret\""), "{failure}");
        }
    }
}
