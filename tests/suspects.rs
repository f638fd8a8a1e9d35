//! A pass that fails costs speed and nothing else; one that makes a run wrong is found by validation.

use crate::cases::Random;
use crate::support::{gpu, warnings};
use gristmill::internals::graph::{Builder, Dim, Graph, Node, NodeId, OpExt, ValueId, Writer};
use gristmill::internals::ops::{elementwise, expand, matmul};
use gristmill::internals::passes::{Options, Pass, Selection, Specialized, optimize, specialize};
use gristmill::{DType, Error, Model, Result, Session, Tensor, Tolerance};
use std::sync::Arc;

/// A pass that goes wrong at every node of a name.
#[derive(Debug)]
struct Broken {
    name: &'static str,
    kind: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Error,
    Panic,
    /// The node reads a value that nothing makes.
    Graph,
    /// The node makes a value of another shape than is recorded.
    Type,
    /// Another function.
    Meaning,
}

impl Pass for Broken {
    fn name(&self) -> &str {
        self.name
    }

    fn visit(&self, writer: &mut Writer, id: NodeId, _: &Options) -> Result<()> {
        let Some(node) = writer.node(id).cloned().filter(|node| node.path.ends_with(":here")) else { return Ok(()) };
        let with = |op, inputs: Vec<Option<ValueId>>| Node { op, inputs, ..node.clone() };
        match self.kind {
            Fault::Error => return Err(Error::internal("a look-up failed")),
            Fault::Panic => panic!("index out of bounds"),
            Fault::Graph => {
                let nothing = writer.value("nothing", None);
                writer.replace(id, with(node.op.clone(), vec![Some(nothing), Some(nothing)]));
            }
            Fault::Type => {
                let shape = writer.constant("shape", Tensor::vector(&[9i64, 1, 1]));
                writer.replace(id, with(expand::expand(), vec![node.inputs[0], Some(shape)]));
            }
            Fault::Meaning => writer.replace(id, with(elementwise::binary("Sub")?, node.inputs.clone())),
        }
        Ok(())
    }
}

/// y = tanh(x W + b), then twice that, where the sum is at the node `here`.
fn network() -> (Model, Tensor) {
    let mut random = Random::new(3);
    let mut b = Builder::new("network");
    let x = b.input("x", DType::F32, &[Dim::Known(2), Dim::Known(3)]);
    let (w, bias) = (b.constant("w", random.floats(&[3, 4])), b.constant("b", random.floats(&[4])));
    let product = b.node("product", matmul::matmul(), &[Some(x), Some(w)]);
    let sum = b.node("here", elementwise::binary("Add").expect("a function"), &[Some(product), Some(bias)]);
    let y = b.node("tanh", elementwise::unary("Tanh").expect("a function"), &[Some(sum)]);
    let y = b.node("twice", elementwise::binary("Add").expect("a function"), &[Some(y), Some(y)]);
    b.output("y", y).expect("a fresh name");
    (Model::from_graph(b.finish().expect("a sound graph")), random.floats(&[2, 3]))
}

fn added(name: &'static str, kind: Fault) -> Selection {
    Selection { added: vec![Arc::new(Broken { name, kind })], ..Selection::default() }
}

fn specialized(model: &Model, x: &Tensor) -> Graph {
    let facts = [gristmill::internals::graph::Fact::new(x.dtype(), x.shape().clone())];
    match specialize(model.graph(), &facts).expect("consistent shapes") {
        Specialized::Graph(graph) => graph,
        Specialized::Blocked { .. } | Specialized::Stage { .. } => panic!("no shape depends on data"),
    }
}

#[test]
fn a_pass_that_fails_is_left_out_with_one_warning() {
    // Collects from here on.
    warnings("");
    let (model, x) = network();
    let graph = specialized(&model, &x);
    let plain = optimize(&graph, &Options { strict: true, ..Options::default() }).expect("the passes are sound");
    for (name, kind) in
        [("an error", Fault::Error), ("a panic", Fault::Panic), ("no such value", Fault::Graph), ("a type", Fault::Type)]
    {
        let options = Options { selection: added(name, kind), ..Options::default() };
        let found = optimize(&graph, &options).expect("a pass that fails is no error");
        assert_eq!(found.to_string(), plain.to_string(), "{name}");
        let warned = warnings(&format!("pass `{name}`"));
        assert!(matches!(warned.as_slice(), [line] if line.contains(":here")), "{name}: {warned:?}");
        let error = optimize(&graph, &Options { strict: true, ..options }).expect_err("strict passes are errors");
        assert!(error.node().is_some_and(|node| node.ends_with(":here")), "{error}");
    }
    let options = gristmill::Options { passes: added("a panic in a session", Fault::Panic), ..Default::default() };
    let run = |options| {
        let session = Session::new_blocking(gpu(), &model, options).expect("a sound model");
        session.run_blocking(&[("x", x.view())]).expect("it runs")["y"].clone()
    };
    assert_eq!(run(options), run(Default::default()));
    assert_eq!(warnings("a panic in a session").len(), 1);
}

#[test]
fn validation_names_the_pass_and_the_nodes_that_make_a_fused_run_wrong() {
    let (model, x) = network();
    let options = gristmill::Options { passes: added("broken", Fault::Meaning), ..Default::default() };
    let session = Session::new_blocking(gpu(), &model, options).expect("a sound model");
    let validation = session.validate_blocking(&[("x", x.view())], Tolerance::default()).expect("it runs");
    assert!(!validation.passed() && validation.first_divergent().is_none(), "{validation:?}");
    let suspect = validation.suspect.expect("one is found");
    assert_eq!((suspect.pass.as_str(), suspect.node.as_str()), ("broken", "Add:here"));
    assert_eq!((suspect.replaced, suspect.by_references), (vec!["Add:here".to_string()], Some(true)));

    let sound = Session::new_blocking(gpu(), &model, gristmill::Options::default()).expect("a sound model");
    let validation = sound.validate_blocking(&[("x", x.view())], Tolerance::default()).expect("it runs");
    assert!(validation.passed() && validation.suspect.is_none());
}

/// Of many rewrites of one pass, the first that is wrong is named.
#[test]
fn validation_names_one_rewrite_of_many() {
    let mut b = Builder::new("many");
    let x = b.input("x", DType::F32, &[Dim::Known(3)]);
    let one = b.constant("one", Tensor::scalar(1f32));
    let mut y = x;
    for k in 0..9 {
        let name = if k == 6 { "wrong".to_string() } else { format!("step{k}") };
        y = b.node(&name, elementwise::binary("Add").expect("a function"), &[Some(y), Some(one)]);
        y = b.node(&format!("root{k}"), elementwise::unary("Abs").expect("a function"), &[Some(y)]);
    }
    b.output("y", y).expect("a fresh name");
    let model = Model::from_graph(b.finish().expect("a sound graph"));

    /// Turns sums around, and one of them wrongly.
    #[derive(Debug)]
    struct Turn;
    impl Pass for Turn {
        fn name(&self) -> &str {
            "turn"
        }
        fn visit(&self, writer: &mut Writer, id: NodeId, _: &Options) -> Result<()> {
            let Some(node) = writer.node(id).cloned() else { return Ok(()) };
            if node.op.downcast::<elementwise::Map>().is_some() && node.inputs.len() == 2 {
                let op = elementwise::binary(if node.path.ends_with("wrong") { "Sub" } else { "Add" })?;
                writer.replace(id, Node { inputs: vec![node.inputs[1], node.inputs[0]], op, ..node });
            }
            Ok(())
        }
    }
    let passes = Selection { added: vec![Arc::new(Turn)], ..Selection::default() };
    let session = Session::new_blocking(gpu(), &model, gristmill::Options { passes, ..Default::default() }).expect("sound");
    let x = Tensor::vector(&[0.5f32, -2.0, 3.0]);
    let validation = session.validate_blocking(&[("x", x.view())], Tolerance::default()).expect("it runs");
    let suspect = validation.suspect.expect("one is found");
    assert_eq!((suspect.pass.as_str(), suspect.node.as_str()), ("turn", "Add:wrong"));
}
