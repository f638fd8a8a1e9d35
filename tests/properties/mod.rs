//! Random shapes and attributes for every kernel family: what the GPU computes against what the references say, by the
//! variant that is taken and by another one that is offered, and what must hold of the plans.
//!
//! A test case is a tape of numbers. A family reads its choices from the tape, each a pick from a list that starts with
//! the plainest, and 0 past its end, so that shortening the tape and lowering its numbers makes a failure smaller.
//! `PROPERTY_CASES=500` tries more, `PROPERTY_SEED=7` others.

mod attention;
mod conv;
mod elementwise;
mod gather;
mod graphs;
pub mod idioms;
mod linear_attention;
mod matmul;
mod movement;
mod norm;
mod pool;
mod reduce;
mod rnn;

use crate::cases::{Random, Tolerance};
use crate::support::{difference, gpu, optimized, planned};
use gristmill::internals::graph::{Builder, Dim, Fact, Graph, Model, Op, ValueId, evaluate};
use gristmill::internals::kernel::Caps;
use gristmill::{DType, Options, Session, Tensor, TensorView};
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use std::collections::HashMap;
use std::sync::Arc;

/// Longest tape.
const TAPE: usize = 96;

/// The choices of one test case.
pub struct Draw<'a> {
    tape: &'a [u16],
    next: usize,
}

impl Draw<'_> {
    fn number(&mut self) -> usize {
        let number = self.tape.get(self.next).copied().unwrap_or(0);
        self.next += 1;
        number.into()
    }

    /// One of a list.
    pub fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.number() % list.len()].clone()
    }

    /// A number of `low..=high`.
    pub fn within(&mut self, low: usize, high: usize) -> usize {
        low + self.number() % (high - low + 1)
    }

    /// Whether to depart from what is plain.
    pub fn flag(&mut self) -> bool {
        self.number() % 2 == 1
    }

    /// True once in `n`.
    pub fn rarely(&mut self, n: usize) -> bool {
        self.number() % n == n - 1
    }

    /// Extents from a list; ones where their product would exceed `limit`.
    pub fn filled(&mut self, rank: usize, extents: &[usize], limit: usize) -> Vec<usize> {
        let mut product = 1;
        let mut extent = || {
            let drawn = self.pick(extents);
            if product * drawn > limit {
                return 1;
            }
            product *= drawn;
            drawn
        };
        (0..rank).map(|_| extent()).collect()
    }

    /// A shape with an extent of 0 now and then.
    pub fn shape(&mut self, rank: usize, extents: &[usize], limit: usize) -> Vec<usize> {
        let mut shape = self.filled(rank, extents, limit);
        if rank > 0 && self.rarely(12) {
            shape[self.within(0, rank - 1)] = 0;
        }
        shape
    }

    /// A shape that broadcasts to `shape`.
    pub fn narrower(&mut self, shape: &[usize]) -> Vec<usize> {
        let skip = if self.rarely(3) { self.within(0, shape.len()) } else { 0 };
        shape[skip..].iter().map(|d| if self.rarely(4) { 1 } else { *d }).collect()
    }

    /// An axis of a rank, counted from the end or the start.
    pub fn axis(&mut self, rank: usize) -> i64 {
        let axis = self.within(1, rank) as i64;
        if self.flag() { rank as i64 - axis } else { -axis }
    }

    /// The axes of a rank in some order.
    pub fn permutation(&mut self, rank: usize) -> Vec<usize> {
        let mut axes: Vec<usize> = (0..rank).collect();
        for i in 1..rank {
            axes.swap(i, i - self.within(0, i));
        }
        axes
    }
}

/// A network under construction, with its inputs.
pub struct Net {
    builder: Builder,
    inputs: Vec<Tensor>,
    facts: HashMap<ValueId, Fact>,
    pub random: Random,
}

impl Net {
    fn new() -> Self {
        Net { builder: Builder::new("drawn"), inputs: vec![], facts: HashMap::new(), random: Random::new(11) }
    }

    /// An input of the run.
    pub fn input(&mut self, tensor: Tensor) -> ValueId {
        let dims: Vec<Dim> = tensor.shape().iter().map(|d| Dim::Known(*d)).collect();
        let id = self.builder.input(&format!("input{}", self.inputs.len()), tensor.dtype(), &dims);
        self.facts.insert(id, Fact::new(tensor.dtype(), tensor.shape().clone()));
        self.inputs.push(tensor);
        id
    }

    /// A constant.
    pub fn constant(&mut self, tensor: Tensor) -> ValueId {
        let fact = Fact::of(tensor.clone());
        let id = self.builder.constant("constant", tensor);
        self.facts.insert(id, fact);
        id
    }

    /// Integers that shapes depend on.
    pub fn integers(&mut self, values: &[i64]) -> ValueId {
        self.constant(Tensor::vector(values))
    }

    /// An input of the run with random floats.
    pub fn floats(&mut self, shape: &[usize]) -> ValueId {
        let tensor = self.random.floats(shape);
        self.input(tensor)
    }

    /// Random floats that are constant, or an input of the run.
    pub fn weights(&mut self, constant: bool, shape: &[usize]) -> ValueId {
        let tensor = self.random.floats(shape);
        if constant { self.constant(tensor) } else { self.input(tensor) }
    }

    /// Random floats whose axes stand in memory in another order than they are seen.
    pub fn transposed(&mut self, draw: &mut Draw, shape: &[usize]) -> ValueId {
        let order = draw.permutation(shape.len());
        let mut base = vec![0; shape.len()];
        order.iter().zip(shape).for_each(|(from, d)| base[*from] = *d);
        let x = self.floats(&base);
        let order = order.iter().map(|a| *a as i64).collect();
        self.apply(gristmill::internals::ops::transpose::transpose(Some(order)), &[x])
    }

    /// A node with one output.
    pub fn apply(&mut self, op: Arc<dyn Op>, inputs: &[ValueId]) -> ValueId {
        let inputs: Vec<_> = inputs.iter().copied().map(Some).collect();
        self.apply_to(op, &inputs, 1)[0]
    }

    /// A node with optional inputs and several outputs.
    pub fn apply_to(&mut self, op: Arc<dyn Op>, inputs: &[Option<ValueId>], outputs: usize) -> Vec<ValueId> {
        let known: Vec<Option<&Fact>> = inputs.iter().map(|id| id.and_then(|id| self.facts.get(&id))).collect();
        let facts = op.infer(&known).unwrap_or_default();
        let made: Vec<ValueId> = (0..outputs).map(|_| self.builder.value(op.name(), None)).collect();
        self.builder.push(op.name(), op.clone(), inputs.to_vec(), made.iter().copied().map(Some).collect());
        self.facts.extend(made.iter().copied().zip(facts));
        made
    }

    /// The shape of a value, as far as it does not depend on the run.
    pub fn shape(&self, id: ValueId) -> Vec<usize> {
        self.facts.get(&id).map(|fact| fact.shape().to_vec()).unwrap_or_default()
    }

    /// Elementwise work after a node, which fuses into it: a bias, an activation, a residual.
    pub fn epilogue(&mut self, draw: &mut Draw, x: ValueId, bias: &[usize]) -> ValueId {
        let binary = |name| gristmill::internals::ops::elementwise::binary(name).expect("a function");
        let mut y = x;
        if draw.flag() {
            let b = self.weights(draw.flag(), bias);
            y = self.apply(binary("Add"), &[y, b]);
        }
        if draw.flag() {
            let name = draw.pick(&["Relu", "Tanh", "Sigmoid"]);
            y = self.apply(gristmill::internals::ops::elementwise::unary(name).expect("a function"), &[y]);
        }
        if draw.flag() {
            let residual = self.shape(x);
            let residual = self.floats(&residual);
            y = self.apply(binary(draw.pick(&["Add", "Mul"])), &[residual, y]);
        }
        y
    }
}

/// Tries `cases` draws of a family. `family` builds a network and names its outputs.
pub fn property(cases: u32, tolerance: Tolerance, family: impl Fn(&mut Draw, &mut Net) -> Vec<ValueId>) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    let config = Config {
        cases: number("PROPERTY_CASES").unwrap_or(cases),
        failure_persistence: None,
        max_shrink_iters: 1000,
        max_shrink_time: 20_000,
        ..Config::default()
    };
    let mut seed = [0u8; 32];
    seed[..4].copy_from_slice(&number("PROPERTY_SEED").unwrap_or(1).to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let result = runner.run(&vec(any::<u16>(), TAPE), |tape| {
        let mut net = Net::new();
        let mut draw = Draw { tape: &tape, next: 0 };
        let outputs = family(&mut draw, &mut net);
        check(&mut draw, net, &outputs, tolerance).map_err(TestCaseError::fail)
    });
    if let Err(error) = result {
        let text = error.to_string();
        panic!("{}", text.split("\nminimal failing input").next().unwrap_or(&text));
    }
}

/// The network on the GPU against the references on the network as it was drawn.
fn check(draw: &mut Draw, mut net: Net, outputs: &[ValueId], tolerance: Tolerance) -> Result<(), String> {
    for (k, output) in outputs.iter().enumerate() {
        net.builder.output(&format!("output{k}"), *output).map_err(|e| e.to_string())?;
    }
    let graph = net.builder.finish().map_err(|e| e.to_string())?;
    let types: Vec<_> = net.inputs.iter().map(|t| t.ty().to_string()).collect();
    compare(draw, &graph, &net.inputs, tolerance).map_err(|message| format!("{message}\nin {graph}on {}", types.join(", ")))
}

fn compare(draw: &mut Draw, graph: &Graph, inputs: &[Tensor], tolerance: Tolerance) -> Result<(), String> {
    let values = evaluate(graph, inputs).map_err(|e| format!("the reference fails: {e}"))?;
    let mut variant = None;
    if let Some(fewer) = optimized(graph, inputs, gpu().caps()).map_err(|e| format!("the passes fail: {e}"))? {
        for caps in [Caps::portable(), Caps::software()] {
            planned(&fewer, &caps)?;
        }
        let plan = planned(&fewer, gpu().caps())?;
        let taken: Vec<&str> = plan.steps().map(|s| s.variant).collect();
        let mut others: Vec<&str> = plan.variants.iter().flatten().copied().filter(|v| !taken.contains(v)).collect();
        others.dedup();
        variant = (!others.is_empty()).then(|| draw.pick(&others).to_string());
    }
    let choices: Vec<Option<String>> = if variant.is_some() { vec![None, variant] } else { vec![None] };
    let model = Model::from_graph(graph.clone());
    for variant in choices {
        let name = variant.clone().unwrap_or_else(|| "that is taken".into());
        let options = Options { checked: draw.rarely(8), variant, ..Options::default() };
        let found = run(&model, inputs, options).map_err(|e| format!("variant {name}: {e}"))?;
        for (k, (output, found)) in graph.outputs().iter().zip(&found).enumerate() {
            let expected = values[output.index()].as_ref().ok_or("an output was not computed")?;
            if let Some(message) = difference(found, expected, tolerance) {
                return Err(format!("variant {name}, output {k}: {message}"));
            }
        }
    }
    Ok(())
}

fn run(model: &Model, inputs: &[Tensor], options: Options) -> gristmill::Result<Vec<Tensor>> {
    let session = Session::new_blocking(gpu(), model, options)?;
    let names: Vec<String> = session.inputs().iter().map(|i| i.name.clone()).collect();
    let given: Vec<(&str, TensorView)> = names.iter().map(String::as_str).zip(inputs.iter().map(Tensor::view)).collect();
    Ok(session.run_blocking(&given)?.iter().map(|(_, tensor)| tensor.clone()).collect())
}

/// Dtypes with 32 bits or fewer, floats first.
pub const DTYPES: [DType; 8] = [DType::F32, DType::I32, DType::I64, DType::U8, DType::Bool, DType::I8, DType::U32, DType::F16];

/// Random numbers of any dtype.
pub fn numbers(random: &mut Random, dtype: DType, shape: &[usize]) -> Tensor {
    match dtype {
        DType::F32 => random.floats(shape),
        DType::F16 | DType::BF16 | DType::F64 => {
            let floats = random.floats(shape);
            Tensor::from_f64(gristmill::TensorType::new(dtype, shape), &floats.to_f64()).expect("as many elements")
        }
        DType::Bool => random.integers(dtype, shape, 0, 2),
        DType::U8 | DType::U16 | DType::U32 | DType::U64 => random.integers(dtype, shape, 0, 100),
        _ => random.integers(dtype, shape, -50, 50),
    }
}
