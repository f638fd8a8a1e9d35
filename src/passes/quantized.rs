//! Products with constant integer weights that the model dequantizes first: the weights stay integers, and the kernels dequantize
//! them in registers. What else is dequantized from constants is folded.

use super::{Options, Pass};
use crate::error::Result;
use crate::graph::{Node, NodeId, OpExt, ValueId, Writer};
use crate::ops::dequantize::DequantizeLinear;
use crate::ops::matmul::{MatMul, MatMulNBits};
use crate::tensor::{DType, Tensor, TensorType, View};
use std::sync::Arc;

/// What an 8-bit weight's zero point is where none is given.
const MIDDLE: i128 = 128;

/// Replaces the products, where the scales belong to columns.
#[derive(Debug)]
pub(crate) struct QuantizedProducts;

/// Replaces dequantizations of constants by their values.
#[derive(Debug)]
pub(crate) struct Dequantize;

impl Pass for QuantizedProducts {
    fn name(&self) -> &str {
        "quantized products"
    }

    fn visit(&self, writer: &mut Writer, id: NodeId, _: &Options) -> Result<()> {
        let Some(node) = writer.node(id).cloned() else { return Ok(()) };
        match QuantizedWeights::of(writer, &node)? {
            Some((product, weights)) => weights.replace(product, writer, id, &node),
            None => Ok(()),
        }
    }
}

impl Pass for Dequantize {
    fn name(&self) -> &str {
        "dequantize"
    }

    fn visit(&self, writer: &mut Writer, id: NodeId, _: &Options) -> Result<()> {
        let Some(node) = writer.node(id).filter(|node| node.op.downcast::<DequantizeLinear>().is_some()) else { return Ok(()) };
        let constants: Option<Vec<Option<&Tensor>>> =
            node.inputs.iter().map(|id| id.map(|id| writer.contents(id)).map_or(Some(None), |c| c.map(Some))).collect();
        if let (Some(constants), Some(output)) = (constants, node.outputs.first().copied().flatten()) {
            let value = node.op.reference(&constants)?.swap_remove(0);
            writer.fold(output, value);
        }
        Ok(())
    }
}

/// 8-bit weights as the inputs of a product with quantized weights, one block for each column.
struct QuantizedWeights {
    k: usize,
    n: usize,
    bits: Tensor,
    scales: Tensor,
    zero_points: Tensor,
}

impl QuantizedWeights {
    /// The weights of a product whose right operand is dequantized from 8-bit constants, perhaps transposed.
    fn of<'a>(writer: &Writer, node: &'a Node) -> Result<Option<(&'a MatMul, Self)>> {
        let (Some(product), Some(right)) = (node.op.downcast::<MatMul>(), node.input(1)) else {
            return Ok(None);
        };
        let (source, view) = match writer.moved(right) {
            Some((source, view)) => (source, view),
            None => (right, View::contiguous(writer.fact(right)?.shape())),
        };
        let view = match &product.b {
            Some(own) => own.of(&view),
            None => Some(view),
        };
        let (Some(view), Some(maker)) = (view, writer.maker(source)) else { return Ok(None) };
        let Some(op) = maker.op.downcast::<DequantizeLinear>() else { return Ok(None) };
        let constant = |index: usize| maker.input(index).map(|id| writer.contents(id));
        let (Some(Some(data)), Some(Some(scale))) = (constant(0), constant(1)) else { return Ok(None) };
        let zero_point = match constant(2) {
            Some(Some(zero_point)) if zero_point.dtype() == data.dtype() => Some(zero_point),
            Some(_) => return Ok(None),
            None => None,
        };
        let floats = writer.fact(right)?.dtype() == DType::F32;
        if !floats || view.shape.rank() != 2 || view.shape.elements() == 0 || !matches!(data.dtype(), DType::I8 | DType::U8) {
            return Ok(None);
        }
        Ok(Self::new(op, data, scale, zero_point, &view)?.map(|weights| (product, weights)))
    }

    /// The weights seen through a view of `[k, n]`; `None` where a column has more than one scale or zero point.
    fn new(op: &DequantizeLinear, data: &Tensor, scale: &Tensor, zero_point: Option<&Tensor>, view: &View) -> Result<Option<Self>> {
        let (k, n) = (view.shape[0], view.shape[1]);
        let at = |k: usize, n: usize| (view.offset + k as i64 * view.strides[0] + n as i64 * view.strides[1]) as usize;
        // Which of the parameters holds for each column, if it holds for all of it.
        let columns = |parameter: &Tensor| -> Result<Option<Vec<usize>>> {
            let (run, count) = op.runs(data.shape(), parameter.ty())?;
            if count == 1 {
                return Ok(Some(vec![0; n]));
            }
            let index = |k, n| at(k, n) / run % count;
            let first: Vec<usize> = (0..n).map(|n| index(0, n)).collect();
            Ok((0..k).all(|k| (0..n).all(|n| index(k, n) == first[n])).then_some(first))
        };
        let Some(scale_of) = columns(scale)? else { return Ok(None) };
        let Some(zero_of) = zero_point.map_or(Ok(Some(vec![0; n])), columns)? else { return Ok(None) };
        // Both signed and unsigned integers as unsigned ones: in two's complement, to add 128 is to turn the sign over.
        let (shift, sign) = if data.dtype() == DType::I8 { (MIDDLE, 0x80) } else { (0, 0) };
        let zeros = zero_point.map_or(vec![0], Tensor::to_i128);
        let (block, scales) = (k.next_multiple_of(4), scale.to_f64());
        let bytes = data.bytes();
        let mut bits = vec![0u8; n * block];
        for (n, column) in bits.chunks_mut(block).enumerate() {
            column.iter_mut().take(k).enumerate().for_each(|(k, bits)| *bits = bytes[at(k, n)] ^ sign);
        }
        let scales: Vec<f32> = scale_of.iter().map(|i| scales[*i] as f32).collect();
        let zero_points: Vec<u8> = zero_of.iter().map(|i| (zeros[*i] + shift) as u8).collect();
        Ok(Some(QuantizedWeights {
            k,
            n,
            bits: Tensor::from_bytes(TensorType::new(DType::U8, [n, 1, block]), &bits)?,
            scales: Tensor::vector(&scales),
            zero_points: Tensor::vector(&zero_points),
        }))
    }

    fn replace(self, product: &MatMul, writer: &mut Writer, id: NodeId, node: &Node) -> Result<()> {
        let name = node.name();
        let op = MatMulNBits { k: self.k, n: self.n, bits: 8, block: self.k.next_multiple_of(4), a: product.a.clone() };
        let uniform = self.zero_points.to_i128().iter().all(|z| *z == MIDDLE);
        let mut inputs: Vec<Option<ValueId>> = vec![node.inputs[0]];
        inputs.push(Some(writer.constant(&format!("{name}.weight"), self.bits)));
        inputs.push(Some(writer.constant(&format!("{name}.scale"), self.scales)));
        if !uniform {
            inputs.push(Some(writer.constant(&format!("{name}.zero_point"), self.zero_points)));
        }
        writer.replace(id, Node::new(name, Arc::new(op), inputs, node.outputs.clone()));
        Ok(())
    }
}
