//! Join: tensors side by side in one vector, with zeros between them.

use super::part::part;
use crate::error::{Error, Result};
use crate::graph::{Fact, Gradient, Io, Node, Op, ValueId, Writer, required};
use crate::kernel::{Access, Caps, Dispatch, Kernel, Lowering, Offers, Operand, Table, params, shader, u32s};
use crate::ops::copy;
use crate::ops::shared::{WORKGROUP, no_scalar, union};
use crate::tensor::{Tensor, TensorType, View};
use std::sync::Arc;

params! {
    /// Parameters of `join_gaps.wgsl`.
    struct JoinGapsParams {
        gaps: u32,
    }
}

shader!(pub(super) static JOIN_GAPS: JoinGapsParams = "join_gaps");

pub(super) const NAME: &str = "Join";

/// A vector in which each input lies, row-major, from an element on, and zeros elsewhere. Inputs of one dtype, in the order in which they lie.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    /// For each input, the element at which it starts. What starts at a multiple of [`ALIGNMENT`](super::ALIGNMENT) may be made in its place.
    pub places: Vec<usize>,
    /// Elements of the vector.
    pub length: usize,
}

/// Tensors side by side in a vector of so many elements, each from its place on.
pub fn join(places: Vec<usize>, length: usize) -> Arc<dyn Op> {
    Arc::new(Join { places, length })
}

impl Join {
    /// The first element and the number of elements of each input, after a check.
    fn parts(&self, inputs: &[&TensorType]) -> Result<Vec<(usize, usize)>> {
        let mut parts = Vec::with_capacity(inputs.len());
        let mut end = 0;
        for (&first, ty) in self.places.iter().zip(inputs) {
            if first < end {
                return Err(Error::invalid_model(format!("{NAME} puts {ty} at element {first}, where another lies up to {end}")));
            }
            end = first.saturating_add(ty.elements());
            parts.push((first, ty.elements()));
        }
        let one_dtype = inputs.windows(2).all(|pair| pair[0].dtype == pair[1].dtype);
        if inputs.is_empty() || inputs.len() != self.places.len() || end > self.length || !one_dtype {
            return Err(Error::invalid_model(format!(
                "{NAME} expects {} tensors of one dtype that end by element {}, found {inputs:?}",
                self.places.len(),
                self.length
            )));
        }
        Ok(parts)
    }

    /// What lies between the parts: first elements and lengths.
    fn gaps(&self, parts: &[(usize, usize)]) -> Vec<(usize, usize)> {
        let ends = std::iter::once(0).chain(parts.iter().map(|(first, count)| first + count));
        let starts = parts.iter().map(|(first, _)| *first).chain([self.length]);
        ends.zip(starts).filter(|(end, start)| end < start).map(|(end, start)| (end, start - end)).collect()
    }

    fn fill(&self, gaps: &[(usize, usize)], caps: &Caps) -> Result<Dispatch> {
        let [count] = u32s([gaps.len()])?;
        let kernel = Kernel::new(&JOIN_GAPS, &[Access::Read, Access::Write], [WORKGROUP, 1, 1]);
        let grid = Dispatch::linear_grid(gaps.len() as u64, caps)?;
        let turns = gaps.iter().map(|(_, length)| length.div_ceil(WORKGROUP as usize)).max().unwrap_or(0);
        let dispatch = Dispatch::new(kernel, JoinGapsParams { gaps: count }, vec![Operand::Table(0), Operand::Output(0)], grid);
        Ok(dispatch.turns(turns).work(0, gaps.iter().map(|(_, length)| *length as u64 * 4).sum()))
    }
}

impl Op for Join {
    fn name(&self) -> &'static str {
        NAME
    }

    crate::attributes!(places, length);

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let facts = (0..inputs.len()).map(|k| required(NAME, inputs, k)).collect::<Result<Vec<_>>>()?;
        self.parts(&facts.iter().map(|fact| &fact.ty).collect::<Vec<_>>())?;
        let bounds = facts.iter().map(|fact| fact.bounds()).fold(Some((0, 0)), union);
        Ok(vec![Fact { ty: TensorType::new(facts[0].dtype(), [self.length]), value: None, bounds }])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let tensors = (0..inputs.len()).map(|k| required(NAME, inputs, k)).collect::<Result<Vec<_>>>()?;
        let parts = self.parts(&tensors.iter().map(|tensor| tensor.ty()).collect::<Vec<_>>())?;
        let ty = TensorType::new(tensors[0].dtype(), [self.length]);
        let (mut bytes, size) = (vec![0; ty.elements() * ty.dtype.size()], ty.dtype.size());
        for ((first, count), tensor) in parts.into_iter().zip(tensors) {
            bytes[first * size..(first + count) * size].copy_from_slice(tensor.bytes());
        }
        Ok(vec![Tensor::from_bytes(ty, &bytes)?])
    }

    fn joins(&self) -> Option<Vec<usize>> {
        Some(self.places.clone())
    }

    fn lower(&self, io: &Io, offers: &mut Offers) -> Result<()> {
        let facts = (0..io.inputs.len()).map(|k| io.input(k)).collect::<Result<Vec<_>>>()?;
        if let Some(fact) = facts.iter().find(|fact| fact.scalar().is_none() || fact.scalar() != io.outputs[0].scalar()) {
            return Err(no_scalar(fact));
        }
        let parts = self.parts(&facts.iter().map(|fact| &fact.ty).collect::<Vec<_>>())?;
        let caps = offers.caps();
        offers.only("join", || {
            let mut dispatches = Vec::new();
            for (k, (first, count)) in parts.iter().enumerate() {
                if *count > 0 && !io.joined.get(k).copied().unwrap_or(false) {
                    let from = View::contiguous(&[*count].into());
                    let to = View { offset: *first as i64, ..from.clone() };
                    dispatches.push(copy::strided(&from, &to, [Operand::Input(k), Operand::Output(0)], caps)?);
                }
            }
            let gaps = self.gaps(&parts);
            if gaps.is_empty() {
                return Ok(Lowering::new(dispatches));
            }
            dispatches.push(self.fill(&gaps, caps)?);
            let numbers = gaps.iter().map(|(first, length)| u32s([*first, *length])).collect::<Result<Vec<_>>>()?;
            Ok(Lowering::new(dispatches).tables(vec![Table { name: "join_gaps", numbers: numbers.concat() }]))
        });
        Ok(())
    }

    fn gradient(&self, node: &Node, upstream: &[Option<ValueId>], wanted: &[bool], writer: &mut Writer) -> Result<Gradient> {
        let Some(worth) = upstream.first().copied().flatten() else { return Ok(Gradient::Zero) };
        let mut found = Vec::with_capacity(wanted.len());
        for (k, wanted) in wanted.iter().enumerate() {
            let shape = writer.fact(node.needed(k)?)?.shape().clone();
            found.push(if *wanted { Some(writer.apply(part(self.places[k], shape), &[worth])?) } else { None });
        }
        Ok(Gradient::Inputs(found))
    }
}
