//! Finding the rewrite that makes a fused run wrong, by leaving out passes, then rewrites.

use super::report::{Suspect, Tolerance, ValueReport, compare};
use crate::error::Result;
use crate::graph::Fact;
use crate::passes::{self, Rewrite, Selection, Specialized, Trace};
use crate::session::execution::reference as host;
use crate::session::{Options, Session};
use crate::tensor::{Tensor, TensorView};

/// A run whose outputs are known.
pub(crate) struct Trial<'a> {
    pub(crate) session: &'a Session,
    pub(crate) inputs: &'a [(&'a str, TensorView<'a>)],
    /// The model's outputs, in order.
    pub(crate) expected: Vec<Tensor>,
    pub(crate) tolerance: Tolerance,
}

impl Trial<'_> {
    /// How far the outputs of a session of the same model lie from those expected.
    pub(crate) async fn outputs(&self, session: &Session) -> Result<Vec<ValueReport>> {
        let (graph, found) = (self.session.model.graph(), session.run(self.inputs).await?);
        let producers = graph.producers();
        let mut reports: Vec<ValueReport> = Vec::new();
        for (id, expected) in graph.outputs().iter().zip(&self.expected) {
            // What is an input or a constant as well is no work of a run.
            let (name, Some(node)) = (graph.value(*id).name.as_str(), producers[id.index()]) else { continue };
            if reports.iter().any(|report| report.value == name) {
                continue;
            }
            reports.push(compare(name, &graph.nodes()[node].path, &found[name], expected, self.tolerance));
        }
        Ok(reports)
    }

    /// Whether a run with such passes is right.
    async fn right(&self, selection: Selection) -> Result<bool> {
        let options = Options { passes: selection, taps: vec![], ..self.session.options.clone() };
        let gpu = self.session.device().map(|device| device.gpu.clone());
        let session = Session::build(gpu.as_ref(), &self.session.model, options)?;
        // A run that fails is a fault of its own.
        Ok(self.outputs(&session).await.is_ok_and(|reports| reports.iter().all(|report| report.divergent == 0)))
    }

    /// The rewrites of a run with such passes.
    async fn rewrites(&self, selection: &Selection) -> Result<Vec<Rewrite>> {
        let trace = Trace::default();
        self.right(Selection { trace: Some(trace.clone()), ..selection.clone() }).await?;
        Ok(trace.take())
    }

    /// The rewrite without which the run is right, given that it is wrong with all and right with none.
    pub(crate) async fn suspect(&self, inputs: &[Tensor]) -> Result<Option<Suspect>> {
        let given = &self.session.options.passes;
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
            if self.right(without(std::slice::from_ref(name))).await? {
                healing.push(name.clone());
            }
        }
        // Which of several it is, or of none, the passes before it tell.
        let mut selection = given.clone();
        let culprit = match healing.as_slice() {
            [only] => Some(only.clone()),
            _ => {
                let mut found = None;
                for count in 1..=names.len() {
                    selection = without(&names[count..]);
                    if !self.right(selection.clone()).await? {
                        found = Some(names[count - 1].clone());
                        break;
                    }
                }
                found
            }
        };
        let Some(pass) = culprit else { return Ok(None) };
        let made = self.rewrites(&selection).await?;
        let most = made.iter().filter(|rewrite| rewrite.pass == pass).map(|rewrite| rewrite.number).max().unwrap_or(0);
        let limited = |count: usize| Selection { limit: Some((pass.clone(), count)), ..selection.clone() };
        let (mut right, mut wrong) = (0, most);
        while wrong - right > 1 {
            let middle = right + (wrong - right) / 2;
            if self.right(limited(middle)).await? { right = middle } else { wrong = middle }
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

    /// Whether the references find the graph wrong that such passes make; `None` when there is no such graph.
    fn by_references(&self, selection: Selection, inputs: &[Tensor]) -> Option<bool> {
        let facts: Vec<Fact> = inputs.iter().map(|tensor| Fact::new(tensor.dtype(), tensor.shape().clone())).collect();
        let Ok(Specialized::Graph(graph)) = passes::specialize(self.session.model.graph(), &facts) else { return None };
        let graph = passes::optimize(&graph, &passes::Options { selection, ..passes::Options::default() }).ok()?;
        let found = host::outputs(&graph, inputs).ok()?;
        let wrong = |(found, expected): (&Tensor, &Tensor)| compare("", "", found, expected, self.tolerance).divergent > 0;
        Some(found.iter().zip(&self.expected).any(wrong))
    }
}
