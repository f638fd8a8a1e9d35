//! Normalizations as operators and in the spellings of exporters.

use super::network::Attribute;
use super::sketch::{Sketch, Value, set};

const EPSILONS: [f64; 4] = [1e-5, 1e-3, 1e-2, 0.1];

impl Sketch<'_> {
    /// A mean over axes that broadcasts to the value again: kept extents, or a reduction that keeps none and what brings them back.
    fn broadcastable(&mut self, operator: &str, x: &Value, axes: &[usize]) -> Value {
        if !self.draw.rarely(3) {
            return self.reduce(operator, x, axes, true);
        }
        let mean = self.reduce(operator, x, axes, false);
        let mut shape = x.shape.clone();
        axes.iter().for_each(|a| shape[*a] = 1);
        let wide = match self.draw.within(0, 2) {
            0 if axes.len() == 1 => self.unsqueeze(&mean, axes[0]),
            // Leading axes need nothing to broadcast.
            1 if axes.iter().enumerate().all(|(k, a)| k == *a) => mean,
            _ => self.reshape(&mean, &shape),
        };
        if self.draw.rarely(3) { self.expand_like(&wide, x) } else { wide }
    }

    /// A square, by Mul or by Pow with exponents of any rank.
    fn square(&mut self, x: &Value) -> Value {
        if self.draw.flag() { self.binary("Mul", x, x) } else { self.with_number("Pow", x, 2.0) }
    }

    /// A mean of squares, or of the absolute values.
    fn mean_square(&mut self, x: &Value, axes: &[usize]) -> Value {
        if self.draw.rarely(6) {
            let extent: usize = axes.iter().map(|a| x.shape[*a]).product();
            let sum = self.broadcastable("ReduceSumSquare", x, axes);
            return self.with_number("Div", &sum, extent as f64);
        }
        let square = self.square(x);
        // An exponent of higher rank raises that of the square.
        let raised = square.rank() - x.rank();
        let axes: Vec<usize> = axes.iter().map(|a| a + raised).collect();
        self.broadcastable("ReduceMean", &square, &axes)
    }

    /// A value over its deviation: by Sqrt and Div, by Reciprocal, by Pow of -0.5 or 0.5.
    fn over_root(&mut self, x: &Value, variance: &Value) -> Value {
        match self.draw.within(0, 5) {
            0 => {
                let root = self.unary("Sqrt", variance);
                let inverse = self.unary("Reciprocal", &root);
                self.either("Mul", x, &inverse)
            }
            1 => {
                let root = self.unary("Sqrt", variance);
                let one = self.scalar(x.dtype, 1.0, x.rank());
                let inverse = self.binary("Div", &one, &root);
                self.either("Mul", x, &inverse)
            }
            2 => {
                let inverse = self.with_number("Pow", variance, -0.5);
                self.either("Mul", x, &inverse)
            }
            3 => {
                let root = self.with_number("Pow", variance, 0.5);
                self.binary("Div", x, &root)
            }
            _ => {
                let root = self.unary("Sqrt", variance);
                self.binary("Div", x, &root)
            }
        }
    }

    /// A normalization over the given axes, written out.
    pub fn written_norm(&mut self, x: &Value, axes: &[usize], centered: bool) -> Value {
        let data = if centered {
            let mean = self.broadcastable("ReduceMean", x, axes);
            self.binary("Sub", x, &mean)
        } else {
            x.clone()
        };
        // TensorFlow and Keras compute the centre twice, or E[x^2] - E[x]^2.
        let again = if centered && self.draw.rarely(4) {
            let mean = self.reduce("ReduceMean", x, axes, true);
            self.binary("Sub", x, &mean)
        } else {
            data.clone()
        };
        let variance = if centered && self.draw.rarely(8) {
            let (mean, squares) = (self.broadcastable("ReduceMean", x, axes), self.mean_square(x, axes));
            let square = self.square(&mean);
            let difference = self.binary("Sub", &squares, &square);
            self.unary("Relu", &difference)
        } else {
            self.mean_square(&again, axes)
        };
        let epsilon = self.draw.pick(&EPSILONS);
        let shifted = if self.draw.rarely(10) {
            self.either_number("Max", &variance, epsilon)
        } else {
            self.either_number("Add", &variance, epsilon)
        };
        self.over_root(&data, &shifted)
    }

    /// Parameters of a norm over the last axes: exact, narrower, wider.
    fn parameter(&mut self, x: &Value, axes: &[usize]) -> Value {
        let shape = match self.draw.within(0, 7) {
            0 => vec![1; x.rank()],
            1 => vec![1],
            2 => [vec![1; x.rank() - 1], vec![x.last()]].concat(),
            3 => x.shape[x.rank().saturating_sub(2)..].to_vec(),
            4 => vec![x.last()],
            _ => x.shape[axes[0]..].to_vec(),
        };
        self.weights(x.dtype, &shape, 1)
    }

    /// A normalization of rows in any spelling, with scale and bias.
    pub fn norm(&mut self, x: &Value) -> Value {
        let last = x.rank() - 1;
        let centered = !self.draw.rarely(3);
        let axes: Vec<usize> = match self.draw.within(0, 9) {
            0 if last > 0 => vec![last - 1, last],
            1 if last > 0 => vec![last - 1],
            2 => (0..=last).collect(),
            _ => vec![last],
        };
        if axes[axes.len() - 1] == last && self.draw.rarely(3) {
            let scale = x.shape[axes[0]..].to_vec();
            let scale = self.weights(x.dtype, &scale, 1);
            let axis = self.axis(axes[0], x.rank());
            let attributes = vec![set("axis", Attribute::Int(axis)), set("epsilon", Attribute::Float(1e-3))];
            if centered && self.version() >= 17 {
                if self.draw.flag() {
                    let bias = self.weights(x.dtype, &scale.shape, 1);
                    return self.node("LayerNormalization", &[x, &scale, &bias], attributes, x.dtype, &x.shape);
                }
                return self.node("LayerNormalization", &[x, &scale], attributes, x.dtype, &x.shape);
            }
            if !centered && self.version() >= 23 {
                return self.node("RMSNormalization", &[x, &scale], attributes, x.dtype, &x.shape);
            }
        }
        let mut y = self.written_norm(x, &axes, centered);
        if self.draw.flag() {
            let scale = self.parameter(x, &axes);
            y = self.either("Mul", &y, &scale);
        }
        if self.draw.flag() {
            let bias = self.parameter(x, &axes);
            y = self.either("Add", &y, &bias);
        }
        y
    }

    /// A normalization of an image's channels or groups.
    pub fn image_norm(&mut self, x: &Value) -> Value {
        let (channels, spatial) = (x.shape[1], (2..x.rank()).collect::<Vec<_>>());
        let epsilon = set("epsilon", Attribute::Float(1e-3));
        match self.draw.within(0, 6) {
            0 | 1 => {
                let (scale, bias, mean) = (
                    self.weights(x.dtype, &[channels], 1),
                    self.weights(x.dtype, &[channels], 1),
                    self.weights(x.dtype, &[channels], 1),
                );
                let variance = self.positive(x.dtype, &[channels]);
                self.node("BatchNormalization", &[x, &scale, &bias, &mean, &variance], vec![epsilon], x.dtype, &x.shape)
            }
            2 => {
                let (scale, bias) = (self.weights(x.dtype, &[channels], 1), self.weights(x.dtype, &[channels], 1));
                self.node("InstanceNormalization", &[x, &scale, &bias], vec![epsilon], x.dtype, &x.shape)
            }
            3 if channels.is_multiple_of(2) => {
                // PyTorch writes GroupNorm as an InstanceNormalization of rows.
                let flat = self.reshape(x, &[x.shape[0], 2, x.elements() / x.shape[0] / 2]);
                let (one, zero) = (self.weights(x.dtype, &[2], 1), self.weights(x.dtype, &[2], 1));
                let normed = self.node("InstanceNormalization", &[&flat, &one, &zero], vec![epsilon], x.dtype, &flat.shape);
                let y = self.reshape(&normed, &x.shape);
                let y = self.per_channel("Mul", &y);
                self.per_channel("Add", &y)
            }
            4 => {
                let y = self.written_norm(x, &spatial, true);
                let y = self.settled(&y, &x.shape);
                let y = self.per_channel("Mul", &y);
                self.per_channel("Add", &y)
            }
            5 => {
                // LayerNorm2d of ConvNeXt: the channels of each pixel.
                if self.draw.flag() {
                    let y = self.written_norm(x, &[1], true);
                    return self.settled(&y, &x.shape);
                }
                let mut order: Vec<usize> = (0..x.rank()).collect();
                order.remove(1);
                order.push(1);
                let last = self.transpose(x, &order);
                let y = self.norm(&last);
                let y = self.settled(&y, &last.shape);
                let mut back: Vec<usize> = (0..x.rank()).collect();
                back.iter_mut().skip(2).for_each(|a| *a -= 1);
                back[1] = x.rank() - 1;
                self.transpose(&y, &back)
            }
            _ => {
                let y = self.per_channel("Mul", x);
                self.per_channel("Sub", &y)
            }
        }
    }

    /// Arithmetic with a number for each channel of an image, in a shape of any rank that broadcasts.
    pub fn per_channel(&mut self, operator: &str, x: &Value) -> Value {
        let (channels, spatial) = (x.shape[1], x.rank() - 2);
        let shape = match self.draw.within(0, 4) {
            0 => vec![1; self.draw.within(0, x.rank())],
            1 => [vec![1, channels], vec![1; spatial]].concat(),
            _ => [vec![channels], vec![1; spatial]].concat(),
        };
        let numbers = self.positive(x.dtype, &shape);
        if matches!(operator, "Add" | "Mul") { self.either(operator, x, &numbers) } else { self.binary(operator, x, &numbers) }
    }
}
