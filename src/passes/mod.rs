//! Floor 4: graph to graph. [`specialize`] fixes shapes and folds constants; [`optimize`] rewrites what is left into
//! fewer, larger nodes, by a list of named [`Pass`]es. A pass makes a run faster and never different: one that fails is
//! left out.
//!
//! Passes ask operators what they can do (`view`, `absorb`, `takes_epilogue`) and know by name only those that a rewrite
//! is about.

mod affine;
mod attention;
mod common;
mod deduplicate;
mod driver;
mod fuse;
mod gradients;
mod norms;
mod quantized;
mod recompute;
mod specialize;
mod views;

pub use driver::{Rewrite, Selection, Trace, optimize, passes};
pub use norms::NORMS;
pub(crate) use recompute::AGAIN;
pub use specialize::{Ends, Specialized, specialize, specialize_structures};

use crate::error::Result;
use crate::graph::{NodeId, Writer};
use std::fmt::Debug;

/// A rewrite that is tried at every node of a specialised graph.
pub trait Pass: Debug + Send + Sync {
    /// What it is called in messages.
    fn name(&self) -> &str;

    /// Whether a graph cannot run without it: then its failure is an error, and it runs where nothing is fused, too.
    fn is_needed(&self) -> bool {
        false
    }

    /// Rewrites what ends (or begins) at a node, if that is what the pass looks for. Nodes are visited in an order in which they can
    /// run. Whatever a rewrite assumes of ranks, shapes and contents it compares; its result is exact for all finite inputs.
    ///
    /// # Errors
    /// Anything; the pass is then left out.
    fn visit(&self, writer: &mut Writer, node: NodeId, options: &Options) -> Result<()>;
}

/// What the passes may do.
#[derive(Clone, Debug)]
pub struct Options {
    /// False leaves every node of the model as it is, so that each value can be looked at.
    pub fuse: bool,
    /// Most storage bindings of one dispatch on the adapter that the graph is meant for.
    pub max_storage_buffers: usize,
    /// Which passes run.
    pub selection: Selection,
    /// A pass that fails is an error, in place of a warning.
    pub strict: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { fuse: true, max_storage_buffers: 8, selection: Selection::default(), strict: false }
    }
}
