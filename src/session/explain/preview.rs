//! Planning without running: what a run of given inputs, or of inputs of which only the types are known, would do.

use super::explanation::Explanation;
use super::stages::Walk;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Fact, Graph, Structure};
use crate::kernel::Caps;
use crate::passes::{self, Specialized};
use crate::plan::Plan;
use crate::session::data::elements::{assumed, within_assumed};
use crate::session::data::inputs::{InputInfo, matched, with_states};
use crate::session::front::Session;
use crate::session::planning::ancestors::sources;
use crate::session::planning::key::MAX_VALUE_ELEMENTS;
use crate::session::planning::make;
use crate::session::runtime::Runtime;
use crate::tensor::{Tensor, TensorType, TensorView};
use std::sync::Arc;

/// What is known of an input before a run.
#[derive(Clone, Debug)]
pub enum Known<'a> {
    /// Its type.
    Type(TensorType),
    /// The input itself.
    Tensor(TensorView<'a>),
}

/// An input of which the contents may be known.
struct Given {
    ty: TensorType,
    value: Option<Tensor>,
    bounded: bool,
}

/// The name of an input that a shape depends on, and the number that all its elements are assumed to be.
type Assumption = (String, usize);

impl Session {
    /// What a run with inputs of these types would do; states may be given as inputs are, and else are what they are at first. Nothing is compiled, measured or run: of several variants it shows the
    /// one that present measurements choose. A session on the CPU explains the plan for an adapter of WebGPU's
    /// guaranteed limits.
    ///
    /// Where a shape depends on the contents of an integer input (a length, say), they are assumed to be the largest extent of an
    /// input with which planning succeeds; [`Explanation::assumptions`] names it.
    ///
    /// # Errors
    /// As [`run`](Session::run).
    pub fn explain(&self, inputs: &[(&str, TensorType)]) -> Result<Explanation> {
        let known: Vec<_> = inputs.iter().map(|(name, ty)| (*name, Known::Type(ty.clone()))).collect();
        self.explain_known(&known)
    }

    /// What a run with these inputs would do; as [`explain`](Session::explain), but nothing has to be assumed.
    ///
    /// # Errors
    /// As `explain`.
    pub fn explain_run(&self, inputs: &[(&str, TensorView<'_>)]) -> Result<Explanation> {
        let known: Vec<_> = inputs.iter().map(|(name, view)| (*name, Known::Tensor(*view))).collect();
        self.explain_known(&known)
    }

    /// What a run would do with inputs of which some are given; as [`explain`](Session::explain), but nothing is assumed of
    /// those.
    ///
    /// # Errors
    /// As `explain`.
    pub fn explain_known(&self, inputs: &[(&str, Known<'_>)]) -> Result<Explanation> {
        let runtime = self.runtime(inputs.iter().map(|(name, _)| *name))?;
        match Preview::new(&runtime, inputs) {
            Ok(Preview { plan, caps, assumptions }) => {
                Ok(Explanation { assumptions, ..Explanation::new(&plan, &caps, runtime.graph.nodes().len()) })
            }
            // No one plan does it.
            Err(error) if error.kind() == ErrorKind::Unsupported => in_stages(&runtime, inputs).map_err(|_| error),
            Err(error) => Err(error),
        }
    }

    /// The plan that a run with these inputs gets.
    ///
    /// # Errors
    /// As [`explain`](Session::explain).
    #[doc(hidden)]
    pub fn plan(&self, inputs: &[(&str, TensorView<'_>)]) -> Result<Plan> {
        let runtime = self.runtime(inputs.iter().map(|(name, _)| *name))?;
        let known: Vec<_> = inputs.iter().map(|(name, view)| (*name, Known::Tensor(*view))).collect();
        Ok(Preview::new(&runtime, &known)?.plan)
    }
}

/// What a run in stages would do.
fn in_stages(runtime: &Runtime, inputs: &[(&str, Known<'_>)]) -> Result<Explanation> {
    let (given, caps) = (given(runtime, inputs)?, runtime.caps());
    let choices = runtime.device().map_or_else(Arc::default, |_| runtime.choices.choices(&caps));
    let fact = |given: Given| match given.value.filter(|value| value.dtype().is_integer()) {
        Some(value) => Structure::Tensor(Fact::of(value)),
        None => Structure::Tensor(assumed(&given.ty, given.bounded)),
    };
    let facts: Vec<Structure<Fact>> = given.into_iter().map(fact).collect();
    Ok(Walk { caps: &caps, options: &runtime.options, choices }.graph(&runtime.graph, &facts)?.0)
}

/// What a run would do.
struct Preview {
    plan: Plan,
    caps: Caps,
    assumptions: Vec<Assumption>,
}

impl Preview {
    fn new(runtime: &Runtime, inputs: &[(&str, Known<'_>)]) -> Result<Self> {
        let (given, caps) = (given(runtime, inputs)?, runtime.caps());
        // Without a device nothing was measured.
        let choices = runtime.device().map_or_else(Arc::default, |_| runtime.choices.choices(&caps));
        let mut extents: Vec<usize> = given.iter().flat_map(|g| g.ty.shape.iter().copied()).chain([1]).collect();
        extents.sort_unstable_by(|a, b| b.cmp(a));
        extents.dedup();
        let mut first = None;
        for extent in extents {
            match specialize(&runtime.graph, &given, extent) {
                Ok((graph, assumptions)) => {
                    let plan = make::plan(&graph, &caps, &runtime.options, choices)?;
                    return Ok(Preview { plan, caps, assumptions });
                }
                Err((error, false)) => return Err(error),
                Err((error, true)) => drop(first.get_or_insert(error)),
            }
        }
        Err(first.unwrap_or_else(|| Error::internal("no extent to try")))
    }
}

/// What is known of the inputs and states, in the model's order. States that are not given are what they are before the first run.
fn given(runtime: &Runtime, inputs: &[(&str, Known<'_>)]) -> Result<Vec<Given>> {
    let graph = &runtime.graph;
    let mut inputs: Vec<(&str, Known<'_>)> = inputs.to_vec();
    for state in graph.states() {
        let name = graph.value(state.input).name.as_str();
        let start = state.start(graph.state_input(state)?).filter(|_| inputs.iter().all(|(given, _)| *given != name));
        inputs.extend(start.map(|tensor| (name, Known::Type(tensor.ty().clone()))));
    }
    let declared = |(name, known): &(&'_ str, Known<'_>)| match known {
        Known::Type(ty) => (name.to_string(), ty.dtype, ty.shape.dims().to_vec()),
        Known::Tensor(view) => (name.to_string(), view.dtype(), view.shape().to_vec()),
    };
    let declared: Vec<_> = inputs.iter().map(declared).collect();
    let declared: Vec<_> =
        declared.iter().map(|(name, dtype, dims)| (name.as_str(), Structure::Tensor((*dtype, dims.as_slice())))).collect();
    let given = |(place, input): (Option<usize>, &InputInfo)| match place.map(|k| &inputs[k].1) {
        None => Err(Error::unsupported(format!("input `{}` is left out, so that there is no plan before a run", input.name))),
        Some(Known::Type(ty)) => Ok(Given { ty: ty.clone(), value: None, bounded: true }),
        Some(Known::Tensor(view)) => {
            let value = (view.shape().iter().product::<usize>() <= MAX_VALUE_ELEMENTS).then(|| view.to_tensor());
            Ok(Given { ty: TensorType::new(view.dtype(), view.shape()), value, bounded: within_assumed(view) })
        }
    };
    let all = with_states(graph);
    matched(&all, &declared)?.into_iter().zip(&all).map(given).collect()
}

/// Specialises with `extent` for the integers that shapes depend on. An error says whether anything was assumed.
fn specialize(graph: &Graph, given: &[Given], extent: usize) -> Result<(Graph, Vec<Assumption>), (Error, bool)> {
    let mut facts: Vec<Fact> = given.iter().map(|g| assumed(&g.ty, g.bounded)).collect();
    let mut assumptions: Vec<Assumption> = Vec::new();
    loop {
        let failed = |e: Error| (e, !assumptions.is_empty());
        let (value, node) = match passes::specialize(graph, &facts).map_err(failed)? {
            Specialized::Graph(graph) => return Ok((graph, assumptions)),
            Specialized::Blocked { value, node } => (value, node),
            Specialized::Stage { node } => {
                let message = "the node is a stage of its own, so the plan is known only when the model runs";
                return Err(failed(Error::unsupported(message).at(&graph.nodes()[node].path)));
            }
        };
        let before = assumptions.len();
        let mut grown = false;
        for k in sources(graph, value) {
            let Given { ty, value, .. } = &given[k];
            if facts[k].value.is_some() || ty.elements() > MAX_VALUE_ELEMENTS {
                continue;
            }
            let tensor = match value {
                Some(tensor) => tensor.clone(),
                None if ty.dtype.is_integer() => {
                    assumptions.push((graph.value(graph.inputs()[k].value).name.clone(), extent));
                    let same = vec![extent as i128; ty.elements()];
                    Tensor::from_i128(ty.clone(), &same).map_err(|e| (e, false))?
                }
                None => continue,
            };
            facts[k] = Fact::of(tensor);
            grown = true;
        }
        if !grown {
            let name = &graph.value(value).name;
            let message =
                format!("the output shape depends on the value of `{name}`, so the plan is known only when the model runs");
            return Err((Error::unsupported(message).at(&graph.nodes()[node].path), before > 0));
        }
    }
}
