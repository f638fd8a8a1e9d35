//! Finding the rewrite that makes a fused run wrong, by leaving out passes, then rewrites.

use super::report::{Suspect, Tolerance, ValueReport, compare, compare_structures};
use crate::error::Result;
use crate::gpu::Tally;
use crate::graph::{Fact, Structure};
use crate::passes::{self, Rewrite, Selection, Specialized, Trace};
use crate::session::execution::reference;
use crate::session::options::Options;
use crate::session::runtime::Runtime;
use crate::tensor::{Tensor, TensorView};
use std::sync::Arc;

/// A run whose outputs are known.
pub(super) struct Search<'a> {
    pub runtime: &'a Runtime,
    pub inputs: &'a [(&'a str, TensorView<'a>)],
    /// The model's outputs, in order.
    pub expected: Vec<Structure<Tensor>>,
    pub tolerance: Tolerance,
}

/// A pass that makes a run wrong.
struct Culprit {
    pass: String,
    /// Passes with which the run is wrong.
    selection: Selection,
    /// The passes without each of which the run is right.
    healing: Vec<String>,
}

impl Search<'_> {
    /// How far the outputs of the model lie from those expected.
    pub(super) async fn outputs(&self, runtime: &Runtime) -> Result<Vec<ValueReport>> {
        let (graph, found) = (self.runtime.model.graph(), runtime.all_outputs(self.inputs).await?);
        let producers = graph.producers();
        let mut reports: Vec<ValueReport> = Vec::new();
        for (id, expected) in graph.outputs().iter().zip(&self.expected) {
            // An output that is also an input or a constant is not computed by the run.
            let (name, Some(node)) = (graph.value(*id).name.as_str(), producers[id.index()]) else { continue };
            if reports.iter().any(|report| report.value == name) {
                continue;
            }
            let (path, found) = (&graph.nodes()[node].path, found.structure(name).unwrap_or(&Structure::Absent));
            reports.extend(compare_structures(name, path, found, expected, self.tolerance));
        }
        Ok(reports)
    }

    /// Whether a run with such passes is right.
    async fn is_right(&self, selection: Selection) -> Result<bool> {
        let options = Options { passes: selection, taps: vec![], ..self.runtime.options.clone() };
        let gpu = self.runtime.gpu();
        let runtime = Runtime::new(gpu.as_ref(), &self.runtime.model, &options, Arc::<Tally>::default())?;
        // A run that fails is a fault of its own.
        Ok(self.outputs(&runtime).await.is_ok_and(|reports| reports.iter().all(|report| report.divergent == 0)))
    }

    /// The rewrites of a run with such passes.
    async fn rewrites(&self, selection: &Selection) -> Result<Vec<Rewrite>> {
        let trace = Trace::default();
        self.is_right(Selection { trace: Some(trace.clone()), ..selection.clone() }).await?;
        Ok(trace.take())
    }

    /// The rewrite without which the run is right, given that it is wrong with all and right with none.
    pub(super) async fn suspect(&self, inputs: &[Structure<Tensor>]) -> Result<Option<Suspect>> {
        let Some(Culprit { pass, selection, mut healing }) = self.culprit().await? else { return Ok(None) };
        let made = self.rewrites(&selection).await?;
        let most = made.iter().filter(|rewrite| rewrite.pass == pass).map(|rewrite| rewrite.number).max().unwrap_or(0);
        let limited = |count: usize| Selection { limit: Some((pass.clone(), count)), ..selection.clone() };
        let (mut right, mut wrong) = (0, most);
        while wrong - right > 1 {
            let middle = right + (wrong - right) / 2;
            if self.is_right(limited(middle)).await? { right = middle } else { wrong = middle }
        }
        let selection = limited(wrong);
        let made = self.rewrites(&selection).await?;
        let last = made.into_iter().find(|rewrite| rewrite.pass == pass && rewrite.number == wrong);
        healing.retain(|name| *name != pass);
        let by_references = self.by_references(selection, inputs);
        Ok(last.map(|Rewrite { pass, node, changes, .. }| Suspect {
            pass,
            node,
            replaced: changes.gone,
            made: changes.made,
            by_references,
            others: healing,
        }))
    }

    /// The pass without which the run is right. Where that holds for several passes or for none, it is the first with which the run
    /// is wrong when passes are added one by one.
    async fn culprit(&self) -> Result<Option<Culprit>> {
        let given = &self.runtime.options.passes;
        let rewrites = self.rewrites(given).await?;
        let added = given.added.iter().map(|pass| pass.name().to_string());
        let mut names: Vec<String> = added.chain(passes::passes().map(String::from)).collect();
        names.retain(|name| rewrites.iter().any(|rewrite| rewrite.pass == *name));
        let without = |left_out: &[String]| {
            let without = given.without.iter().chain(left_out).cloned().collect();
            Selection { without, ..given.clone() }
        };
        let mut healing = Vec::new();
        for name in &names {
            if self.is_right(without(std::slice::from_ref(name))).await? {
                healing.push(name.clone());
            }
        }
        if let [only] = healing.as_slice() {
            return Ok(Some(Culprit { pass: only.clone(), selection: given.clone(), healing }));
        }
        for count in 1..=names.len() {
            let selection = without(&names[count..]);
            if !self.is_right(selection.clone()).await? {
                return Ok(Some(Culprit { pass: names[count - 1].clone(), selection, healing }));
            }
        }
        Ok(None)
    }

    /// Whether the references find the graph wrong that such passes make; `None` when there is no such graph.
    fn by_references(&self, selection: Selection, inputs: &[Structure<Tensor>]) -> Option<bool> {
        let fact = |input: &Structure<Tensor>| input.tensor().ok().map(|tensor| Fact::new(tensor.dtype(), tensor.shape().clone()));
        let facts: Vec<Fact> = inputs.iter().map(fact).collect::<Option<_>>()?;
        let Ok(Specialized::Graph(graph)) = passes::specialize(self.runtime.model.graph(), &facts) else { return None };
        let graph = passes::optimize(&graph, &passes::Options { selection, ..passes::Options::default() }).ok()?;
        let found = reference::plain_outputs(&graph, inputs, self.runtime.options.max_turns).ok()?;
        // Outputs that are sequences are several outputs of the specialised graph.
        let tensors = |outputs: &[Structure<Tensor>]| outputs.iter().flat_map(Structure::tensors).cloned().collect::<Vec<_>>();
        let wrong = |(found, expected): (&Tensor, &Tensor)| compare("", "", found, expected, self.tolerance).divergent > 0;
        Some(tensors(&found).iter().zip(&tensors(&self.expected)).any(wrong))
    }
}
