//! The one error type: opaque, with a [`kind`](Error::kind) to match on and the path of the node it concerns.

use std::fmt;

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kinds of errors, coarse enough to match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The model file or graph is malformed or contradicts the operator specification.
    InvalidModel,
    /// The model is well formed, but asks for an operator, attribute or dtype that is not implemented.
    Unsupported,
    /// An input of a run is missing, surplus, or of the wrong type, shape or range.
    InvalidInput,
    /// An option or argument given by the caller is wrong.
    InvalidArgument,
    /// A size exceeds a limit of the adapter or of this library.
    Limit,
    /// The device ran out of memory.
    OutOfMemory,
    /// No adapter fits the request.
    NoAdapter,
    /// The device was lost and could not be brought back.
    DeviceLost,
    /// What a state held is lost, with the device or since a run of it never ended: set or reset it.
    StateLost,
    /// Training went out of range: a loss is infinite or no number.
    Diverged,
    /// A file could not be read or written.
    Io,
    /// A shape depends on the value of an input that is not known before the run; carries the input's index.
    /// A session computes that value first and tries again, so that callers seldom see this kind.
    NeedsValue(usize),
    /// How often a graph is computed, or which of several, depends on data. A session makes that a stage of its own, so that callers
    /// seldom see this kind.
    NeedsStage,
    /// A defect of this library: a check between its own parts failed.
    Internal,
}

/// An error with its kind, a message that says what was expected and what was found, and the node it concerns.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    node: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of a kind with a message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner { kind, message: message.into(), node: None, source: None }))
    }

    /// A malformed model.
    pub fn invalid_model(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidModel, message)
    }

    /// Something well formed that is not implemented.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    /// A wrong input of a run.
    pub fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// A wrong option or argument.
    pub fn invalid_argument(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    /// A loss that is infinite or no number.
    pub fn diverged(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Diverged, message)
    }

    /// A size beyond a limit.
    pub fn limit(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Limit, message)
    }

    /// A defect of this library.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// The value of input `index` of a node must be known before its output shapes are.
    pub fn needs_value(index: usize) -> Self {
        Self::new(
            ErrorKind::NeedsValue(index),
            format!("the output shape depends on the value of input {index}, which is not known before the run"),
        )
    }

    /// How often a graph is computed, or which, is known in a run only.
    pub fn needs_stage() -> Self {
        Self::new(ErrorKind::NeedsStage, "how often a graph is computed, or which, is not known before the run")
    }

    /// Adds the path of the node that the error concerns, unless it has one.
    pub fn at(mut self, node: impl Into<String>) -> Self {
        self.0.node.get_or_insert_with(|| node.into());
        self
    }

    /// Adds an underlying cause.
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The kind of the error, to match on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message without the node's path.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The path of the node this concerns: operator and name, for example `Conv:/layer1/conv`.
    pub fn node(&self) -> Option<&str> {
        self.0.node.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(node) = &self.0.node {
            write!(f, "{node}: ")?;
        }
        f.write_str(&self.0.message)?;
        match &self.0.source {
            Some(source) => write!(f, " ({source})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|e| e as _)
    }
}

impl From<std::io::Error> for Error {
    fn from(e: std::io::Error) -> Self {
        Error::new(ErrorKind::Io, e.to_string())
    }
}
