//! The body of a loop as a graph whose carried values are states.

use crate::error::Result;
use crate::graph::{Graph, Input, Node, Op, State, ValueId, Writer};
use crate::ops::elementwise::{binary, cast, unary};
use crate::ops::reduce::{Reduction, reduce};
use crate::ops::reshape::identity;
use crate::session::data::elements::ASSUMED;
use crate::tensor::{DType, Tensor, TensorType};
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

/// A 32-bit integer for a 64-bit one.
fn narrow(dtype: DType) -> Option<DType> {
    match dtype {
        DType::I64 => Some(DType::I32),
        DType::U64 => Some(DType::U32),
        _ => None,
    }
}

/// Adds a node that makes an existing value.
fn make(writer: &mut Writer, name: &str, op: Arc<dyn Op>, input: ValueId, output: ValueId) {
    writer.push(Node::new(name, op, vec![Some(input)], vec![Some(output)]));
}

/// 1 where all of these integers are within the assumed bounds, else 0.
fn within(writer: &mut Writer, integers: ValueId, dtype: DType) -> Result<ValueId> {
    let magnitude = if dtype == DType::I64 { writer.add("magnitude", unary("Abs")?, &[Some(integers)]) } else { integers };
    let most = writer.constant("most", Tensor::from_f64(TensorType::new(dtype, []), &[ASSUMED as f64])?);
    let fits = writer.add("fits", binary("LessOrEqual")?, &[Some(magnitude), Some(most)]);
    let fits = writer.add("fits", cast(DType::I32)?, &[Some(fits)]);
    Ok(writer.add("all_fit", reduce(Reduction::Min, None, false, false), &[Some(fits)]))
}

/// The states of a turn, as they are found: the values of their inputs and outputs.
type Ends = Vec<(ValueId, ValueId)>;

impl SteadyGraph {
    /// The turn that a body is, whose first inputs are the number of the turn and carried values of these dtypes.
    pub(super) fn new(body: &Graph, dtypes: &[DType]) -> Result<Self> {
        let (number, rest) = (body.inputs[0].value, &body.inputs[1..]);
        let (carried, others) = rest.split_at(dtypes.len());
        // What goes on as it is stays an input; what is narrowed is made of another.
        let stay = carried.iter().zip(dtypes).filter(|(_, dtype)| narrow(**dtype).is_none()).map(|(input, _)| input);
        let inputs = stay.map(|input| Input { dims: None, ..input.clone() }).chain(others.iter().cloned()).collect();
        let mut writer = Writer::rewriting(&Graph { inputs, outputs: vec![], ..body.clone() });
        let mut states = Ends::new();
        let turn = counted(&mut writer, body, number, &mut states)?;
        let within = bounded(&mut writer, body, dtypes, &mut states)?;
        let mut inputs = Vec::with_capacity(dtypes.len());
        for (k, dtype) in dtypes.iter().enumerate() {
            let (input, output) = (carried[k].value, body.outputs[1 + k]);
            states.push(match narrow(*dtype) {
                Some(narrow) => {
                    let state = writer.declare("carried", narrow, None);
                    make(&mut writer, "carried", cast(*dtype)?, state, input);
                    (state, writer.add("narrow", cast(narrow)?, &[Some(output)]))
                }
                // Two states that are written by one value would be one.
                None => (input, writer.add("next", identity(), &[Some(output)])),
            });
            inputs.extend(states.last().map(|state| state.0));
        }
        let mut graph = writer.finish()?;
        let (condition, rows) = (body.outputs[0], body.outputs[1 + dtypes.len()..].to_vec());
        let place = |input: &Input| states.iter().position(|(state, _)| *state == input.value).unwrap_or(states.len());
        graph.inputs.sort_by_key(place);
        graph.outputs = std::iter::once(condition).chain(rows.iter().copied()).chain(states.iter().map(|state| state.1)).collect();
        let state = |(k, (input, output)): (usize, (ValueId, ValueId))| State { name: k.to_string(), input, output, initial: None };
        graph.states = states.into_iter().enumerate().map(state).collect();
        Ok(SteadyGraph { graph, turn, within, carried: inputs, condition, rows })
    }
}

/// Counts the turns, where the body reads their number.
fn counted(writer: &mut Writer, body: &Graph, number: ValueId, states: &mut Ends) -> Result<Option<ValueId>> {
    if !body.outputs.contains(&number) && !body.nodes.iter().any(|node| node.inputs.contains(&Some(number))) {
        return Ok(None);
    }
    let turn = writer.declare("turn", DType::I32, None);
    make(writer, "turn", cast(DType::I64)?, turn, number);
    let one = writer.constant("one", Tensor::scalar(1i32));
    states.push((turn, writer.add("next_turn", binary("Add")?, &[Some(turn), Some(one)])));
    Ok(Some(turn))
}

/// Keeps in mind whether 64-bit integers were within bounds, before each turn and after it, where any are carried.
fn bounded(writer: &mut Writer, body: &Graph, dtypes: &[DType], states: &mut Ends) -> Result<Option<ValueId>> {
    if dtypes.iter().all(|dtype| narrow(*dtype).is_none()) {
        return Ok(None);
    }
    let before = writer.declare("within", DType::I32, None);
    let mut all = before;
    for (k, dtype) in dtypes.iter().enumerate().filter(|(_, dtype)| narrow(**dtype).is_some()) {
        for integers in [body.inputs[1 + k].value, body.outputs[1 + k]] {
            let fits = within(writer, integers, *dtype)?;
            all = writer.add("all_within", binary("Min")?, &[Some(all), Some(fits)]);
        }
    }
    states.push((before, all));
    Ok(Some(before))
}
