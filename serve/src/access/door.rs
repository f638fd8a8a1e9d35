//! The file of keys, as it is now, and who shows one of them.

use super::tenant::Tenant;
use super::tenants::Tenants;
use crate::failure::{Code, Failure, Result};
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderValue};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

/// The longest file of keys.
const MAX_FILE: u64 = 16 << 20;

/// What a change of the file is seen by.
type Stamp = Option<(SystemTime, u64)>;

/// Where keys are shown.
pub(crate) struct Door {
    /// None: whoever comes may do everything.
    file: Option<PathBuf>,
    tenants: RwLock<Arc<Tenants>>,
    /// Held while the file is read: one after another.
    stamp: Mutex<Stamp>,
}

impl Door {
    /// A door with the keys of a file; without one, an open door.
    ///
    /// # Errors
    /// [`InvalidArgument`](Code::InvalidArgument) when the file cannot be read, or what it holds is malformed.
    pub(crate) fn new(file: Option<PathBuf>) -> Result<Self> {
        let door = Door { file, tenants: RwLock::default(), stamp: Mutex::default() };
        door.read(false)?;
        Ok(door)
    }

    /// Reads the file again; with `changed`, only where it changed since it was read last. What is wrong is said in the log, once for each
    /// change, and the keys stay as they were.
    pub(crate) fn reload(&self, changed: bool) {
        match self.read(changed) {
            Ok(None) => {}
            Ok(Some(tenants)) => tracing::info!(target: "gristmill_serve", tenants, "the keys were read"),
            Err(failure) => {
                tracing::error!(target: "gristmill_serve", reason = failure.message(), "the keys stay as they were");
            }
        }
    }

    /// How many tenants were read, if the file was.
    fn read(&self, changed: bool) -> Result<Option<usize>> {
        let Some(file) = &self.file else { return Ok(None) };
        let shown = file.display();
        let mut last = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        let unreadable = |e: std::io::Error| Failure::invalid(format!("cannot read the keys of {shown}: {e}"));
        let data = fs::metadata(file);
        let stamp = data.as_ref().ok().and_then(|data| Some((data.modified().ok()?, data.len())));
        if changed && stamp == *last {
            return Ok(None);
        }
        *last = stamp;
        if data.map_err(unreadable)?.len() > MAX_FILE {
            return Err(Failure::invalid(format!("the keys of {shown}: expected at most {MAX_FILE} bytes")));
        }
        let text = fs::read_to_string(file).map_err(unreadable)?;
        let before = self.tenants();
        let tenants = Tenants::parse(&text, &before).map_err(|e| e.within(&format!("the keys of {shown}")))?;
        let count = tenants.len();
        *self.tenants.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tenants);
        Ok(Some(count))
    }

    fn tenants(&self) -> Arc<Tenants> {
        self.tenants.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who shows the key in these headers; nobody in particular where the door is open.
    ///
    /// # Errors
    /// [`Unauthenticated`](Code::Unauthenticated) when there is no key, or one that nobody has.
    pub(crate) fn tenant(&self, headers: &HeaderMap) -> Result<Option<Arc<Tenant>>> {
        if self.file.is_none() {
            return Ok(None);
        }
        let refused = |why: &str| Failure::new(Code::Unauthenticated, why);
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let key = match (values.next(), values.next()) {
            (Some(value), None) => bearer(value),
            _ => None,
        };
        let key = key.ok_or_else(|| refused("expected one header `Authorization: Bearer KEY`"))?;
        self.tenants().of(key).map(Some).ok_or_else(|| refused("nobody has this key"))
    }
}

/// The key of a header; the word in front of it may be in any case.
fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, key) = value.as_bytes().split_at_checked(b"Bearer ".len())?;
    let key = key.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"Bearer ") && !key.is_empty()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_behind_the_word_bearer() {
        let key = |text: &str| bearer(&HeaderValue::from_str(text).expect("it is a header")).map(<[u8]>::to_vec);
        assert_eq!(key("Bearer abc"), Some(b"abc".to_vec()));
        assert_eq!(key("bearer  a b "), Some(b"a b".to_vec()));
        for text in ["", "abc", "Bearer", "Bearer ", "Bearer   ", "Basic abc", "Bearerabc"] {
            assert_eq!(key(text), None, "{text}");
        }
    }
}
