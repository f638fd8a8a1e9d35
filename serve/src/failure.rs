//! What a request is refused by: a code that both protocols know, and a sentence that says what was expected.

use gristmill::{Error, ErrorKind};
use std::fmt;
use std::time::Duration;

/// The result of everything that can fail here.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// The kinds of failures, as far as a client can tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// The request is malformed, or does not fit the model: 400.
    InvalidArgument,
    /// The request brings no key, or one that nobody has: 401.
    Unauthenticated,
    /// The key does not allow it: 403.
    Forbidden,
    /// There is no such model, version or path: 404.
    NotFound,
    /// The request is larger than a limit allows: 413.
    TooLarge,
    /// A queue is full, or the key's limit is reached; the same request may succeed later: 429.
    Busy,
    /// A defect of the server: 500.
    Internal,
    /// Well formed, and not implemented: 501.
    Unimplemented,
    /// The model or the server is not ready, or memory is short: 503.
    Unavailable,
    /// The request's deadline passed before it was computed: 503.
    Expired,
}

impl Code {
    /// Every code.
    pub const ALL: [Code; 10] = [
        Code::InvalidArgument,
        Code::Unauthenticated,
        Code::Forbidden,
        Code::NotFound,
        Code::TooLarge,
        Code::Busy,
        Code::Internal,
        Code::Unimplemented,
        Code::Unavailable,
        Code::Expired,
    ];

    /// The status of an HTTP response.
    pub fn status(self) -> u16 {
        match self {
            Code::InvalidArgument => 400,
            Code::Unauthenticated => 401,
            Code::Forbidden => 403,
            Code::NotFound => 404,
            Code::TooLarge => 413,
            Code::Busy => 429,
            Code::Internal => 500,
            Code::Unimplemented => 501,
            Code::Unavailable | Code::Expired => 503,
        }
    }

    /// Its name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Code::InvalidArgument => "invalid_argument",
            Code::Unauthenticated => "unauthenticated",
            Code::Forbidden => "forbidden",
            Code::NotFound => "not_found",
            Code::TooLarge => "too_large",
            Code::Busy => "busy",
            Code::Internal => "internal",
            Code::Unimplemented => "unimplemented",
            Code::Unavailable => "unavailable",
            Code::Expired => "expired",
        }
    }
}

/// A code with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    code: Code,
    message: String,
    /// Seconds after which to try again, where they are known.
    after: Option<u32>,
}

impl Failure {
    /// A failure of a kind.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Failure { code, message: message.into(), after: None }
    }

    /// A request that is malformed or does not fit the model.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    /// A defect of the server.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Code::Internal, message)
    }

    /// The failure with the time after which to try again.
    pub(crate) fn after(self, time: Duration) -> Self {
        let seconds = u32::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
        Failure { after: Some(seconds.max(1)), ..self }
    }

    /// The failure with what was being done in front of its message.
    pub fn within(self, doing: &str) -> Self {
        Failure { message: format!("{doing}: {}", self.message), ..self }
    }

    /// The kind.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What was expected, and what was found.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Seconds after which to try again, for failures that pass.
    pub fn retry_after(&self) -> Option<u32> {
        self.after.or(matches!(self.code, Code::Busy | Code::Unavailable).then_some(1))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<Error> for Failure {
    /// What a run reports. A model that was loaded is well formed, so what contradicts an operator's rules in a run comes
    /// from the shapes and values that the request gave.
    fn from(error: Error) -> Self {
        let code = match error.kind() {
            ErrorKind::InvalidInput | ErrorKind::InvalidModel | ErrorKind::InvalidArgument => Code::InvalidArgument,
            ErrorKind::Limit => Code::TooLarge,
            ErrorKind::Unsupported | ErrorKind::NeedsValue(_) | ErrorKind::NeedsStage => Code::Unimplemented,
            ErrorKind::OutOfMemory | ErrorKind::DeviceLost | ErrorKind::StateLost | ErrorKind::NoAdapter => Code::Unavailable,
            _ => Code::Internal,
        };
        Failure::new(code, error.to_string())
    }
}
