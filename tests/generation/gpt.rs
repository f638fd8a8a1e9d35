//! A small decoder-only Transformer with seeded weights, written twice from one description: over whole sequences, and for one token at a
//! time beside a cache of keys and values.

use crate::cases::Random;
use gristmill::graph::{Builder, Dim, ValueId};
use gristmill::operators::{
    Attention, arg_max, attention, binary, cast, gather, layer_normalization, matmul, reshape, split, tensor_scatter, transpose,
    unary, unsqueeze,
};
use gristmill::{DType, Model, Tensor};

pub const VOCABULARY: usize = 100;
pub const LAYERS: usize = 2;
pub const HEADS: usize = 4;
/// Of a head.
pub const SIZE: usize = 16;
const WIDTH: usize = HEADS * SIZE;

/// Queries, keys and values of new rows, `[batch, heads, rows, size]`, and the number of their layer.
struct Heads {
    layer: usize,
    query: ValueId,
    key: ValueId,
    value: ValueId,
}

/// A network in the making. Weights are drawn in the order of the layers, so that networks of one seed share them.
struct Network {
    b: Builder,
    random: Random,
    capacity: usize,
}

impl Network {
    fn new(name: &str, capacity: usize) -> Self {
        Network { b: Builder::new(name), random: Random::new(7), capacity }
    }

    fn weights(&mut self, name: &str, shape: &[usize], scale: f32) -> ValueId {
        let drawn = self.random.floats(shape);
        let scaled: Vec<f32> = drawn.as_slice::<f32>().expect("they are floats").iter().map(|x| x * scale).collect();
        self.b.constant(name, Tensor::new(shape, &scaled).expect("as many elements"))
    }

    fn integers(&mut self, name: &str, numbers: &[i64]) -> ValueId {
        self.b.constant(name, Tensor::vector(numbers))
    }

    fn function(&mut self, name: &str, inputs: &[ValueId]) -> ValueId {
        let op = if inputs.len() == 1 { unary(name) } else { binary(name) };
        let inputs: Vec<Option<ValueId>> = inputs.iter().copied().map(Some).collect();
        self.b.node(name, op.expect("the function exists"), &inputs)
    }

    fn reshaped(&mut self, x: ValueId, extents: &[i64]) -> ValueId {
        let extents = self.integers("extents", extents);
        self.b.node("reshaped", reshape(false), &[Some(x), Some(extents)])
    }

    fn unsqueezed(&mut self, x: ValueId, axes: &[i64]) -> ValueId {
        let axes = self.integers("axes", axes);
        self.b.node("unsqueezed", unsqueeze(), &[Some(x), Some(axes)])
    }

    /// A product with weights whose outputs are about as large as its inputs, times `gain`, and a bias.
    fn dense(&mut self, x: ValueId, inner: usize, outer: usize, gain: f32) -> ValueId {
        let weights = self.weights("weights", &[inner, outer], gain * (3.0 / inner as f32).sqrt());
        let bias = self.weights("bias", &[outer], 0.1);
        let product = self.b.node("product", matmul(), &[Some(x), Some(weights)]);
        self.function("Add", &[product, bias])
    }

    fn normalized(&mut self, x: ValueId) -> ValueId {
        let scale = self.weights("scale", &[WIDTH], 1.0);
        let bias = self.weights("bias", &[WIDTH], 0.1);
        self.b.node("normalized", layer_normalization(-1, 1e-5), &[Some(x), Some(scale), Some(bias)])
    }

    fn heads(&mut self, x: ValueId, layer: usize) -> Heads {
        let all = self.dense(x, WIDTH, 3 * WIDTH, 2.0);
        let parts: Vec<ValueId> = (0..3).map(|k| self.b.value(&format!("part{k}"), None)).collect();
        self.b.push("split", split(2, 3), vec![Some(all)], parts.iter().copied().map(Some).collect());
        let [query, key, value] = [0, 1, 2].map(|k| {
            let apart = self.reshaped(parts[k], &[0, 0, HEADS as i64, SIZE as i64]);
            self.b.node("heads", transpose(Some(vec![0, 2, 1, 3])), &[Some(apart)])
        });
        Heads { layer, query, key, value }
    }

    /// From tokens and their positions, whose embeddings add up, to outputs `logits` and `next`.
    fn write(mut self, tokens: ValueId, positions: ValueId, mut attend: impl FnMut(&mut Network, Heads) -> ValueId) -> Model {
        let table = self.weights("tokens", &[VOCABULARY, WIDTH], 3.0);
        let places = self.weights("places", &[self.capacity, WIDTH], 3.0);
        let embedded = self.b.node("embedded", gather(0), &[Some(table), Some(tokens)]);
        let placed = self.b.node("placed", gather(0), &[Some(places), Some(positions)]);
        let mut x = self.function("Add", &[embedded, placed]);
        for layer in 0..LAYERS {
            let normalized = self.normalized(x);
            let heads = self.heads(normalized, layer);
            let attended = attend(&mut self, heads);
            let turned = self.b.node("turned", transpose(Some(vec![0, 2, 1, 3])), &[Some(attended)]);
            let merged = self.reshaped(turned, &[0, 0, -1]);
            let projected = self.dense(merged, WIDTH, WIDTH, 2.0);
            x = self.function("Add", &[x, projected]);
            let normalized = self.normalized(x);
            let wide = self.dense(normalized, WIDTH, 4 * WIDTH, 1.0);
            let active = self.function("Gelu", &[wide]);
            let narrow = self.dense(active, 4 * WIDTH, WIDTH, 1.0);
            x = self.function("Add", &[x, narrow]);
        }
        let normalized = self.normalized(x);
        let logits = self.dense(normalized, WIDTH, VOCABULARY, 1.0);
        self.b.output("logits", logits).expect("the name is free");
        let likeliest = self.b.node("likeliest", arg_max(-1, false, false), &[Some(logits)]);
        let next = self.b.node("next", cast(DType::I32).expect("it can be cast"), &[Some(likeliest)]);
        self.b.output("next", next).expect("the name is free");
        Model::from_graph(self.b.finish().expect("the graph is sound"))
    }
}

/// What attention is but for the keys that it sees.
fn scaled() -> Attention {
    Attention::new(1.0 / (SIZE as f32).sqrt())
}

/// `tokens`, `[batch, length]`, and `positions`, `[1, length]`, to `logits`, `[batch, length, vocabulary]`, each token seeing those
/// before it, and the likeliest tokens, `next`.
pub fn whole(capacity: usize) -> Model {
    let mut network = Network::new("gpt", capacity);
    let length = || Dim::Named("length".into());
    let tokens = network.b.input("tokens", DType::I64, &[Dim::Named("batch".into()), length()]);
    let positions = network.b.input("positions", DType::I64, &[Dim::Known(1), length()]);
    network.write(tokens, positions, |network, Heads { query, key, value, .. }| {
        let causal = attention(Attention { causal: true, ..scaled() });
        network.b.node("attended", causal, &[Some(query), Some(key), Some(value)])
    })
}

/// Names of the caches in a step: outputs, and the inputs that they are in the next step.
pub fn caches() -> Vec<(String, String)> {
    let names = (0..LAYERS).flat_map(|layer| [format!("keys{layer}"), format!("values{layer}")]);
    names.map(|name| (format!("{name}_out"), name)).collect()
}

/// Likewise, where a step also leaves to the next what it reads and where. As integers of 32 bits these need no host, who knows of wider
/// ones whether they stay in bounds.
pub const CHOICE: [(&str, &str); 2] = [("next", "token"), ("position_out", "position")];

/// `token`, `[batch, 1]`, at `position`, `[batch]`, with caches of keys and values of what stands before, `[batch, heads, capacity, size]`,
/// to `logits`, `[batch, 1, vocabulary]`, the likeliest token, `next`, with `position_out`, and the caches with the token's own. Where it
/// stands is data: one plan serves all steps.
pub fn step(capacity: usize) -> Model {
    let mut network = Network::new("gpt step", capacity);
    let batch = || Dim::Named("batch".into());
    let token = network.b.input("token", DType::I32, &[batch(), Dim::Known(1)]);
    let position = network.b.input("position", DType::I32, &[batch()]);
    let dims = [batch(), Dim::Known(HEADS), Dim::Known(capacity), Dim::Known(SIZE)];
    let names = caches();
    let old: Vec<ValueId> = names.iter().map(|(_, name)| network.b.input(name, DType::F32, &dims)).collect();
    let positions = network.unsqueezed(position, &[1]);
    let one = network.b.constant("one", Tensor::vector(&[1i32]));
    let lengths = network.function("Add", &[position, one]);
    network.b.output("position_out", lengths).expect("the name is free");
    network.write(token, positions, |network, Heads { layer, query, key, value }| {
        let [keys, values] = [(2 * layer, key), (2 * layer + 1, value)].map(|(k, row)| {
            let inputs = [Some(old[k]), Some(row), Some(position)];
            let written = network.b.node("written", tensor_scatter(-2, false), &inputs);
            network.b.output(&names[k].0, written).expect("the name is free");
            written
        });
        network.b.node("attended", attention(scaled()), &[Some(query), Some(keys), Some(values), None, Some(lengths)])
    })
}
