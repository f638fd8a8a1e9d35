//! The networks whose training steps are timed, of burn's own modules as they come. `pytorch/train.py` has the same.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::gru::{Gru, GruConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::{gelu, relu};
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Distribution, Int, Tensor};

/// A network and one batch for it.
pub(crate) trait Network: Module {
    type Input: Clone;

    fn new(device: &Device) -> Self;

    /// Random inputs, and a random class for every row of logits.
    fn data(device: &Device) -> (Self::Input, Tensor<1, Int>);

    fn logits(&self, input: Self::Input) -> Tensor<2>;

    /// Mean cross-entropy.
    fn loss(&self, (input, target): &(Self::Input, Tensor<1, Int>)) -> Tensor<1> {
        let logits = self.logits(input.clone());
        CrossEntropyLossConfig::new().init(&logits.device()).forward(logits, target.clone())
    }
}

fn integers<const D: usize>(below: usize, shape: [usize; D], device: &Device) -> Tensor<D, Int> {
    Tensor::random(shape, Distribution::Uniform(0.0, below as f64), device).clamp(0, below as i64 - 1)
}

/// Embedding, GRU, linear at every step. burn takes the batch before the steps.
#[derive(Module, Debug)]
pub(crate) struct Seq2Seq {
    embedding: Embedding,
    rnn: Gru,
    out: Linear,
}

impl Seq2Seq {
    const VOCABULARY: usize = 1000;
    const HIDDEN: usize = 256;
    const CLASSES: usize = 1000;
    const STEPS: usize = 20;
    const BATCH: usize = 32;
}

impl Network for Seq2Seq {
    type Input = Tensor<2, Int>;

    fn new(device: &Device) -> Self {
        Seq2Seq {
            embedding: EmbeddingConfig::new(Self::VOCABULARY, Self::HIDDEN).init(device),
            rnn: GruConfig::new(Self::HIDDEN, Self::HIDDEN, true).init(device),
            out: LinearConfig::new(Self::HIDDEN, Self::CLASSES).init(device),
        }
    }

    fn data(device: &Device) -> (Self::Input, Tensor<1, Int>) {
        let input = integers(Self::VOCABULARY, [Self::BATCH, Self::STEPS], device);
        (input, integers(Self::CLASSES, [Self::BATCH * Self::STEPS], device))
    }

    fn logits(&self, input: Self::Input) -> Tensor<2> {
        self.out.forward(self.rnn.forward(self.embedding.forward(input), None)).flatten(0, 1)
    }
}

/// Three 3x3 convolutions, two 2x2 max-pools, two fully connected.
#[derive(Module, Debug)]
pub(crate) struct Cnn {
    conv1: Conv2d,
    conv2: Conv2d,
    conv3: Conv2d,
    pool: MaxPool2d,
    fc1: Linear,
    fc2: Linear,
}

impl Cnn {
    const CHANNELS: [usize; 3] = [32, 64, 64];
    const HIDDEN: usize = 128;
    const CLASSES: usize = 10;
    const SIZE: usize = 28;
    const BATCH: usize = 32;
}

impl Network for Cnn {
    type Input = Tensor<4>;

    fn new(device: &Device) -> Self {
        let [a, b, c] = Self::CHANNELS;
        let conv = |from, to| {
            let padding = PaddingConfig2d::Explicit(1, 1, 1, 1);
            Conv2dConfig::new([from, to], [3, 3]).with_padding(padding).init(device)
        };
        Cnn {
            conv1: conv(1, a),
            conv2: conv(a, b),
            conv3: conv(b, c),
            pool: MaxPool2dConfig::new([2, 2]).init(),
            fc1: LinearConfig::new(c * (Self::SIZE / 4).pow(2), Self::HIDDEN).init(device),
            fc2: LinearConfig::new(Self::HIDDEN, Self::CLASSES).init(device),
        }
    }

    fn data(device: &Device) -> (Self::Input, Tensor<1, Int>) {
        let shape = [Self::BATCH, 1, Self::SIZE, Self::SIZE];
        (Tensor::random(shape, Distribution::Normal(0.0, 1.0), device), integers(Self::CLASSES, [Self::BATCH], device))
    }

    fn logits(&self, input: Self::Input) -> Tensor<2> {
        let x = relu(self.conv1.forward(input));
        let x = self.pool.forward(relu(self.conv2.forward(x)));
        let x = self.pool.forward(relu(self.conv3.forward(x)));
        self.fc2.forward(relu(self.fc1.forward(x.flatten::<2>(1, 3))))
    }
}

/// Token and position embeddings, pre-norm blocks, norm, head without bias.
#[derive(Module, Debug)]
pub(crate) struct Gpt {
    tokens: Embedding,
    positions: Embedding,
    blocks: Vec<Block>,
    norm: LayerNorm,
    head: Linear,
}

/// Causal attention, then two fully connected with exact gelu between them.
#[derive(Module, Debug)]
struct Block {
    norm1: LayerNorm,
    qkv: Linear,
    proj: Linear,
    norm2: LayerNorm,
    up: Linear,
    down: Linear,
}

impl Gpt {
    const VOCABULARY: usize = 96;
    const WIDTH: usize = 128;
    const HEADS: usize = 4;
    const BLOCKS: usize = 4;
    const CONTEXT: usize = 64;
    const BATCH: usize = 12;
}

impl Network for Gpt {
    type Input = Tensor<2, Int>;

    fn new(device: &Device) -> Self {
        Gpt {
            tokens: EmbeddingConfig::new(Self::VOCABULARY, Self::WIDTH).init(device),
            positions: EmbeddingConfig::new(Self::CONTEXT, Self::WIDTH).init(device),
            blocks: (0..Self::BLOCKS).map(|_| Block::new(Self::WIDTH, device)).collect(),
            norm: LayerNormConfig::new(Self::WIDTH).init(device),
            head: LinearConfig::new(Self::WIDTH, Self::VOCABULARY).with_bias(false).init(device),
        }
    }

    fn data(device: &Device) -> (Self::Input, Tensor<1, Int>) {
        let input = integers(Self::VOCABULARY, [Self::BATCH, Self::CONTEXT], device);
        (input, integers(Self::VOCABULARY, [Self::BATCH * Self::CONTEXT], device))
    }

    fn logits(&self, input: Self::Input) -> Tensor<2> {
        let positions = Tensor::arange(0..Self::CONTEXT as i64, &input.device()).unsqueeze::<2>();
        let x = self.tokens.forward(input) + self.positions.forward(positions);
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        self.head.forward(self.norm.forward(x)).flatten(0, 1)
    }
}

impl Block {
    fn new(width: usize, device: &Device) -> Self {
        let linear = |from, to| LinearConfig::new(from, to).init(device);
        Block {
            norm1: LayerNormConfig::new(width).init(device),
            qkv: linear(width, 3 * width),
            proj: linear(width, width),
            norm2: LayerNormConfig::new(width).init(device),
            up: linear(width, 4 * width),
            down: linear(4 * width, width),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = x.clone() + self.proj.forward(attend(self.qkv.forward(self.norm1.forward(x))));
        x.clone() + self.down.forward(gelu(self.up.forward(self.norm2.forward(x))))
    }
}

/// burn's attention of queries, keys and values that lie side by side.
fn attend(qkv: Tensor<3>) -> Tensor<3> {
    let [batch, length, width] = qkv.dims();
    let width = width / 3;
    let part = |k: usize| {
        let part = qkv.clone().narrow(2, k * width, width);
        part.reshape([batch, length, Gpt::HEADS, width / Gpt::HEADS]).swap_dims(1, 2)
    };
    let options = AttentionModuleOptions { is_causal: true, ..Default::default() };
    attention(part(0), part(1), part(2), None, None, options).swap_dims(1, 2).reshape([batch, length, width])
}
