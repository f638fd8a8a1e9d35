//! Operators that find places and go to them, and those of small models' ends: TopK, ArgMax, Gather and Scatter in their forms,
//! OneHot, Tile, Pad, running sums, distances.

use super::network::Attribute;
use super::sketch::{Sketch, Value, set};
use gristmill::{DType, Tensor};

impl Sketch<'_> {
    /// The greatest of an axis and where they stand.
    fn greatest(&mut self, x: &Value, axis: usize, k: usize) -> (Value, Value) {
        let mut shape = x.shape.clone();
        shape[axis] = k;
        let k = self.integers(&[k as i64]);
        let listed = self.axis(axis, x.rank());
        let mut attributes = vec![set("axis", Attribute::Int(listed))];
        if self.version() >= 11 {
            attributes.push(set("largest", Attribute::Int(self.draw.flag().into())));
        }
        let mut made = self.nodes("TopK", &[Some(x), Some(&k)], attributes, &[(x.dtype, shape.clone()), (DType::I64, shape)]);
        let indices = made.swap_remove(1);
        (made.swap_remove(0), indices)
    }

    /// Whole numbers that count along an axis of `n`, some from its end.
    fn indices(&mut self, shape: &[usize], n: usize) -> Value {
        let dtype = self.draw.pick(&[DType::I64, DType::I32]);
        let low = if self.draw.flag() { 0 } else { -(n as i64) };
        let numbers = self.random.integers(dtype, shape, low, n as i64);
        if self.draw.flag() { self.constant(numbers) } else { self.input(numbers) }
    }

    /// Rows set or, from version 16 on, added.
    fn rows_scattered(&mut self, x: &Value) -> Value {
        let index = self.random.integers(DType::I64, &[2, 1], 0, x.shape[0] as i64);
        let distinct = x.shape[0] > 1 && self.version() < 16;
        let index = if distinct { Tensor::new([2, 1], &[1i64, 0]).expect("2 elements") } else { index };
        if x.shape[0] == 1 && self.version() < 16 {
            return self.stirred(x);
        }
        let index = self.constant(index);
        let updates = self.data(x.dtype, &[&[2], &x.shape[1..]].concat());
        let attributes = if self.version() >= 16 { vec![set("reduction", Attribute::Text("add".into()))] } else { vec![] };
        self.node("ScatterND", &[x, &index, &updates], attributes, x.dtype, &x.shape)
    }

    /// Elements added or multiplied along an axis.
    fn elements_scattered(&mut self, x: &Value, axis: usize) -> Value {
        let places = self.indices(&x.shape, x.shape[axis]);
        let updates = self.activation(x);
        let updates = self.settled(&updates, &x.shape);
        let reduction = self.draw.pick(&["add", "add", "mul"]);
        let attributes = vec![set("axis", Attribute::Int(axis as i64)), set("reduction", Attribute::Text(reduction.into()))];
        self.node("ScatterElements", &[x, &places, &updates], attributes, x.dtype, &x.shape)
    }

    /// The class of each row as a vector of its own, times a table.
    fn classes(&mut self, x: &Value) -> Value {
        let last = x.rank() - 1;
        let attributes = vec![set("axis", Attribute::Int(last as i64)), set("keepdims", Attribute::Int(0))];
        let class = self.node("ArgMax", &[x], attributes, DType::I64, &x.shape[..last]);
        let depth = self.number(DType::I64, x.last() as f64);
        let values = self.constant(Tensor::vector(&[0.0f32, 1.0]));
        let hot = self.node("OneHot", &[&class, &depth, &values], vec![], DType::F32, &x.shape);
        let hot = if x.dtype == DType::F32 { hot } else { self.cast(&hot, x.dtype) };
        self.linear(&hot, x.last())
    }

    /// Something that goes by places, and keeps the rank.
    pub fn placed(&mut self, x: &Value) -> Value {
        let axis = self.draw.within(0, x.rank() - 1);
        let n = x.shape[axis];
        // Most of these came with version 11.
        let kind = self.draw.within(0, 8);
        match if self.version() < 11 && kind < 5 { 8 } else { kind } {
            0 => {
                let k = self.draw.within(1, n);
                self.greatest(x, axis, k).0
            }
            1 => {
                // What TopK found is taken from another tensor.
                let (_, places) = self.greatest(x, axis, n.div_ceil(2));
                let other = self.activation(x);
                let other = self.settled(&other, &x.shape);
                let attributes = vec![set("axis", Attribute::Int(axis as i64))];
                self.node("GatherElements", &[&other, &places], attributes, x.dtype, &places.shape)
            }
            2 => {
                let places = self.indices(&x.shape, n);
                let attributes = vec![set("axis", Attribute::Int(axis as i64))];
                self.node("GatherElements", &[x, &places], attributes, x.dtype, &x.shape)
            }
            3 => self.rows_scattered(x),
            4 if self.version() >= 16 => self.elements_scattered(x, axis),
            5 => {
                let repeats: Vec<i64> = (0..x.rank()).map(|a| if a == axis { 2 } else { 1 }).collect();
                let shape: Vec<usize> = x.shape.iter().zip(&repeats).map(|(n, r)| n * *r as usize).collect();
                let repeats = self.integers(&repeats);
                self.node("Tile", &[x, &repeats], vec![], x.dtype, &shape)
            }
            6 if self.version() >= 11 && n > 1 => {
                let (mut before, mut after) = (vec![0; x.rank()], vec![0; x.rank()]);
                (before[axis], after[axis]) = (1, i64::from(self.draw.flag()));
                let mode = self.draw.pick(&["constant", "edge", "reflect"]);
                self.pad(x, &before, &after, mode)
            }
            7 if self.version() >= 11 => {
                let axis = self.number(DType::I64, axis as f64);
                let attributes = vec![
                    set("exclusive", Attribute::Int(self.draw.flag().into())),
                    set("reverse", Attribute::Int(self.draw.flag().into())),
                ];
                self.node("CumSum", &[x, &axis], attributes, x.dtype, &x.shape)
            }
            _ => self.classes(x),
        }
    }

    /// Rows of length one, by ReduceL2 and a bound, or by LpNormalization; the norm brought back by Expand.
    pub fn unit_rows(&mut self, x: &Value) -> Value {
        let axis = self.draw.within(0, x.rank() - 1);
        if self.draw.rarely(4) {
            let attributes = vec![set("axis", Attribute::Int(axis as i64)), set("p", Attribute::Int(self.draw.pick(&[2, 1])))];
            return self.node("LpNormalization", &[x], attributes, x.dtype, &x.shape);
        }
        let norm = if self.draw.flag() {
            self.reduce("ReduceL2", x, &[axis], true)
        } else {
            let square = self.binary("Mul", x, x);
            let sum = self.reduce("ReduceSum", &square, &[axis], true);
            self.unary("Sqrt", &sum)
        };
        let bounded = if self.version() >= 11 && self.draw.flag() {
            let low = self.number(x.dtype, 1e-3);
            self.node("Clip", &[&norm, &low], vec![], x.dtype, &norm.shape)
        } else {
            self.either_number("Max", &norm, 1e-3)
        };
        let wide = if self.draw.flag() { self.expand_like(&bounded, x) } else { bounded };
        self.binary("Div", x, &wide)
    }

    /// A product with weights of 4 bits in blocks, as quantizers of language models write it.
    fn product_of_nibbles(&mut self, x: &Value) -> Value {
        let (k, n) = (x.last(), 8);
        let blocks = k.div_ceil(16);
        let bits = self.random.integers(DType::U8, &[n, blocks, 8], 0, 256);
        let scales: Vec<f32> = (0..n * blocks).map(|i| 0.05 + 0.01 * (i % 4) as f32).collect();
        let (bits, scales) = (self.constant(bits), self.constant(Tensor::vector(&scales)));
        let counts = [("K", k), ("N", n), ("bits", 4), ("block_size", 16)];
        let attributes = counts.map(|(name, count)| set(name, Attribute::Int(count as i64))).to_vec();
        let shape = [&x.shape[..x.rank() - 1], &[n]].concat();
        let y = self.node("MatMulNBits", &[x, &bits, &scales], attributes, x.dtype, &shape);
        self.network.nodes.iter_mut().rev().take(1).for_each(|node| node.domain = "com.microsoft".into());
        self.linear(&y, k)
    }

    /// A product between whole numbers that are quantized before and dequantized after.
    fn quantized_throughout(&mut self, x: &Value) -> Value {
        let (scale, zero) = (self.number(DType::F32, 0.03), self.constant(Tensor::scalar(128u8)));
        let q = self.node("QuantizeLinear", &[x, &scale, &zero], vec![], DType::U8, &x.shape);
        let w = self.random.integers(DType::U8, &[x.last(), x.last()], 0, 256);
        let (w, fine) = (self.constant(w), self.number(DType::F32, 0.01));
        let inputs = [&q, &scale, &zero, &w, &fine, &zero, &scale, &zero];
        let product = self.node("QLinearMatMul", &inputs, vec![], DType::U8, &x.shape);
        self.node("DequantizeLinear", &[&product, &scale, &zero], vec![], DType::F32, &x.shape)
    }

    /// Dynamic quantization as ONNX Runtime's tools write it: DynamicQuantizeLinear, MatMulInteger, and the scales.
    pub fn quantized_product(&mut self, x: &Value) -> Value {
        if x.dtype != DType::F32 || self.version() < 11 {
            return self.linear(x, x.last());
        }
        match self.draw.within(0, 3) {
            0 => return self.product_of_nibbles(x),
            1 => return self.quantized_throughout(x),
            _ => {}
        }
        let outputs = [(DType::U8, x.shape.clone()), (DType::F32, vec![]), (DType::U8, vec![])];
        let made = self.nodes("DynamicQuantizeLinear", &[Some(x)], vec![], &outputs);
        let width = x.last();
        let w = self.random.integers(DType::I8, &[width, width], -100, 100);
        let (w, zero) = (self.constant(w), self.constant(Tensor::scalar(0i8)));
        let inputs: &[&Value] = if self.draw.flag() { &[&made[0], &w, &made[2], &zero] } else { &[&made[0], &w, &made[2]] };
        let sums = self.node("MatMulInteger", inputs, vec![], DType::I32, &x.shape);
        let floats = self.cast(&sums, DType::F32);
        let scale = self.number(DType::F32, 0.005);
        let scale = self.either("Mul", &made[1], &scale);
        self.either("Mul", &floats, &scale)
    }

    /// Several values in one operator: Sum, Mean, Max, Min of three.
    pub fn variadic(&mut self, x: &Value) -> Value {
        let (a, b) = (self.activation(x), self.weights(x.dtype, &[x.last()], 1));
        let operator = self.draw.pick(&["Sum", "Mean", "Max", "Min"]);
        let shape = super::sketch::broadcast(&a.shape, &x.shape);
        self.node(operator, &[x, &a, &b], vec![], x.dtype, &shape)
    }
}
