//! What ends a command early.

use std::fmt;
use std::io;
use std::path::Path;

/// The result of a command's parts.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// An error as the command line reports it: one line on stderr.
#[derive(Debug)]
pub(crate) enum Failure {
    /// From the library.
    Library(gristmill::Error),
    /// While writing to stdout; a reader that went away (`gristmill ... | head`) is no error.
    Output(io::Error),
    /// Anything else, as text.
    Message(String),
}

impl Failure {
    /// What could not be done with a file, and why.
    pub(crate) fn file(doing: &str, path: &Path, cause: impl fmt::Display) -> Self {
        Failure::Message(format!("cannot {doing} {}: {cause}", path.display()))
    }

    /// A failure that says what was expected.
    pub(crate) fn message(text: impl Into<String>) -> Self {
        Failure::Message(text.into())
    }

    /// True when stdout was closed by its reader.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Failure::Output(e) if e.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Library(e) => e.fmt(f),
            Failure::Output(e) => write!(f, "cannot write the output: {e}"),
            Failure::Message(text) => f.write_str(text),
        }
    }
}

impl From<gristmill::Error> for Failure {
    fn from(e: gristmill::Error) -> Self {
        Failure::Library(e)
    }
}

impl From<io::Error> for Failure {
    fn from(e: io::Error) -> Self {
        Failure::Output(e)
    }
}
