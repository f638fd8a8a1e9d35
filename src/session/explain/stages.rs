//! What a graph that runs in stages would do, as far as types tell.

use super::explanation::{ExplainedStage, Explanation};
use crate::error::Result;
use crate::graph::{Fact, Graph, Input, Structure, ValueId};
use crate::kernel::Caps;
use crate::ops::flow::loops::LoopInputs;
use crate::ops::flow::turns;
use crate::passes::{self, Specialized};
use crate::plan::Choices;
use crate::session::data::elements::assumed;
use crate::session::options::Options;
use crate::session::planning::make;
use crate::session::stages::cut::{Cut, cut};
use crate::session::stages::planned::{BranchStage, LoopStage, Part, PlannedBody, Stage};
use crate::tensor::{DType, TensorType};
use std::collections::HashMap;
use std::sync::Arc;

/// What is known of a value before a run: nothing, or its types.
type Foreseen = Option<Structure<Fact>>;

/// A walk through the stages of graphs.
pub(super) struct Walk<'a> {
    pub caps: &'a Caps,
    pub options: &'a Options,
    pub choices: Arc<Choices>,
}

impl Walk<'_> {
    /// What a graph would do for inputs of these facts, and what is then known of its outputs.
    pub(super) fn graph(&self, graph: &Arc<Graph>, inputs: &[Structure<Fact>]) -> Result<(Explanation, Vec<Foreseen>)> {
        let (specialized, ends) = passes::specialize_structures(graph, inputs)?;
        let at = match specialized {
            Specialized::Graph(specialized) => {
                let plan = make::plan(&specialized, self.caps, self.options, self.choices.clone())?;
                let mut outputs = Vec::with_capacity(ends.outputs.len());
                for output in &ends.outputs {
                    outputs.push(Some(output.try_map(|id| Ok(Fact { value: None, ..specialized.fact(*id)?.clone() }))?));
                }
                return Ok((Explanation::new(&plan, self.caps, graph.nodes().len()), outputs));
            }
            Specialized::Blocked { value, node } => Cut::Value(value, node),
            Specialized::Stage { node } => Cut::Stage(node),
        };
        let stages = cut(graph, &vec![false; graph.outputs().len()], at, false)?;
        let given = graph.inputs().iter().map(|input| input.value).zip(inputs.iter().cloned().map(Some));
        let mut known: HashMap<ValueId, Foreseen> = given.collect();
        let mut whole = Explanation { adapter: self.caps.to_string(), model_nodes: graph.nodes().len(), ..Explanation::default() };
        for stage in &stages.stages {
            match stage {
                Stage::Part(part) => self.part(graph, part, &mut known, &mut whole)?,
                Stage::Loop(stage) => {
                    let inputs = foreseen(graph, &known, stage.node.inputs.iter().copied());
                    let outputs = self.turns(stage, &inputs, &mut whole)?;
                    known.extend(stage.node.outputs.iter().zip(outputs).filter_map(|(id, fact)| Some(((*id)?, fact))));
                }
                Stage::Branch(stage) => {
                    let inputs = foreseen(graph, &known, stage.node.inputs.iter().copied());
                    let outputs = self.branches(stage, &inputs, &mut whole)?;
                    known.extend(stage.node.outputs.iter().zip(outputs).filter_map(|(id, fact)| Some(((*id)?, fact))));
                }
                Stage::Node(node) | Stage::Arrange(node) => whole.stage(&node.path, "a node between plans", vec![]),
                Stage::Map(stage) => whole.stage(&stage.node.path, "a graph for each tensor of a sequence", vec![]),
            }
        }
        let outputs = foreseen(graph, &known, graph.outputs().iter().copied().map(Some));
        Ok((whole, outputs))
    }

    /// A part, where its inputs are known by then.
    fn part(&self, graph: &Graph, part: &Part, known: &mut HashMap<ValueId, Foreseen>, whole: &mut Explanation) -> Result<()> {
        let inputs = foreseen(graph, known, part.inputs.iter().copied().map(Some));
        let Some(facts) = inputs.into_iter().collect::<Option<Vec<_>>>() else {
            let first = part.nodes.first().map_or("the rest", |node| node.path.as_str());
            whole.stage(first, "what follows is planned when the types of its inputs are known", vec![]);
            return Ok(());
        };
        let declared = part.inputs.iter().zip(&facts).map(|(value, facts)| Input {
            value: *value,
            dtype: facts.tensors().first().map_or(DType::F32, Fact::dtype),
            dims: None,
            form: crate::graph::Form::Tensor,
        });
        let own = Graph {
            inputs: declared.collect(),
            nodes: part.nodes.clone(),
            outputs: part.outputs.clone(),
            states: vec![],
            ..graph.clone()
        };
        let (explanation, outputs) = self.graph(&Arc::new(own), &facts)?;
        known.extend(part.outputs.iter().copied().zip(outputs));
        whole.append(explanation);
        Ok(())
    }

    /// One turn of a loop, whose carried values are taken to keep their types. Gives what is known of the loop's outputs.
    fn turns(&self, stage: &LoopStage, inputs: &[Foreseen], whole: &mut Explanation) -> Result<Vec<Foreseen>> {
        let unknown =
            |whole: &mut Explanation| whole.stage(&stage.node.path, "a loop, of which nothing is known before a run", vec![]);
        let Some(inputs) = inputs.iter().cloned().collect::<Option<Vec<_>>>() else {
            unknown(whole);
            return Ok(vec![]);
        };
        let LoopInputs { carried, scans, count, .. } = stage.turns.inputs(&inputs)?;
        let types = scans.iter().map(|scan| Ok(scan.tensor()?.ty.clone())).collect::<Result<Vec<TensorType>>>()?;
        let slices = turns::slices(types.iter())?;
        let carries = carried.iter().map(|value| value.map(|fact| assumed(&fact.ty, true))).collect::<Vec<_>>();
        let mut given = vec![Structure::Tensor(Fact::new(DType::I64, []).bounded(Some((0, 1 << 24))))];
        given.extend(carries.iter().cloned());
        given.extend(
            types.iter().map(|ty| Structure::Tensor(assumed(&TensorType::new(ty.dtype, ty.shape.get(1..).unwrap_or(&[])), true))),
        );
        let (turn, made) = self.graph(&stage.body.planned.graph, &captured(&stage.body, given, &inputs))?;
        whole.stage(&stage.node.path, "a loop, one turn of which is", vec![turn]);
        let length = slices.filter(|_| count.is_absent());
        let rows = made.into_iter().skip(1 + carries.len()).map(|row| {
            let (Some(Structure::Tensor(row)), Some(length)) = (row, length) else { return None };
            let shape = [vec![length as usize], row.ty.shape.to_vec()].concat();
            Some(Structure::Tensor(assumed(&TensorType::new(row.ty.dtype, shape), true)))
        });
        Ok(carries.into_iter().map(Some).chain(rows).collect())
    }

    /// Both branches, either of which may be taken.
    fn branches(&self, stage: &BranchStage, inputs: &[Foreseen], whole: &mut Explanation) -> Result<Vec<Foreseen>> {
        let Some(inputs) = inputs.iter().cloned().collect::<Option<Vec<_>>>() else {
            whole.stage(&stage.node.path, "a branch, of which nothing is known before a run", vec![]);
            return Ok(vec![]);
        };
        let one = |body: &PlannedBody| self.graph(&body.planned.graph, &captured(body, vec![], &inputs));
        let ((first, yes), (second, no)) = (one(&stage.then_branch)?, one(&stage.else_branch)?);
        whole.stage(&stage.node.path, "one of two", vec![first, second]);
        let alike = |(yes, no): (Foreseen, Foreseen)| yes.filter(|yes| no.as_ref() == Some(yes));
        Ok(yes.into_iter().zip(no).map(alike).collect())
    }
}

/// What is known of values; arguments that are left out are absent.
fn foreseen(graph: &Graph, known: &HashMap<ValueId, Foreseen>, ids: impl Iterator<Item = Option<ValueId>>) -> Vec<Foreseen> {
    let one = |id: Option<ValueId>| match id {
        None => Some(Structure::Absent),
        Some(id) => match graph.constant(id) {
            Some(tensor) => Some(Structure::Tensor(Fact::of(tensor.clone()))),
            None => known.get(&id).cloned().flatten(),
        },
    };
    ids.map(one).collect()
}

/// All inputs of a graph within a node.
fn captured(body: &PlannedBody, given: Vec<Structure<Fact>>, inputs: &[Structure<Fact>]) -> Vec<Structure<Fact>> {
    let captured = body.captured.iter().map(|index| inputs.get(*index).cloned().unwrap_or(Structure::Absent));
    given.into_iter().chain(captured).collect()
}

impl Explanation {
    /// Adds a stage behind the steps that are there.
    fn stage(&mut self, node: &str, what: &'static str, bodies: Vec<Explanation>) {
        self.stages.push(ExplainedStage { node: node.to_string(), what, after: self.steps.len(), bodies });
    }

    /// Adds what comes after it.
    fn append(&mut self, other: Explanation) {
        let before = self.steps.len();
        self.stages.extend(other.stages.into_iter().map(|stage| ExplainedStage { after: before + stage.after, ..stage }));
        self.steps.extend(other.steps);
        self.host_nodes.extend(other.host_nodes);
        self.planned_nodes += other.planned_nodes;
        self.kernels += other.kernels;
        self.weight_bytes += other.weight_bytes;
        self.own_bytes += other.own_bytes;
        self.peak_bytes += other.peak_bytes;
        self.texture_bytes += other.texture_bytes;
        self.lower_bound += other.lower_bound;
        self.largest_binding = self.largest_binding.max(other.largest_binding);
        self.binding_limit = other.binding_limit;
    }
}
