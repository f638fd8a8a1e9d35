//! RotaryEmbedding: pairs of elements turned by an angle that grows with the position (Su et al. 2021, "RoFormer").

use super::super::compose::Composer;
use super::super::concat::concat;
use super::super::gather::gather;
use super::super::view::strided_view;
use crate::error::{Error, Result};
use crate::graph::{Edit, Fact, Io, Node, Op, required};
use crate::kernel::{Caps, Lowering};
use crate::tensor::{Shape, Tensor, View};
use std::sync::Arc;

const NAME: &str = "RotaryEmbedding";

/// The ONNX operator RotaryEmbedding over X, cosines, sines and optional positions.
///
/// X is `[batch, heads, positions, size]`, or `[batch, positions, heads * size]` with `num_heads`.
#[derive(Clone, Debug, Default)]
pub struct RotaryEmbedding {
    /// Pairs are neighbours instead of one element of each half.
    pub interleaved: bool,
    /// How many elements of a head are turned; 0 for all.
    pub rotary_embedding_dim: usize,
    /// Heads of an X of rank 3.
    pub num_heads: usize,
}

/// A RotaryEmbedding operator.
pub fn rotary_embedding(attributes: RotaryEmbedding) -> Arc<dyn Op> {
    Arc::new(attributes)
}

/// X seen as `[batch, heads, positions, size]`, and how many of its pairs are turned.
struct Geometry {
    view: View,
    pairs: usize,
}

impl RotaryEmbedding {
    fn geometry(&self, x: &Shape, cache: &Shape, has_positions: bool) -> Result<Geometry> {
        let view = match x.dims() {
            [_, _, _, _] => View::contiguous(x),
            [batch, positions, joint] if self.num_heads > 0 && joint % self.num_heads == 0 => {
                let split = Shape::from([*batch, *positions, self.num_heads, joint / self.num_heads]);
                View::contiguous(&split).transpose(&[0, 2, 1, 3])
            }
            _ => {
                let heads = self.num_heads;
                return Err(Error::invalid_model(format!(
                    "{NAME} takes X of rank 4, or 3 with heads that num_heads divides, found {x} and {heads}"
                )));
            }
        };
        let size = view.shape[3];
        let turned = if self.rotary_embedding_dim == 0 { size } else { self.rotary_embedding_dim };
        if turned > size || turned % 2 != 0 {
            return Err(Error::invalid_model(format!("{NAME} turns an even number of elements of {size}, found {turned}")));
        }
        let expected = if has_positions { None } else { Some([view.shape[0], view.shape[2]]) };
        let fits = cache.rank() == if has_positions { 2 } else { 3 } && expected.is_none_or(|e| cache[..2] == e);
        if !fits || cache[cache.rank() - 1] != turned / 2 {
            return Err(Error::invalid_model(format!("{NAME} of {x} takes caches of {} columns, found {cache}", turned / 2)));
        }
        Ok(Geometry { view, pairs: turned / 2 })
    }

    /// The elements that make the pairs, first and second, and those left alone.
    fn parts(&self, g: &Geometry) -> (View, View, View) {
        let (first, second) = if self.interleaved {
            (g.view.slice(3, 0, g.pairs, 2), g.view.slice(3, 1, g.pairs, 2))
        } else {
            (g.view.slice(3, 0, g.pairs, 1), g.view.slice(3, g.pairs, g.pairs, 1))
        };
        (first, second, g.view.slice(3, 2 * g.pairs, g.view.shape[3] - 2 * g.pairs, 1))
    }
}

impl Op for RotaryEmbedding {
    fn name(&self) -> &'static str {
        NAME
    }

    fn infer(&self, inputs: &[Option<&Fact>]) -> Result<Vec<Fact>> {
        let (x, cos, sin) = (required(NAME, inputs, 0)?, required(NAME, inputs, 1)?, required(NAME, inputs, 2)?);
        if !x.dtype().is_float() || cos.ty != sin.ty || cos.dtype() != x.dtype() {
            return Err(Error::invalid_model(format!(
                "{NAME} takes X and two alike caches of one float dtype, found {x:?}, {cos:?} and {sin:?}"
            )));
        }
        let positions = inputs.get(3).copied().flatten();
        let g = self.geometry(x.shape(), cos.shape(), positions.is_some())?;
        if let Some(found) = positions.map(Fact::shape).filter(|s| s.dims() != [g.view.shape[0], g.view.shape[2]]) {
            return Err(Error::invalid_model(format!("{NAME} takes a position for each of {}, found {found}", x.ty)));
        }
        Ok(vec![Fact::new(x.dtype(), x.shape().clone())])
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>> {
        let (x, cos, sin) = (required(NAME, inputs, 0)?, required(NAME, inputs, 1)?, required(NAME, inputs, 2)?);
        let positions = inputs.get(3).copied().flatten().map(Tensor::to_i64);
        let g = self.geometry(x.shape(), cos.shape(), positions.is_some())?;
        let (data, cosines, sines) = (x.to_f64(), cos.to_f64(), sin.to_f64());
        let (first, second, _) = self.parts(&g);
        let (heads, length) = (g.view.shape[1], g.view.shape[2]);
        let mut out = data.clone();
        for (k, (a, b)) in first.positions().zip(second.positions()).enumerate() {
            let (pair, position, batch) = (k % g.pairs, k / g.pairs % length, k / g.pairs / length / heads);
            let row = match &positions {
                None => batch * length + position,
                Some(all) => {
                    let found = all[batch * length + position];
                    let row = usize::try_from(found).ok().filter(|row| *row < cos.shape()[0]);
                    row.ok_or_else(|| Error::invalid_input(format!("{NAME} has {} positions, found {found}", cos.shape()[0])))?
                }
            };
            let (c, s) = (cosines[row * g.pairs + pair], sines[row * g.pairs + pair]);
            (out[a], out[b]) = (c * data[a] - s * data[b], s * data[a] + c * data[b]);
        }
        Ok(vec![Tensor::from_f64(x.ty().clone(), &out)?])
    }

    fn candidates(&self, _io: &Io, _caps: &Caps) -> Result<Vec<Lowering>> {
        Err(Error::unsupported(format!("{NAME} runs as the nodes it is composed of")))
    }

    fn expand(&self, node: &Node, inputs: &[Option<&Fact>], edit: &mut Edit) -> Result<Option<Vec<Node>>> {
        let (x, cache) = (required(NAME, inputs, 0)?, required(NAME, inputs, 1)?);
        let positions = node.inputs.get(3).copied().flatten();
        let g = self.geometry(x.shape(), cache.shape(), positions.is_some())?;
        let [Some(input), Some(cos), Some(sin)] = node.inputs[..3] else { return Ok(None) };
        let (first, second, rest) = self.parts(&g);
        let [batch, heads, length, size] = [0, 1, 2, 3].map(|k| g.view.shape[k]);
        let mut c = Composer::new(node, edit);
        let angle = |c: &mut Composer<'_>, cache| {
            let rows = positions.map_or(cache, |positions| c.apply(gather(0), &[cache, positions]));
            c.reshape(rows, &[batch, 1, length, g.pairs])
        };
        let (cos, sin) = (angle(&mut c, cos), angle(&mut c, sin));
        let (a, b) = (c.apply(strided_view(first), &[input]), c.apply(strided_view(second), &[input]));
        let product = |c: &mut Composer<'_>, x, y| c.function("Mul", &[x, y]);
        let (ca, sb) = (product(&mut c, cos, a)?, product(&mut c, sin, b)?);
        let (sa, cb) = (product(&mut c, sin, a)?, product(&mut c, cos, b)?);
        let mut real = c.function("Sub", &[ca, sb])?;
        let mut imaginary = c.function("Add", &[sa, cb])?;
        if self.interleaved {
            let single = [batch, heads, length, g.pairs, 1];
            (real, imaginary) = (c.reshape(real, &single), c.reshape(imaginary, &single));
        }
        let mut turned = c.apply(concat(-1), &[real, imaginary]);
        if self.interleaved {
            turned = c.reshape(turned, &[batch, heads, length, 2 * g.pairs]);
        }
        let rest = c.apply(strided_view(rest), &[input]);
        let whole = c.apply(concat(-1), &[turned, rest]);
        if x.shape().rank() == 3 {
            let back = View::contiguous(&[batch, heads, length, size].into()).transpose(&[0, 2, 1, 3]);
            let back = c.apply(strided_view(back), &[whole]);
            c.reshape(back, x.shape());
        }
        Ok(Some(c.finish()))
    }
}
