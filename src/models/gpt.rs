//! A language model: tokens, each of which is told from those before it (Radford et al. 2019).

use super::initial::Initial;
use super::layers::{Layers, are_sizes};
use crate::error::{Error, Result};
use crate::graph::{Graph, ValueId};
use crate::operators::{self, Attention};
use crate::tensor::{DType, Tensor, TensorType};

/// A Transformer that only decodes: embeddings of tokens and of positions, then blocks, each of causal attention and two fully connected layers
/// with a GELU between, both on what is normalized, and added; at last a normalization and a product with the vocabulary.
///
/// Parameters have nanoGPT's names (`transformer.wte`, `transformer.h.0.attn.c_attn`, ..., `lm_head`), PyTorch's layouts, and start as nanoGPT's do: with a
/// standard deviation of 0.02, divided by the root of twice the number of layers where a block adds to what came before it; biases from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gpt {
    /// How many tokens there are.
    pub vocabulary: usize,
    /// How many tokens are seen at once.
    pub context: usize,
    /// How many blocks there are.
    pub layers: usize,
    /// Heads of attention in each block.
    pub heads: usize,
    /// Width of the embeddings: a multiple of the heads.
    pub width: usize,
    /// How much is dropped of the embeddings, and of what blocks add.
    pub dropout: f64,
    /// Whether layers and normalizations have a bias; `lm_head` never has.
    pub bias: bool,
    /// Whether the last product is with the embeddings of tokens; there is no `lm_head` then.
    pub tied: bool,
}

/// What a block's attention is computed from, each `[batch, heads, rows, size]`.
struct Heads {
    layer: usize,
    query: ValueId,
    key: ValueId,
    value: ValueId,
}

impl Gpt {
    /// For a vocabulary: 64 tokens at once, 4 layers of 4 heads, 128 wide.
    pub fn new(vocabulary: usize) -> Self {
        Gpt { vocabulary, context: 64, layers: 4, heads: 4, width: 128, dropout: 0.0, bias: true, tied: false }
    }

    /// `tokens`, i64 `[batch, length]` of at most the context, to `logits`, `[batch, length, vocabulary]`: what comes after each token.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a size of 0 or above 2^20, or a width that is no multiple of the heads.
    pub fn graph(&self, seed: u32) -> Result<Graph> {
        self.check()?;
        let mut layers = Layers::new("gpt", seed);
        let tokens = layers.input("tokens", DType::I64, [&"batch", &"length"]);
        let table = layers.parameter("transformer.wpe.weight", &[self.context, self.width], Initial::Normal(DEVIATION))?;
        let first = layers.integers("first", &[0]);
        let length = layers.node("length", operators::shape(1, Some(2)), &[tokens]);
        let positions = layers.node("positions", operators::slice(), &[table, first, length]);
        let logits = self.write(&mut layers, tokens, positions, &mut |layers, heads| {
            let causal = operators::attention(Attention { causal: true, ..self.attention() });
            Ok(layers.node(&format!("transformer.h.{}.seen", heads.layer), causal, &[heads.query, heads.key, heads.value]))
        })?;
        layers.finish(&[("logits", logits)])
    }

    /// The network for one token at a time: `token`, i64 `[batch, 1]`, at `position`, i64 `[batch]` from 0 on, to `logits`, `[batch, 1, vocabulary]`. Keys
    /// and values of the tokens before it are states of the graph, `keys.LAYER` and `values.LAYER`, which hold so many tokens of each sequence; where
    /// a sequence stands is data, so that one plan serves all steps, and a sequence begins anew at position 0.
    ///
    /// ```
    /// use gristmill::models::Gpt;
    /// use gristmill::{Model, Options, Session, Tensor};
    ///
    /// let network = Gpt { context: 8, layers: 1, heads: 2, width: 8, ..Gpt::new(10) }.step(1, 1, 8)?;
    /// let session = Session::cpu(&Model::from_graph(network), Options::default())?;
    /// let mut state = session.state()?;
    /// let mut token = 3i64;
    /// for position in 0..4i64 {
    ///     let inputs = [Tensor::new([1, 1], &[token])?, Tensor::vector(&[position])];
    ///     let given = [("token", inputs[0].view()), ("position", inputs[1].view())];
    ///     let outputs = session.run_with_blocking(&mut state, &given)?;
    ///     let logits: &[f32] = outputs["logits"].as_slice()?;
    ///     token = (0..10).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap_or(0) as i64;
    /// }
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`graph`](Gpt::graph); for a capacity that is 0 or exceeds the context.
    pub fn step(&self, seed: u32, batch: usize, capacity: usize) -> Result<Graph> {
        self.check()?;
        if !are_sizes(&[batch, capacity]) || capacity > self.context {
            let message =
                format!("{batch} sequences of up to {capacity} tokens; expected one or more of 1 to {} tokens", self.context);
            return Err(Error::invalid_argument(message));
        }
        let mut layers = Layers::new("gpt step", seed);
        let token = layers.input("token", DType::I64, [&batch, &1usize]);
        let position = layers.input("position", DType::I64, [&batch]);
        let axis = layers.integers("row", &[1]);
        let one = layers.integers("one", &[1]);
        let lengths = layers.function("lengths", "Add", &[position, one])?;
        let places = layers.node("places", operators::unsqueeze(), &[position, axis]);
        let extents = [self.context, self.width];
        let positions = layers.embedding("transformer.wpe", places, extents, Initial::Normal(DEVIATION))?;
        let cache = Tensor::zeros(TensorType::new(DType::F32, [batch, self.heads, capacity, self.width / self.heads]));
        let logits = self.write(&mut layers, token, positions, &mut |layers, Heads { layer, query, key, value }| {
            let mut written = |name: String, row: ValueId| {
                let held = layers.builder.state(&name, cache.clone());
                let new = layers.node(&format!("{name}.next"), operators::tensor_scatter(-2, false), &[held, row, position]);
                layers.builder.write_state(&name, new)?;
                Ok::<ValueId, Error>(new)
            };
            let keys = written(format!("keys.{layer}"), key)?;
            let values = written(format!("values.{layer}"), value)?;
            let given = [Some(query), Some(keys), Some(values), None, Some(lengths)];
            Ok(layers.builder.node(&format!("transformer.h.{layer}.seen"), operators::attention(self.attention()), &given))
        })?;
        layers.finish(&[("logits", logits)])
    }

    fn check(&self) -> Result<()> {
        let sizes = [self.vocabulary, self.context, self.layers, self.heads, self.width];
        match are_sizes(&sizes) && self.width.is_multiple_of(self.heads) {
            true => Ok(()),
            false => {
                Err(Error::invalid_argument(format!("a size is out of bounds, or the width is no multiple of the heads: {self:?}")))
            }
        }
    }

    /// What attention is but for the keys that it sees.
    fn attention(&self) -> Attention {
        Attention::new((((self.width / self.heads) as f64).sqrt().recip()) as f32)
    }

    /// From tokens and what stands for their positions to logits; `attend` is how heads see each other.
    fn write(
        &self,
        layers: &mut Layers,
        tokens: ValueId,
        positions: ValueId,
        attend: &mut dyn FnMut(&mut Layers, Heads) -> Result<ValueId>,
    ) -> Result<ValueId> {
        let Gpt { vocabulary, width, dropout, bias, .. } = *self;
        let extents = [vocabulary, width];
        let embedded = layers.embedding("transformer.wte", tokens, extents, Initial::Normal(DEVIATION))?;
        let x = layers.function("embedded", "Add", &[embedded, positions])?;
        let mut x = layers.dropout("dropped", x, dropout)?;
        for layer in 0..self.layers {
            x = self.block(layers, layer, x, attend)?;
        }
        let x = layers.normalized("transformer.ln_f", x, width, bias)?;
        let weight = if self.tied { "transformer.wte.weight" } else { "lm_head.weight" };
        let weight = layers.parameter(weight, &extents, Initial::Normal(DEVIATION))?;
        Ok(layers.product("lm_head", x, weight))
    }

    fn block(
        &self,
        layers: &mut Layers,
        layer: usize,
        x: ValueId,
        attend: &mut dyn FnMut(&mut Layers, Heads) -> Result<ValueId>,
    ) -> Result<ValueId> {
        let Gpt { width, bias, .. } = *self;
        let named = |part: &str| format!("transformer.h.{layer}.{part}");
        let dense = |layers: &mut Layers, part: &str, x: ValueId, widths: [usize; 2], deviation: f64| {
            layers.linear_from(&named(part), x, widths, Initial::Normal(deviation), bias.then_some(Initial::Constant(0.0)))
        };
        // So that what all blocks add together stays as large, however many there are.
        let added = DEVIATION / ((2 * self.layers) as f64).sqrt();
        let normal = layers.normalized(&named("ln_1"), x, width, bias)?;
        let all = dense(layers, "attn.c_attn", normal, [width, 3 * width], DEVIATION)?;
        let heads = self.heads(layers, layer, all);
        let seen = attend(layers, heads)?;
        let seen = layers.transposed(&named("seen.by_row"), seen, &[0, 2, 1, 3]);
        let seen = layers.reshaped(&named("seen.joined"), seen, &[0, 0, -1]);
        let seen = dense(layers, "attn.c_proj", seen, [width, width], added)?;
        let seen = layers.dropout(&named("attn.dropped"), seen, self.dropout)?;
        let x = layers.function(&named("attended"), "Add", &[x, seen])?;
        let normal = layers.normalized(&named("ln_2"), x, width, bias)?;
        let up = dense(layers, "mlp.c_fc", normal, [width, 4 * width], DEVIATION)?;
        let up = layers.function(&named("mlp.gelu"), "Gelu", &[up])?;
        let down = dense(layers, "mlp.c_proj", up, [4 * width, width], added)?;
        let down = layers.dropout(&named("mlp.dropped"), down, self.dropout)?;
        layers.function(&named("out"), "Add", &[x, down])
    }

    /// Queries, keys and values: the thirds of one product, each of them head by head.
    fn heads(&self, layers: &mut Layers, layer: usize, all: ValueId) -> Heads {
        let name = format!("transformer.h.{layer}.attn.heads");
        let [heads, size] = [self.heads, self.width / self.heads].map(|extent| i64::try_from(extent).unwrap_or(i64::MAX));
        let all = layers.reshaped(&name, all, &[0, 0, 3, heads, size]);
        let all = layers.transposed(&format!("{name}.apart"), all, &[2, 0, 3, 1, 4]);
        let [query, key, value] = [("query", 0i64), ("key", 1), ("value", 2)].map(|(part, number)| {
            let number = layers.builder.constant(&format!("{name}.{part}.number"), Tensor::scalar(number));
            layers.node(&format!("{name}.{part}"), operators::gather(0), &[all, number])
        });
        Heads { layer, query, key, value }
    }
}

/// Of what parameters start from.
const DEVIATION: f64 = 0.02;
