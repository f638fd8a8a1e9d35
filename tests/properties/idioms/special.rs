//! Zeros of either sign, infinities and NaN through elementwise arithmetic, made by it or given.

use super::sketch::{Sketch, Value};
use gristmill::{DType, Tensor};

/// What goes in. No number is so near the largest or the smallest that a unit in the last place decides about an infinity.
const NUMBERS: [f32; 16] =
    [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, -7.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1e10, -1e10, 1e-10, -1e-10, 100.0];

impl Sketch<'_> {
    /// A chain over all special values and over their pairs.
    pub fn specials(&mut self) -> Value {
        let column: Vec<f32> = NUMBERS.to_vec();
        let x = self.input(Tensor::new([4, 4], &column).expect("16 elements"));
        let pairs = self.draw.rarely(3);
        let x = if pairs { self.reshape(&x, &[16, 1]) } else { x };
        let other = if pairs {
            self.input(Tensor::new([1, 16], &column).expect("16 elements"))
        } else {
            let mut turned = column;
            turned.rotate_left(5);
            self.input(Tensor::new([4, 4], &turned).expect("16 elements"))
        };
        let mut y = x.clone();
        for _ in 0..self.draw.within(1, 4) {
            y = match self.draw.within(0, 9) {
                0 => {
                    let exponent = self.draw.pick(&[0.5, -0.5, 2.0, 3.0, -1.0, 0.0, 1.5, 1.0, -2.0]);
                    self.with_number("Pow", &y, exponent)
                }
                1 => {
                    let number = self.draw.pick(&[0.0, -0.0, 1.0, -1.0, 2.0]);
                    let operator = self.draw.pick(&["Add", "Sub", "Mul", "Div", "Max", "Min"]);
                    let number = self.number(DType::F32, number);
                    if self.draw.flag() { self.binary(operator, &y, &number) } else { self.binary(operator, &number, &y) }
                }
                2 => {
                    let operator = self.draw.pick(&["Sub", "Mul", "Div", "Add", "Max", "Min"]);
                    self.binary(operator, &y, &y)
                }
                3 | 4 => {
                    let operator = self.draw.pick(&["Sub", "Mul", "Div", "Add", "Max", "Min"]);
                    self.binary(operator, &y, &other)
                }
                5 => {
                    let operator = self.draw.pick(&["Sqrt", "Log", "Exp", "Reciprocal", "Abs", "Neg", "Sign"]);
                    if operator == "Sign" && self.version() < 9 { self.unary("Abs", &y) } else { self.unary(operator, &y) }
                }
                6 => {
                    let operator =
                        self.draw.pick(&["Relu", "Sigmoid", "Tanh", "Softplus", "Erf", "Elu", "Selu", "LeakyRelu", "Softsign"]);
                    self.unary(operator, &y)
                }
                7 => self.clip(&y, -1.5, 6.0),
                8 => {
                    let bad = self.node("IsNaN", &[&y], vec![], DType::Bool, &y.shape);
                    let number = self.number(DType::F32, 0.25);
                    self.choose(&bad, &number, &y)
                }
                _ => {
                    let condition = self.binary("Greater", &y, &other);
                    self.choose(&condition, &y, &x)
                }
            };
        }
        y
    }
}
