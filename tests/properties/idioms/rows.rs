//! Blocks on rows `[..., width]`: transformers, mixers, recurrent layers, dequantized products, heads of classifiers, and
//! arithmetic between types.

use super::network::Attribute;
use super::sketch::{Sketch, Value, set};
use gristmill::{DType, Tensor, TensorType};

impl Sketch<'_> {
    /// Rows `[batch, length, width]`.
    pub fn sequence(&mut self, dtype: DType) -> Value {
        let shape = [self.sizes.batch, self.sizes.length, self.sizes.width()];
        if self.draw.rarely(4) && dtype == DType::F32 {
            // Embedded tokens, with positions.
            let table = self.weights(dtype, &[10, shape[2]], 1);
            let tokens = self.random.integers(DType::I64, &shape[..2], -10, 10);
            let tokens = self.input(tokens);
            let rows = self.gather(&table, &tokens, 0);
            let positions = self.weights(dtype, &[shape[1], shape[2]], 1);
            return self.either("Add", &rows, &positions);
        }
        self.data(dtype, &shape)
    }

    /// Two linear layers with an activation between.
    pub fn mlp(&mut self, x: &Value) -> Value {
        let width = x.last();
        let y = self.linear(x, 2 * width);
        let y = self.biased(&y);
        let y = self.activation(&y);
        let y = if self.version() >= 10 && self.draw.rarely(4) { self.dequantized(&y, width) } else { self.linear(&y, width) };
        if self.draw.flag() { self.biased(&y) } else { y }
    }

    /// A residual around a block, with the norm before or after.
    pub fn layer(&mut self, x: &Value) -> Value {
        let first = self.draw.flag();
        let inner = if first { self.norm(x) } else { x.clone() };
        let inner = self.settled(&inner, &x.shape);
        let y = match self.draw.within(0, 5) {
            0..=2 if x.rank() == 3 => self.attention(&inner),
            3 => self.glu(&inner),
            _ => self.mlp(&inner),
        };
        let y = self.settled(&y, &x.shape);
        let sum = match self.draw.within(0, 7) {
            0 => y,
            1 => {
                let scaled = self.either_number("Mul", &y, 0.5);
                self.either("Add", x, &scaled)
            }
            _ => self.either("Add", x, &y),
        };
        let sum = self.settled(&sum, &x.shape);
        if first { sum } else { self.norm(&sum) }
    }

    /// A product with weights that are dequantized: per column or whole, signed or not, transposed or as Gemm.
    pub fn dequantized(&mut self, x: &Value, width: usize) -> Value {
        let dtype = self.draw.pick(&[DType::I8, DType::U8]);
        let turned = self.draw.flag();
        let shape = if turned { [width, x.last()] } else { [x.last(), width] };
        let (low, high) = dtype.range().expect("an integer");
        let numbers = self.random.integers(dtype, &shape, low as i64, high as i64 + 1);
        let numbers = self.constant(numbers);
        let per_column = self.draw.flag() && self.version() >= 13;
        let axis = usize::from(!turned);
        let count = if per_column { vec![width] } else { vec![] };
        let scales: Vec<f64> = (0..count.iter().product()).map(|k: usize| 0.01 * (1.0 + 0.25 * (k % 3) as f64)).collect();
        let scale = self.constant(Tensor::from_f64(TensorType::new(DType::F32, count.clone()), &scales).expect("as many elements"));
        let attributes = if per_column { vec![set("axis", Attribute::Int(axis as i64))] } else { vec![] };
        let middle = if dtype == DType::U8 { 120 } else { 5 };
        let zero = self.random.integers(dtype, &count, middle, middle + 9);
        let zero = self.constant(zero);
        let with_zero = self.draw.flag() || dtype == DType::U8;
        let inputs: &[&Value] = if with_zero { &[&numbers, &scale, &zero] } else { &[&numbers, &scale] };
        let w = self.node("DequantizeLinear", inputs, attributes, DType::F32, &shape);
        let w = if x.dtype == DType::F32 { w } else { self.cast(&w, x.dtype) };
        if x.rank() == 2 && self.draw.flag() {
            let attributes = vec![set("transB", Attribute::Int(turned.into()))];
            return self.node("Gemm", &[x, &w], attributes, x.dtype, &[x.shape[0], width]);
        }
        let w = if turned { self.transpose(&w, &[1, 0]) } else { w };
        self.matmul(x, &w)
    }

    /// Quantized and dequantized again, as training for quantization leaves it.
    pub fn fake_quantized(&mut self, x: &Value) -> Value {
        if x.dtype != DType::F32 || self.version() < 10 {
            return self.activation(x);
        }
        let scale = self.number(DType::F32, 0.0625);
        let zero = self.constant(Tensor::scalar(3i8));
        let q = self.node("QuantizeLinear", &[x, &scale, &zero], vec![], DType::I8, &x.shape);
        self.node("DequantizeLinear", &[&q, &scale, &zero], vec![], DType::F32, &x.shape)
    }

    /// GRU, LSTM or RNN over a sequence, and what brings its output back to rows.
    pub fn recurrent(&mut self, x: &Value) -> Value {
        let [batch, length, width] = *x.shape.as_slice() else { return self.mlp(x) };
        let (operator, gates) = self.draw.pick(&[("GRU", 3), ("LSTM", 4), ("RNN", 1)]);
        let directions = if self.draw.rarely(3) { 2 } else { 1 };
        let hidden = width / 2;
        let steps = self.transpose(x, &[1, 0, 2]);
        let w = self.weights(x.dtype, &[directions, gates * hidden, width], width);
        let r = self.weights(x.dtype, &[directions, gates * hidden, hidden], hidden);
        let b = self.weights(x.dtype, &[directions, 2 * gates * hidden], 4);
        let mut attributes = vec![set("hidden_size", Attribute::Int(hidden as i64))];
        let direction = if directions == 2 { "bidirectional" } else { self.draw.pick(&["forward", "reverse"]) };
        attributes.push(set("direction", Attribute::Text(direction.into())));
        if operator == "GRU" {
            attributes.push(set("linear_before_reset", Attribute::Int(self.draw.flag().into())));
        }
        let mut inputs = vec![Some(&steps), Some(&w), Some(&r)];
        if self.draw.flag() {
            inputs.push(Some(&b));
        }
        let outputs = [(x.dtype, vec![length, directions, batch, hidden]), (x.dtype, vec![directions, batch, hidden])];
        let made = self.nodes(operator, &inputs, attributes, &outputs);
        let y = if directions == 1 && self.draw.flag() {
            self.squeeze(&made[0], 1)
        } else {
            let turned = self.transpose(&made[0], &[0, 2, 1, 3]);
            self.reshape(&turned, &[length, batch, directions * hidden])
        };
        let y = self.transpose(&y, &[1, 0, 2]);
        self.linear(&y, width)
    }

    /// Rotary embeddings as exporters write them: halves turned by sines and cosines.
    pub fn rotated(&mut self, x: &Value) -> Value {
        let (length, width) = (x.shape[x.rank() - 2], x.last());
        if !width.is_multiple_of(2) {
            return self.gate(x);
        }
        let (cosine, sine) = (self.weights(x.dtype, &[length, width], 1), self.weights(x.dtype, &[length, width], 1));
        let (a, b) = self.halves(x);
        let negated = self.unary("Neg", &b);
        let turned = self.concat(&[&negated, &a], x.rank() - 1);
        let (left, right) = (self.either("Mul", x, &cosine), self.either("Mul", &turned, &sine));
        self.either("Add", &left, &right)
    }

    /// Through another type and back: half floats, whole numbers, bools.
    pub fn converted(&mut self, x: &Value) -> Value {
        match self.draw.within(0, 3) {
            0 if x.dtype == DType::F32 => {
                let half = self.cast(x, DType::F16);
                let y = self.activation(&half);
                self.cast(&y, DType::F32)
            }
            1 => {
                let zero = self.scalar(x.dtype, 0.03125, x.rank());
                let positive = self.binary("Greater", x, &zero);
                let number = self.cast(&positive, x.dtype);
                self.either("Mul", x, &number)
            }
            2 => self.fake_quantized(x),
            _ => {
                let same = self.cast(x, x.dtype);
                self.either_number("Mul", &same, 1.0)
            }
        }
    }

    /// An If that asks about an extent, as traced branches and squeezes leave it.
    pub fn branched(&mut self, x: &Value) -> Value {
        let shape = self.node("Shape", &[x], vec![], DType::I64, &[x.rank()]);
        let axis = self.draw.within(0, x.rank() - 1);
        let index = self.number(DType::I64, axis as f64);
        let extent = self.gather(&shape, &index, 0);
        let one = self.number(DType::I64, 1.0);
        let operator = self.draw.pick(&["Equal", "Greater"]);
        let condition = self.binary(operator, &extent, &one);
        self.conditional(
            &condition,
            |s| {
                let y = s.activation(x);
                s.settled(&y, &x.shape)
            },
            |s| {
                let y = s.gate(x);
                s.settled(&y, &x.shape)
            },
        )
    }

    /// The end of a classifier: a softmax along any axis, a reduction, the place of the greatest.
    pub fn head(&mut self, x: &Value) -> Value {
        let axis = self.draw.within(0, x.rank() - 1);
        match self.draw.within(0, 7) {
            0 => self.softmax("LogSoftmax", x, axis),
            1 => {
                let shape: Vec<usize> = x.shape.iter().enumerate().map(|(k, n)| if k == axis { 1 } else { *n }).collect();
                let operator = self.draw.pick(&["ArgMax", "ArgMin"]);
                let attributes = vec![set("axis", Attribute::Int(axis as i64)), set("keepdims", Attribute::Int(1))];
                self.node(operator, &[x], attributes, DType::I64, &shape)
            }
            2 => {
                let operator =
                    self.draw.pick(&["ReduceMean", "ReduceMax", "ReduceLogSumExp", "ReduceL1", "ReduceL2", "ReduceSumSquare"]);
                let keep = self.draw.flag();
                self.reduce(operator, x, &[axis], keep)
            }
            3 if self.version() >= 11 => {
                let axis = self.number(DType::I64, axis as f64);
                let attributes = vec![set("exclusive", Attribute::Int(self.draw.flag().into()))];
                self.node("CumSum", &[x, &axis], attributes, x.dtype, &x.shape)
            }
            4 => self.sliced(x),
            5 => {
                let flat = self.reshape(x, &[x.shape[0], x.elements() / x.shape[0]]);
                let w = self.weights(x.dtype, &[4, flat.last()], flat.last());
                let bias = self.weights(x.dtype, &[4], 1);
                let attributes = vec![set("transB", Attribute::Int(1)), set("alpha", Attribute::Float(0.5))];
                self.node("Gemm", &[&flat, &w, &bias], attributes, x.dtype, &[x.shape[0], 4])
            }
            _ => self.softmax("Softmax", x, axis),
        }
    }

    /// Any block on rows.
    pub fn rows_block(&mut self, x: &Value) -> Value {
        match self.draw.within(0, 18) {
            17 => self.branched(x),
            0..=3 => self.layer(x),
            13 => self.placed(x),
            14 => self.unit_rows(x),
            15 => self.quantized_product(x),
            16 => self.variadic(x),
            4 => self.norm(x),
            5 | 6 => self.gate(x),
            7 => self.glu(x),
            8 => self.recurrent(x),
            9 => self.rotated(x),
            10 => self.converted(x),
            11 if self.version() >= 10 => self.dequantized(x, x.last()),
            12 => self.stirred(x),
            _ => self.activation(x),
        }
    }
}
