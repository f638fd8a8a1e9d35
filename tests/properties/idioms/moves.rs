//! Shapes and movement: reshapes to shapes that are constants or computed, slices, splits, pads, and what moves data there and
//! back.

use super::network::Attribute;
use super::sketch::{Sketch, Value, broadcast, set};
use gristmill::{DType, Tensor, TensorType};

impl Sketch<'_> {
    /// A reshape. The target is a constant, with 0 or -1 in it perhaps, or computed from the shape of the value.
    pub fn reshape(&mut self, x: &Value, shape: &[usize]) -> Value {
        let mut target: Vec<i64> = shape.iter().map(|d| *d as i64).collect();
        let whole = x.elements() > 0;
        if whole && self.draw.rarely(3) && !target.is_empty() {
            let axis = self.draw.within(0, target.len() - 1);
            target[axis] = -1;
        }
        let common = shape.iter().zip(&x.shape).take_while(|(a, b)| a == b).count();
        if common > 0 && self.draw.rarely(4) && target[0] > 0 {
            target[0] = 0;
        }
        let computed = common > 0 && self.draw.rarely(4);
        let target = if computed { self.computed(x, common, &target) } else { self.integers(&target) };
        self.node("Reshape", &[x, &target], vec![], x.dtype, shape)
    }

    /// The value in a shape, reshaped where a constant of higher rank gave it more axes.
    pub fn settled(&mut self, x: &Value, shape: &[usize]) -> Value {
        if x.shape == shape { x.clone() } else { self.reshape(x, shape) }
    }

    /// A list of extents whose first `common` are taken from the shape of a value, as tracing exporters write it.
    fn computed(&mut self, x: &Value, common: usize, target: &[i64]) -> Value {
        let shape = self.node("Shape", &[x], vec![], DType::I64, &[x.rank()]);
        let mut parts = Vec::new();
        if self.draw.flag() {
            for axis in 0..common {
                let index = self.constant(Tensor::scalar(axis as i64));
                let extent = self.gather(&shape, &index, 0);
                parts.push(self.unsqueeze(&extent, 0));
            }
        } else {
            parts.push(self.slice(&shape, 0, 0, common as i64, 1));
        }
        if target.len() > common {
            // What is left is made by arithmetic now and then.
            let rest = self.integers(&target[common..]);
            let rest = if self.draw.rarely(3) {
                let one = self.integers(&[1]);
                let operator = self.draw.pick(&["Mul", "Div"]);
                self.binary(operator, &rest, &one)
            } else {
                rest
            };
            parts.push(rest);
        }
        let parts: Vec<&Value> = parts.iter().collect();
        self.concat(&parts, 0)
    }

    pub fn expand(&mut self, x: &Value, shape: &[usize]) -> Value {
        let target: Vec<i64> = shape.iter().map(|d| *d as i64).collect();
        let target = self.integers(&target);
        self.node("Expand", &[x, &target], vec![], x.dtype, &broadcast(&x.shape, shape))
    }

    /// A value broadcast to the shape of another, by Expand to its Shape or to a constant.
    pub fn expand_like(&mut self, x: &Value, like: &Value) -> Value {
        if self.draw.flag() {
            return self.expand(x, &like.shape);
        }
        let shape = self.node("Shape", &[like], vec![], DType::I64, &[like.rank()]);
        self.node("Expand", &[x, &shape], vec![], x.dtype, &broadcast(&x.shape, &like.shape))
    }

    /// Elements of one axis; bounds as given, which may lie outside.
    pub fn slice(&mut self, x: &Value, axis: usize, start: i64, end: i64, step: i64) -> Value {
        // Steps came with version 10.
        let step = if self.version() < 10 { 1 } else { step };
        let n = x.shape[axis] as i64;
        let mut shape = x.shape.clone();
        // The text of ONNX: negative bounds count from the end, then all are clamped.
        let (low, high) = if step > 0 { (0, n) } else { (0, n - 1) };
        let from = (if start < 0 { start + n } else { start }).clamp(low, high);
        let to = if step > 0 {
            (if end < 0 { end + n } else { end }).clamp(0, n)
        } else {
            (if end < 0 { end + n } else { end }).clamp(-1, n - 1)
        };
        shape[axis] =
            if step > 0 { (to - from).max(0) as usize } else { (from - to).max(0) as usize }.div_ceil(step.unsigned_abs() as usize);
        let listed = self.axis(axis, x.rank());
        if self.version() < 10 && step == 1 {
            let lists = [("starts", start), ("ends", end), ("axes", axis as i64)];
            let attributes = lists.map(|(name, n)| set(name, Attribute::Ints(vec![n]))).to_vec();
            return self.node("Slice", &[x], attributes, x.dtype, &shape);
        }
        let [start, end, listed, step] = [start, end, listed, step].map(|n| self.integers(&[n]));
        self.node("Slice", &[x, &start, &end, &listed, &step], vec![], x.dtype, &shape)
    }

    pub fn split(&mut self, x: &Value, axis: usize, sizes: &[usize]) -> Vec<Value> {
        let outputs: Vec<(DType, Vec<usize>)> = sizes
            .iter()
            .map(|n| {
                let mut shape = x.shape.clone();
                shape[axis] = *n;
                (x.dtype, shape)
            })
            .collect();
        let listed = self.axis(axis, x.rank());
        let mut attributes = vec![set("axis", Attribute::Int(listed))];
        let sizes: Vec<i64> = sizes.iter().map(|n| *n as i64).collect();
        let even = sizes.windows(2).all(|pair| pair[0] == pair[1]);
        if even && self.draw.flag() {
            if self.version() >= 18 {
                attributes.push(set("num_outputs", Attribute::Int(sizes.len() as i64)));
            }
            return self.nodes("Split", &[Some(x)], attributes, &outputs);
        }
        if self.version() >= 13 {
            let sizes = self.integers(&sizes);
            return self.nodes("Split", &[Some(x), Some(&sizes)], attributes, &outputs);
        }
        attributes.push(set("split", Attribute::Ints(sizes)));
        self.nodes("Split", &[Some(x)], attributes, &outputs)
    }

    /// Halves of the last axis, by Split or by two Slices.
    pub fn halves(&mut self, x: &Value) -> (Value, Value) {
        let (axis, half) = (x.rank() - 1, x.last() / 2);
        if self.draw.flag() {
            let mut parts = self.split(x, axis, &[half, half]);
            let second = parts.swap_remove(1);
            return (parts.swap_remove(0), second);
        }
        let end = self.draw.pick(&[i64::MAX, i64::from(i32::MAX), 2 * half as i64]);
        (self.slice(x, axis, 0, half as i64, 1), self.slice(x, axis, half as i64, end, 1))
    }

    /// Zeros, another number, the edge or a reflection around some axes.
    pub fn pad(&mut self, x: &Value, before: &[i64], after: &[i64], mode: &str) -> Value {
        let shape: Vec<usize> = (0..x.rank()).map(|k| (x.shape[k] as i64 + before[k] + after[k]).max(0) as usize).collect();
        if self.version() < 11 {
            let pads = Attribute::Ints([before, after].concat());
            let attributes = vec![set("pads", pads), set("mode", Attribute::Text(mode.into()))];
            return self.node("Pad", &[x], attributes, x.dtype, &shape);
        }
        let pads = self.integers(&[before, after].concat());
        let attributes = vec![set("mode", Attribute::Text(mode.into()))];
        if mode == "constant" && self.draw.flag() {
            let fill = Tensor::from_f64(TensorType::new(x.dtype, Vec::<usize>::new()), &[0.5]).expect("one element");
            let fill = self.constant(fill);
            return self.node("Pad", &[x, &pads, &fill], attributes, x.dtype, &shape);
        }
        self.node("Pad", &[x, &pads], attributes, x.dtype, &shape)
    }

    /// Movement that keeps the shape: what an exporter leaves of an indexing, a flip, a roll, a shuffle.
    pub fn stirred(&mut self, x: &Value) -> Value {
        if x.rank() == 0 {
            return self.unary("Identity", x);
        }
        let axis = self.draw.within(0, x.rank() - 1);
        let n = x.shape[axis];
        let kind = self.draw.within(0, 8);
        match if self.version() < 10 && (kind == 0 || kind == 5) { 8 } else { kind } {
            // A flip: the end lies before the start.
            0 => {
                let end = self.draw.pick(&[i64::MIN, -(n as i64) - 1, -i64::from(i32::MAX)]);
                self.slice(x, axis, -1, end, -1)
            }
            1 if n > 1 => {
                let at = self.draw.within(1, n - 1) as i64;
                let (a, b) = (self.slice(x, axis, 0, at, 1), self.slice(x, axis, at, i64::MAX, 1));
                self.concat(&[&b, &a], axis)
            }
            2 if n.is_multiple_of(2) && n > 0 => {
                // A channel shuffle.
                let wide = [&x.shape[..axis], &[2, n / 2], &x.shape[axis + 1..]].concat();
                let split = self.reshape(x, &wide);
                let mut order: Vec<usize> = (0..wide.len()).collect();
                order.swap(axis, axis + 1);
                let swapped = self.transpose(&split, &order);
                self.reshape(&swapped, &x.shape)
            }
            3 if n > 0 => {
                let indices: Vec<i64> = (0..n).map(|_| self.random.next() as i64 % n as i64).collect();
                let indices = self.integers(&indices);
                self.gather(x, &indices, axis)
            }
            4 => {
                let flat = self.reshape(x, &[x.elements()]);
                self.reshape(&flat, &x.shape)
            }
            5 if n > 1 => {
                let (even, odd) = (self.slice(x, axis, 0, i64::MAX, 2), self.slice(x, axis, 1, i64::MAX, 2));
                self.concat(&[&even, &odd], axis)
            }
            6 if n > 2 && x.rank() > 1 => {
                let (mut before, mut after) = (vec![0; x.rank()], vec![0; x.rank()]);
                (before[axis], after[axis]) = (1, -1);
                let mode = self.draw.pick(&["constant", "edge", "reflect"]);
                self.pad(x, &before, &after, if after[axis] < 0 { "constant" } else { mode })
            }
            7 => {
                let apart = self.unsqueeze(x, axis);
                self.squeeze(&apart, axis)
            }
            _ => {
                let order: Vec<usize> = self.draw.permutation(x.rank());
                let mut back = vec![0; order.len()];
                order.iter().enumerate().for_each(|(to, from)| back[*from] = to);
                let there = self.transpose(x, &order);
                self.transpose(&there, &back)
            }
        }
    }

    /// A Slice of one axis with any step and bounds, some of them outside.
    pub fn sliced(&mut self, x: &Value) -> Value {
        let axis = self.draw.within(0, x.rank().max(1) - 1);
        let n = x.shape[axis] as i64;
        let step = if self.version() < 10 { 1 } else { self.draw.pick(&[1, 2, -1, -2, 3, -3]) };
        let (start, end) = if step > 0 {
            (self.draw.pick(&[0, 1, -n, -n - 3, -2]), self.draw.pick(&[n, i64::MAX, n + 3, -1]))
        } else {
            (self.draw.pick(&[-1, n - 1, i64::MAX, n + 2, -n - 3]), self.draw.pick(&[i64::MIN, -n - 1, 0, -n - 5]))
        };
        self.slice(x, axis, start, end, step)
    }
}
