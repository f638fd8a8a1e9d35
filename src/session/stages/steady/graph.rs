//! The body of a loop as a graph whose carried values are states.

use crate::error::Result;
use crate::graph::{Form, Graph, Input, Node, Op, State, Value, ValueId};
use crate::ops::elementwise::{binary, cast};
use crate::ops::reduce::{Reduction, reduce};
use crate::session::data::elements::ASSUMED;
use crate::tensor::{DType, Tensor, TensorType};
use std::collections::HashSet;
use std::sync::Arc;

/// The graph of one turn. 64-bit integers go from turn to turn as 32-bit ones, and a state says whether all of them were within the bounds
/// that plans assume.
#[derive(Clone, Debug)]
pub(super) struct SteadyGraph {
    pub graph: Graph,
    /// The number of the turn, from 0 on, where the body reads it.
    pub turn: Option<ValueId>,
    /// 1 as long as 64-bit integers are within bounds, where any are carried.
    pub within: Option<ValueId>,
    /// The inputs of carried values.
    pub carried: Vec<ValueId>,
    /// Whether there is a further turn.
    pub condition: ValueId,
    /// The rows of scan outputs.
    pub rows: Vec<ValueId>,
}

/// Nodes on their way into a graph.
struct Growing {
    graph: Graph,
    names: HashSet<String>,
}

impl Growing {
    fn value(&mut self, name: &str, constant: Option<Tensor>) -> ValueId {
        let mut unique = name.to_string();
        while !self.names.insert(unique.clone()) {
            unique.push('\'');
        }
        self.graph.values.push(Value { name: unique, constant, fact: None });
        ValueId(self.graph.values.len() - 1)
    }

    fn input(&mut self, name: &str, dtype: DType) -> ValueId {
        let value = self.value(name, None);
        self.graph.inputs.push(Input { value, form: Form::Tensor, dtype, dims: None });
        value
    }

    fn number(&mut self, dtype: DType, number: f64) -> Result<ValueId> {
        Ok(self.value("number", Some(Tensor::from_f64(TensorType::new(dtype, []), &[number])?)))
    }

    /// Adds a node in front of all others, or behind them.
    fn node(&mut self, name: &str, op: Arc<dyn Op>, inputs: &[ValueId], output: Option<ValueId>) -> ValueId {
        let output_value = output.unwrap_or_else(|| self.value(name, None));
        let node = Node::new(name, op, inputs.iter().copied().map(Some).collect(), vec![Some(output_value)]);
        let at = if output.is_some() { 0 } else { self.graph.nodes.len() };
        self.graph.nodes.insert(at, node);
        output_value
    }

    /// 1 where all of these integers are within the assumed bounds, else 0.
    fn within(&mut self, integers: ValueId, dtype: DType) -> Result<ValueId> {
        let magnitude = if dtype == DType::I64 {
            self.node("magnitude", crate::ops::elementwise::unary("Abs")?, &[integers], None)
        } else {
            integers
        };
        let most = self.number(dtype, ASSUMED as f64)?;
        let fits = self.node("fits", binary("LessOrEqual")?, &[magnitude, most], None);
        let fits = self.node("fits", cast(DType::I32)?, &[fits], None);
        Ok(self.node("all_fit", reduce(Reduction::Min, None, false, false), &[fits], None))
    }
}

impl SteadyGraph {
    /// The turn that a body is, whose first inputs are the number of the turn and carried values of these dtypes.
    pub(super) fn new(body: &Graph, carried: &[DType]) -> Result<Self> {
        let names = body.values.iter().map(|value| value.name.clone()).collect();
        let mut graph = body.clone();
        let others = graph.inputs.split_off(1 + carried.len());
        let old: Vec<Input> = std::mem::take(&mut graph.inputs);
        let outputs = std::mem::take(&mut graph.outputs);
        let mut growing = Growing { graph, names };
        let number = old[0].value;
        let reads_turn = body.nodes.iter().any(|node| node.inputs.contains(&Some(number)));
        let mut states: Vec<(ValueId, ValueId)> = Vec::new();
        let turn = if reads_turn {
            let turn = growing.input("turn", DType::I32);
            growing.node("turn", cast(DType::I64)?, &[turn], Some(number));
            let one = growing.number(DType::I32, 1.0)?;
            states.push((turn, growing.node("next_turn", binary("Add")?, &[turn, one], None)));
            Some(turn)
        } else {
            None
        };
        let narrow = |dtype: DType| match dtype {
            DType::I64 => Some(DType::I32),
            DType::U64 => Some(DType::U32),
            _ => None,
        };
        let mut within = None;
        if carried.iter().any(|dtype| narrow(*dtype).is_some()) {
            let before = growing.input("within", DType::I32);
            let mut all = before;
            for (k, dtype) in carried.iter().enumerate().filter(|(_, dtype)| narrow(**dtype).is_some()) {
                for integers in [old[1 + k].value, outputs[1 + k]] {
                    let fits = growing.within(integers, *dtype)?;
                    all = growing.node("all_within", binary("Min")?, &[all, fits], None);
                }
            }
            states.push((before, all));
            within = Some(before);
        }
        let mut inputs = Vec::with_capacity(carried.len());
        for (k, dtype) in carried.iter().enumerate() {
            let (input, output) = (old[1 + k].value, outputs[1 + k]);
            let state = match narrow(*dtype) {
                Some(narrow) => {
                    let state = growing.input("carried", narrow);
                    growing.node("carried", cast(*dtype)?, &[state], Some(input));
                    (state, growing.node("narrow", cast(narrow)?, &[output], None))
                }
                None => {
                    growing.graph.inputs.push(Input { dims: None, ..old[1 + k].clone() });
                    // Two states that are written by one value would be one.
                    (input, growing.node("next", crate::ops::reshape::identity(), &[output], None))
                }
            };
            states.push(state);
            inputs.push(state.0);
        }
        Ok(SteadyGraph::finish(growing.graph, others, &outputs, carried.len(), states, (turn, within, inputs)))
    }

    fn finish(
        mut graph: Graph,
        others: Vec<Input>,
        outputs: &[ValueId],
        carried: usize,
        states: Vec<(ValueId, ValueId)>,
        (turn, within, inputs): (Option<ValueId>, Option<ValueId>, Vec<ValueId>),
    ) -> Self {
        graph.inputs.extend(others);
        let (condition, rows) = (outputs[0], outputs[1 + carried..].to_vec());
        graph.outputs = std::iter::once(condition).chain(rows.iter().copied()).chain(states.iter().map(|state| state.1)).collect();
        let state = |(k, (input, output)): (usize, (ValueId, ValueId))| State { name: k.to_string(), input, output, initial: None };
        graph.states = states.into_iter().enumerate().map(state).collect();
        SteadyGraph { graph, turn, within, carried: inputs, condition, rows }
    }
}
