//! Activations and gates as exporters write them out.

use super::network::Attribute;
use super::sketch::{Sketch, Value, set};

/// Activations that are one operator in every version used here.
const PLAIN: [&str; 9] = ["Relu", "Tanh", "Sigmoid", "Softplus", "Softsign", "Elu", "LeakyRelu", "Selu", "Abs"];

impl Sketch<'_> {
    /// Sigmoid, or the arithmetic that it stands for.
    pub fn sigmoid(&mut self, x: &Value) -> Value {
        match self.draw.within(0, 5) {
            0 => {
                // 1 / (1 + exp(-x))
                let negated = self.unary("Neg", x);
                let exponential = self.unary("Exp", &negated);
                let sum = self.either_number("Add", &exponential, 1.0);
                if self.draw.flag() {
                    return self.unary("Reciprocal", &sum);
                }
                let one = self.scalar(x.dtype, 1.0, x.rank());
                self.binary("Div", &one, &sum)
            }
            1 => {
                let half = self.either_number("Mul", x, 0.5);
                let t = self.unary("Tanh", &half);
                let scaled = self.either_number("Mul", &t, 0.5);
                self.either_number("Add", &scaled, 0.5)
            }
            _ => self.unary("Sigmoid", x),
        }
    }

    /// max(0, min(1, x / 6 + 0.5)) in its spellings.
    pub fn hard_sigmoid(&mut self, x: &Value) -> Value {
        match self.draw.within(0, 3) {
            0 => {
                let sixth = Attribute::Float(1.0 / 6.0);
                self.unary_with("HardSigmoid", x, vec![set("alpha", sixth), set("beta", Attribute::Float(0.5))])
            }
            1 => {
                // relu6(x + 3) / 6
                let shifted = self.either_number("Add", x, 3.0);
                let clipped = self.clip(&shifted, 0.0, 6.0);
                self.with_number("Div", &clipped, 6.0)
            }
            2 => {
                let shifted = self.either_number("Add", x, 3.0);
                let clipped = self.bounded(&shifted, 0.0, 6.0);
                self.either_number("Mul", &clipped, 1.0 / 6.0)
            }
            _ => {
                let scaled = self.either_number("Mul", x, 0.2);
                let shifted = self.either_number("Add", &scaled, 0.5);
                self.bounded(&shifted, 0.0, 1.0)
            }
        }
    }

    /// Clip with bounds as inputs (some left out) or attributes.
    pub fn clip(&mut self, x: &Value, low: f64, high: f64) -> Value {
        if self.version() < 11 {
            let bounds = vec![set("min", Attribute::Float(low as f32)), set("max", Attribute::Float(high as f32))];
            return self.unary_with("Clip", x, bounds);
        }
        let (low, high) = (self.number(x.dtype, low), self.number(x.dtype, high));
        let inputs: &[Option<&Value>] = match self.draw.within(0, 5) {
            0 => &[Some(x), Some(&low)],
            1 => &[Some(x), None, Some(&high)],
            _ => &[Some(x), Some(&low), Some(&high)],
        };
        self.nodes("Clip", inputs, vec![], &[(x.dtype, x.shape.clone())]).swap_remove(0)
    }

    /// Between two numbers by Min and Max, in either order.
    pub fn bounded(&mut self, x: &Value, low: f64, high: f64) -> Value {
        if self.draw.flag() {
            let y = self.either_number("Min", x, high);
            return self.either_number("Max", &y, low);
        }
        let y = if self.draw.flag() { self.unary("Relu", x) } else { self.either_number("Max", x, low) };
        self.either_number("Min", &y, high)
    }

    /// x * sigmoid(x), hard or soft.
    pub fn silu(&mut self, x: &Value) -> Value {
        let gate = if self.draw.rarely(3) { self.hard_sigmoid(x) } else { self.sigmoid(x) };
        self.either("Mul", x, &gate)
    }

    /// GELU by erf, by tanh, by sigmoid, or as one operator.
    pub fn gelu(&mut self, x: &Value) -> Value {
        match self.draw.within(0, 4) {
            0 => {
                let scaled = self.with_number("Div", x, std::f64::consts::SQRT_2);
                let erf = self.unary("Erf", &scaled);
                let sum = self.either_number("Add", &erf, 1.0);
                if self.draw.flag() {
                    let product = self.either("Mul", x, &sum);
                    return self.either_number("Mul", &product, 0.5);
                }
                let half = self.either_number("Mul", x, 0.5);
                self.either("Mul", &half, &sum)
            }
            1 => {
                let scaled = self.either_number("Mul", x, std::f64::consts::FRAC_1_SQRT_2);
                let erf = self.unary("Erf", &scaled);
                let half = self.either_number("Mul", &erf, 0.5);
                let sum = self.either_number("Add", &half, 0.5);
                self.either("Mul", &sum, x)
            }
            2 => {
                let cube = if self.draw.flag() {
                    self.with_number("Pow", x, 3.0)
                } else {
                    let square = self.binary("Mul", x, x);
                    self.either("Mul", &square, x)
                };
                let scaled = self.either_number("Mul", &cube, 0.044_715);
                let sum = self.either("Add", x, &scaled);
                let inner = self.either_number("Mul", &sum, 0.797_884_560_8);
                let t = self.unary("Tanh", &inner);
                let shifted = self.either_number("Add", &t, 1.0);
                let half = self.either_number("Mul", x, 0.5);
                self.either("Mul", &half, &shifted)
            }
            3 => {
                let scaled = self.either_number("Mul", x, 1.702);
                let gate = self.unary("Sigmoid", &scaled);
                self.either("Mul", x, &gate)
            }
            _ if self.version() >= 20 => {
                let form = self.draw.pick(&["none", "tanh"]);
                self.unary_with("Gelu", x, vec![set("approximate", Attribute::Text(form.into()))])
            }
            _ => self.silu(x),
        }
    }

    /// Mish, hard-swish, softplus and others written out.
    pub fn odd_activation(&mut self, x: &Value) -> Value {
        match self.draw.within(0, 6) {
            0 => {
                let soft = self.unary("Softplus", x);
                let t = self.unary("Tanh", &soft);
                self.either("Mul", x, &t)
            }
            1 if self.version() >= 14 => self.unary("HardSwish", x),
            2 => {
                let exponential = self.unary("Exp", x);
                let sum = self.either_number("Add", &exponential, 1.0);
                self.unary("Log", &sum)
            }
            3 => {
                // A leaky gate by Where or by Max.
                let scaled = self.either_number("Mul", x, 0.1);
                if self.draw.flag() {
                    return self.either("Max", x, &scaled);
                }
                let zero = self.scalar(x.dtype, 0.0, x.rank());
                let positive = self.binary("Greater", x, &zero);
                self.choose(&positive, x, &scaled)
            }
            4 if x.rank() > 1 => {
                let slopes = [vec![1; x.rank() - 2], vec![x.shape[x.rank() - 2], 1]].concat();
                let slopes = self.weights(x.dtype, &slopes, 1);
                self.binary("PRelu", x, &slopes)
            }
            5 => {
                let square = self.binary("Mul", x, x);
                let sum = self.either_number("Add", &square, 1.0);
                let root = self.unary("Sqrt", &sum);
                self.binary("Div", x, &root)
            }
            _ => {
                let positive = self.unary("Relu", x);
                self.with_number("Pow", &positive, 2.0)
            }
        }
    }

    /// Any activation.
    pub fn activation(&mut self, x: &Value) -> Value {
        match self.draw.within(0, 9) {
            0..=2 => {
                let name = self.draw.pick(&PLAIN);
                self.unary(name, x)
            }
            3 => self.silu(x),
            4 | 5 => self.gelu(x),
            6 => self.hard_sigmoid(x),
            7 => {
                let high = self.draw.pick(&[1.0, 6.0]);
                self.clip(x, 0.0, high)
            }
            8 => self.sigmoid(x),
            _ => self.odd_activation(x),
        }
    }

    /// A gate that is bounded or summed up before it is applied: min or max of a value with itself gated, then a softmax, a
    /// reduction, or another gate.
    pub fn gate(&mut self, x: &Value) -> Value {
        let gate = match self.draw.within(0, 3) {
            0 => self.hard_sigmoid(x),
            1 => self.sigmoid(x),
            _ => self.activation(x),
        };
        let bounded = match self.draw.within(0, 4) {
            0 => self.either("Min", x, &gate),
            1 => self.either("Max", x, &gate),
            2 => self.either_number("Min", &gate, 0.75),
            3 => self.either("Mul", x, &gate),
            _ => gate.clone(),
        };
        let last = x.rank() - 1;
        match self.draw.within(0, 5) {
            0 => {
                let axis = self.draw.within(0, last);
                let weights = self.softmax("Softmax", &bounded, axis);
                self.either("Mul", x, &weights)
            }
            1 => {
                let axis = self.draw.within(0, last);
                let operator = self.draw.pick(&["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2"]);
                let sum = self.reduce(operator, &bounded, &[axis], true);
                let again = self.activation(&sum);
                self.either("Mul", x, &again)
            }
            2 => {
                let other = self.activation(x);
                let sum = self.either("Add", &bounded, &other);
                self.either("Mul", &sum, &gate)
            }
            3 => {
                let one = self.scalar(x.dtype, 1.0, x.rank());
                let rest = self.binary("Sub", &one, &gate);
                let other = self.unary("Tanh", x);
                let (a, b) = (self.either("Mul", &gate, x), self.either("Mul", &rest, &other));
                self.either("Add", &a, &b)
            }
            _ => bounded,
        }
    }

    /// A linear unit gated by another: GLU, SwiGLU, GEGLU, from one product or two.
    pub fn glu(&mut self, x: &Value) -> Value {
        let width = x.last();
        let (a, b) = if self.draw.flag() {
            let both = self.linear(x, 2 * width);
            let both = if self.draw.flag() { self.biased(&both) } else { both };
            self.halves(&both)
        } else {
            (self.linear(x, width), self.linear(x, width))
        };
        let gate = match self.draw.within(0, 3) {
            0 => self.gelu(&b),
            1 => self.silu(&b),
            2 => self.hard_sigmoid(&b),
            _ => self.sigmoid(&b),
        };
        let product = self.either("Mul", &a, &gate);
        self.linear(&product, width)
    }

    /// A bias along the last axis, on either side.
    pub fn biased(&mut self, x: &Value) -> Value {
        let shape = if self.draw.rarely(6) { [vec![1; x.rank() - 1], vec![x.last()]].concat() } else { vec![x.last()] };
        let bias = self.weights(x.dtype, &shape, 4);
        self.either("Add", x, &bias)
    }

    /// Squeeze and excitation of an image's channels.
    pub fn squeeze_excite(&mut self, x: &Value) -> Value {
        let (channels, spatial) = (x.shape[1], (2..x.rank()).collect::<Vec<_>>());
        let kept = self.draw.flag();
        let mut s = match self.draw.within(0, 2) {
            0 => {
                let shape = [&x.shape[..2], &vec![1; x.rank() - 2][..]].concat();
                self.node("GlobalAveragePool", &[x], vec![], x.dtype, &shape)
            }
            _ => self.reduce("ReduceMean", x, &spatial, kept),
        };
        let inner = self.draw.pick(&[4, 2]);
        if s.rank() > 2 && self.draw.flag() {
            // Products of 1x1 on the pooled image.
            s = self.pointwise(&s, inner);
            let shape = s.shape.clone();
            s = self.activation(&s);
            s = self.settled(&s, &shape);
            s = self.pointwise(&s, channels);
        } else {
            if s.rank() > 2 {
                s = self.reshape(&s, &x.shape[..2]);
            }
            s = self.linear(&s, inner);
            s = self.biased(&s);
            s = self.activation(&s);
            s = self.linear(&s, channels);
            s = self.biased(&s);
            let shape = [&x.shape[..2], &vec![1; x.rank() - 2][..]].concat();
            s = self.reshape(&s, &shape);
        }
        let gate = if self.draw.flag() { self.hard_sigmoid(&s) } else { self.sigmoid(&s) };
        let gate = if self.draw.rarely(6) { self.expand_like(&gate, x) } else { gate };
        self.either("Mul", x, &gate)
    }
}
