//! How what goes into the gates of a recurrent layer acts on its state, at all steps at once: what the way back is made of.

use super::{Activation, Cell, Recurrent, RecurrentShape, slopes_lower};
use crate::error::Result;
use crate::graph::{Fact, Io, Op, required};
use crate::kernel::Offers;
use crate::tensor::{Tensor, TensorType};
use std::sync::Arc;

/// The factors by which the gradient of the state after a step becomes those of what goes into the gates of one direction of a layer.
///
/// Inputs: the products of the layer's inputs and W as the steps take them; those of the states before each step and R,
/// `[steps * batch, gates * hidden]` with steps before batch, of a GRU whose reset gate scales the state without the candidate's; the
/// packed weights; optional sequence lengths; of a GRU the states before each step, of an LSTM the first cell state, which may be left
/// out; of a GRU whose reset gate scales the state the candidate's products with the scaled states, `[steps * batch, hidden]`.
/// With `shifted` the products are those of the states after each step, the states are those that the layer answers, and there is none
/// before the first step.
///
/// Outputs: `[steps, batch, blocks * hidden]`, zeros after the end of a sequence, with these blocks:
///
/// - a plain cell: the derivative of its activation;
/// - a GRU: gates z, r and h, then what the product is given (the reset gate, where it scales the state), then what goes to the state
///   before past all products; of a reset gate that scales the state the factor of what its product hands back;
/// - an LSTM: gates i, o, f and c (all but o of the gradient of the cell state), then what the cell state gets of the state, and the cell
///   state before of the one after.
///
/// Of an LSTM the second is the cell states after each step, `[steps, batch, hidden]`.
#[derive(Clone, Debug)]
pub(super) struct Slopes {
    /// The layer.
    pub layer: Recurrent,
    /// Its extents.
    pub geometry: RecurrentShape,
    /// Which of its directions.
    pub direction: usize,
    /// What stands before each step is read one step away.
    pub shifted: bool,
}

/// The slopes of one direction of a layer, given its numbers of steps, batch elements and hidden units, see `Slopes`.
pub fn recurrent_slopes(layer: Recurrent, direction: usize, shifted: bool, [steps, batch, hidden]: [usize; 3]) -> Arc<dyn Op> {
    let geometry = RecurrentShape { steps, batch, input: 0, hidden, directions: layer.directions() };
    Arc::new(Slopes { layer, geometry, direction, shifted })
}

impl Cell {
    /// Slopes of a unit at a step.
    pub(super) fn slopes(self) -> usize {
        match self {
            Cell::Rnn => 1,
            Cell::Gru { .. } => 5,
            Cell::Lstm { .. } => 6,
        }
    }

    pub(super) fn is_lstm(self) -> bool {
        matches!(self, Cell::Lstm { .. })
    }
}

impl Slopes {
    /// What a row of the products with the states has.
    pub(super) fn columns(&self) -> usize {
        let cell = self.layer.cell;
        (cell.gates() - usize::from(cell.takes_two_products())) * self.geometry.hidden
    }

    fn types(&self, like: &TensorType) -> Vec<TensorType> {
        let RecurrentShape { steps, batch, hidden, .. } = self.geometry;
        let mut types = vec![TensorType::new(like.dtype, [steps, batch, self.layer.cell.slopes() * hidden])];
        if self.layer.cell.is_lstm() {
            types.push(TensorType::new(like.dtype, [steps, batch, hidden]));
        }
        types
    }
}

impl Op for Slopes {
    fn name(&self) -> &'static str {
        "RecurrentSlopes"
    }

    crate::attributes!(layer, geometry, direction, shifted);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let like = &required(self.name(), inputs, 0)?.ty;
        Ok(self.types(like).into_iter().map(|ty| Fact::new(ty.dtype, ty.shape)).collect())
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let hidden = self.geometry.hidden;
        let need = |k: usize| required(self.name(), inputs, k).map(Tensor::to_f64);
        let optional = |k: usize| inputs.get(k).copied().flatten();
        let lengths = self.geometry.lengths(self.name(), optional(3))?;
        let packed = self.layer.packer(self.geometry).unpack(&need(2)?);
        let data = Data {
            op: self,
            x: need(0)?,
            recurrent: need(1)?,
            biases: packed.b.unwrap_or_default(),
            peepholes: packed.p.unwrap_or_default(),
            states: optional(4).map(Tensor::to_f64),
            candidates: optional(5).map(Tensor::to_f64),
        };
        let types = self.types(required(self.name(), inputs, 0)?.ty());
        let mut made: Vec<Vec<f64>> = types.iter().map(|ty| vec![0f64; ty.elements()]).collect();
        let blocks = self.layer.cell.slopes();
        for (element, length) in lengths.into_iter().enumerate() {
            for unit in 0..hidden {
                let mut memory = data.first_memory(element, unit);
                for step in 0..length {
                    let place = data.place(element, unit, step, length);
                    let found = match self.layer.cell {
                        Cell::Rnn => vec![data.both(0, data.sum(&place, 0)).1],
                        Cell::Gru { linear_before_reset } => data.gated_unit(&place, linear_before_reset),
                        Cell::Lstm { .. } => data.memory_unit(&place, &mut memory),
                    };
                    for (block, found) in found.into_iter().enumerate() {
                        made[0][(place.row * blocks + block) * hidden + unit] = found;
                    }
                    if let Some(memories) = made.get_mut(1) {
                        memories[place.row * hidden + unit] = memory;
                    }
                }
            }
        }
        types.into_iter().zip(&made).map(|(ty, values)| Tensor::from_f64(ty, values)).collect()
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        slopes_lower::lower(self, io, offers)
    }
}

/// What the slopes are made of.
struct Data<'a> {
    op: &'a Slopes,
    x: Vec<f64>,
    recurrent: Vec<f64>,
    biases: Vec<f64>,
    peepholes: Vec<f64>,
    states: Option<Vec<f64>>,
    candidates: Option<Vec<f64>>,
}

/// A unit of a batch element at a step.
struct Place {
    unit: usize,
    row: usize,
    /// The row of the products of the inputs.
    given: usize,
    /// The row of the products of the states before, and where the state stands among those that the layer answers.
    before: Option<(usize, usize)>,
}

impl Data<'_> {
    fn place(&self, element: usize, unit: usize, step: usize, length: usize) -> Place {
        let RecurrentShape { steps, batch, directions, hidden, .. } = self.op.geometry;
        let (direction, batch_first) = (self.op.direction, self.op.layer.batch_first);
        let time = |step: usize| if self.op.layer.reversed(direction) { length - 1 - step } else { step };
        let own = time(step);
        let row = own * batch + element;
        let given = if batch_first { element * steps + own } else { row };
        let answered = |time: usize| match batch_first {
            true => (element * steps + time) * directions + direction,
            false => (time * directions + direction) * batch + element,
        };
        let before = match step.checked_sub(1).map(time) {
            _ if !self.op.shifted => Some((row, row * hidden + unit)),
            last => last.map(|last| (last * batch + element, answered(last) * hidden + unit)),
        };
        Place { unit, row, given, before }
    }

    fn activation(&self, k: usize) -> Activation {
        self.op.layer.activation(self.op.direction, k)
    }

    /// An activation and its derivative.
    fn both(&self, k: usize, x: f64) -> (f64, f64) {
        let limit = self.op.layer.clip.map_or(f64::INFINITY, f64::from);
        let (function, within) = (self.activation(k), x.abs() <= limit);
        (function.apply(x.clamp(-limit, limit)), if within { function.derivative(x) } else { 0.0 })
    }

    fn bias(&self, place: &Place, half: usize, gate: usize) -> f64 {
        let gates = self.op.layer.cell.gates();
        self.biases[((self.op.direction * 2 + half) * gates + gate) * self.op.geometry.hidden + place.unit]
    }

    fn peephole(&self, place: &Place, which: usize) -> f64 {
        self.peepholes[(self.op.direction * 3 + which) * self.op.geometry.hidden + place.unit]
    }

    /// What goes into a gate from the inputs.
    fn of_input(&self, place: &Place, gate: usize) -> f64 {
        let RecurrentShape { directions, hidden, .. } = self.op.geometry;
        let row = (place.given * directions + self.op.direction) * self.op.layer.cell.gates() + gate;
        self.x[row * hidden + place.unit] + self.bias(place, 0, gate)
    }

    /// What goes into a gate from the state.
    fn of_state(&self, place: &Place, gate: usize) -> f64 {
        let at = |row: usize| self.recurrent[row * self.op.columns() + gate * self.op.geometry.hidden + place.unit];
        place.before.map_or(0.0, |(row, _)| at(row)) + self.bias(place, 1, gate)
    }

    fn sum(&self, place: &Place, gate: usize) -> f64 {
        self.of_input(place, gate) + self.of_state(place, gate)
    }

    /// The first cell state.
    fn first_memory(&self, element: usize, unit: usize) -> f64 {
        let RecurrentShape { batch, directions, hidden, .. } = self.op.geometry;
        let direction = self.op.direction;
        let row = if self.op.layer.batch_first { element * directions + direction } else { direction * batch + element };
        let states = self.states.as_ref().filter(|_| self.op.layer.cell.is_lstm());
        states.map_or(0.0, |states| states[row * hidden + unit])
    }

    fn gated_unit(&self, place: &Place, linear: bool) -> Vec<f64> {
        let update = self.both(0, self.sum(place, 0));
        let reset = self.both(0, self.sum(place, 1));
        let state = self.states.as_ref().zip(place.before);
        let before = state.map_or(0.0, |(states, (_, at))| states[at]);
        let product = if linear { self.of_state(place, 2) } else { 0.0 };
        let scaled = match &self.candidates {
            Some(candidates) if !linear => candidates[place.row * self.op.geometry.hidden + place.unit] + self.bias(place, 1, 2),
            _ => reset.0 * product,
        };
        let candidate = self.both(1, self.of_input(place, 2) + scaled);
        let change = (1.0 - update.0) * candidate.1;
        let [through_reset, to_product] = if linear { [change * product, change] } else { [before, 1.0] };
        vec![(before - candidate.0) * update.1, through_reset * reset.1, change, to_product * reset.0, update.0]
    }

    /// One unit of an LSTM, given its cell state before the step, which becomes the one after.
    fn memory_unit(&self, place: &Place, memory: &mut f64) -> Vec<f64> {
        let coupled = self.op.layer.cell == (Cell::Lstm { input_forget: true });
        let before = *memory;
        let input = self.both(0, self.sum(place, 0) + self.peephole(place, 0) * before);
        let forget = match coupled {
            true => (1.0 - input.0, 0.0),
            false => self.both(0, self.sum(place, 2) + self.peephole(place, 2) * before),
        };
        let candidate = self.both(1, self.sum(place, 3));
        let after = forget.0 * before + input.0 * candidate.0;
        *memory = after;
        let output = self.both(0, self.sum(place, 1) + self.peephole(place, 1) * after);
        let last = self.activation(2);
        let to_output = last.apply(after) * output.1;
        let to_input = (candidate.0 - if coupled { before } else { 0.0 }) * input.1;
        let to_forget = before * forget.1;
        let shown = output.0 * last.derivative(after) + to_output * self.peephole(place, 1);
        let kept = forget.0 + to_input * self.peephole(place, 0) + to_forget * self.peephole(place, 2);
        vec![to_input, to_output, to_forget, input.0 * candidate.1, shown, kept]
    }
}
