//! The options of a session.

use crate::gpu::{CacheFolder, Progress};
use crate::graph::MAX_TURNS;
use crate::passes::Selection;

/// How a session runs its model.
#[derive(Clone, Debug)]
pub struct Options {
    /// Compile kernels with run-time checks of every index, and with workgroup memory that is zero at first.
    pub checked: bool,
    /// A node that would run on the host is an error.
    pub strict_gpu: bool,
    /// Names of intermediate values to return beside the outputs.
    pub taps: Vec<String>,
    /// Return every intermediate value, and fuse nothing.
    pub keep_all: bool,
    /// Name of the kernel variant to take wherever it is offered.
    pub variant: Option<String>,
    /// Whether variants are chosen by measurement.
    pub tuning: Tuning,
    /// Where measurements and compiled kernels are kept from one program to the next.
    pub cache: CacheFolder,
    /// A function that is called as kernels are compiled and first dispatched.
    pub progress: Progress,
    /// The most turns of a loop; one that goes on is stopped with an error.
    pub max_turns: u64,
    /// Which passes over the graph run, and which of the caller's own.
    pub passes: Selection,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            checked: false,
            strict_gpu: false,
            taps: vec![],
            keep_all: false,
            variant: None,
            tuning: Tuning::default(),
            cache: CacheFolder::default(),
            progress: Progress::default(),
            max_turns: MAX_TURNS,
            passes: Selection::default(),
        }
    }
}

/// How a session chooses among the variants of a kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tuning {
    /// By a table: the order that each operator gives its variants in for the adapter's class.
    #[default]
    Off,
    /// By measuring the first few of the table when a plan is made, once for each kind of node and bucket of shapes (see
    /// [`TuningKey`](crate::plan::TuningKey)). Results are kept in [`Options::cache`]; where measurement tells nothing, the table decides.
    On,
    /// As `On`, and what was measured in earlier sessions is measured again.
    Forced,
}
