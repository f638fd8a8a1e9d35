//! Rows of operators on sequences and optionals. A row has tensors alone, so that the operators stand in a graph, which is a branch that is
//! always taken. What runs give and get that is no tensor is in `tests/lists.rs`.

use super::{Case, Random};
use gristmill::graph::{Builder, ValueId};
use gristmill::internals::graph::Body;
use gristmill::operators::{self, Arrangement, Operator, arrange};
use gristmill::{DType, Tensor};
use std::sync::Arc;

/// A row of a graph that `write` makes of the inputs.
fn row(name: &str, inputs: Vec<Tensor>, golden: Vec<Tensor>, write: impl FnOnce(&mut Graph, &[ValueId]) -> Vec<ValueId>) -> Case {
    let mut graph = Graph(Builder::new("graph"));
    let declare = |(k, tensor): (usize, &Tensor)| graph.0.declare(&format!("x{k}"), tensor.dtype(), None);
    let given: Vec<ValueId> = inputs.iter().enumerate().map(declare).collect();
    let outputs = write(&mut graph, &given);
    for (k, output) in outputs.iter().enumerate() {
        let output = graph.node(operators::identity(), &[*output]);
        graph.0.output(&format!("y{k}"), output).expect("the name is free");
    }
    let graph = Arc::new(graph.0.finish().expect("a valid graph"));
    let within = graph.nodes().iter().map(|node| node.op.name()).collect();
    let body = Body { graph, inputs: (1..=inputs.len()).collect() };
    let inputs = std::iter::once(Tensor::scalar(true)).chain(inputs).collect();
    let mut case = Case::new(format!("sequence/{name}"), operators::branch(body.clone(), body), inputs);
    case.within = within;
    case.weights(&[0]).outputs(outputs.len()).golden(golden)
}

/// A graph on its way.
struct Graph(Builder);

impl Graph {
    fn node(&mut self, op: Operator, inputs: &[ValueId]) -> ValueId {
        let name = op.name();
        self.0.node(name, op, &inputs.iter().copied().map(Some).collect::<Vec<_>>())
    }

    fn arrange(&mut self, arrangement: Arrangement, inputs: &[ValueId]) -> ValueId {
        self.node(arrange(arrangement), inputs)
    }

    fn join(&mut self, sequence: ValueId) -> ValueId {
        self.node(operators::concat_from_sequence(0, false), &[sequence])
    }

    fn function(&mut self, name: &str, inputs: &[ValueId]) -> ValueId {
        self.node(if inputs.len() == 1 { operators::unary(name) } else { operators::binary(name) }.expect("a function"), inputs)
    }
}

use Arrangement::{
    Optional, OptionalGetElement, OptionalHasElement, SequenceAt, SequenceConstruct, SequenceEmpty, SequenceErase, SequenceInsert,
    SequenceLength,
};

fn floats(tensor: &Tensor) -> Vec<f32> {
    tensor.as_slice::<f32>().expect("floats").to_vec()
}

fn joined(tensors: &[&Tensor]) -> Tensor {
    Tensor::vector(&tensors.iter().flat_map(|tensor| floats(tensor)).collect::<Vec<f32>>())
}

fn edits() -> Vec<Case> {
    let mut random = Random::new(0x5E);
    let [a, b, c] = [3, 1, 4].map(|length| random.floats(&[length]));
    let all = || vec![a.clone(), b.clone(), c.clone()];
    let at = |position: i64| [all(), vec![Tensor::scalar(position)]].concat();
    let mut rows = vec![
        row("joined", all(), vec![joined(&[&a, &b, &c])], |g, x| {
            let sequence = g.arrange(SequenceConstruct, x);
            vec![g.join(sequence)]
        }),
        row("appended_and_erased", all(), vec![joined(&[&a, &b]), Tensor::scalar(2i64)], |g, x| {
            let empty = g.arrange(SequenceEmpty, &[]);
            let sequence = x.iter().fold(empty, |sequence, tensor| g.arrange(SequenceInsert, &[sequence, *tensor]));
            let sequence = g.arrange(SequenceErase, &[sequence]);
            vec![g.join(sequence), g.arrange(SequenceLength, &[sequence])]
        }),
    ];
    for (position, tensor) in [(0, &a), (2, &c), (-1, &c), (-3, &a)] {
        let golden = vec![Tensor::vector(&floats(tensor).iter().map(|x| -x).collect::<Vec<_>>())];
        rows.push(row(&format!("at_{position}"), at(position), golden, |g, x| {
            let sequence = g.arrange(SequenceConstruct, &x[..3]);
            let tensor = g.arrange(SequenceAt, &[sequence, x[3]]);
            vec![g.function("Neg", &[tensor])]
        }));
    }
    for (position, order) in [(0, [&c, &a, &b]), (1, [&a, &c, &b]), (2, [&a, &b, &c]), (-1, [&a, &c, &b]), (-2, [&c, &a, &b])] {
        rows.push(row(&format!("inserted_{position}"), at(position), vec![joined(&order)], |g, x| {
            let sequence = g.arrange(SequenceConstruct, &x[..2]);
            let sequence = g.arrange(SequenceInsert, &[sequence, x[2], x[3]]);
            vec![g.join(sequence)]
        }));
    }
    for (position, left) in [(0, [&b, &c]), (-2, [&a, &c])] {
        rows.push(row(&format!("erased_{position}"), at(position), vec![joined(&left)], |g, x| {
            let sequence = g.arrange(SequenceConstruct, &x[..3]);
            let sequence = g.arrange(SequenceErase, &[sequence, x[3]]);
            vec![g.join(sequence)]
        }));
    }
    rows
}

fn splits() -> Vec<Case> {
    let matrix = Tensor::new([3, 5], &(0..15u8).map(f32::from).collect::<Vec<_>>()).expect("as many elements");
    let columns = |columns: std::ops::Range<usize>| -> Vec<f32> {
        (0..3).flat_map(|row| columns.clone().map(move |column| (row * 5 + column) as f32)).collect()
    };
    let part = |range: std::ops::Range<usize>| Tensor::new([3, range.len()], &columns(range)).expect("as many elements");
    let two = |g: &mut Graph, sequence: ValueId, at: [i64; 2]| {
        at.map(|at| {
            let at = g.0.constant("at", Tensor::scalar(at));
            g.arrange(SequenceAt, &[sequence, at])
        })
    };
    let transposed: Vec<f32> = (0..5).flat_map(|column| columns(column..column + 1)).collect();
    vec![
        row("split_by_size", vec![matrix.clone(), Tensor::scalar(2i64)], vec![part(2..4), part(4..5)], |g, x| {
            let sequence = g.node(operators::split_to_sequence(1, true), x);
            two(g, sequence, [1, -1]).to_vec()
        }),
        row("split_by_sizes", vec![matrix.clone(), Tensor::vector(&[1i32, 0, 4])], vec![part(0..1), part(1..5)], |g, x| {
            let sequence = g.node(operators::split_to_sequence(-1, false), x);
            two(g, sequence, [0, 2]).to_vec()
        }),
        row("slices", vec![matrix.clone()], vec![part(3..4), part(4..5)], |g, x| {
            let sequence = g.node(operators::split_to_sequence(1, true), x);
            two(g, sequence, [3, 4]).to_vec()
        }),
        row("slices_along_a_new_axis", vec![matrix], vec![Tensor::new([5, 3], &transposed).expect("as many elements")], |g, x| {
            let sequence = g.node(operators::split_to_sequence(1, false), x);
            vec![g.node(operators::concat_from_sequence(-2, true), &[sequence])]
        }),
    ]
}

/// `z = x * y`, where `y` is a tensor that the body is given whole, plus what it captures (input 4 of the row).
fn scaled() -> Body {
    let mut g = Graph(Builder::new("body"));
    let [x, y, captured] = ["x", "y", "captured"].map(|name| g.0.declare(name, DType::F32, None));
    let product = g.function("Mul", &[x, y]);
    let sum = g.function("Add", &[product, captured]);
    g.0.output("z", sum).expect("the name is free");
    Body { graph: Arc::new(g.0.finish().expect("a valid graph")), inputs: vec![2] }
}

fn maps_and_optionals() -> Vec<Case> {
    let mut random = Random::new(0x3A);
    let (a, b) = (random.floats(&[3]), random.floats(&[2]));
    let (factor, term) = (Tensor::scalar(3.0f32), Tensor::scalar(0.5f32));
    let mapped: Vec<f32> = floats(&a).iter().chain(&floats(&b)).map(|x| x * 3.0 + 0.5).collect();
    vec![
        row("mapped", vec![a.clone(), b.clone(), factor, term], vec![Tensor::vector(&mapped)], |g, x| {
            let sequence = g.arrange(SequenceConstruct, &x[..2]);
            let mapped = g.node(operators::sequence_map(scaled(), 2), &[sequence, x[2], x[3]]);
            vec![g.join(mapped)]
        }),
        row("optionals", vec![a.clone()], vec![a, Tensor::scalar(true), Tensor::scalar(false)], |g, x| {
            let (full, empty) = (g.arrange(Optional, x), g.arrange(Optional, &[]));
            vec![
                g.arrange(OptionalGetElement, &[full]),
                g.arrange(OptionalHasElement, &[full]),
                g.arrange(OptionalHasElement, &[empty]),
            ]
        }),
    ]
}

pub fn cases() -> Vec<Case> {
    edits().into_iter().chain(splits()).chain(maps_and_optionals()).collect()
}
