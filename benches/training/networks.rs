//! Networks that learn: those of `benches/peers`.

use gristmill::graph::{Builder, Dim, Graph, ValueId};
use gristmill::operators::{self, Cell, Operator, Recurrent, SlidingWindow};
use gristmill::train::{self, ClassLoss};
use gristmill::{Result, Tensor};

/// A network with its loss, and a batch of data.
pub(crate) struct Learning {
    pub(crate) graph: Graph,
    pub(crate) batch: Vec<(&'static str, Tensor)>,
}

/// A name, and what makes the network; whether inputs have an axis of one in front, as an example that is a whole batch has in a loader.
type Named = (&'static str, fn(bool) -> Learning);

/// All networks by name.
pub(crate) const NETWORKS: &[Named] = &[
    ("seq2seq", |is_example| made(seq2seq(is_example))),
    ("cnn", |is_example| made(cnn(is_example))),
    ("gpt", |is_example| made(gpt(is_example))),
];

fn made(network: Result<Learning>) -> Learning {
    network.expect("the networks are well written")
}

/// Writes a network. Weights are uniform within the root of what one sum has of them, as PyTorch draws them.
struct Net {
    builder: Builder,
    random: u64,
    is_example: bool,
}

impl Net {
    fn new(name: &str, is_example: bool) -> Self {
        Net { builder: Builder::new(name), random: 3, is_example }
    }

    /// A number in -1..1 (splitmix64).
    fn draw(&mut self) -> f32 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    fn floats(&mut self, shape: &[usize], scale: f32) -> Result<Tensor> {
        let data: Vec<f32> = (0..shape.iter().product()).map(|_| self.draw() * scale).collect();
        Tensor::new(shape, &data)
    }

    fn ids(&mut self, shape: &[usize], high: usize) -> Result<Tensor> {
        let id = |x: f32| ((x + 1.0) * 0.5 * high as f32) as i64;
        let data: Vec<i64> = (0..shape.iter().product()).map(|_| id(self.draw()).clamp(0, high as i64 - 1)).collect();
        Tensor::new(shape, &data)
    }

    fn input(&mut self, name: &str, tensor: &Tensor) -> ValueId {
        let known = |dims: &[usize]| dims.iter().map(|d| Dim::Known(*d)).collect::<Vec<_>>();
        if !self.is_example {
            return self.builder.input(name, tensor.dtype(), &known(tensor.shape()));
        }
        let input = self.builder.input(name, tensor.dtype(), &[&known(&[1])[..], &known(tensor.shape())[..]].concat());
        let shape: Vec<i64> = tensor.shape().iter().map(|d| *d as i64).collect();
        self.reshape(input, &shape)
    }

    fn weight(&mut self, name: &str, shape: &[usize], scale: f32) -> Result<ValueId> {
        let tensor = self.floats(shape, scale)?;
        Ok(self.builder.constant(name, tensor))
    }

    fn node(&mut self, op: Operator, inputs: &[ValueId]) -> ValueId {
        let inputs: Vec<Option<ValueId>> = inputs.iter().copied().map(Some).collect();
        self.builder.node("node", op, &inputs)
    }

    fn function(&mut self, name: &str, inputs: &[ValueId]) -> Result<ValueId> {
        let op = if inputs.len() == 1 { operators::unary(name)? } else { operators::binary(name)? };
        Ok(self.node(op, inputs))
    }

    fn reshape(&mut self, value: ValueId, shape: &[i64]) -> ValueId {
        let shape = self.builder.constant("shape", Tensor::vector(shape));
        self.node(operators::reshape(false), &[value, shape])
    }

    fn linear(&mut self, name: &str, value: ValueId, [inputs, outputs]: [usize; 2], bias: bool) -> Result<ValueId> {
        let scale = (inputs as f32).sqrt().recip();
        let weight = self.weight(&format!("{name}.weight"), &[inputs, outputs], scale)?;
        let product = self.node(operators::matmul(), &[value, weight]);
        if !bias {
            return Ok(product);
        }
        let bias = self.weight(&format!("{name}.bias"), &[outputs], scale)?;
        self.function("Add", &[product, bias])
    }

    fn norm(&mut self, name: &str, value: ValueId, width: usize) -> ValueId {
        let scale = self.builder.constant(&format!("{name}.weight"), Tensor::vector(&vec![1.0f32; width]));
        let bias = self.builder.constant(&format!("{name}.bias"), Tensor::vector(&vec![0.0f32; width]));
        self.node(operators::layer_normalization(-1, 1e-5), &[value, scale, bias])
    }

    fn conv(&mut self, name: &str, value: ValueId, [inputs, outputs]: [usize; 2]) -> Result<ValueId> {
        let scale = (inputs as f32 * 9.0).sqrt().recip();
        let weight = self.weight(&format!("{name}.weight"), &[outputs, inputs, 3, 3], scale)?;
        let bias = self.weight(&format!("{name}.bias"), &[outputs], scale)?;
        let window = SlidingWindow { pads: vec![1; 4], ..SlidingWindow::default() };
        let made = self.node(operators::conv(window, 1), &[value, weight, bias]);
        self.function("Relu", &[made])
    }

    fn pool(&mut self, value: ValueId) -> ValueId {
        let window = SlidingWindow { kernel_shape: vec![2; 2], strides: vec![2; 2], ..SlidingWindow::default() };
        self.node(operators::max_pool(window, false, false), &[value])
    }

    fn finish(mut self, logits: ValueId, target: Tensor, input: Tensor) -> Result<Learning> {
        let y = self.input("target", &target);
        let loss = train::cross_entropy(&mut self.builder, "loss", logits, y, &ClassLoss::default())?;
        self.builder.output("loss", loss)?;
        let mut batch = vec![("input", input), ("target", target)];
        if self.is_example {
            for (_, tensor) in &mut batch {
                let shape: Vec<usize> = [1].into_iter().chain(tensor.shape().iter().copied()).collect();
                *tensor = Tensor::from_bytes(gristmill::TensorType::new(tensor.dtype(), shape), tensor.bytes())?;
            }
        }
        Ok(Learning { graph: self.builder.finish()?, batch })
    }
}

/// Embedding, GRU over 20 steps (steps before batch), linear at every step.
fn seq2seq(is_example: bool) -> Result<Learning> {
    let (words, hidden, steps, batch) = (1000, 256, 20, 32);
    let mut n = Net::new("seq2seq", is_example);
    let input = n.ids(&[steps, batch], words)?;
    let target = n.ids(&[steps * batch], words)?;
    let x = n.input("input", &input);
    let table = n.weight("embedding.weight", &[words, hidden], 1.7)?;
    let x = n.node(operators::gather(0), &[table, x]);
    let scale = (hidden as f32).sqrt().recip();
    let w = n.weight("rnn.w", &[1, 3 * hidden, hidden], scale)?;
    let r = n.weight("rnn.r", &[1, 3 * hidden, hidden], scale)?;
    let b = n.weight("rnn.b", &[1, 6 * hidden], scale)?;
    let gru = operators::recurrent(Recurrent::new(Cell::Gru { linear_before_reset: true }));
    let states = n.node(gru, &[x, w, r, b]);
    let states = n.reshape(states, &[-1, hidden as i64]);
    let logits = n.linear("out", states, [hidden, words], true)?;
    n.finish(logits, target, input)
}

/// Three 3x3 convolutions, two 2x2 max-pools, two fully connected.
fn cnn(is_example: bool) -> Result<Learning> {
    let (batch, size, hidden) = (32, 28, 128);
    let mut n = Net::new("cnn", is_example);
    let input = n.floats(&[batch, 1, size, size], 1.7)?;
    let target = n.ids(&[batch], 10)?;
    let x = n.input("input", &input);
    let x = n.conv("conv1", x, [1, 32])?;
    let x = n.conv("conv2", x, [32, 64])?;
    let x = n.pool(x);
    let x = n.conv("conv3", x, [64, 64])?;
    let x = n.pool(x);
    let flat = 64 * (size / 4) * (size / 4);
    let x = n.reshape(x, &[batch as i64, flat as i64]);
    let x = n.linear("fc1", x, [flat, hidden], true)?;
    let x = n.function("Relu", &[x])?;
    let logits = n.linear("fc2", x, [hidden, 10], true)?;
    n.finish(logits, target, input)
}

/// Token and position embeddings, four pre-norm blocks, norm, head without bias.
fn gpt(is_example: bool) -> Result<Learning> {
    let (words, width, blocks, context, batch) = (96, 128, 4, 64, 12);
    let mut n = Net::new("gpt", is_example);
    let input = n.ids(&[batch, context], words)?;
    let target = n.ids(&[batch * context], words)?;
    let ids = n.input("input", &input);
    let tokens = n.weight("tokens.weight", &[words, width], 1.7)?;
    let positions = n.weight("positions.weight", &[context, width], 1.7)?;
    let x = n.node(operators::gather(0), &[tokens, ids]);
    let mut x = n.function("Add", &[x, positions])?;
    for k in 0..blocks {
        let seen = n.norm(&format!("{k}.norm1"), x, width);
        let attended = attention(&mut n, &format!("{k}"), seen, [batch, context, width])?;
        x = n.function("Add", &[x, attended])?;
        let seen = n.norm(&format!("{k}.norm2"), x, width);
        let up = n.linear(&format!("{k}.up"), seen, [width, 4 * width], true)?;
        let up = n.function("Gelu", &[up])?;
        let down = n.linear(&format!("{k}.down"), up, [4 * width, width], true)?;
        x = n.function("Add", &[x, down])?;
    }
    let x = n.norm("norm", x, width);
    let x = n.reshape(x, &[-1, width as i64]);
    let logits = n.linear("head", x, [width, words], false)?;
    n.finish(logits, target, input)
}

/// Causal attention of four heads between two fully connected.
fn attention(n: &mut Net, name: &str, x: ValueId, [batch, context, width]: [usize; 3]) -> Result<ValueId> {
    let heads = 4;
    let qkv = n.linear(&format!("{name}.qkv"), x, [width, 3 * width], true)?;
    let shape = [batch, context, 3, heads, width / heads].map(|d| d as i64);
    let qkv = n.reshape(qkv, &shape);
    let qkv = n.node(operators::transpose(Some(vec![2, 0, 3, 1, 4])), &[qkv]);
    let mut part = |k: i64| {
        let index = n.builder.constant("index", Tensor::scalar(k));
        n.node(operators::gather(0), &[qkv, index])
    };
    let (q, k, v) = (part(0), part(1), part(2));
    let scale = ((width / heads) as f32).sqrt().recip();
    let causal = operators::Attention { causal: true, ..operators::Attention::new(scale) };
    let attended = n.node(operators::attention(causal), &[q, k, v]);
    let attended = n.node(operators::transpose(Some(vec![0, 2, 1, 3])), &[attended]);
    let attended = n.reshape(attended, &[batch as i64, context as i64, width as i64]);
    n.linear(&format!("{name}.proj"), attended, [width, width], true)
}
