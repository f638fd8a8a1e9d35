//! Gradients of the operator that attention is found to be: against PyTorch where the file of operators has the case, and against
//! differences.

use super::rule_check::{COARSE, Check, FINE, doubles};
use super::safetensors::Stored;
use super::{difference, floats, names};
use crate::support::{gpu, optimized};
use gristmill::internals::graph::{Builder, Dim, Fact, Graph, Op};
use gristmill::internals::kernel::Caps;
use gristmill::operators::{
    Attention, ConvolutionalAttention, Unseen, attention, binary, convolutional_attention, matmul, reshape, softmax, transpose,
};
use gristmill::{DType, Model, Options, Selection, Session, Tensor, TensorType, TensorView, View, train};
use std::sync::Arc;

fn check(op: Attention, inputs: Vec<Option<Tensor>>, subjects: &[usize]) -> Check {
    Check { op: attention(op), inputs, outputs: vec![0], count: 1, subjects: subjects.to_vec(), step: COARSE }
}

#[test]
fn training_attention_whole() {
    let stored = Stored::open("grads.safetensors");
    let cases = stored.json["cases"].as_object().expect("cases");
    let mut count = 0;
    for (name, json) in cases.iter().filter(|(_, json)| json["op"] == "Attention") {
        let attributes = &json["attributes"];
        if attributes.get("q_num_heads").is_some() {
            continue;
        }
        let tensor = |part: &str, of: &str| stored.tensor(&format!("{name}.{part}.{of}"));
        let double = |tensor: Tensor| floats(&tensor, DType::F64);
        let inputs: Vec<Option<Tensor>> = names(&json["inputs"]).iter().map(|of| tensor("input", of).map(double)).collect();
        let size = inputs[0].as_ref().expect("queries").shape()[3];
        let number = |name: &str| attributes.get(name).and_then(serde_json::Value::as_f64);
        let scale = number("scale").map_or_else(|| 1.0 / (size as f32).sqrt(), |scale| scale as f32);
        let op = Attention {
            causal: attributes.get("is_causal").is_some(),
            softcap: number("softcap").map(|cap| cap as f32),
            zero_unseen: true,
            ..Attention::new(scale)
        };
        let subjects: Vec<usize> = (0..names(&json["wrt"]).len()).collect();
        let worth = double(tensor("upstream", "y").expect("what it is worth"));
        let found = check(op, inputs, &subjects).gradients(&[worth]);
        for (of, found) in names(&json["wrt"]).iter().zip(found) {
            let truth = tensor("grad", of).expect("a gradient");
            assert_eq!(difference(&found, &truth, 0.0, 1e-6), None, "{name}: {of}");
        }
        count += 1;
    }
    assert!(count >= 6, "{count} cases");
}

fn operands() -> Vec<Option<Tensor>> {
    vec![Some(doubles(1, &[2, 4, 3, 3])), Some(doubles(2, &[2, 2, 5, 3])), Some(doubles(3, &[2, 2, 5, 2]))]
}

fn bools(seed: u64, shape: &[usize]) -> Tensor {
    let values: Vec<f64> = doubles(seed, shape).to_f64().iter().map(|v| f64::from(*v > -0.5)).collect();
    let ty = TensorType::new(DType::Bool, shape.to_vec());
    Tensor::from_f64(ty, &values).expect("as many elements")
}

#[test]
fn training_attention_with_masks() {
    for unseen in [Unseen::Hidden, Unseen::Replaced(-1.5), Unseen::Added(-2.0)] {
        let op = Attention { causal: true, causal_offset: 1, softcap: Some(1.5), unseen, ..Attention::new(0.5) };
        let added = [operands(), vec![Some(doubles(4, &[4, 1, 5]))]].concat();
        check(op.clone(), added, &[0, 1, 2, 3]).holds("an added mask, causal");
        let op = Attention { zero_unseen: true, ..op };
        let seen = [operands(), vec![Some(bools(5, &[2, 1, 3, 5]))]].concat();
        check(op, seen, &[0, 1, 2]).holds("a mask of bool, causal");
    }
}

#[test]
fn training_attention_through_views() {
    let view = |shape: [usize; 4]| Some(View::contiguous(&shape.into()).transpose(&[0, 2, 1, 3]));
    let op = Attention {
        query: view([2, 3, 4, 3]),
        key: view([2, 5, 2, 3]),
        value: view([2, 5, 2, 2]),
        interleaved: true,
        ..Attention::new(0.5)
    };
    let inputs = vec![Some(doubles(1, &[2, 3, 12])), Some(doubles(2, &[2, 5, 6])), Some(doubles(3, &[2, 5, 4]))];
    check(op, inputs, &[0, 1, 2]).holds("joined heads");
}

#[test]
fn training_attention_with_lengths() {
    for causal in [false, true] {
        let op = Attention { causal, causal_offset: -3, ..Attention::new(0.5) };
        for lengths in [[4i64, 5], [0, 9]] {
            let inputs = [operands(), vec![None, Some(Tensor::vector(&lengths))]].concat();
            check(op.clone(), inputs, &[0, 1, 2]).holds("lengths");
        }
    }
}

#[test]
fn training_convolutional_attention() {
    let shapes: [(&[usize], &[usize], usize); 3] = [(&[5], &[3], 1), (&[3, 2], &[3, 1], 1), (&[2, 3], &[3, 5], 2)];
    for (grid, window, heads) in shapes {
        let op = ConvolutionalAttention { heads, ..ConvolutionalAttention::new(grid) };
        let positions: usize = grid.iter().product();
        let weights = [&[4, 1], window].concat();
        let shapes = [vec![2, positions, 4], vec![2, positions, 4], vec![2, positions, 6], weights];
        let inputs = shapes.iter().enumerate().map(|(k, shape)| Some(doubles(k as u64 + 1, shape))).collect();
        let op = convolutional_attention(op);
        let check = Check { op, inputs, outputs: vec![0], count: 1, subjects: vec![0, 1, 2, 3], step: FINE };
        check.holds(&format!("convolved keys on {grid:?}"));
    }
}

#[test]
fn training_convolutional_attention_names_what_is_wrong() {
    let refused = |grid: &[usize], window: &[usize], heads: usize| {
        let op = ConvolutionalAttention { heads, ..ConvolutionalAttention::new(grid) };
        let fact = |shape: &[usize]| Fact::new(DType::F32, shape.to_vec());
        let facts = [fact(&[2, 12, 4]), fact(&[2, 12, 4]), fact(&[2, 12, 6]), fact(&[&[4, 1], window].concat())];
        let facts: Vec<Option<&Fact>> = facts.iter().map(Some).collect();
        convolutional_attention(op).infer(&facts).expect_err("it is wrong").to_string()
    };
    for (grid, window, heads, words) in [
        (&[12][..], &[4][..], 1, "windows of odd extents, found weights [4,1,4]"),
        (&[3, 4], &[3, 2], 1, "windows of odd extents"),
        (&[3, 5], &[3, 3], 1, "found the grid [3, 5]"),
        (&[3, 2, 2], &[3, 3, 3], 1, "found the grid [3, 2, 2]"),
        (&[12], &[3, 3], 1, "a window along each axis of the grid [12], found [4,1,3,3]"),
        (&[12], &[3], 3, "found 3 heads"),
    ] {
        let message = refused(grid, window, heads);
        assert!(message.contains(words), "{message}");
    }
}

/// Attention as exporters write it out, over heads split off `[batch, context, heads * size]`, with a constant mask where it is causal.
fn written_out(dtype: DType, causal: bool, [batch, heads, context, size]: [usize; 4]) -> Graph {
    let mut b = Builder::new("written out");
    let inputs = ["q", "k", "v"].map(|name| b.input(name, dtype, &[batch, context, heads * size].map(Dim::Known)));
    let shape = b.constant("heads", Tensor::vector(&[batch, context, heads, size].map(|d| d as i64)));
    let one = |b: &mut Builder, op: Arc<dyn Op>, inputs: &[_]| {
        let inputs: Vec<_> = inputs.iter().copied().map(Some).collect();
        b.node("node", op, &inputs)
    };
    let [query, key, value] = [(0, [0, 2, 1, 3]), (1, [0, 2, 3, 1]), (2, [0, 2, 1, 3])].map(|(k, order)| {
        let apart = one(&mut b, reshape(false), &[inputs[k], shape]);
        one(&mut b, transpose(Some(order.to_vec())), &[apart])
    });
    let number = |b: &mut Builder, numbers: &[f64], shape: &[usize]| {
        let ty = TensorType::new(dtype, shape.to_vec());
        b.constant("number", Tensor::from_f64(ty, numbers).expect("as many elements"))
    };
    let scale = number(&mut b, &[0.4], &[]);
    let product = one(&mut b, matmul(), &[query, key]);
    let mut scores = one(&mut b, binary("Mul").expect("a function"), &[product, scale]);
    if causal {
        let hidden = |k: usize| if k % context > k / context { f64::NEG_INFINITY } else { 0.0 };
        let mask = number(&mut b, &(0..context * context).map(hidden).collect::<Vec<f64>>(), &[context, context]);
        scores = one(&mut b, binary("Add").expect("a function"), &[scores, mask]);
    }
    let weights = one(&mut b, softmax(-1), &[scores]);
    let result = one(&mut b, matmul(), &[weights, value]);
    let result = one(&mut b, transpose(Some(vec![0, 2, 1, 3])), &[result]);
    b.output("y", result).expect("a name of its own");
    b.finish().expect("a graph")
}

/// The same with the gradients of queries, keys and values.
fn with_gradients(graph: &Graph) -> Graph {
    train::with_gradients(graph, &["y"], &["y"], &["q", "k", "v"]).expect("gradients")
}

#[test]
fn training_attention_written_out_stores_no_scores() {
    let values: Vec<Tensor> = (1..4).map(|seed| doubles(seed, &[2, 40, 16])).chain([doubles(4, &[2, 40, 2, 8])]).collect();
    for causal in [false, true] {
        let run = |dtype: DType| {
            let inputs: Vec<Tensor> = values.iter().map(|x| floats(x, dtype)).collect();
            let model = Model::from_graph(with_gradients(&written_out(dtype, causal, [2, 2, 40, 8])));
            let names = ["q", "k", "v", "upstream.y"];
            let given: Vec<(&str, TensorView<'_>)> = names.into_iter().zip(&inputs).map(|(name, x)| (name, x.view())).collect();
            let session = match dtype {
                DType::F64 => Session::cpu(&model, Options::default()),
                _ => Session::new_blocking(gpu(), &model, Options::default()),
            };
            session.expect("a session").run_blocking(&given).expect("a run")
        };
        let (truth, found) = (run(DType::F64), run(DType::F32));
        for name in ["gradient.q", "gradient.k", "gradient.v"] {
            let [truth, found] = [&truth, &found].map(|outputs| outputs.get(name).expect("a gradient"));
            assert_eq!(difference(found, truth, 1e-4, 2e-5), None, "{name}, causal: {causal}");
        }
        let inputs: Vec<Tensor> = values.iter().map(|x| floats(x, DType::F32)).collect();
        let graph = with_gradients(&written_out(DType::F32, causal, [2, 2, 40, 8]));
        let graph = optimized(&graph, &inputs, &Caps::portable()).expect("sound").expect("whole");
        let made = graph.nodes().iter().flat_map(|node| node.outputs.iter().flatten());
        let largest = made.map(|id| graph.fact(*id).expect("a fact").ty.elements()).max();
        assert!(largest < Some(2 * 2 * 40 * 40), "a tensor of {largest:?} elements, causal: {causal}");
        assert!(graph.nodes().iter().any(|node| node.op.name() == "AttentionGradient"));
    }
}

/// The median of the times of so many runs.
fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// What a forward pass takes, with its way back through products of stored scores, and through kernels that store none, by turns. `EXTENTS`
/// holds others than the two: batch, heads, context and size.
#[test]
#[ignore = "it measures"]
fn training_attention_speed() {
    let given = std::env::var("EXTENTS").unwrap_or("12,4,64,32 1,8,512,64".into());
    for extents in given.split(' ') {
        let numbers: Vec<usize> = extents.split(',').map(|number| number.parse().expect("a number")).collect();
        let [batch, heads, context, size] = numbers[..] else { panic!("four numbers") };
        let values = [1, 2, 3, 4].map(|seed| {
            let shape = if seed == 4 { vec![batch, context, heads, size] } else { vec![batch, context, heads * size] };
            floats(&doubles(seed, &shape), DType::F32)
        });
        for causal in [false, true] {
            let forward = written_out(DType::F32, causal, [batch, heads, context, size]);
            let both = Model::from_graph(with_gradients(&forward));
            let stored = Selection { without: vec!["attention back".into()], ..Selection::default() };
            let variant = std::env::var("VARIANT").ok();
            let sessions = [
                (Model::from_graph(forward), Options::default()),
                (both.clone(), Options { passes: stored, ..Options::default() }),
                (both, Options { variant, ..Options::default() }),
            ];
            let sessions = sessions.map(|(model, options)| Session::new_blocking(gpu(), &model, options).expect("a session"));
            let names = ["q", "k", "v", "upstream.y"];
            let mut times = [vec![], vec![], vec![]];
            for _ in 0..9 {
                for (session, times) in sessions.iter().zip(&mut times) {
                    let given: Vec<(&str, TensorView<'_>)> = names.into_iter().zip(&values).map(|(n, x)| (n, x.view())).collect();
                    let given = &given[..session.inputs().len()];
                    times.push(session.profile_blocking(given, 5).expect("a run").device_microseconds());
                }
            }
            let [forward, stored, anew] = times.map(median);
            let ratio = (anew - forward) / (stored - forward);
            println!("{extents}, causal {causal}: forward {forward:.0} us, stored {stored:.0}, anew {anew:.0}; back {ratio:.2}");
        }
    }
}
