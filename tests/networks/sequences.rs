//! Networks over sequences: PyTorch's numbers, sequences that are written token by token, and that they learn.

use super::{File, Tensors, check_round_trip, run, trained, views};
use crate::support::gpu;
use crate::training::rules::{rule_a, rule_b};
use gristmill::graph::Graph;
use gristmill::models::{Gpt, Seq2Seq, Speech, Subsampling, from_pytorch};
use gristmill::train::{self, Adam, LossKind, NamedLoss, Sgd, Step, StepOptions};
use gristmill::{ErrorKind, Model, Options, Session, Tensor};

const SEQ2SEQ: Seq2Seq =
    Seq2Seq { source_vocabulary: 9, target_vocabulary: 11, embedding: 6, hidden: 7, layers: 2, dropout: 0.0, start: 1, end: 2 };
const GPT: Gpt = Gpt { vocabulary: 13, context: 10, layers: 2, heads: 2, width: 8, dropout: 0.0, bias: true, tied: false };
const SPEECH: Speech = Speech { bands: 5, subsampling: Subsampling::None, hidden: 4, layers: 2, dropout: 0.0, classes: 7 };

fn references() -> File {
    File::open("networks/references.safetensors")
}

fn entropy(smoothing: f64) -> NamedLoss {
    let kind = LossKind::CrossEntropy { axis: -1, ignore_index: Some(-100), label_smoothing: smoothing };
    NamedLoss::new(kind, "logits")
}

/// Networks with what they learn by, as PyTorch has them.
fn networks() -> Vec<(&'static str, Graph, NamedLoss)> {
    let ctc = || NamedLoss::new(LossKind::ctc(), "logits");
    let speech = |subsampling| Speech { subsampling, ..SPEECH }.graph(3);
    let convolved = Subsampling::Convolved { kernel: 3, stride: 2, channels: 6 };
    let networks = [
        ("seq2seq", SEQ2SEQ.graph(3), entropy(0.1)),
        ("gpt", GPT.graph(3), entropy(0.0)),
        ("tied", Gpt { tied: true, ..GPT }.graph(3), entropy(0.0)),
        ("speech", speech(Subsampling::None), ctc()),
        ("stacked", speech(Subsampling::Stacked(3)), ctc()),
        ("convolved", speech(convolved), ctc()),
    ];
    networks.into_iter().map(|(name, graph, loss)| (name, graph.expect("a graph"), loss)).collect()
}

/// A network's graph with PyTorch's parameters.
fn with_parameters(graph: &Graph, name: &str, file: &File) -> Graph {
    let parameters = from_pytorch(&file.under(&format!("{name}.init."))).expect("parameters of layers");
    let graph = graph.with_constants(&parameters).expect("they fit");
    // None is left as it was drawn.
    let constants = graph.values().iter().filter_map(|value| value.constant.as_ref());
    let own = constants.filter(|tensor| tensor.dtype().is_float() && tensor.shape().rank() > 0).count();
    assert_eq!(own, parameters.len(), "{name}");
    graph
}

/// A network's inputs, with those of its loss.
fn inputs(name: &str, file: &File) -> [Tensors; 2] {
    let own = file.under(&format!("{name}.in."));
    let mut all = own.clone();
    all.extend(file.under(&format!("{name}.")).into_iter().filter(|(part, _)| part == "target" || part == "target_lengths"));
    [own, all]
}

#[test]
fn networks_of_sequences_predict_what_pytorch_predicts() {
    let file = references();
    for (name, graph, _) in networks() {
        let graph = with_parameters(&graph, name, &file);
        let [own, _] = inputs(name, &file);
        check_round_trip(&graph, &own);
        for on_device in [false, true] {
            let found = run(&graph, on_device, &own);
            for (output, truth) in file.under(&format!("{name}.out.")) {
                assert!(rule_b(&found[output.as_str()], &truth) <= 1.0, "{name}: {output}, on the device: {on_device}");
            }
        }
    }
}

#[test]
fn networks_of_sequences_have_the_gradients_that_pytorch_has() {
    let file = references();
    for (name, graph, loss) in networks() {
        let graph = train::with_loss(&with_parameters(&graph, name, &file), &loss).expect("a loss");
        let truth = from_pytorch(&file.under(&format!("{name}.grad."))).expect("gradients of layers");
        let subjects: Vec<&str> = truth.iter().map(|(name, _)| name.as_str()).collect();
        let graph = train::with_gradients(&graph, &["loss"], &[], &subjects).expect("they are values of the graph");
        let [_, all] = inputs(name, &file);
        for on_device in [false, true] {
            let found = run(&graph, on_device, &all);
            assert!((found["loss"].to_f64()[0] - file.get(&format!("{name}.loss")).to_f64()[0]).abs() < 1e-4, "{name}");
            for (parameter, truth) in &truth {
                let ratio = rule_b(&found[format!("gradient.{parameter}").as_str()], truth);
                assert!(ratio <= 1.0, "{name}: {parameter} is {ratio} times its bound, on the device: {on_device}");
            }
        }
    }
}

/// The likeliest of each row of classes.
fn likeliest(logits: &Tensor) -> Vec<i64> {
    let classes = *logits.shape().last().expect("classes");
    let best = |row: &[f64]| (0..classes).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap_or(0) as i64;
    logits.to_f64().chunks(classes).map(best).collect()
}

#[test]
fn a_decoder_goes_on_by_itself_as_pytorch_does() {
    let file = references();
    let [own, _] = inputs("seq2seq", &file);
    let own: Tensors = own.into_iter().filter(|(name, _)| name != "decoder_input").collect();
    for (end, truth) in [(2, "greedy"), (1, "ended")] {
        let truth = file.get(&format!("seq2seq.{truth}"));
        let graph = Seq2Seq { end, ..SEQ2SEQ }.greedy(0, 8).expect("a graph");
        let graph = with_parameters(&graph, "seq2seq", &file);
        check_round_trip(&graph, &own);
        for on_device in [false, true] {
            let found = run(&graph, on_device, &own);
            assert_eq!(found["tokens"], truth);
            let until = |row: &[i64]| row.iter().position(|token| *token == i64::from(end)).unwrap_or(8) as i64;
            assert_eq!(found["token_lengths"].to_i64(), truth.to_i64().chunks(8).map(until).collect::<Vec<_>>());
        }
        // Token by token it is what the network makes of all at once.
        let told: Vec<i64> = truth.to_i64().chunks(8).flat_map(|row| [&[1], &row[..7]].concat()).collect();
        let mut given = own.clone();
        given.push(("decoder_input".into(), Tensor::new([3, 8], &told).expect("as many elements")));
        let whole = run(&with_parameters(&SEQ2SEQ.graph(0).expect("a graph"), "seq2seq", &file), false, &given);
        for (row, (truth, best)) in truth.to_i64().chunks(8).zip(likeliest(&whole["logits"]).chunks(8)).enumerate() {
            let ends = truth.iter().position(|token| *token == i64::from(end)).map_or(8, |place| place + 1);
            assert_eq!(truth[..ends], best[..ends], "sequence {row}");
        }
    }
}

#[test]
fn a_decoder_plans_a_turn_once() {
    let graph = with_parameters(&SEQ2SEQ.greedy(1, 40).expect("a graph"), "seq2seq", &references());
    let options = Options { strict_gpu: true, ..Options::default() };
    let session = Session::new_blocking(gpu(), &Model::from_graph(graph), options).expect("the graph is sound");
    let run = |lengths: [i64; 2]| {
        let source = Tensor::new([2, 5], &[1i64, 2, 3, 4, 5, 6, 7, 8, 0, 1]).expect("as many elements");
        let lengths = Tensor::vector(&lengths);
        let inputs = [("source", source.view()), ("source_lengths", lengths.view())];
        session.run_blocking(&inputs).expect("it runs")["tokens"].clone()
    };
    let first = run([5, 4]);
    let made = || [session.counters().plans, session.counters().pipelines];
    let before = made();
    assert_ne!(run([1, 2]), first);
    assert_eq!(run([5, 4]), first);
    assert_eq!(made(), before, "one plan serves all lengths");
}

#[test]
fn tokens_beside_a_cache_are_those_of_whole_sequences() {
    for (name, sizes) in [("gpt", GPT), ("tied", Gpt { tied: true, ..GPT })] {
        let file = references();
        let tokens = file.get(&format!("{name}.in.tokens"));
        let truth = file.get(&format!("{name}.out.logits"));
        let graph = with_parameters(&sizes.step(0, 2, 9).expect("a graph"), name, &file);
        let options = Options { strict_gpu: true, ..Options::default() };
        let model = Model::from_graph(graph);
        let sessions = [Session::cpu(&model, options.clone()), Session::new_blocking(gpu(), &model, options)];
        for session in sessions.map(|session| session.expect("the graph is sound")) {
            let mut state = session.state().expect("states");
            let mut rows: Vec<Vec<f64>> = vec![vec![]; 2];
            let mut made = None;
            for position in 0..9 {
                let column: Vec<i64> = tokens.to_i64().chunks(9).map(|row| row[position]).collect();
                let given = [
                    ("token".to_string(), Tensor::new([2, 1], &column).expect("as many elements")),
                    ("position".to_string(), Tensor::vector(&[position as i64; 2])),
                ];
                let outputs = session.run_with_blocking(&mut state, &views(&given.to_vec())).expect("the step runs");
                rows.iter_mut().zip(outputs["logits"].to_f64().chunks(13)).for_each(|(row, logits)| row.extend(logits));
                let counters = session.counters();
                assert!(position < 2 || made == Some(counters), "steps make nothing");
                made = Some(counters);
            }
            let found = Tensor::new([2, 9, 13], &rows.concat()).expect("as many elements");
            assert!(rule_b(&found, &truth) <= 1.0, "{name}");
        }
    }
}

#[test]
fn networks_of_sequences_learn() {
    let file = references();
    for (name, graph, loss) in networks() {
        let graph = train::with_loss(&graph, &loss).expect("a loss");
        let (_, losses) = trained(&graph, Adam { learning_rate: 0.02, ..Adam::default() }, &inputs(name, &file)[1], 20);
        assert!(losses[19] < 0.75 * losses[0], "{name}: {losses:?}");
    }
}

/// What a step's evaluation says of a value, where the loss does not depend on it.
#[test]
fn an_evaluation_reaches_what_the_loss_does_not_need() {
    let file = references();
    let given = inputs("seq2seq", &file)[1].clone();
    let graph = with_parameters(&SEQ2SEQ.learning(0, 8).expect("a graph"), "seq2seq", &file);
    let graph = train::with_loss(&graph, &entropy(0.0)).expect("a loss");
    let options = || StepOptions::new("loss", train::parameters(&graph, "loss"), Sgd { learning_rate: 0.5, ..Sgd::default() });
    let without_target: Tensors = given.iter().filter(|(name, _)| name.starts_with("source")).cloned().collect();
    let steps = [Step::cpu(&graph, options()), Step::new(gpu(), &graph, options())];
    let found = steps.map(|step| {
        let mut step = step.expect("a step");
        let names = ["tokens", "token_lengths"];
        let before = step.evaluate_blocking(&names, &views(&without_target)).expect("it is evaluated")["tokens"].clone();
        assert_eq!(before, file.get("seq2seq.greedy"));
        let types: Vec<_> = given.iter().map(|(name, tensor)| (name.as_str(), tensor.ty().clone())).collect();
        let explained = step.explain(&types).expect("it is planned").to_string();
        assert!(!explained.contains("greedy"), "training does not decode:\n{explained}");
        (0..3).for_each(|_| {
            step.step_blocking(&views(&given)).expect("it learns");
        });
        let after = step.evaluate_blocking(&names, &views(&without_target)).expect("it is evaluated");
        assert_ne!(after["tokens"], before);
        // As the network that leaves with what was learned.
        let learned = step.to_graph_blocking(&names).expect("a graph");
        assert_eq!(run(&learned, false, &without_target)["tokens"], after["tokens"]);
        after["tokens"].clone()
    });
    assert_eq!(found[0], found[1]);
}

#[test]
fn labels_are_decoded_beside_training() {
    let file = references();
    let graph = Speech { subsampling: Subsampling::Stacked(3), ..SPEECH }.learning(3).expect("a graph");
    let graph = train::with_loss(&graph, &NamedLoss::new(LossKind::ctc(), "logits")).expect("a loss");
    let all = inputs("stacked", &file)[1].clone();
    let (mut step, losses) = trained(&graph, Adam { learning_rate: 0.05, ..Adam::default() }, &all, 80);
    let own: Tensors = all.iter().filter(|(name, _)| name.starts_with("feature")).cloned().collect();
    let found = step.evaluate_blocking(&["labels", "label_lengths"], &views(&own)).expect("it is evaluated");
    // Three sequences by heart.
    assert_eq!(found["label_lengths"].to_i64(), file.get("stacked.target_lengths").to_i64(), "{losses:?}");
    let (target, width) = (file.get("stacked.target").to_i64(), found["labels"].shape()[1]);
    for (row, length) in [3, 1, 2].into_iter().enumerate() {
        let labels = &found["labels"].to_i64()[row * width..(row + 1) * width];
        assert_eq!(labels[..length], target[row * 3..row * 3 + length]);
        assert!(labels[length..].iter().all(|label| *label == -1));
    }
}

/// A file of the training fixtures, which has only half of a network.
#[test]
fn a_decoder_alone_is_what_pytorch_makes_of_a_gru() {
    let file = File::open("training/seq2seq_gru.safetensors");
    let sizes = Seq2Seq { embedding: 24, hidden: 24, ..Seq2Seq::new(1, 40) };
    let graph = train::with_loss(&sizes.graph(0).expect("a graph"), &entropy(0.0)).expect("a loss");
    // An encoder of zeros leaves zeros.
    let encoder = graph.constants().into_iter().filter(|(name, _)| name.starts_with("encoder."));
    let mut parameters: Tensors = encoder.map(|(name, tensor)| (name.to_string(), Tensor::zeros(tensor.ty().clone()))).collect();
    let renamed = file.under("init.").into_iter().map(|(name, tensor)| (format!("decoder.{name}"), tensor));
    parameters.extend(from_pytorch(&renamed.collect::<Vec<_>>()).expect("parameters of layers"));
    let graph = graph.with_constants(&parameters).expect("they fit");
    let turned = |tensor: &Tensor| {
        let (steps, batch) = (tensor.shape()[0], tensor.shape()[1]);
        let numbers = tensor.to_i64();
        let numbers: Vec<i64> = (0..steps * batch).map(|k| numbers[k % steps * batch + k / steps]).collect();
        Tensor::new([batch, steps], &numbers).expect("as many elements")
    };
    let inputs: Tensors = vec![
        ("source".into(), Tensor::new([4, 1], &[0i64; 4]).expect("as many elements")),
        ("source_lengths".into(), Tensor::vector(&[1i64; 4])),
        ("decoder_input".into(), turned(&file.get("data.input"))),
        ("target".into(), turned(&file.get("data.target"))),
    ];
    let decoder: Vec<String> = train::parameters(&graph, "loss").into_iter().filter(|name| name.starts_with("decoder.")).collect();
    let adam = Adam { learning_rate: 3e-3, ..Adam::default() };
    let mut step = Step::new(gpu(), &graph, StepOptions::new("loss", decoder, adam)).expect("a step");
    let losses: Vec<f64> = (0..12)
        .map(|_| {
            step.step_blocking(&views(&inputs)).expect("it learns");
            step.loss_blocking().expect("a loss")
        })
        .collect();
    let ratios = rule_a(&Tensor::vector(&losses), &file.get("losses.adam"), &file.get("noise.losses.adam"));
    assert!(ratios.iter().all(|ratio| *ratio <= 1.0), "{ratios:?}");
}

#[test]
fn speech_is_what_pytorch_makes_of_the_training_fixtures() {
    for (name, bands, hidden, classes, time_first) in [("speech_ctc", 16, 16, 12, true), ("bigru_ctc", 12, 12, 9, false)] {
        let file = File::open(&format!("training/{name}.safetensors"));
        let graph = Speech { bands, hidden, classes, layers: 2, ..SPEECH }.graph(0).expect("a graph");
        let graph = graph.with_constants(&from_pytorch(&file.under("init.")).expect("parameters of layers")).expect("they fit");
        let data = file.get("data.input");
        let (time, batch) = if time_first { (data.shape()[0], data.shape()[1]) } else { (data.shape()[1], data.shape()[0]) };
        // The order of axes 0 and 1 of rows, exchanged.
        let exchanged = |tensor: &Tensor, rows: [usize; 2]| {
            let (width, numbers) = (tensor.elements() / (rows[0] * rows[1]), tensor.to_f64());
            let place = |k: usize| (k / width % rows[0] * rows[1] + k / width / rows[0]) * width + k % width;
            let numbers: Vec<f32> = (0..numbers.len()).map(|k| numbers[place(k)] as f32).collect();
            Tensor::new([rows[1], rows[0], width], &numbers).expect("as many elements")
        };
        let features = if time_first { exchanged(&data, [time, batch]) } else { data };
        let inputs = vec![("features".into(), features), ("feature_lengths".into(), Tensor::vector(&vec![time as i64; batch]))];
        for on_device in [false, true] {
            let found = run(&graph, on_device, &inputs);
            let (found, truth) = match time_first {
                true => (found["log_probabilities"].clone(), file.get("pred0")),
                false => (exchanged(&found["logits"], [time, batch]), file.get("pred0")),
            };
            assert!(rule_b(&found, &truth) <= 1.0, "{name}");
        }
    }
}

#[test]
fn a_language_model_starts_as_nanogpt_does() {
    let graph = Gpt::new(96).graph(4).expect("a graph");
    for (name, tensor) in graph.constants().into_iter().filter(|(name, _)| name.ends_with(".weight") || name.ends_with(".bias")) {
        let numbers = tensor.to_f64();
        let expected = match name {
            _ if name.ends_with("bias") => 0.0,
            _ if name.contains("ln_") => 1.0,
            _ => {
                let deviation = if name.contains("c_proj") { 0.02 / 8f64.sqrt() } else { 0.02 };
                let found = (numbers.iter().map(|x| x * x).sum::<f64>() / numbers.len() as f64).sqrt();
                // The deviation of a deviation is its share of the root of twice as many numbers.
                assert!((found / deviation - 1.0).abs() < 5.0 / (2.0 * numbers.len() as f64).sqrt(), "{name}: {found}");
                continue;
            }
        };
        assert!(numbers.iter().all(|x| *x == expected), "{name}");
    }
    let steps = Gpt::new(96).step(4, 1, 64).expect("a graph");
    let held = |graph: &Graph, name: &str| graph.find(name).and_then(|id| graph.constant(id).cloned());
    for name in ["lm_head.weight", "transformer.wpe.weight", "transformer.h.3.mlp.c_fc.weight"] {
        assert!(held(&graph, name).is_some() && held(&graph, name) == held(&steps, name), "{name}");
    }
}

#[test]
fn sizes_that_fit_nothing_are_refused() {
    let refused = [
        Seq2Seq { end: 11, ..SEQ2SEQ }.graph(0),
        Seq2Seq { hidden: 0, ..SEQ2SEQ }.graph(0),
        Seq2Seq { hidden: usize::MAX, ..SEQ2SEQ }.graph(0),
        Gpt { width: usize::MAX, heads: 1, ..GPT }.graph(0),
        Speech { bands: usize::MAX, ..SPEECH }.graph(0),
        SEQ2SEQ.greedy(0, 0),
        Gpt { heads: 3, ..GPT }.graph(0),
        GPT.step(0, 1, 11),
        GPT.step(0, 0, 5),
        Speech { subsampling: Subsampling::Stacked(0), ..SPEECH }.graph(0),
        Speech { subsampling: Subsampling::Convolved { kernel: 2, stride: 2, channels: 3 }, ..SPEECH }.graph(0),
    ];
    for error in refused.map(|graph| graph.expect_err("it fits nothing")) {
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn parameters_of_half_a_layer_are_refused() {
    let mut parameters = references().under("seq2seq.init.");
    parameters.retain(|(name, _)| name != "decoder.rnn.bias_hh_l1");
    let error = from_pytorch(&parameters).expect_err("one is missing");
    assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("`decoder.rnn.bias_hh_l1`"), "{error}");
    let four = vec![("lstm.weight_ih_l0".to_string(), Tensor::zeros(gristmill::TensorType::new(gristmill::DType::F32, [8, 2])))];
    assert!(from_pytorch(&four).expect_err("eight rows are no three gates").to_string().contains("`lstm.weight_ih_l0`"));
}
