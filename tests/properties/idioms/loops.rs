//! Loops and scans: a block of rows again and again, with counts and conditions that are known, given, or computed.

use super::network::Attribute;
use super::sketch::{Sketch, Value, set};
use gristmill::{DType, Tensor};

/// What ends a loop.
#[derive(Clone, Copy)]
enum End {
    /// A count that is a constant.
    Constant,
    /// A count that is an input of the run.
    Given,
    /// A condition that each turn computes from its number.
    Condition,
    /// A count, and a condition that holds for longer or ends it earlier.
    Both,
}

impl Sketch<'_> {
    /// A loop whose last state has the type of `x`.
    pub fn looped(&mut self, x: &Value) -> Value {
        let turns = self.draw.pick(&[2, 3, 1, 5, 19]);
        if self.draw.rarely(3) { self.scan(x, turns) } else { self.turned_over(x, turns) }
    }

    /// One turn: a block of the state, with what stands around the loop, or without; kept small.
    fn turn(&mut self, h: &Value, around: &Value) -> Value {
        let y = if self.draw.rarely(5) { self.conditional_step(h, around) } else { self.rows_block(h) };
        let mut y = if y.elements() == h.elements() && y.dtype == h.dtype { self.settled(&y, &h.shape) } else { h.clone() };
        if self.draw.flag() {
            y = self.either("Add", &y, around);
        }
        self.unary("Tanh", &y)
    }

    /// A step that depends on the sign of a whole number, which rounding does not turn.
    fn conditional_step(&mut self, h: &Value, around: &Value) -> Value {
        let rounded = self.with_number("Mul", around, 4.0);
        let rounded = self.unary("Floor", &rounded);
        let axes: Vec<usize> = (0..rounded.rank()).collect();
        let total = self.reduce("ReduceMax", &rounded, &axes, false);
        let zero = self.number(total.dtype, 0.5);
        let condition = self.binary("Greater", &total, &zero);
        let number = self.draw.pick(&[0.5, -1.5]);
        self.conditional(&condition, |s| s.either_number("Mul", h, number), |s| s.unary("Neg", h))
    }

    fn count(&mut self, turns: i64, end: End) -> Option<Value> {
        let tensor = |turns: i64| Tensor::scalar(turns);
        match end {
            End::Constant => Some(self.constant(tensor(turns))),
            End::Given => Some(self.input(tensor(turns))),
            End::Condition => None,
            End::Both => {
                let count = if self.draw.flag() { turns } else { i64::MAX };
                Some(self.constant(tensor(count)))
            }
        }
    }

    fn turned_over(&mut self, x: &Value, turns: usize) -> Value {
        let end = self.draw.pick(&[End::Given, End::Constant, End::Condition, End::Both]);
        let count = self.count(turns as i64, end);
        let limit =
            if self.draw.flag() { self.input(Tensor::scalar(turns as i64)) } else { self.constant(Tensor::scalar(turns as i64)) };
        let one = self.constant(Tensor::scalar(1i64));
        let [i, going] = [(DType::I64, "i"), (DType::Bool, "g")].map(|(dtype, name)| self.value(name, dtype, &[]));
        let h = self.value("h", x.dtype, &x.shape);
        let counted = self.draw.flag().then(|| self.value("k", DType::I64, &[]));
        let (rows, by_turn) = (self.draw.flag(), matches!(end, End::Condition | End::Both));
        let given: Vec<Value> = [&i, &going, &h].into_iter().chain(&counted).cloned().collect();
        let body = self.body(given, |s| {
            let y = s.turn(&h, x);
            let next = s.binary("Add", &i, &one);
            let again = if by_turn { s.binary("Less", &next, &limit) } else { s.unary("Identity", &going) };
            let mut outputs = vec![again, y.clone()];
            outputs.extend(counted.as_ref().map(|k| s.binary("Add", k, &next)));
            if rows {
                outputs.push(s.unary("Identity", &y));
            }
            outputs
        });
        let zero = counted.as_ref().map(|_| self.constant(Tensor::scalar(5i64)));
        let truth = self.draw.flag().then(|| self.constant(Tensor::scalar(true)));
        let inputs: Vec<Option<&Value>> =
            [count.as_ref(), truth.as_ref(), Some(x)].into_iter().chain(zero.iter().map(Some)).collect();
        let mut outputs = vec![(x.dtype, x.shape.clone())];
        outputs.extend(counted.as_ref().map(|_| (DType::I64, vec![])));
        if rows {
            outputs.push((x.dtype, [vec![turns], x.shape.clone()].concat()));
        }
        let made = self.nodes("Loop", &inputs, vec![set("body", Attribute::Body(body))], &outputs);
        if let Some(k) = made.iter().find(|value| value.dtype == DType::I64) {
            self.network.outputs.push(k.name.clone());
        }
        let last = made[0].clone();
        if rows && self.draw.flag() { self.with_rows(&last, &made[made.len() - 1]) } else { last }
    }

    /// Something of all rows added to the last state.
    fn with_rows(&mut self, last: &Value, rows: &Value) -> Value {
        let operator = self.draw.pick(&["ReduceMean", "ReduceMax", "ReduceSum"]);
        let of_all = self.reduce(operator, rows, &[0], false);
        self.either("Add", last, &of_all)
    }

    fn scan(&mut self, x: &Value, turns: usize) -> Value {
        let slices = self.data(x.dtype, &[vec![turns], x.shape.clone()].concat());
        let (h, slice) = (self.value("h", x.dtype, &x.shape), self.value("s", x.dtype, &x.shape));
        let body = self.body(vec![h.clone(), slice.clone()], |s| {
            let y = s.turn(&h, &slice);
            let row = s.unary("Identity", &y);
            vec![y, row]
        });
        let backwards = i64::from(self.draw.flag());
        let attributes = vec![
            set("body", Attribute::Body(body)),
            set("num_scan_inputs", Attribute::Int(1)),
            set("scan_input_directions", Attribute::Ints(vec![backwards])),
        ];
        let rows = [vec![turns], x.shape.clone()].concat();
        let made = self.nodes("Scan", &[Some(x), Some(&slices)], attributes, &[(x.dtype, x.shape.clone()), (x.dtype, rows)]);
        if self.draw.flag() { self.with_rows(&made[0], &made[1]) } else { made[0].clone() }
    }
}
