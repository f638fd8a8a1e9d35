//! Sequences and optionals of tensors: what runs give and get, on the CPU and on the device; what is wrong with them; and loops and
//! positions that only a run knows.

use crate::support::gpu;
use gristmill::graph::{Builder, Dim, ValueId};
use gristmill::internals::graph::Body;
use gristmill::operators::{self, Arrangement, Operator, arrange};
use gristmill::{DType, Error, ErrorKind, Form, Model, Options, Outputs, Session, Structure, Tensor, TensorView};
use std::sync::Arc;

use Arrangement::{
    OptionalGetElement, OptionalHasElement, SequenceAt, SequenceConstruct, SequenceEmpty, SequenceErase, SequenceInsert,
    SequenceLength,
};

type Value = Structure<Tensor>;

fn sequence(tensors: &[&[f32]]) -> Value {
    Structure::Sequence(tensors.iter().map(|tensor| Tensor::vector(tensor)).collect())
}

fn node(b: &mut Builder, name: &str, op: Operator, inputs: &[ValueId]) -> ValueId {
    b.node(name, op, &inputs.iter().copied().map(Some).collect::<Vec<_>>())
}

/// A model that `write` makes outputs of.
fn model(write: impl FnOnce(&mut Builder) -> Vec<(&'static str, ValueId)>) -> Model {
    let mut b = Builder::new("model");
    for (name, value) in write(&mut b) {
        b.output(name, value).expect("the name is free");
    }
    Model::from_graph(b.finish().expect("a valid graph"))
}

fn run(session: &Session, inputs: &[(&str, Value)]) -> Result<Outputs, Error> {
    let views: Vec<(&str, Structure<TensorView<'_>>)> =
        inputs.iter().map(|(name, value)| (*name, value.map(Tensor::view))).collect();
    session.run_structures_blocking(&views)
}

/// A session on the CPU and one on the device.
fn sessions(model: &Model) -> [Session; 2] {
    let on_device = Session::new_blocking(gpu(), model, Options::default()).expect("a session");
    [Session::cpu(model, Options::default()).expect("a session"), on_device]
}

/// The sequence `xs`, tensors of floats.
fn input_sequence(b: &mut Builder, form: Form, dims: Option<Vec<Dim>>) -> ValueId {
    b.declare_form("xs", form, DType::F32, dims)
}

fn double(b: &mut Builder, x: ValueId) -> ValueId {
    node(b, "double", operators::binary("Add").expect("a function"), &[x, x])
}

/// Twice the tensor of `xs` at a position, and the sequence with that at its end.
fn doubled() -> Model {
    model(|b| {
        let xs = input_sequence(b, Form::Sequence, Some(vec![Dim::Named("n".into())]));
        let at = b.input("at", DType::I64, &[]);
        let x = node(b, "element", arrange(SequenceAt), &[xs, at]);
        let y = double(b, x);
        let ys = node(b, "longer", arrange(SequenceInsert), &[xs, y]);
        vec![("y", y), ("ys", ys)]
    })
}

#[test]
fn sequences_go_in_and_out() {
    for session in sessions(&doubled()) {
        let given = sequence(&[&[1.0], &[2.0, 3.0]]);
        for (at, tensor) in [(0i64, vec![2.0f32]), (-1, vec![4.0, 6.0])] {
            let at = Structure::Tensor(Tensor::scalar(at));
            let outputs = run(&session, &[("xs", given.clone()), ("at", at)]).expect("the run succeeds");
            assert_eq!(outputs["y"], Tensor::vector(&tensor));
            let expected = [given.sequence().expect("a sequence"), &[Tensor::vector(&tensor)]].concat();
            assert_eq!(outputs.structure("ys"), Some(&Structure::Sequence(expected)));
            assert_eq!((outputs.len(), outputs.iter().count(), outputs.get("ys")), (2, 1, None));
        }
    }
}

#[test]
fn a_position_of_the_run_needs_no_plan_of_its_own() {
    let [_, session] = sessions(&doubled());
    let given = Structure::Sequence((0..24u8).map(|k| Tensor::vector(&[f32::from(k)])).collect());
    let mut plans = 0;
    for at in 0..24i64 {
        let inputs = [("xs", given.clone()), ("at", Structure::Tensor(Tensor::scalar(at)))];
        assert_eq!(run(&session, &inputs).expect("the run succeeds")["y"], Tensor::vector(&[2.0 * at as f32]));
        plans = if at == 0 { session.counters().plans } else { plans };
    }
    assert_eq!(session.counters().plans, plans);
}

#[test]
fn a_position_is_computed_from_data() {
    let model = model(|b| {
        let x = b.input("x", DType::F32, &[Dim::Unknown]);
        let best = node(b, "best", operators::arg_max(0, false, false), &[x]);
        let (one, two) = (b.constant("one", Tensor::vector(&[1.0f32])), b.constant("two", Tensor::vector(&[2.0f32, 2.0])));
        let xs = node(b, "all", arrange(SequenceConstruct), &[x, one, two]);
        let element = node(b, "element", arrange(SequenceAt), &[xs, best]);
        vec![("y", double(b, element))]
    });
    for session in sessions(&model) {
        // More elements than plans depend on.
        for (best, expected) in [(1, Some(vec![2.0f32])), (2, Some(vec![4.0, 4.0])), (70, None)] {
            let mut x = vec![0.0f32; 80];
            x[best] = 1.0;
            let x = Tensor::vector(&x);
            match (session.run_blocking(&[("x", x.view())]), expected) {
                (Ok(outputs), Some(expected)) => assert_eq!(outputs["y"], Tensor::vector(&expected)),
                (Err(error), None) => {
                    assert_eq!((error.kind(), error.node()), (ErrorKind::InvalidInput, Some("SequenceAt:element")));
                    let text = "position 70 is outside of a sequence of 3 tensors: expected -3 to 2";
                    assert_eq!(error.message(), text);
                }
                (result, _) => panic!("{best}: {result:?}"),
            }
        }
    }
}

#[test]
fn inputs_are_checked_by_their_form() {
    let model = doubled();
    let fixed = self::model(|b| {
        let xs = input_sequence(b, Form::OptionalSequence, Some(vec![Dim::Known(2)]));
        vec![("there", node(b, "there", arrange(OptionalHasElement), &[xs]))]
    });
    let at = || ("at", Structure::Tensor(Tensor::scalar(0i64)));
    let text = |session: &Session, inputs: &[(&str, Value)]| {
        let error = run(session, inputs).expect_err("the inputs are wrong");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        error.message().to_string()
    };
    for session in sessions(&model) {
        let one = Structure::Tensor(Tensor::scalar(1.0f32));
        assert_eq!(text(&session, &[("xs", one), at()]), "input `xs`: expected a sequence of tensors, found a tensor");
        assert_eq!(text(&session, &[("xs", Structure::Absent), at()]), "input `xs`: expected a sequence of tensors, found nothing");
        assert_eq!(text(&session, &[at()]), "input `xs` is missing; expected `xs`, `at`");
        let integers = Structure::Sequence(vec![Tensor::vector(&[1.0f32]), Tensor::vector(&[1i32])]);
        assert_eq!(text(&session, &[("xs", integers), at()]), "input `xs`: expected f32, found i32");
        let list = Structure::Sequence(vec![Tensor::scalar(0i64)]);
        let found = text(&session, &[("xs", sequence(&[&[1.0]])), ("at", list)]);
        assert_eq!(found, "input `at`: expected a tensor, found a sequence of tensors");
        let x = Tensor::scalar(1.0f32);
        let error = session.run_blocking(&[("xs", x.view())]).expect_err("a tensor is no sequence");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    for session in sessions(&fixed) {
        assert_eq!(session.inputs()[0].form, Form::OptionalSequence);
        let there = |inputs: &[(&str, Value)]| run(&session, inputs).expect("the run succeeds")["there"].clone();
        assert_eq!(there(&[]), Tensor::scalar(false));
        assert_eq!(there(&[("xs", Structure::Absent)]), Tensor::scalar(false));
        assert_eq!(there(&[("xs", sequence(&[&[1.0, 2.0]]))]), Tensor::scalar(true));
        let found = text(&session, &[("xs", sequence(&[&[1.0, 2.0], &[1.0]]))]);
        assert_eq!(found, "input `xs`: expected shape [2], found [1]");
        assert_eq!(session.run_blocking(&[]).expect("it may be left out")["there"], Tensor::scalar(false));
    }
}

/// A node named `here` that reads `xs` and perhaps a constant.
fn one_node(op: Operator, more: Option<Tensor>) -> Model {
    model(|b| {
        let xs = input_sequence(b, Form::OptionalSequence, None);
        let more = more.map(|tensor| b.constant("more", tensor));
        let inputs: Vec<ValueId> = std::iter::once(xs).chain(more).collect();
        let y = node(b, "here", op, &inputs);
        vec![("y", node(b, "out", operators::identity(), &[y]))]
    })
}

/// Checks the error of a node on both devices.
fn wrong(op: Operator, more: Option<Tensor>, given: &Value, kind: ErrorKind, message: &str) {
    let path = format!("{}:here", op.name());
    for session in sessions(&one_node(op, more)) {
        let error = run(&session, &[("xs", given.clone())]).expect_err("it is wrong");
        assert_eq!((error.kind(), error.node(), error.message()), (kind, Some(path.as_str()), message));
    }
}

#[test]
fn what_is_wrong_names_the_node() {
    let (two, none) = (sequence(&[&[1.0], &[2.0]]), sequence(&[]));
    let edit = |arrangement, more: Option<Tensor>, given: &Value, message: &str| {
        wrong(arrange(arrangement), more, given, ErrorKind::InvalidInput, message);
    };
    let range = "expected -2 to 1";
    let text = |position: i64| format!("position {position} is outside of a sequence of 2 tensors: {range}");
    edit(SequenceAt, Some(Tensor::scalar(2i64)), &two, &text(2));
    edit(SequenceAt, Some(Tensor::scalar(-3i32)), &two, &text(-3));
    edit(SequenceAt, Some(Tensor::scalar(0i64)), &none, "position 0 is outside of a sequence of 0 tensors: it has none");
    edit(SequenceErase, None, &none, "an empty sequence has no last tensor to erase");
    edit(OptionalGetElement, None, &Structure::Absent, "the optional holds nothing: expected an element");
    let joined = operators::concat_from_sequence(0, false);
    wrong(joined, None, &none, ErrorKind::InvalidInput, "ConcatFromSequence of an empty sequence: expected one tensor or more");
}

#[test]
fn what_a_sequence_cannot_be_names_the_node() {
    let two = sequence(&[&[1.0], &[2.0]]);
    let model = |arrangement, more: Option<Tensor>, given: &Value, message: &str| {
        wrong(arrange(arrangement), more, given, ErrorKind::InvalidModel, message);
    };
    model(SequenceAt, Some(Tensor::scalar(0.0f32)), &two, "a position in a sequence is one integer, found f32[]");
    let mixed = "the tensors of a sequence have one dtype: tensor 0 is f32, tensor 2 i32";
    model(SequenceInsert, Some(Tensor::scalar(1i32)), &two, mixed);
    model(SequenceLength, None, &Structure::Absent, "expected a sequence of tensors, found nothing");
    for session in sessions(&one_node(operators::concat_from_sequence(0, true), None)) {
        let error = run(&session, &[("xs", sequence(&[&[1.0], &[1.0, 2.0]]))]).expect_err("a new axis needs equal shapes");
        assert_eq!(error.kind(), ErrorKind::InvalidModel);
    }
}

/// A body whose inputs are the turn, the condition and `given`; the condition is kept.
fn body(given: &[(&str, Form)], captured: &[usize], write: impl FnOnce(&mut Builder, &[ValueId]) -> Vec<ValueId>) -> Body {
    let mut b = Builder::new("body");
    let mut inputs = vec![b.input("turn", DType::I64, &[]), b.input("condition", DType::Bool, &[])];
    inputs.extend(given.iter().map(|(name, form)| b.declare_form(name, *form, DType::F32, None)));
    let outputs = [vec![inputs[1]], write(&mut b, &inputs)].concat();
    for (k, output) in outputs.into_iter().enumerate() {
        let output = node(&mut b, &format!("output.{k}"), operators::identity(), &[output]);
        b.output(&format!("output.{k}"), output).expect("the name is free");
    }
    Body { graph: Arc::new(b.finish().expect("a valid graph")), inputs: captured.to_vec() }
}

/// A loop of `n` turns, each of which doubles `x` and appends it to a sequence that is empty, or nothing, before the first.
fn appending(nothing: bool) -> Model {
    let form = if nothing { Form::OptionalSequence } else { Form::Sequence };
    let body = body(&[("x", Form::Tensor), ("xs", form)], &[], |b, inputs| {
        let y = double(b, inputs[2]);
        let mut xs = inputs[3];
        if nothing {
            xs = or_empty(b, xs);
        }
        vec![y, node(b, "longer", arrange(SequenceInsert), &[xs, y])]
    });
    model(|b| {
        let n = b.input("n", DType::I64, &[]);
        let x = b.input("x", DType::F32, &[Dim::Unknown]);
        let empty = if nothing {
            b.node("nothing", arrange(Arrangement::Optional), &[])
        } else {
            b.node("empty", arrange(SequenceEmpty), &[])
        };
        let (last, all) = (b.value("last", None), b.value("all", None));
        let inputs = vec![Some(n), None, Some(x), Some(empty)];
        b.push("around", operators::repeat(body, 2, 0), inputs, vec![Some(last), Some(all)]);
        vec![("last", last), ("all", all)]
    })
}

/// What an optional holds, or an empty sequence.
fn or_empty(b: &mut Builder, optional: ValueId) -> ValueId {
    let branch = |write: &dyn Fn(&mut Builder, ValueId) -> ValueId| {
        let mut b = Builder::new("branch");
        let given = b.declare_form("given", Form::OptionalSequence, DType::F32, None);
        let output = write(&mut b, given);
        b.output("out", output).expect("the name is free");
        Body { graph: Arc::new(b.finish().expect("a valid graph")), inputs: vec![1] }
    };
    let element = branch(&|b, given| node(b, "get", arrange(OptionalGetElement), &[given]));
    let empty = branch(&|b, _| b.node("empty", arrange(SequenceEmpty), &[]));
    let there = node(b, "there", arrange(OptionalHasElement), &[optional]);
    node(b, "or_empty", operators::branch(element, empty), &[there, optional])
}

#[test]
fn loops_append_to_sequences() {
    for nothing in [false, true] {
        for session in sessions(&appending(nothing)) {
            for turns in [0i64, 3, 40] {
                let inputs =
                    [("n", Structure::Tensor(Tensor::scalar(turns))), ("x", Structure::Tensor(Tensor::vector(&[1.0f32, 3.0])))];
                let outputs = run(&session, &inputs).expect("the run succeeds");
                let power = |turn: i64| Tensor::vector(&[2f32.powi(turn as i32), 3.0 * 2f32.powi(turn as i32)]);
                assert_eq!(outputs["last"], power(turns));
                let all: Vec<Tensor> = (1..=turns).map(power).collect();
                let expected = if nothing && turns == 0 { Structure::Absent } else { Structure::Sequence(all) };
                assert_eq!(outputs.structure("all"), Some(&expected), "{turns} turns, from nothing: {nothing}");
            }
            let plans = session.counters().plans;
            assert!(nothing || plans <= 4, "{plans} plans");
        }
    }
}

#[test]
fn loops_read_a_sequence_turn_by_turn() {
    let body = body(&[("sum", Form::Tensor), ("xs", Form::Sequence)], &[3], |b, inputs| {
        let x = node(b, "element", arrange(SequenceAt), &[inputs[3], inputs[0]]);
        vec![node(b, "next", operators::binary("Add").expect("a function"), &[inputs[2], x])]
    });
    let model = model(|b| {
        let xs = input_sequence(b, Form::Sequence, None);
        let start = b.constant("start", Tensor::scalar(0.0f32));
        let length = node(b, "length", arrange(SequenceLength), &[xs]);
        let sum = b.value("sum", None);
        b.push("around", operators::repeat(body, 1, 0), vec![Some(length), None, Some(start), Some(xs)], vec![Some(sum)]);
        vec![("sum", sum)]
    });
    let numbers: Vec<f32> = (0..40u8).map(f32::from).collect();
    let given = Structure::Sequence(numbers.iter().map(|x| Tensor::scalar(*x)).collect());
    for session in sessions(&model) {
        let outputs = run(&session, &[("xs", given.clone())]).expect("the run succeeds");
        assert_eq!(outputs["sum"], Tensor::scalar(780.0f32));
        assert!(session.counters().plans <= 3, "{:?}", session.counters());
        let outputs = run(&session, &[("xs", Structure::Sequence(vec![Tensor::scalar(5.0f32); 3]))]).expect("it is written out");
        assert_eq!(outputs["sum"], Tensor::scalar(15.0f32));
    }
}

#[test]
fn a_long_sequence_is_mapped_in_a_stage() {
    let mut b = Builder::new("body");
    let x = b.declare("x", DType::F32, None);
    let y = double(&mut b, x);
    b.output("y", y).expect("the name is free");
    let body = Body { graph: Arc::new(b.finish().expect("a valid graph")), inputs: vec![] };
    let model = model(|b| {
        let xs = input_sequence(b, Form::Sequence, None);
        let ys = node(b, "map", operators::sequence_map(body, 1), &[xs]);
        vec![("ys", ys)]
    });
    for session in sessions(&model) {
        for count in [0, 5, 40] {
            let tensor = |factor: f32| move |k: usize| Tensor::vector(&vec![factor * k as f32; k % 3 + 1]);
            let outputs = run(&session, &[("xs", Structure::Sequence((0..count).map(tensor(1.0)).collect()))]).expect("it runs");
            assert_eq!(outputs.structure("ys"), Some(&Structure::Sequence((0..count).map(tensor(2.0)).collect())));
        }
    }
}

#[test]
fn many_sizes_from_data_split_on_the_host() {
    let model = model(|b| {
        let x = b.input("x", DType::F32, &[Dim::Unknown]);
        let sizes = b.input("sizes", DType::I64, &[Dim::Unknown]);
        let parts = node(b, "split", operators::split_to_sequence(0, true), &[x, sizes]);
        let last = b.constant("last", Tensor::scalar(-1i64));
        let part = node(b, "part", arrange(SequenceAt), &[parts, last]);
        vec![("length", node(b, "length", arrange(SequenceLength), &[parts])), ("y", double(b, part))]
    });
    let (x, sizes) = (Tensor::vector(&vec![1.5f32; 102]), Tensor::vector(&[vec![1i64; 100], vec![2]].concat()));
    for session in sessions(&model) {
        let outputs = session.run_blocking(&[("x", x.view()), ("sizes", sizes.view())]).expect("the run succeeds");
        assert_eq!((&outputs["length"], &outputs["y"]), (&Tensor::scalar(101i64), &Tensor::vector(&[3.0f32, 3.0])));
    }
    let strict = Options { strict_gpu: true, ..Options::default() };
    let session = Session::new_blocking(gpu(), &model, strict).expect("a session");
    let error = session.run_blocking(&[("x", x.view()), ("sizes", sizes.view())]).expect_err("it would run on the host");
    assert_eq!((error.kind(), error.node()), (ErrorKind::Unsupported, Some("SplitToSequence:split")));
}
