//! Problems that kernels are looked at by: families, how a problem of each is written, and the rows that are looked at when none is
//! named.
//!
//! A problem is cheap until its data are drawn. Nothing here knows the rest of the command line, since the case table of the tests
//! (`tests/cases/named.rs`) takes its rows from here, too.

mod build;
mod families;
mod shape;

pub(crate) use families::{FAMILIES, Family};

use super::random::Random;
use gristmill::internals::graph::Op;
use gristmill::{DType, Error, Result, Tensor, TensorType};
use shape::Shape;
use std::sync::Arc;

/// Operators on operands of known shapes.
pub(crate) struct Problem {
    /// Its family's name.
    pub(crate) family: &'static str,
    /// As it is written.
    pub(crate) shape: String,
    /// What the operators read, inputs and weights.
    pub(crate) operands: Vec<Operand>,
    /// The operators in order; the last one's first output is the result.
    pub(crate) steps: Vec<Step>,
    /// Floating-point operations, a multiply-add counting two.
    pub(crate) flops: u64,
    /// Bytes of what is needed of its operands on the GPU.
    pub(crate) read: u64,
    /// Bytes of the result there.
    pub(crate) written: u64,
}

/// One operand: an input of the run, or a weight.
pub(crate) struct Operand {
    pub(crate) name: String,
    pub(crate) dims: Vec<usize>,
    pub(crate) is_weight: bool,
    fill: Fill,
}

/// What an operand holds.
#[derive(Clone)]
enum Fill {
    /// Seeded values in -scale..scale.
    Scaled(f64),
    /// Seeded values in -1..1 that half floats hold.
    Halves,
    /// Bytes of every value.
    Bytes,
    /// Integers of 32 bits below this one, neighbours far from each other and different as far as there are enough.
    Spread(usize),
    /// A step that floats are counted in.
    Step,
    /// One integer of 32 bits everywhere.
    Number(i64),
    /// These integers of 64 bits.
    Numbers(Vec<i64>),
}

/// One operator.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) op: Arc<dyn Op>,
    /// Its operands, by their place among the problem's, or the results of steps, counted on from there; `None` for one left out.
    pub(crate) inputs: Vec<Option<usize>>,
}

impl Family {
    /// The family of a name.
    pub(crate) fn named(name: &str) -> Result<&'static Family> {
        FAMILIES.iter().find(|f| f.name == name).ok_or_else(|| {
            let known: Vec<&str> = FAMILIES.iter().map(|f| f.name).collect();
            Error::invalid_argument(format!("`{name}` is no kernel family: expected one of {}", known.join(", ")))
        })
    }

    /// The problem that a shape of this family names.
    pub(crate) fn problem(&self, text: &str) -> Result<Problem> {
        let wrong = || Error::invalid_argument(format!("`{}:{text}`: expected a shape like {}", self.name, self.form));
        let shape = Shape::parse(text).ok_or_else(wrong)?;
        let mut problem =
            Problem { family: self.name, shape: text.to_string(), operands: vec![], steps: vec![], flops: 0, read: 0, written: 0 };
        problem.flops = (self.build)(&shape, &mut problem)?;
        Ok(problem)
    }
}

impl Problem {
    /// How it is named: `FAMILY:SHAPE`.
    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.family, self.shape)
    }

    /// The contents of its operands; those of floats in this type.
    pub(crate) fn data(&self, dtype: DType) -> Result<Vec<Tensor>> {
        let mut random = Random::new(3);
        self.operands.iter().map(|operand| operand.data(dtype, &mut random)).collect()
    }

    fn operand(&mut self, name: impl Into<String>, dims: &[usize], is_weight: bool, fill: Fill) -> usize {
        let elements: usize = dims.iter().product();
        // A GPU holds every float in four bytes, and bytes as they are.
        self.read += if matches!(fill, Fill::Bytes) { elements } else { 4 * elements } as u64;
        self.operands.push(Operand { name: name.into(), dims: dims.to_vec(), is_weight, fill });
        self.operands.len() - 1
    }

    fn input(&mut self, dims: &[usize]) -> usize {
        self.operand(format!("input{}", self.operands.len()), dims, false, Fill::Scaled(1.0))
    }

    fn weight(&mut self, name: &str, dims: &[usize]) -> usize {
        self.operand(name, dims, true, Fill::Scaled(1.0))
    }

    /// Integers that are known beforehand; the device reads none of them.
    fn numbers(&mut self, name: &str, numbers: &[usize]) -> usize {
        let read = self.read;
        let numbers: Vec<i64> = numbers.iter().map(|n| *n as i64).collect();
        let operand = self.operand(name, &[numbers.len()], true, Fill::Numbers(numbers));
        self.read = read;
        operand
    }

    fn step(&mut self, name: &'static str, op: Arc<dyn Op>, inputs: &[usize]) -> usize {
        self.steps.push(Step { name, op, inputs: inputs.iter().copied().map(Some).collect() });
        self.operands.len() + self.steps.len() - 1
    }

    /// The last step, whose result has so many elements.
    fn finish(&mut self, op: Arc<dyn Op>, inputs: &[usize], elements: usize) {
        self.finish_some(op, &inputs.iter().copied().map(Some).collect::<Vec<_>>(), elements);
    }

    /// The last step likewise, with operands left out.
    fn finish_some(&mut self, op: Arc<dyn Op>, inputs: &[Option<usize>], elements: usize) {
        self.steps.push(Step { name: "node", op, inputs: inputs.to_vec() });
        self.written += 4 * elements as u64;
    }
}

impl Operand {
    fn data(&self, dtype: DType, random: &mut Random) -> Result<Tensor> {
        let elements: usize = self.dims.iter().product();
        let mut drawn = |dtype, scale: f64| {
            let values: Vec<f64> = (0..elements).map(|_| random.unit() * scale).collect();
            Tensor::from_f64(TensorType::new(dtype, self.dims.as_slice()), &values)
        };
        match &self.fill {
            Fill::Scaled(scale) => drawn(dtype, *scale),
            Fill::Halves => {
                let halves = drawn(DType::F16, 1.0)?;
                Tensor::from_f64(TensorType::new(dtype, self.dims.as_slice()), &halves.to_f64())
            }
            Fill::Number(number) => {
                Tensor::from_i128(TensorType::new(DType::I32, self.dims.as_slice()), &vec![i128::from(*number); elements])
            }
            Fill::Numbers(numbers) => Tensor::new(self.dims.as_slice(), numbers),
            Fill::Step => Tensor::from_f64(TensorType::new(dtype, self.dims.as_slice()), &vec![1.0 / 64.0; elements]),
            Fill::Spread(below) => {
                // A prime leads to every number before it comes to one twice, unless it divides them.
                let numbers: Vec<i128> = (0..elements).map(|i| (i * 7919 % below.max(&1)) as i128).collect();
                Tensor::from_i128(TensorType::new(DType::I32, self.dims.as_slice()), &numbers)
            }
            Fill::Bytes => {
                let bytes: Vec<u8> = (0..elements).map(|i| ((i * 2_654_435_761) >> 11) as u8).collect();
                Tensor::from_bytes(TensorType::new(DType::U8, self.dims.as_slice()), &bytes)
            }
        }
    }
}
