//! What kernels are looked at by: families of problems, and how a problem's shape is written.

use crate::failure::{Failure, Result};
use gristmill::graph::{Builder, Dim, Op, ValueId};
use gristmill::ops::attention::{Attention, attention};
use gristmill::ops::conv::{SlidingWindow, conv, conv_transpose};
use gristmill::ops::elementwise::{binary, unary};
use gristmill::ops::matmul::{matmul, matmul_nbits};
use gristmill::ops::norm::layer_normalization;
use gristmill::ops::reduce::{Reduction, reduce};
use gristmill::ops::rnn::{Cell, Recurrent, recurrent};
use gristmill::ops::softmax::softmax;
use gristmill::ops::transpose::transpose;
use gristmill::{DType, Model, Tensor, TensorType};
use std::collections::HashMap;
use std::sync::Arc;

/// How a family's shapes are written, and the rows that are timed when none is named.
struct Family {
    name: &'static str,
    form: &'static str,
    defaults: &'static [&'static str],
    build: fn(&Shape, &mut Network) -> Result<u64>,
}

const FAMILIES: &[Family] = &[
    Family {
        name: "matmul",
        form: "N, MxKxN or BATCHxMxKxN; weights=0 makes the right operand an input, halves=1 weights of half floats",
        defaults: &[
            "512",
            "1024",
            "32x4096x4096",
            "1x4096x4096",
            "500x300x700",
            "1023",
            "512,weights=0",
            "12x128x64x128,weights=0",
        ],
        build: build_matmul,
    },
    Family {
        name: "matmul_nbits",
        form: "MxKxN; bits=4 or 8, block=",
        defaults: &["1x4096x4096", "32x4096x4096", "512x512x512", "1x4096x4096,bits=8"],
        build: build_matmul_nbits,
    },
    Family {
        name: "conv",
        form: "CHANNELSxHEIGHTxWIDTH-FILTERSxHEIGHTxWIDTH; stride=, pad=, group=, batch=",
        defaults: &[
            "64x56x56-64x3x3,pad=1",
            "3x224x224-64x7x7,stride=2,pad=3",
            "128x56x56-128x3x3,pad=1,group=128",
            "256x28x28-256x1x1",
            "64x56x56-128x3x3,pad=1,stride=2",
        ],
        build: build_conv,
    },
    Family {
        name: "conv_transpose",
        form: "CHANNELSxHEIGHTxWIDTH-FILTERSxHEIGHTxWIDTH; stride=, pad=, group=, batch=",
        defaults: &["64x28x28-32x4x4,stride=2,pad=1"],
        build: build_conv_transpose,
    },
    Family {
        name: "attention",
        form: "HEADSxQUERIESxKEYSxSIZE; causal=1, batch=",
        defaults: &["8x512x512x64", "8x1x2048x64"],
        build: build_attention,
    },
    Family {
        name: "gru",
        form: "HIDDENxSTEPSxBATCH; input=; linear_before_reset=0 resets the state before its product",
        defaults: &["256x100x1", "256x100x32", "512x20x64", "512x20x64,linear_before_reset=0"],
        build: |shape, network| {
            let linear_before_reset = shape.option("linear_before_reset", 1) != 0;
            build_recurrent(Cell::Gru { linear_before_reset }, 3, shape, network)
        },
    },
    Family {
        name: "lstm",
        form: "HIDDENxSTEPSxBATCH; input=",
        defaults: &["256x100x1", "256x100x32"],
        build: |shape, network| build_recurrent(Cell::Lstm { input_forget: false }, 4, shape, network),
    },
    Family { name: "softmax", form: "ROWSxCOLUMNS; axis=", defaults: &["1024x1024", "1024x1024,axis=0"], build: build_softmax },
    Family { name: "layer_norm", form: "ROWSxCOLUMNS", defaults: &["1024x768"], build: build_layer_norm },
    Family {
        name: "reduce",
        form: "ROWSxCOLUMNS; axis=",
        defaults: &["1024x1024", "1024x1024,axis=0", "1x4194304"],
        build: build_reduce,
    },
    Family {
        name: "elementwise",
        form: "ELEMENTS of a chain of four operators, relu((x + y) * x - y)",
        defaults: &["1048576"],
        build: build_elementwise,
    },
    Family { name: "transpose", form: "ROWSxCOLUMNS", defaults: &["1024x1024", "1023x1025"], build: build_transpose },
];

/// The families with the form of their shapes, for `--help`.
pub(crate) fn help() -> String {
    let lines = FAMILIES.iter().map(|f| format!("  {:<15} {}", f.name, f.form));
    format!("Families and their shapes (options follow a comma):\n{}", lines.collect::<Vec<_>>().join("\n"))
}

/// Numbers of a shape: its extents, those after `-`, and its options.
struct Shape {
    text: String,
    extents: Vec<usize>,
    filter: Vec<usize>,
    options: HashMap<String, usize>,
}

impl Shape {
    fn parse(text: &str) -> Option<Shape> {
        let mut parts = text.split(',');
        let numbers =
            |text: &str| text.split('x').map(|n| n.parse().ok().filter(|n| *n > 0 && *n <= 1 << 31)).collect::<Option<Vec<_>>>();
        let (extents, filter) = match parts.next()?.split_once('-') {
            Some((extents, filter)) => (numbers(extents)?, numbers(filter)?),
            None => return Self::rest(text, numbers(text.split(',').next()?)?, vec![], parts),
        };
        Self::rest(text, extents, filter, parts)
    }

    fn rest<'a>(text: &str, extents: Vec<usize>, filter: Vec<usize>, options: impl Iterator<Item = &'a str>) -> Option<Shape> {
        let option = |part: &str| part.split_once('=').and_then(|(name, n)| Some((name.to_string(), n.parse().ok()?)));
        Some(Shape { text: text.to_string(), extents, filter, options: options.map(option).collect::<Option<_>>()? })
    }

    fn option(&self, name: &str, default: usize) -> usize {
        self.options.get(name).copied().unwrap_or(default)
    }

    fn of<const N: usize>(&self) -> Result<[usize; N]> {
        <[usize; N]>::try_from(self.extents.as_slice()).map_err(|_| self.wrong())
    }

    fn filter<const N: usize>(&self) -> Result<[usize; N]> {
        <[usize; N]>::try_from(self.filter.as_slice()).map_err(|_| self.wrong())
    }

    fn wrong(&self) -> Failure {
        Failure::message(format!(
            "the shape `{}` has another number of extents than its family takes; see `gristmill bench --help`",
            self.text
        ))
    }
}

/// A network being written, with the data of its inputs.
struct Network {
    builder: Builder,
    dtype: DType,
    inputs: Vec<(String, Tensor)>,
    bytes: u64,
    seed: u64,
}

impl Network {
    /// Seeded values in -1..1 (SplitMix64, Steele et al. 2014).
    fn random(&mut self, shape: &[usize]) -> Result<Tensor> {
        self.scaled(shape, 1.0)
    }

    /// The same in -scale..scale.
    fn scaled(&mut self, shape: &[usize], scale: f64) -> Result<Tensor> {
        let mut next = || {
            self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.seed;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1u32 << 23) - 1.0
        };
        let values: Vec<f64> = (0..shape.iter().product::<usize>()).map(|_| next() * scale).collect();
        Ok(Tensor::from_f64(TensorType::new(self.dtype, shape), &values)?)
    }

    /// Counts what must be read or written at least; a GPU holds every element in four bytes.
    fn moves(&mut self, elements: usize) {
        self.bytes += 4 * elements as u64;
    }

    fn input(&mut self, shape: &[usize]) -> Result<ValueId> {
        let (name, data) = (format!("input{}", self.inputs.len()), self.random(shape)?);
        self.moves(data.elements());
        let dims: Vec<Dim> = shape.iter().map(|d| Dim::Known(*d)).collect();
        let id = self.builder.input(&name, self.dtype, &dims);
        self.inputs.push((name, data));
        Ok(id)
    }

    fn weight(&mut self, name: &str, shape: &[usize]) -> Result<ValueId> {
        self.scaled_weight(name, shape, 1.0)
    }

    fn scaled_weight(&mut self, name: &str, shape: &[usize], scale: f64) -> Result<ValueId> {
        let data = self.scaled(shape, scale)?;
        self.moves(data.elements());
        Ok(self.builder.constant(name, data))
    }

    /// A weight of this type's values, in the type of the row.
    fn weight_as(&mut self, name: &str, shape: &[usize], dtype: DType) -> Result<ValueId> {
        let data = self.random(shape)?;
        self.moves(data.elements());
        let rounded = Tensor::from_f64(TensorType::new(dtype, shape), &data.to_f64())?;
        Ok(self.builder.constant(name, Tensor::from_f64(data.ty().clone(), &rounded.to_f64())?))
    }

    /// A node whose first output, of so many elements, is the network's.
    fn finish(&mut self, op: Arc<dyn Op>, inputs: &[ValueId], elements: usize) -> Result<()> {
        let inputs: Vec<Option<ValueId>> = inputs.iter().copied().map(Some).collect();
        let output = self.builder.node("node", op, &inputs);
        self.moves(elements);
        Ok(self.builder.output("output", output)?)
    }
}

/// One row to time.
pub(crate) struct Row {
    pub(crate) family: &'static str,
    pub(crate) shape: String,
    pub(crate) dtype: DType,
    pub(crate) model: Model,
    pub(crate) inputs: Vec<(String, Tensor)>,
    /// Floating-point operations of the problem, a multiply-add counting two.
    pub(crate) flops: u64,
    /// Bytes of its inputs, weights and outputs on the GPU.
    pub(crate) bytes: u64,
}

impl Row {
    fn new(family: &'static Family, text: &str, dtype: DType) -> Result<Row> {
        let wrong = || Failure::message(format!("`{}:{text}`: expected a shape like {}", family.name, family.form));
        let shape = Shape::parse(text).ok_or_else(wrong)?;
        let builder = Builder::new(format!("{}:{text}", family.name));
        let mut network = Network { builder, dtype, inputs: vec![], bytes: 0, seed: 3 };
        let flops = (family.build)(&shape, &mut network)?;
        let model = Model::from_graph(network.builder.finish()?);
        let shape = text.to_string();
        Ok(Row { family: family.name, shape, dtype, model, inputs: network.inputs, flops, bytes: network.bytes })
    }
}

/// A row that is wanted, before its data are made.
pub(crate) struct Wanted {
    family: &'static Family,
    shape: String,
}

impl Wanted {
    /// Makes the row.
    pub(crate) fn row(&self, dtype: DType) -> Result<Row> {
        Row::new(self.family, &self.shape, dtype)
    }
}

/// What `FAMILY[:SHAPE]` names; everything when nothing is named.
pub(crate) fn wanted(names: &[String]) -> Result<Vec<Wanted>> {
    let defaults = |family: &'static Family| family.defaults.iter().map(move |s| Wanted { family, shape: (*s).to_string() });
    if names.is_empty() {
        return Ok(FAMILIES.iter().flat_map(defaults).collect());
    }
    let mut rows = Vec::new();
    for text in names {
        let (name, shape) = text.split_once(':').map_or((text.as_str(), None), |(name, shape)| (name, Some(shape)));
        let family = FAMILIES.iter().find(|f| f.name == name).ok_or_else(|| {
            let known: Vec<&str> = FAMILIES.iter().map(|f| f.name).collect();
            Failure::message(format!("`{name}` is no kernel family: expected one of {}", known.join(", ")))
        })?;
        match shape {
            Some(shape) => rows.push(Wanted { family, shape: shape.to_string() }),
            None => rows.extend(defaults(family)),
        }
    }
    Ok(rows)
}

fn product(extents: &[usize]) -> u64 {
    extents.iter().map(|n| *n as u64).product()
}

fn build_matmul(shape: &Shape, network: &mut Network) -> Result<u64> {
    let [batch, m, k, n] = match *shape.extents.as_slice() {
        [n] => [1, n, n, n],
        [m, k, n] => [1, m, k, n],
        [batch, m, k, n] => [batch, m, k, n],
        _ => return Err(shape.wrong()),
    };
    let batched = |dims: [usize; 2]| if batch == 1 { dims.to_vec() } else { vec![batch, dims[0], dims[1]] };
    let a = network.input(&batched([m, k]))?;
    let b = if shape.option("weights", 1) == 0 {
        network.input(&batched([k, n]))?
    } else {
        let halves = shape.option("halves", 0) == 1;
        network.weight_as("weights", &batched([k, n]), if halves { DType::F16 } else { DType::F32 })?
    };
    network.finish(matmul(), &[a, b], batch * m * n)?;
    Ok(2 * product(&[batch, m, k, n]))
}

fn build_matmul_nbits(shape: &Shape, network: &mut Network) -> Result<u64> {
    let &[m, k, n] = shape.extents.as_slice() else { return Err(shape.wrong()) };
    let (bits, block) = (shape.option("bits", 4), shape.option("block", 32));
    let op = matmul_nbits(k, n, bits as u32, block)?;
    let a = network.input(&[m, k])?;
    let scales = n * k.div_ceil(block);
    let bytes: Vec<u8> = (0..scales * block * bits / 8).map(|i| ((i * 2_654_435_761) >> 11) as u8).collect();
    network.moves(bytes.len() / 4);
    let bytes = Tensor::from_bytes(TensorType::new(DType::U8, [n, k.div_ceil(block), block * bits / 8]), &bytes)?;
    let bytes = network.builder.constant("weights", bytes);
    let scales = network.weight("scales", &[scales])?;
    network.finish(op, &[a, bytes, scales], m * n)?;
    Ok(2 * product(&[m, k, n]))
}

/// Data, weights and window of a convolution, and the extents after it in one direction.
struct Convolution {
    batch: usize,
    group: usize,
    channels: usize,
    filters: usize,
    image: [usize; 2],
    kernel: [usize; 2],
    stride: usize,
    pad: usize,
}

impl Convolution {
    fn new(shape: &Shape) -> Result<Self> {
        let ([channels, height, width], [filters, y, x]) = (shape.of()?, shape.filter()?);
        let (stride, group) = (shape.option("stride", 1), shape.option("group", 1));
        if stride == 0 || group == 0 || channels % group != 0 {
            return Err(Failure::message(format!(
                "`{}`: expected a stride of at least 1 and groups that divide the channels",
                shape.text
            )));
        }
        Ok(Convolution {
            batch: shape.option("batch", 1),
            group,
            channels,
            filters,
            image: [height, width],
            kernel: [y, x],
            stride,
            pad: shape.option("pad", 0),
        })
    }

    fn window(&self) -> SlidingWindow {
        SlidingWindow { strides: vec![self.stride as i64; 2], pads: vec![self.pad as i64; 4], ..SlidingWindow::default() }
    }
}

fn build_conv(shape: &Shape, network: &mut Network) -> Result<u64> {
    let c = Convolution::new(shape)?;
    let out = |k: usize| (c.image[k] + 2 * c.pad).checked_sub(c.kernel[k]).map(|n| n / c.stride + 1).ok_or_else(|| shape.wrong());
    let (height, width) = (out(0)?, out(1)?);
    let x = network.input(&[c.batch, c.channels, c.image[0], c.image[1]])?;
    let w = network.weight("weights", &[c.filters, c.channels / c.group, c.kernel[0], c.kernel[1]])?;
    network.finish(conv(c.window(), c.group as i64), &[x, w], c.batch * c.filters * height * width)?;
    Ok(2 * product(&[c.batch, c.filters, height, width, c.channels / c.group, c.kernel[0], c.kernel[1]]))
}

fn build_conv_transpose(shape: &Shape, network: &mut Network) -> Result<u64> {
    let c = Convolution::new(shape)?;
    let out = |k: usize| ((c.image[k] - 1) * c.stride + c.kernel[k]).checked_sub(2 * c.pad).ok_or_else(|| shape.wrong());
    let (height, width) = (out(0)?, out(1)?);
    let x = network.input(&[c.batch, c.channels, c.image[0], c.image[1]])?;
    let w = network.weight("weights", &[c.channels, c.filters / c.group, c.kernel[0], c.kernel[1]])?;
    network.finish(conv_transpose(c.window(), c.group as i64, vec![], vec![]), &[x, w], c.batch * c.filters * height * width)?;
    Ok(2 * product(&[c.batch, c.channels, c.image[0], c.image[1], c.filters / c.group, c.kernel[0], c.kernel[1]]))
}

fn build_attention(shape: &Shape, network: &mut Network) -> Result<u64> {
    let ([heads, queries, keys, size], batch) = (shape.of()?, shape.option("batch", 1));
    let q = network.input(&[batch, heads, queries, size])?;
    let k = network.input(&[batch, heads, keys, size])?;
    let v = network.input(&[batch, heads, keys, size])?;
    let op = Attention { causal: shape.option("causal", 0) != 0, ..Attention::new(1.0 / (size as f32).sqrt()) };
    network.finish(attention(op), &[q, k, v], batch * heads * queries * size)?;
    Ok(4 * product(&[batch, heads, queries, keys, size]))
}

fn build_recurrent(cell: Cell, gates: usize, shape: &Shape, network: &mut Network) -> Result<u64> {
    let [hidden, steps, batch] = shape.of()?;
    let input = shape.option("input", hidden);
    let x = network.input(&[steps, batch, input])?;
    // As small as weights start when they are trained: with larger ones the state doubles every error from step to step.
    let scale = 1.0 / (hidden as f64).sqrt();
    let w = network.scaled_weight("weights", &[1, gates * hidden, input], scale)?;
    let r = network.scaled_weight("recurrence", &[1, gates * hidden, hidden], scale)?;
    network.finish(recurrent(Recurrent::new(cell)), &[x, w, r], steps * batch * hidden)?;
    Ok(2 * product(&[steps, batch, gates * hidden, input + hidden]))
}

fn rows_and_axis(shape: &Shape) -> Result<([usize; 2], i64)> {
    Ok((shape.of()?, shape.option("axis", 1) as i64))
}

fn build_softmax(shape: &Shape, network: &mut Network) -> Result<u64> {
    let (extents, axis) = rows_and_axis(shape)?;
    let x = network.input(&extents)?;
    network.finish(softmax(axis), &[x], extents[0] * extents[1])?;
    // Maximum, difference, exponential, sum, quotient.
    Ok(5 * product(&extents))
}

fn build_layer_norm(shape: &Shape, network: &mut Network) -> Result<u64> {
    let extents: [usize; 2] = shape.of()?;
    let x = network.input(&extents)?;
    let (scale, bias) = (network.weight("scale", &[extents[1]])?, network.weight("bias", &[extents[1]])?);
    network.finish(layer_normalization(-1, 1e-5), &[x, scale, bias], extents[0] * extents[1])?;
    // Sum, difference, square and its sum, factor, scale, bias.
    Ok(7 * product(&extents))
}

fn build_reduce(shape: &Shape, network: &mut Network) -> Result<u64> {
    let (extents, axis) = rows_and_axis(shape)?;
    let x = network.input(&extents)?;
    network.finish(reduce(Reduction::Mean, Some(vec![axis]), true, false), &[x], extents[usize::from(axis == 0)])?;
    Ok(product(&extents))
}

fn build_elementwise(shape: &Shape, network: &mut Network) -> Result<u64> {
    let [elements] = shape.of()?;
    let (x, y) = (network.input(&[elements])?, network.input(&[elements])?);
    let sum = network.builder.node("sum", binary("Add")?, &[Some(x), Some(y)]);
    let product = network.builder.node("product", binary("Mul")?, &[Some(sum), Some(x)]);
    let difference = network.builder.node("difference", binary("Sub")?, &[Some(product), Some(y)]);
    network.finish(unary("Relu")?, &[difference], elements)?;
    Ok(4 * elements as u64)
}

fn build_transpose(shape: &Shape, network: &mut Network) -> Result<u64> {
    let extents: [usize; 2] = shape.of()?;
    let x = network.input(&extents)?;
    network.finish(transpose(None), &[x], extents[0] * extents[1])?;
    Ok(0)
}

/// The node of a row that has a choice, from the variants of each: the last, since what an operator expands into ends with its
/// own kernels. Without any choice, the last that has a kernel.
pub(crate) fn subject(variants: &[Vec<&'static str>]) -> Option<usize> {
    variants.iter().rposition(|offered| offered.len() > 1).or_else(|| variants.iter().rposition(|offered| !offered.is_empty()))
}
