//! Arithmetic of whole numbers, as masks, positions and lengths are made of.

use super::network::Attribute;
use super::sketch::{Sketch, Value, set};
use gristmill::DType;

impl Sketch<'_> {
    /// A chain of integer arithmetic, comparisons and selections over `[batch, length, width]`.
    pub fn whole_numbers(&mut self) -> Value {
        let dtype = self.draw.pick(&[DType::I64, DType::I32, DType::I64, DType::I32, DType::F32]);
        let shape = [self.sizes.batch, self.sizes.length, self.sizes.width()];
        let numbers = self.random.integers(dtype, &shape, -20, 20);
        let mut x = self.input(numbers);
        let row = self.random.integers(dtype, &shape[2..], -9, 9);
        let row = if self.draw.flag() { self.input(row) } else { self.constant(row) };
        for _ in 0..self.draw.within(1, 5) {
            let y = self.step(&x, &row, dtype);
            x = self.settled(&y, &shape);
        }
        match self.draw.within(0, 4) {
            0 => self.cast(&x, DType::F32),
            1 => {
                let zero = self.scalar(dtype, 0.0, 3);
                self.binary("Equal", &x, &zero)
            }
            2 => self.sliced(&x),
            _ => x,
        }
    }

    /// One step of the chain: `x` with a row, or with numbers.
    fn step(&mut self, x: &Value, row: &Value, dtype: DType) -> Value {
        match self.draw.within(0, 8) {
            0 => {
                let operator = self.draw.pick(&["Add", "Sub", "Mul"]);
                self.binary(operator, x, row)
            }
            1 => self.quotient(x, dtype),
            2 if self.version() >= 10 => {
                let small = if dtype == DType::F32 { 0.1 } else { 2.0 };
                let divisor = self.draw.pick(&[3.0, 5.0, -4.0, small]);
                let divisor = self.scalar(dtype, divisor, 3);
                let fmod = dtype == DType::F32 || self.draw.flag();
                let shape = super::sketch::broadcast(&x.shape, &divisor.shape);
                self.node("Mod", &[x, &divisor], vec![set("fmod", Attribute::Int(fmod.into()))], dtype, &shape)
            }
            3 => {
                let operator = self.draw.pick(&["Less", "Greater", "Equal"]);
                let condition = self.binary(operator, x, row);
                let negated = self.unary("Neg", x);
                self.choose(&condition, x, &negated)
            }
            4 if self.version() >= 12 => {
                let operator = self.draw.pick(&["Min", "Max"]);
                self.binary(operator, x, row)
            }
            5 => {
                let axis = self.draw.within(0, x.rank() - 1);
                let operator = self.draw.pick(&["ReduceSum", "ReduceMax", "ReduceMin"]);
                let total = self.reduce(operator, x, &[axis], true);
                self.binary("Sub", x, &total)
            }
            6 => {
                let number = self.scalar(dtype, 2.0, 3);
                let condition = self.binary("Greater", x, &number);
                let flag = self.cast(&condition, dtype);
                self.either("Mul", x, &flag)
            }
            7 => self.stirred(x),
            _ => self.unary("Abs", x),
        }
    }

    /// A quotient without a fraction.
    fn quotient(&mut self, x: &Value, dtype: DType) -> Value {
        let divisor = self.draw.pick(&[2.0, 3.0, -4.0, 7.0]);
        let quotient = self.with_number("Div", x, divisor);
        if dtype != DType::F32 {
            return quotient;
        }
        let rounding: &[&str] = if self.version() < 11 { &["Floor", "Ceil"] } else { &["Floor", "Ceil", "Round"] };
        let operator = self.draw.pick(rounding);
        self.unary(operator, &quotient)
    }
}
