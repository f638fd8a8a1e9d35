//! Running the passes one after another, each on the verified result of those before it.

use super::{Options, Pass, affine, attention, deduplicate, fuse, gradients, norms, quantized, views};
use crate::error::{Error, Result};
use crate::graph::{Changes, Graph, Writer};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// Which passes run, for who looks for the one at fault.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Names of passes to leave out.
    pub without: Vec<String>,
    /// The name of a pass, and how many rewrites it may make in a graph.
    pub limit: Option<(String, usize)>,
    /// Passes of the caller's own, which run before all others.
    #[doc(hidden)]
    pub added: Vec<Arc<dyn Pass>>,
    /// Where rewrites are written down.
    #[doc(hidden)]
    pub trace: Option<Trace>,
}

/// One rewrite of a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// The pass.
    pub pass: String,
    /// Its place among the rewrites of that pass in that graph, from 1 on.
    pub number: usize,
    /// Path of the node at which it was made.
    pub node: String,
    /// Nodes that went and came.
    pub changes: Changes,
}

/// A list of rewrites that several plans write to.
#[derive(Clone, Debug, Default)]
pub struct Trace(Arc<Mutex<Vec<Rewrite>>>);

impl Trace {
    /// What was written down so far; the list is empty afterwards.
    pub fn take(&self) -> Vec<Rewrite> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, rewrite: Rewrite) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(rewrite);
    }
}

/// Every pass, in the order in which they run.
const PASSES: &[&dyn Pass] = &[
    &deduplicate::Deduplicate,
    &quantized::QuantizedProducts,
    &quantized::Dequantize,
    &affine::Affine,
    &norms::Norms,
    &attention::AttentionBack,
    &gradients::Gradients,
    &views::Views,
    &attention::AttentionPattern,
    &fuse::Join,
    &fuse::Epilogues,
    &views::LastViews,
];

/// The names of the engine's own passes, in the order in which they run.
pub fn passes() -> impl Iterator<Item = &'static str> {
    PASSES.iter().map(|pass| pass.name())
}

/// A specialised graph with the same inputs, outputs and meaning, and fewer nodes. A pass that fails is left out with a warning.
///
/// # Errors
/// What a pass reports, where the options are strict.
pub fn optimize(graph: &Graph, options: &Options) -> Result<Graph> {
    let selection = &options.selection;
    let added: Vec<&dyn Pass> = selection.added.iter().map(|pass| &**pass).collect();
    // Constants stay dequantized node by node too: they are values of the model, and no kernel makes them.
    let needed = |pass: &&&dyn Pass| options.fuse || pass.is_needed() || pass.name() == quantized::Dequantize.name();
    let passes = if options.fuse { added } else { vec![] }.into_iter().chain(PASSES.iter().filter(needed).copied());
    let mut graph = graph.clone();
    for pass in passes.filter(|pass| pass.is_needed() || !selection.without.iter().any(|name| name == pass.name())) {
        match attempt(pass, &graph, options) {
            Ok(next) => graph = next,
            Err(error) if options.strict || pass.is_needed() => return Err(error),
            Err(error) => log::warn!("pass `{}` is left out: {error}", pass.name()),
        }
    }
    Ok(graph)
}

/// What a pass makes of a graph; an error, too, where it panics or breaks the graph.
fn attempt(pass: &dyn Pass, graph: &Graph, options: &Options) -> Result<Graph> {
    let mut written = Vec::new();
    // The node that is looked at, by its index, for the message of a panic.
    let at = Cell::new(None);
    let result = catch_unwind(AssertUnwindSafe(|| visit(pass, graph, options, &at, &mut written)));
    let place = |error: Error| match at.get().and_then(|index: usize| graph.nodes().get(index)) {
        Some(node) => error.at(&node.path),
        None => error,
    };
    let graph =
        result.unwrap_or_else(|cause| Err(Error::internal(format!("it panicked: {}", panic_text(&*cause))))).map_err(place)?;
    if let Some(trace) = &options.selection.trace {
        written.into_iter().for_each(|rewrite| trace.push(rewrite));
    }
    Ok(graph)
}

fn visit(pass: &dyn Pass, graph: &Graph, options: &Options, at: &Cell<Option<usize>>, written: &mut Vec<Rewrite>) -> Result<Graph> {
    let limit = options
        .selection
        .limit
        .as_ref()
        .filter(|(name, _)| name == pass.name() && !pass.is_needed())
        .map_or(usize::MAX, |(_, limit)| *limit);
    let mut writer = Writer::rewriting(graph);
    for (index, (id, node)) in writer.nodes().into_iter().zip(graph.nodes()).enumerate() {
        if written.len() >= limit {
            break;
        }
        at.set(Some(index));
        if writer.node(id).is_some() {
            pass.visit(&mut writer, id, options)?;
        }
        let changes = writer.take_changes();
        if changes != Changes::default() {
            written.push(Rewrite { pass: pass.name().into(), number: written.len() + 1, node: node.path.clone(), changes });
        }
    }
    at.set(None);
    // What is written for gradients is not always read.
    let graph = if pass.is_needed() { writer.finish_needed()? } else { writer.finish()? };
    graph.verify_types()?;
    Ok(graph)
}

/// What a caught panic said.
fn panic_text(cause: &(dyn std::any::Any + Send)) -> String {
    let text = cause.downcast_ref::<&str>().map(ToString::to_string).or_else(|| cause.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "unknown".into())
}
