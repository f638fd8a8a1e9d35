//! The plans of a steady body, by what is known of its inputs.

use super::graph::SteadyGraph;
use crate::error::Result;
use crate::gpu::Opaque;
use crate::graph::{Fact, Graph, Structure, ValueId};
use crate::passes::{self, Ends, Specialized};
use crate::plan::Written;
use crate::session::data::elements::ASSUMED;
use crate::session::data::held::Held;
use crate::session::execution::instance::Instance;
use crate::session::execution::loaded::LoadedPlan;
use crate::session::execution::state_buffers::StateBuffers;
use crate::session::planning::ancestors::sources;
use crate::session::planning::cache::PlanCache;
use crate::session::resources::Resources;
use crate::session::stages::prepare::{Wanted, prepare};
use crate::tensor::DType;
use std::sync::{Mutex, PoisonError};

/// The plans of a body whose carried values keep their types; `None` where they do not.
#[derive(Default)]
pub(crate) struct SteadyBodies {
    routes: PlanCache<Option<Opaque<SteadyBody>>>,
}

/// A plan of a body whose carried values are states.
pub(crate) struct SteadyBody {
    pub(super) loaded: Opaque<LoadedPlan>,
    pub(super) shape: SteadyGraph,
    /// The values that slices and what is captured are given to.
    pub(super) given: Vec<Structure<ValueId>>,
    idle: Mutex<Vec<Lane>>,
}

/// What one run of a loop at a time needs: buffers of the plan, and of what is carried.
pub(super) struct Lane {
    pub instance: Instance,
    pub states: StateBuffers,
}

/// A lane whose states somebody still reads; it goes back when it is dropped.
pub(super) struct LaneLease {
    body: Opaque<SteadyBody>,
    lane: Option<Lane>,
}

impl SteadyBodies {
    /// The plan for carried values like these, slices, and captured values, if they let the body be steady.
    pub(crate) async fn find(
        &self,
        resources: &Resources<'_>,
        body: &Graph,
        carried: &[Structure<Held<'_>>],
        given: &[Structure<Held<'_>>],
    ) -> Result<Option<Opaque<SteadyBody>>> {
        let tensors: Option<Vec<&Held<'_>>> =
            carried.iter().map(|value| if let Structure::Tensor(held) = value { Some(held) } else { None }).collect();
        let Some(tensors) = tensors.filter(|tensors| tensors.iter().all(|held| is_within(held))) else { return Ok(None) };
        let all: Vec<Structure<Held<'_>>> = carried.iter().chain(given).cloned().collect();
        if let Some(found) = self.routes.find(&self.routes.key(&all)) {
            return Ok(found);
        }
        let _planning = self.routes.planning().await;
        let dtypes: Vec<DType> = tensors.iter().map(|held| held.ty().dtype).collect();
        let shape = SteadyGraph::new(body, &dtypes)?;
        loop {
            let key = self.routes.key(&all);
            if let Some(found) = self.routes.find(&key) {
                return Ok(found);
            }
            let mut facts: Vec<Structure<Fact>> = shape.own_facts(&tensors);
            facts.extend(key.facts(&all).split_off(carried.len()));
            // What is wrong with a turn is said by those that are planned one by one.
            let Ok((specialized, ends)) = passes::specialize_structures(&shape.graph, &facts) else { return Ok(None) };
            let found = match specialized {
                Specialized::Graph(graph) => SteadyBody::new(resources, graph, ends, &shape).await?.map(Opaque::new),
                Specialized::Blocked { value, .. } if self.by_value(&shape, value, &all) => continue,
                Specialized::Blocked { .. } | Specialized::Stage { .. } => None,
            };
            self.routes.insert(key, found.clone());
            return Ok(found);
        }
    }

    /// Lets plans depend on the contents of what `value` is computed from, where that is captured.
    fn by_value(&self, shape: &SteadyGraph, value: ValueId, all: &[Structure<Held<'_>>]) -> bool {
        let own = shape.graph.states().len();
        let places: Vec<usize> = sources(&shape.graph, value).into_iter().collect();
        let captured = places.iter().all(|place| *place >= own);
        captured && self.routes.take_values(places.into_iter().map(|place| place - own + shape.carried.len()).collect(), all)
    }
}

/// Whether a value that is carried is within the bounds that plans assume.
fn is_within(held: &Held<'_>) -> bool {
    let Fact { ty, bounds, .. } = held.fact();
    let wide = matches!(ty.dtype, DType::I64 | DType::U64);
    !wide || bounds.is_some_and(|(low, high)| low >= -ASSUMED && high <= ASSUMED)
}

impl SteadyGraph {
    /// What is known of the states: their types, and what the run sees to.
    fn own_facts(&self, carried: &[&Held<'_>]) -> Vec<Structure<Fact>> {
        let turn = self.turn.map(|_| Fact::new(DType::I32, []).bounded(Some((0, ASSUMED))));
        let within = self.within.map(|_| Fact::new(DType::I32, []).bounded(Some((0, 1))));
        let value = |held: &&Held<'_>| {
            let ty = held.ty();
            match ty.dtype {
                DType::I64 => Fact::new(DType::I32, ty.shape).bounded(Some((-ASSUMED, ASSUMED))),
                DType::U64 => Fact::new(DType::U32, ty.shape).bounded(Some((0, ASSUMED))),
                dtype => Fact::new(dtype, ty.shape),
            }
        };
        turn.into_iter().chain(within).chain(carried.iter().map(value)).map(Structure::Tensor).collect()
    }
}

impl SteadyBody {
    /// The plan of a specialised turn, where one submission does it and states keep their types.
    async fn new(resources: &Resources<'_>, graph: Graph, ends: Ends, shape: &SteadyGraph) -> Result<Option<Self>> {
        for state in graph.states() {
            if graph.fact(state.input)?.ty != graph.fact(state.output)?.ty {
                return Ok(None);
            }
        }
        let resident = graph.outputs().to_vec();
        let loaded = prepare(resources, &graph, &Wanted { resident, checks_inputs: false }).await?;
        let plan = loaded.plan();
        let on_gpu = plan.states.iter().all(|state| state.scalar.is_some() && state.written != Written::Host);
        let made = |id: &ValueId| {
            let place = plan.graph.outputs().iter().position(|output| output == id);
            place.and_then(|place| plan.outputs[place].as_ref()).is_some()
        };
        let condition = plan.graph.constant(shape.condition).is_some() || made(&shape.condition);
        let whole = plan.states.len() == shape.graph.states().len()
            && plan.segments.len() == 1
            && plan.checks.is_empty()
            && plan.host_nodes().next().is_none();
        if !(on_gpu && whole && condition && shape.rows.iter().all(made)) {
            return Ok(None);
        }
        let given = ends.inputs.into_iter().skip(shape.graph.states().len()).collect();
        Ok(Some(SteadyBody { loaded, shape: shape.clone(), given, idle: Mutex::default() }))
    }

    /// A lane of the pool, or a new one.
    pub(super) async fn lane(&self) -> Result<Lane> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(lane) => Ok(lane),
            None => {
                let states = StateBuffers::of(&self.loaded.plan().graph)?;
                Ok(Lane { instance: self.loaded.take().await?, states })
            }
        }
    }
}

impl LaneLease {
    pub(super) fn new(body: Opaque<SteadyBody>, lane: Lane) -> Self {
        LaneLease { body, lane: Some(lane) }
    }

    /// What is carried.
    pub(super) fn states(&self) -> Option<&StateBuffers> {
        self.lane.as_ref().map(|lane| &lane.states)
    }
}

impl Drop for LaneLease {
    fn drop(&mut self) {
        if let Some(lane) = self.lane.take() {
            self.body.idle.lock().unwrap_or_else(PoisonError::into_inner).push(lane);
        }
    }
}
