//! Partial derivatives of scalar functions, as further instructions of a program.

use super::lookup::function;
use crate::error::{Error, Result};
use crate::kernel::{Instruction, Program, Signature, Term};
use crate::tensor::DType;
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, PI};

/// A program to which instructions are added.
pub(super) struct Derivation {
    pub program: Program,
}

/// What an instruction computes, and how its result is asked about.
#[derive(Clone, Copy)]
pub(super) struct Applied<'a> {
    pub instruction: &'a Instruction,
    /// Its result.
    pub result: Term,
    /// How much a change of the result is worth.
    pub worth: Term,
    /// The dtypes of its arguments.
    pub dtypes: &'a [DType],
}

const ZERO: Term = Term::Literal(0.0);
const ONE: Term = Term::Literal(1.0);

fn number(x: f64) -> Term {
    Term::Literal(x)
}

impl Derivation {
    /// Adds a function of terms.
    pub(super) fn add(&mut self, name: &str, arguments: &[Term]) -> Result<Term> {
        let function = function(name).ok_or_else(|| Error::internal(format!("there is no function {name}")))?;
        self.program.instructions.push(Instruction { function, arguments: arguments.to_vec(), cast: None });
        Ok(Term::Result(self.program.instructions.len() - 1))
    }

    fn cast(&mut self, term: Term, dtype: DType) -> Result<Term> {
        let term = self.add("Cast", &[term])?;
        if let Some(last) = self.program.instructions.last_mut() {
            last.cast = Some(dtype);
        }
        Ok(term)
    }

    fn mul(&mut self, a: Term, b: Term) -> Result<Term> {
        // Numbers take the dtype of what they stand beside, so that two of them alone have none.
        if let (Term::Literal(a), Term::Literal(b)) = (a, b) {
            return Ok(number(a * b));
        }
        self.add("Mul", &[a, b])
    }

    /// `worth` where a condition holds, else 0.
    fn worth_where(&mut self, condition: Term, worth: Term) -> Result<Term> {
        self.add("Where", &[condition, worth, ZERO])
    }

    /// How much a change of an argument is worth; `None` where it is worth nothing wherever it can be said.
    pub(super) fn argument(&mut self, applied: Applied<'_>, index: usize) -> Result<Option<Term>> {
        let Applied { instruction, worth, dtypes, .. } = applied;
        let arguments = &instruction.arguments;
        if !dtypes[index].is_float() || matches!(instruction.function.signature, Signature::Compare | Signature::Test) {
            return Ok(None);
        }
        match instruction.function.name {
            "Ceil" | "Floor" | "Round" | "Sign" => Ok(None),
            "Identity" => Ok(Some(worth)),
            "Cast" => match instruction.cast {
                Some(to) if to.is_float() => self.cast(worth, dtypes[0]).map(Some),
                _ => Ok(None),
            },
            "Where" => {
                let of = if index == 1 { [worth, ZERO] } else { [ZERO, worth] };
                self.add("Where", &[arguments[0], of[0], of[1]]).map(Some)
            }
            "Add" => Ok(Some(worth)),
            "Sub" if index == 0 => Ok(Some(worth)),
            "Sub" | "Neg" => self.add("Neg", &[worth]).map(Some),
            "Mul" => self.mul(worth, arguments[1 - index]).map(Some),
            "Clip" => self.of_clip(applied, index).map(Some),
            "Div" | "Pow" | "Max" | "Min" | "Mod" | "Fmod" | "PRelu" => self.of_two(applied, index).map(Some),
            _ if index == 0 => self.of_one(applied).map(Some),
            name => Err(Error::unsupported(format!("{name} has no derivative by argument {index}"))),
        }
    }

    fn of_two(&mut self, applied: Applied<'_>, index: usize) -> Result<Term> {
        let Applied { instruction, result, worth, dtypes } = applied;
        let [a, b] = instruction.arguments[..] else { return Err(Error::internal("a function of two arguments has others")) };
        // The exponent of a power may be an integer.
        let b = if dtypes[0] == dtypes[1] { b } else { self.cast(b, dtypes[0])? };
        match (instruction.function.name, index) {
            ("Div", 0) => self.add("Div", &[worth, b]),
            ("Div", _) => {
                let quotient = self.add("Div", &[result, b])?;
                let product = self.mul(worth, quotient)?;
                self.add("Neg", &[product])
            }
            ("Pow", 0) => {
                // b a^(b - 1), which is 0 for b = 0, also where a is.
                let less = self.add("Sub", &[b, ONE])?;
                let power = self.add("Pow", &[a, less])?;
                let slope = self.mul(b, power)?;
                let product = self.mul(worth, slope)?;
                let constant = self.add("Equal", &[b, ZERO])?;
                self.add("Where", &[constant, ZERO, product])
            }
            ("Pow", _) => {
                // a^b ln a, which is 0 for a = 0.
                let logarithm = self.add("Log", &[a])?;
                let slope = self.mul(result, logarithm)?;
                let product = self.mul(worth, slope)?;
                let none = self.add("Equal", &[a, ZERO])?;
                self.add("Where", &[none, ZERO, product])
            }
            (name @ ("Max" | "Min"), _) => {
                // Equal arguments share it.
                let (own, other) = if index == 0 { (a, b) } else { (b, a) };
                let wins = self.add(if name == "Max" { "Greater" } else { "Less" }, &[own, other])?;
                let ties = self.add("Equal", &[own, other])?;
                let half = self.mul(worth, number(0.5))?;
                let shared = self.worth_where(ties, half)?;
                self.add("Where", &[wins, worth, shared])
            }
            ("Mod" | "Fmod", 0) => Ok(worth),
            ("Mod" | "Fmod", _) => {
                // The quotient without its fraction, (a - result) / b.
                let whole = self.add("Sub", &[a, result])?;
                let quotient = self.add("Div", &[whole, b])?;
                let rounded = self.add("Round", &[quotient])?;
                let product = self.mul(worth, rounded)?;
                self.add("Neg", &[product])
            }
            ("PRelu", 0) => {
                let negative = self.add("LessOrEqual", &[a, ZERO])?;
                let sloped = self.mul(worth, b)?;
                self.add("Where", &[negative, sloped, worth])
            }
            _ => {
                let negative = self.add("Less", &[a, ZERO])?;
                let product = self.mul(worth, a)?;
                self.worth_where(negative, product)
            }
        }
    }

    /// What equals a limit counts as the limit; the upper one wins where they meet or cross.
    fn of_clip(&mut self, applied: Applied<'_>, index: usize) -> Result<Term> {
        let Applied { instruction, worth, .. } = applied;
        let [x, low, high] = instruction.arguments[..] else { return Err(Error::internal("a Clip without two limits")) };
        let (first, second, both) = match index {
            0 => (self.add("Greater", &[x, low])?, self.add("Less", &[x, high])?, "And"),
            1 => (self.add("LessOrEqual", &[x, low])?, self.add("Less", &[low, high])?, "And"),
            _ => (self.add("GreaterOrEqual", &[x, high])?, self.add("GreaterOrEqual", &[low, high])?, "Or"),
        };
        let passes = self.add(both, &[first, second])?;
        self.worth_where(passes, worth)
    }

    fn of_one(&mut self, applied: Applied<'_>) -> Result<Term> {
        let Applied { instruction, result: y, worth, .. } = applied;
        let x = instruction.arguments[0];
        let parameter = |k: usize| instruction.arguments.get(k).copied().unwrap_or(ZERO);
        match instruction.function.name {
            "Abs" => {
                let sign = self.add("Sign", &[x])?;
                self.mul(worth, sign)
            }
            "Sqrt" => {
                let half = self.mul(worth, number(0.5))?;
                self.add("Div", &[half, y])
            }
            "Rsqrt" => {
                let cube = self.mul(y, y)?;
                let cube = self.mul(cube, y)?;
                let slope = self.mul(cube, number(-0.5))?;
                self.mul(worth, slope)
            }
            "Reciprocal" => {
                let square = self.mul(y, y)?;
                let product = self.mul(worth, square)?;
                self.add("Neg", &[product])
            }
            "Exp" => self.mul(worth, y),
            "Log" => self.add("Div", &[worth, x]),
            "Erf" => {
                let square = self.mul(x, x)?;
                let negative = self.add("Neg", &[square])?;
                let bell = self.add("Exp", &[negative])?;
                let slope = self.mul(bell, number(FRAC_2_SQRT_PI))?;
                self.mul(worth, slope)
            }
            "Relu" => {
                // Its result tells as much as its argument.
                let positive = self.add("Greater", &[y, ZERO])?;
                self.worth_where(positive, worth)
            }
            "LeakyRelu" => {
                let negative = self.add("LessOrEqual", &[x, ZERO])?;
                let sloped = self.mul(worth, parameter(1))?;
                self.add("Where", &[negative, sloped, worth])
            }
            "ThresholdedRelu" => {
                let above = self.add("Greater", &[x, parameter(1)])?;
                self.worth_where(above, worth)
            }
            "Shrink" => {
                let above = self.add("Greater", &[x, parameter(2)])?;
                // Against x, since an instruction of nothing but literals has no dtype of theirs.
                let opposite = self.add("Neg", &[x])?;
                let below = self.add("Greater", &[opposite, parameter(2)])?;
                let outside = self.add("Or", &[above, below])?;
                self.worth_where(outside, worth)
            }
            "Elu" | "Celu" | "Selu" | "Sigmoid" | "HardSigmoid" | "HardSwish" | "Gelu" | "GeluTanh" | "Swish" | "Mish"
            | "Softplus" | "Softsign" => self.of_activation(applied),
            _ => self.of_circular(applied),
        }
    }

    fn of_activation(&mut self, applied: Applied<'_>) -> Result<Term> {
        let Applied { instruction, result: y, worth, .. } = applied;
        let x = instruction.arguments[0];
        let parameter = |k: usize| instruction.arguments.get(k).copied().unwrap_or(ZERO);
        match instruction.function.name {
            "Elu" => {
                // y + alpha where x < 0.
                let slope = self.add("Add", &[y, parameter(1)])?;
                self.sloped_below(x, slope, worth)
            }
            "Celu" => {
                let quotient = self.add("Div", &[x, parameter(1)])?;
                let slope = self.add("Exp", &[quotient])?;
                self.sloped_below(x, slope, worth)
            }
            "Selu" => {
                let scale = self.mul(parameter(1), parameter(2))?;
                let slope = self.add("Add", &[y, scale])?;
                let (below, above) = (self.mul(worth, slope)?, self.mul(worth, parameter(2))?);
                let negative = self.add("LessOrEqual", &[x, ZERO])?;
                self.add("Where", &[negative, below, above])
            }
            "Sigmoid" => {
                let rest = self.add("Sub", &[ONE, y])?;
                let slope = self.mul(y, rest)?;
                self.mul(worth, slope)
            }
            "HardSigmoid" => {
                let (above, below) = (self.add("Greater", &[y, ZERO])?, self.add("Less", &[y, ONE])?);
                let between = self.add("And", &[above, below])?;
                let sloped = self.mul(worth, parameter(1))?;
                self.worth_where(between, sloped)
            }
            "HardSwish" => {
                // 0 up to -3, (2 x + 3) / 6 up to 3, then 1.
                let slope = self.mul(x, number(1.0 / 3.0))?;
                let slope = self.add("Add", &[slope, number(0.5)])?;
                let between = self.mul(worth, slope)?;
                let (low, high) = (self.add("Greater", &[x, number(-3.0)])?, self.add("Less", &[x, number(3.0)])?);
                let above = self.add("Where", &[high, between, worth])?;
                self.worth_where(low, above)
            }
            "Softplus" => {
                let slope = self.add("Sigmoid", &[x])?;
                self.mul(worth, slope)
            }
            "Softsign" => {
                let magnitude = self.add("Abs", &[x])?;
                let more = self.add("Add", &[magnitude, ONE])?;
                let square = self.mul(more, more)?;
                self.add("Div", &[worth, square])
            }
            _ => self.of_gate(applied),
        }
    }

    /// Functions that are x times what lies between 0 and 1.
    fn of_gate(&mut self, applied: Applied<'_>) -> Result<Term> {
        let Applied { instruction, worth, .. } = applied;
        let x = instruction.arguments[0];
        let slope = match instruction.function.name {
            "Gelu" => {
                let scaled = self.mul(x, number(FRAC_1_SQRT_2))?;
                let erf = self.add("Erf", &[scaled])?;
                let gate = self.add("Add", &[erf, ONE])?;
                let gate = self.mul(gate, number(0.5))?;
                let square = self.mul(x, x)?;
                let half = self.mul(square, number(-0.5))?;
                let bell = self.add("Exp", &[half])?;
                let bell = self.mul(bell, number(0.5 * FRAC_1_SQRT_2 * FRAC_2_SQRT_PI))?;
                let rest = self.mul(x, bell)?;
                self.add("Add", &[gate, rest])?
            }
            "GeluTanh" => {
                let root = (2.0 / PI).sqrt();
                let square = self.mul(x, x)?;
                let cubic = self.mul(square, number(root * 0.044715))?;
                let inner = self.add("Add", &[cubic, number(root)])?;
                let inner = self.mul(x, inner)?;
                let tanh = self.add("Tanh", &[inner])?;
                let gate = self.add("Add", &[tanh, ONE])?;
                let gate = self.mul(gate, number(0.5))?;
                let rest = self.mul(tanh, tanh)?;
                let rest = self.add("Sub", &[ONE, rest])?;
                let steep = self.mul(square, number(3.0 * root * 0.044715))?;
                let steep = self.add("Add", &[steep, number(root)])?;
                let rest = self.mul(rest, steep)?;
                let rest = self.mul(rest, x)?;
                let rest = self.mul(rest, number(0.5))?;
                self.add("Add", &[gate, rest])?
            }
            "Swish" => {
                // s + alpha x s (1 - s) with s = sigmoid(alpha x).
                let alpha = instruction.arguments.get(1).copied().unwrap_or(ONE);
                let scaled = self.mul(x, alpha)?;
                let gate = self.add("Sigmoid", &[scaled])?;
                let rest = self.add("Sub", &[ONE, gate])?;
                let rest = self.mul(gate, rest)?;
                let rest = self.mul(scaled, rest)?;
                self.add("Add", &[gate, rest])?
            }
            "Mish" => {
                let plus = self.add("Softplus", &[x])?;
                let gate = self.add("Tanh", &[plus])?;
                let square = self.mul(gate, gate)?;
                let rest = self.add("Sub", &[ONE, square])?;
                let sigmoid = self.add("Sigmoid", &[x])?;
                let rest = self.mul(rest, sigmoid)?;
                let rest = self.mul(x, rest)?;
                self.add("Add", &[gate, rest])?
            }
            name => return Err(Error::unsupported(format!("{name} has no derivative in the table"))),
        };
        self.mul(worth, slope)
    }

    /// `worth` where x > 0, and that times a slope elsewhere.
    fn sloped_below(&mut self, x: Term, slope: Term, worth: Term) -> Result<Term> {
        let below = self.mul(worth, slope)?;
        let negative = self.add("LessOrEqual", &[x, ZERO])?;
        self.add("Where", &[negative, below, worth])
    }

    /// Circular and hyperbolic functions and their inverses.
    fn of_circular(&mut self, applied: Applied<'_>) -> Result<Term> {
        let Applied { instruction, result: y, worth, .. } = applied;
        let x = instruction.arguments[0];
        let simple = match instruction.function.name {
            "Sin" => Some(("Cos", false)),
            "Cos" => Some(("Sin", true)),
            "Sinh" => Some(("Cosh", false)),
            "Cosh" => Some(("Sinh", false)),
            _ => None,
        };
        if let Some((name, negative)) = simple {
            let slope = self.add(name, &[x])?;
            let product = self.mul(worth, slope)?;
            return if negative { self.add("Neg", &[product]) } else { Ok(product) };
        }
        if matches!(instruction.function.name, "Tan" | "Tanh") {
            let square = self.mul(y, y)?;
            let slope = self.add(if instruction.function.name == "Tan" { "Add" } else { "Sub" }, &[ONE, square])?;
            return self.mul(worth, slope);
        }
        let square = self.mul(x, x)?;
        let (inner, rooted) = match instruction.function.name {
            "Asin" | "Acos" => (self.add("Sub", &[ONE, square])?, true),
            "Asinh" => (self.add("Add", &[square, ONE])?, true),
            "Acosh" => (self.add("Sub", &[square, ONE])?, true),
            "Atan" => (self.add("Add", &[square, ONE])?, false),
            "Atanh" => (self.add("Sub", &[ONE, square])?, false),
            name => return Err(Error::unsupported(format!("{name} has no derivative in the table"))),
        };
        let divisor = if rooted { self.add("Sqrt", &[inner])? } else { inner };
        let quotient = self.add("Div", &[worth, divisor])?;
        if instruction.function.name == "Acos" { self.add("Neg", &[quotient]) } else { Ok(quotient) }
    }
}
