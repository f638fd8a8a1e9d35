//! Masks of attention: which keys are seen, how that is computed, and what hides the others.

use super::network::Attribute;
use super::sketch::{Sketch, Value, set};
use gristmill::{DType, Tensor, TensorType};

/// What masks put in the place of scores, or add to them.
const FILLS: [f64; 8] = [-3.0, -50.0, -1e4, -1e5, -1e9, f32::MIN as f64, f64::NEG_INFINITY, -30000.0];

/// Which keys each query sees.
pub struct Seen {
    shape: Vec<usize>,
    flags: Vec<bool>,
}

impl Sketch<'_> {
    /// A mask over `[batch, heads, queries, keys]`: causal, padding, holes; some rows hidden throughout when the fill allows.
    pub fn seen(&mut self, scores: &[usize], finite: bool) -> Seen {
        let [batch, heads, queries, keys] = *scores else { return Seen { shape: vec![1], flags: vec![true] } };
        let causal = |i: usize, j: usize| j <= i + keys.saturating_sub(queries);
        let kind = self.draw.within(0, 5);
        let shape = match kind {
            0 | 1 => [vec![queries, keys], vec![1, 1, queries, keys], vec![1, queries, keys]][self.draw.within(0, 2)].clone(),
            2 => vec![batch, 1, 1, keys],
            3 => vec![batch, 1, queries, keys],
            4 => [vec![1, keys], vec![keys], vec![1, heads, 1, keys]][self.draw.within(0, 2)].clone(),
            _ => vec![batch, heads, queries, keys],
        };
        let count: usize = shape.iter().product();
        let rows = if shape.len() > 1 { shape[shape.len() - 2] } else { 1 };
        let hidden = finite && self.draw.rarely(3);
        let mut flags: Vec<bool> = (0..count)
            .map(|k| {
                let (i, j) = (k / keys % rows, k % keys);
                match kind {
                    0 | 1 => causal(i, j),
                    2 => j < keys - (k / keys) % keys.clamp(1, 3),
                    _ => j == 0 || !self.random.next().is_multiple_of(3),
                }
            })
            .collect();
        if hidden {
            let row = self.draw.within(0, count / keys - 1);
            flags[row * keys..(row + 1) * keys].fill(false);
        }
        Seen { shape, flags }
    }

    /// The condition as a value: constant or an input.
    pub fn condition(&mut self, seen: &Seen, inverted: bool, dtype: DType) -> Value {
        let numbers: Vec<f64> = seen.flags.iter().map(|f| f64::from(u8::from(*f != inverted))).collect();
        let tensor = Tensor::from_f64(TensorType::new(dtype, seen.shape.clone()), &numbers).expect("as many elements");
        if self.draw.flag() { self.constant(tensor) } else { self.input(tensor) }
    }

    /// 0, 1, 2, ... by Range over an extent of a value, or as a constant.
    fn positions(&mut self, like: &Value, axis: usize) -> Value {
        let n = like.shape[axis];
        if self.version() < 11 || self.draw.flag() {
            let numbers: Vec<i64> = (0..n as i64).collect();
            return self.integers(&numbers);
        }
        let shape = self.node("Shape", &[like], vec![], DType::I64, &[like.rank()]);
        let (index, start, step) =
            (self.number(DType::I64, axis as f64), self.number(DType::I64, 0.0), self.number(DType::I64, 1.0));
        let extent = self.gather(&shape, &index, 0);
        self.node("Range", &[&start, &extent, &step], vec![], DType::I64, &[n])
    }

    /// Causal or by lengths, computed as exporters of decoders compute it. True where a key is seen.
    fn computed_condition(&mut self, scores: &Value) -> Value {
        let [batch, _, queries, keys] = *scores.shape.as_slice() else { unreachable!("scores have four axes") };
        match self.draw.within(0, 2) {
            0 => {
                let columns = self.positions(scores, 3);
                let rows = self.positions(scores, 2);
                let rows = self.unsqueeze(&rows, 1);
                let shift = self.number(DType::I64, keys.saturating_sub(queries) as f64 + 1.0);
                let rows = self.binary("Add", &rows, &shift);
                self.binary("Less", &columns, &rows)
            }
            1 => {
                // Lengths of the sequences of a batch; one may be empty.
                let columns = self.positions(scores, 3);
                let lengths = self.random.integers(DType::I64, &[batch], 0, keys as i64 + 1);
                let lengths = self.input(lengths);
                let lengths = self.unsqueeze(&lengths, 1);
                let seen = self.binary("Less", &columns, &lengths);
                let wide = self.unsqueeze(&seen, 1);
                self.unsqueeze(&wide, 1)
            }
            _ if self.version() >= 14 => {
                let ones = self.constant(
                    Tensor::from_f64(TensorType::new(DType::F32, [queries, keys]), &vec![1.0; queries * keys]).expect("ones"),
                );
                let shift = self.number(DType::I64, keys.saturating_sub(queries) as f64);
                let lower = vec![set("upper", Attribute::Int(0))];
                let triangle = self.node("Trilu", &[&ones, &shift], lower, DType::F32, &[queries, keys]);
                self.cast(&triangle, DType::Bool)
            }
            _ => {
                // A buffer for the longest sequence, cut to this one.
                let most = queries.max(keys) + 2;
                let triangle: Vec<f64> = (0..most * most).map(|k| f64::from(u8::from(k % most <= k / most))).collect();
                let buffer =
                    self.constant(Tensor::from_f64(TensorType::new(DType::Bool, [1, 1, most, most]), &triangle).expect("a square"));
                let first = keys.saturating_sub(queries) as i64;
                let rows = self.slice(&buffer, 2, first, first + queries as i64, 1);
                self.slice(&rows, 3, 0, keys as i64, 1)
            }
        }
    }

    /// Scores with a mask over them.
    pub fn masked(&mut self, scores: &Value) -> Value {
        let fill = self.draw.pick(&FILLS);
        let finite = fill.is_finite();
        let fill = if scores.dtype == DType::F16 && finite { fill.max(-6e4) } else { fill };
        let seen = self.seen(&scores.shape.clone(), finite);
        match self.draw.within(0, 8) {
            0 | 1 => self.replaced(scores, &seen, fill),
            2 => self.replaced_by_numbers(scores, &seen, fill),
            3 if finite => {
                // (1 - mask) * fill, added.
                let numbers = self.condition(&seen, false, scores.dtype);
                let added = self.complement(&numbers, fill);
                self.either("Add", scores, &added)
            }
            4 => {
                // A mask made by Where of two numbers, added.
                let condition = self.condition(&seen, false, DType::Bool);
                let (zero, fill) = (self.number(scores.dtype, 0.0), self.number(scores.dtype, fill));
                let added = self.choose(&condition, &zero, &fill);
                self.either("Add", scores, &added)
            }
            5 if finite => {
                // scores * mask - huge * (1 - mask), as old GPT-2 has it.
                let numbers = self.condition(&seen, false, scores.dtype);
                let kept = self.either("Mul", scores, &numbers);
                let huge = self.complement(&numbers, -fill);
                self.binary("Sub", &kept, &huge)
            }
            6 | 7 if finite => {
                let condition = self.computed_condition(scores);
                let fill = self.number(scores.dtype, fill);
                if self.draw.flag() {
                    return self.choose(&condition, scores, &fill);
                }
                let zero = self.number(scores.dtype, 0.0);
                let added = self.choose(&condition, &zero, &fill);
                self.either("Add", scores, &added)
            }
            _ => {
                let numbers: Vec<f64> = seen.flags.iter().map(|f| if *f { 0.0 } else { fill }).collect();
                let added =
                    Tensor::from_f64(TensorType::new(scores.dtype, seen.shape.clone()), &numbers).expect("as many elements");
                let added = if self.draw.flag() { self.constant(added) } else { self.input(added) };
                self.either("Add", scores, &added)
            }
        }
    }

    /// Scores replaced where the condition does not hold, or holds.
    fn replaced(&mut self, scores: &Value, seen: &Seen, fill: f64) -> Value {
        let inverted = self.draw.flag();
        let condition = self.condition(seen, inverted, DType::Bool);
        let fill = self.scalar(scores.dtype, fill, 1);
        if inverted { self.choose(&condition, &fill, scores) } else { self.choose(&condition, scores, &fill) }
    }

    /// Scores replaced by a condition that is turned first, or made of numbers.
    fn replaced_by_numbers(&mut self, scores: &Value, seen: &Seen, fill: f64) -> Value {
        let dtype = self.draw.pick(&[DType::I64, DType::F32, DType::I32]);
        let numbers = self.condition(seen, false, dtype);
        let condition = if self.draw.flag() {
            let zero = self.number(dtype, 0.0);
            self.binary("Equal", &numbers, &zero)
        } else {
            let bools = self.cast(&numbers, DType::Bool);
            self.unary("Not", &bools)
        };
        let fill = self.number(scores.dtype, fill);
        self.choose(&condition, &fill, scores)
    }

    /// (1 - mask) * factor.
    fn complement(&mut self, mask: &Value, factor: f64) -> Value {
        let one = self.number(mask.dtype, 1.0);
        let rest = self.binary("Sub", &one, mask);
        self.either_number("Mul", &rest, factor)
    }
}
