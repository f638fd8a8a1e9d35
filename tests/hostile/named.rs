//! Single faults, each with the error it gives.

use super::memory;
use super::wire::{Field, encode, message, number, text};
use super::{facts, import_limit};
use gristmill::internals::graph::Graph;
use gristmill::internals::passes::specialize;
use gristmill::{Error, ErrorKind, Model, Options, Session, Structure, Tensor};
use std::fs;
use std::path::{Path, PathBuf};

const FLOAT: i64 = 1;
const INT64: i64 = 7;

/// A `ModelProto` of a graph's fields, under the newest operator set.
fn model(graph: Vec<Field>) -> Vec<u8> {
    encode(&[message(8, vec![number(2, 28)]), message(7, graph)])
}

/// A `NodeProto`, as field 1 of a graph.
fn node(operator: &str, inputs: &[&str], outputs: &[&str], attributes: Vec<Field>) -> Field {
    let mut fields = vec![text(4, operator)];
    fields.extend(inputs.iter().map(|name| text(1, name)));
    fields.extend(outputs.iter().map(|name| text(2, name)));
    fields.extend(attributes);
    message(1, fields)
}

/// A `ValueInfoProto` of a tensor as an input (11) or output (12) of a graph.
fn value(field: u64, name: &str, data_type: i64, dims: &[i64]) -> Field {
    let dims = dims.iter().map(|d| message(1, vec![number(1, *d)])).collect();
    let tensor = message(1, vec![number(1, data_type), message(2, dims)]);
    message(field, vec![text(1, name), message(2, vec![tensor])])
}

fn input(name: &str, dims: &[i64]) -> Field {
    value(11, name, FLOAT, dims)
}

fn output(name: &str) -> Field {
    value(12, name, FLOAT, &[])
}

/// A `TensorProto` as an initializer (5) with the given further fields.
fn initializer(name: &str, data_type: i64, dims: &[i64], rest: Vec<Field>) -> Field {
    let mut fields: Vec<Field> = dims.iter().map(|d| number(1, *d)).collect();
    fields.extend([number(2, data_type), text(8, name)]);
    fields.extend(rest);
    message(5, fields)
}

/// An integer `AttributeProto`, as field 5 of a node.
fn integer(name: &str, value: i64) -> Field {
    message(5, vec![text(1, name), number(20, 2), number(3, value)])
}

/// The fields that keep a tensor's contents in another file.
fn external(location: &str, offset: &str, length: &str) -> Vec<Field> {
    let entry = |key: &str, value: &str| message(13, vec![text(1, key), text(2, value)]);
    vec![number(14, 1), entry("location", location), entry("offset", offset), entry("length", length)]
}

fn error(file: &[u8], folder: Option<&Path>) -> Error {
    let (result, held) = memory::peak(|| Model::from_bytes(file, folder));
    assert!(held <= import_limit(file.len()), "import of {} bytes took {held}", file.len());
    result.expect_err("the model is at fault")
}

#[track_caller]
fn refused(file: &[u8], kind: ErrorKind, message: &str) {
    let error = error(file, None);
    assert_eq!((error.kind(), error.to_string().as_str()), (kind, message));
}

use ErrorKind::{InvalidArgument, InvalidModel, Io, Limit, Unsupported};

#[test]
fn a_file_that_is_no_model() {
    refused(b"", InvalidModel, "the model has no graph");
    let text = error(b"<html>not found</html>", None).to_string();
    assert!(text.starts_with("expected an ONNX model, found 22 bytes that do not decode as one ("), "{text}");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = Model::load(folder.join("no/such.onnx")).expect_err("there is no such file").to_string();
    assert!(text.starts_with("cannot read `") && text.contains("no/such.onnx` ("), "{text}");
    assert!(Model::load(folder).expect_err("a folder is no file").to_string().ends_with("expected a regular file"));
}

#[test]
fn names() {
    let relu = || node("Relu", &["x"], &["y"], vec![]);
    refused(&model(vec![relu(), input("x", &[2])]), InvalidModel, "the graph has no outputs");
    refused(&model(vec![relu(), output("y")]), InvalidModel, "Relu:y: input `x` is made by no node, input or initializer");
    refused(&model(vec![input("x", &[2]), output("z")]), InvalidModel, "output `z` is made by no node, input or initializer");
    refused(
        &model(vec![relu(), relu(), input("x", &[2]), output("y")]),
        InvalidModel,
        "Relu:y: value `y` is made twice, first by Relu:y",
    );
    refused(
        &model(vec![node("Relu", &["x"], &["x"], vec![]), input("x", &[2]), output("x")]),
        InvalidModel,
        "Relu:x: the node is part of a cycle: its input depends on its own output",
    );
    refused(
        &model(vec![node("Abs", &["x"], &["w"], vec![]), input("x", &[2]), input("w", &[2]), output("w")]),
        InvalidModel,
        "Abs:w: value `w` is made twice",
    );
    refused(&model(vec![input("x", &[2]), input("x", &[2]), output("x")]), InvalidModel, "two graph inputs are named `x`");
    refused(&model(vec![input("x", &[2]), output("x"), output("x")]), InvalidModel, "two graph outputs are named `x`");
    let weight = || initializer("w", FLOAT, &[0], vec![]);
    refused(&model(vec![weight(), weight(), output("w")]), InvalidModel, "two initializers are named `w`");
}

#[test]
fn cycles() {
    let nodes = [node("Relu", &["b"], &["a"], vec![]), node("Abs", &["a"], &["b"], vec![]), node("Neg", &["b"], &["c"], vec![])];
    let mut graph = nodes.to_vec();
    graph.push(output("c"));
    refused(&model(graph), InvalidModel, "Relu:a: the node is part of a cycle: its input depends on its own output");
}

#[test]
fn extents() {
    refused(
        &model(vec![input("x", &[2, -3]), output("x")]),
        InvalidModel,
        "value `x` declares an extent of -3: expected 0 or more",
    );
    refused(
        &model(vec![input("x", &[1 << 40, 1 << 40]), output("x")]),
        Limit,
        "value `x` declares 18446744073709551615 elements or more: expected at most 2147483648",
    );
    assert_eq!(error(&model(vec![input("x", &[0, 1 << 40, 1 << 40]), output("x")]), None).kind(), Limit);
    refused(&model(vec![input("x", &[1; 9]), output("x")]), Limit, "value `x` has rank 9: expected at most 8");
    refused(
        &model(vec![initializer("w", FLOAT, &[-1], vec![]), output("w")]),
        InvalidModel,
        "tensor `w`: an extent is -1: expected 0 or more",
    );
    refused(
        &model(vec![initializer("w", FLOAT, &[1 << 20, 1 << 10], vec![]), output("w")]),
        InvalidModel,
        "tensor `w`: expected 1073741824 elements for type f32[1048576,1024], found 0 in float_data",
    );
    let error = error(&model(vec![initializer("w", FLOAT, &[i64::MAX, i64::MAX], vec![]), output("w")]), None);
    assert_eq!(error.kind(), Limit);
}

#[test]
fn types() {
    refused(
        &model(vec![value(11, "x", 8, &[2]), output("x")]),
        Unsupported,
        "value `x`: elements of type string are not implemented",
    );
    refused(
        &model(vec![initializer("w", 17, &[1], vec![]), output("w")]),
        Unsupported,
        "tensor `w`: elements of type float8e4m3fn are not implemented",
    );
    refused(
        &model(vec![value(11, "x", 99, &[2]), output("x")]),
        InvalidModel,
        "value `x`: data type 99 does not exist: expected 1 to 28",
    );
    refused(
        &model(vec![message(11, vec![text(1, "x")]), output("x")]),
        InvalidModel,
        "value `x` declares no type: expected a tensor type",
    );
    let mixed = vec![node("Add", &["a", "b"], &["c"], vec![]), input("a", &[2]), value(11, "b", INT64, &[2]), output("c")];
    let model = Model::from_bytes(&model(mixed), None).expect("types are checked when they are known");
    let graph: &Graph = model.graph();
    let error = specialize(graph, &facts(graph.inputs())).map(|_| ()).expect_err("f32 and i64 do not add");
    assert_eq!((error.kind(), error.node()), (InvalidModel, Some("Add:c")));
}

#[test]
fn operators() {
    let graph = |node: Field| model(vec![node, input("x", &[2, 2]), output("y")]);
    refused(
        &graph(node("Frobnicate", &["x"], &["y"], vec![])),
        Unsupported,
        "Frobnicate:y: operator Frobnicate of domain ai.onnx, version 28, is not implemented",
    );
    let inner = message(5, vec![text(1, "then_branch"), number(20, 5), message(6, vec![node("Quux", &[], &["q"], vec![])])]);
    let several = vec![
        node("Relu", &["x"], &["a"], vec![]),
        node("Frobnicate", &["a"], &["b"], vec![]),
        node("Shuffle", &["b"], &["c"], vec![inner]),
        node("Frobnicate", &["c"], &["y"], vec![]),
    ];
    refused(
        &model([several, vec![input("x", &[2, 2]), output("y")]].concat()),
        Unsupported,
        "Frobnicate:b: operator Frobnicate of domain ai.onnx, version 28, is not implemented (2 nodes, the first Frobnicate:b); \
         operator Shuffle of domain ai.onnx, version 28, is not implemented (1 node, Shuffle:c); \
         operator Quux of domain ai.onnx, version 28, is not implemented (1 node, Quux:q)",
    );
    refused(
        &graph(node("Relu", &["x"], &["y"], vec![text(7, "com.example")])),
        InvalidModel,
        "Relu:y: the model uses domain `com.example`, but imports no operator set of it",
    );
    refused(&graph(node("Relu", &["x", "x"], &["y"], vec![])), InvalidModel, "Relu:y: Relu takes at most 1 input, found 2");
    refused(&graph(node("MatMul", &["x"], &["y"], vec![])), InvalidModel, "MatMul:y: MatMul needs input 1, which is missing");
    refused(&graph(node("Relu", &["x"], &["y", "z"], vec![])), InvalidModel, "Relu:y: Relu makes at most 1 output, found 2");
    let axis = message(5, vec![text(1, "axis"), number(20, 3)]);
    refused(
        &graph(node("Softmax", &["x"], &["y"], vec![axis])),
        InvalidModel,
        "Softmax:y: attribute `axis`: expected an integer, found a string",
    );
    refused(
        &graph(node("Softmax", &["x"], &["y"], vec![integer("axis", 1), integer("axis", 1)])),
        InvalidModel,
        "Softmax:y: attribute `axis` stands twice",
    );
    let newer = encode(&[
        message(8, vec![number(2, 99)]),
        message(7, vec![node("Relu", &["x"], &["y"], vec![]), input("x", &[2]), output("y")]),
    ]);
    refused(
        &newer,
        Unsupported,
        "Relu:y: operator Relu of domain ai.onnx is implemented for versions 1 to 28, and the model asks for version 99",
    );
}

#[test]
fn deep_nesting() {
    let mut graph = vec![output("y")];
    for _ in 0..200 {
        let branch = message(5, vec![text(1, "then_branch"), number(20, 5), message(6, graph)]);
        graph = vec![node("If", &["c"], &["y"], vec![branch]), output("y")];
    }
    let text = error(&model(graph), None).to_string();
    assert!(text.contains("recursion limit reached"), "{text}");
}

/// A `TypeProto` of sequences (4) or optionals (9) one within the other, as field 2 of a value.
fn nested(field: u64, depth: usize) -> Vec<Field> {
    (0..depth).fold(vec![message(1, vec![number(1, FLOAT)])], |ty, _| vec![message(field, vec![message(1, ty)])])
}

#[test]
fn types_of_types() {
    let graph = |ty: Vec<Field>| model(vec![message(11, vec![text(1, "x"), message(2, ty)]), output("x")]);
    let what = "only tensors, and sequences and optionals of them, are implemented";
    for (field, name) in [(4, "a sequence of other things than tensors"), (9, "an optional of an optional")] {
        refused(&graph(nested(field, 2)), Unsupported, &format!("value `x` is {name}; {what}"));
        refused(&graph(nested(field, 40)), Unsupported, &format!("value `x` is {name}; {what}"));
        let text = error(&graph(nested(field, 1000)), None).to_string();
        assert!(text.contains("recursion limit reached"), "{text}");
        assert!(Model::from_bytes(&graph(nested(field, 1)), None).is_ok());
        refused(&graph(vec![message(field, vec![])]), InvalidModel, "value `x` declares no type: expected a tensor type");
    }
    refused(&graph(vec![message(5, vec![])]), Unsupported, &format!("value `x` is a map; {what}"));
    assert!(Model::from_bytes(&graph(vec![message(9, vec![message(1, nested(4, 1))])]), None).is_ok());
}

#[test]
fn sequences() {
    let xs = || message(11, vec![text(1, "xs"), message(2, nested(4, 1))]);
    let graph = |node: Field| model(vec![node, xs(), input("x", &[2]), output("y")]);
    let map = |inputs: &[&str], outputs: &[&str], body: Vec<Field>| {
        node("SequenceMap", inputs, outputs, vec![message(5, vec![text(1, "body"), number(20, 5), message(6, body)])])
    };
    refused(
        &graph(node("SequenceMap", &["xs"], &["y"], vec![])),
        InvalidModel,
        "SequenceMap:y: SequenceMap needs attribute `body`, which is missing",
    );
    refused(
        &graph(map(&["xs"], &["y"], vec![output("q")])),
        InvalidModel,
        "SequenceMap:y: the body of SequenceMap takes 0 inputs and makes 1 outputs: expected 1 inputs, and 0 outputs or more",
    );
    refused(
        &graph(map(&["xs"], &["y", "z"], vec![input("p", &[2]), output("p")])),
        InvalidModel,
        "SequenceMap:y: SequenceMap has 2 outputs, but its body makes 1",
    );
    refused(
        &graph(node("ConcatFromSequence", &["xs"], &["y"], vec![])),
        InvalidModel,
        "ConcatFromSequence:y: ConcatFromSequence needs attribute `axis`, which is missing",
    );
    refused(
        &graph(node("Optional", &[], &["y"], vec![])),
        InvalidModel,
        "Optional:y: Optional needs an element, or attribute `type`, and has neither",
    );
    let mut inner = vec![input("p", &[2]), output("p")];
    for _ in 0..200 {
        inner = vec![input("p", &[2]), map(&["p"], &["q"], inner), output("q")];
    }
    let text = error(&graph(map(&["xs"], &["y"], inner)), None).to_string();
    assert!(text.contains("recursion limit reached"), "{text}");
    // A sequence where a tensor is wanted, and the other way round.
    for (name, given) in [("Relu", "xs"), ("SequenceLength", "x")] {
        let model =
            Model::from_bytes(&graph(node(name, &[given], &["y"], vec![])), None).expect("types are checked when they are known");
        let two = Structure::Sequence(vec![Tensor::vector(&[1.0f32, 2.0])]);
        let x = Tensor::vector(&[1.0f32, 2.0]);
        let session = Session::cpu(&model, Options::default()).expect("a session");
        let inputs = [("xs", two.map(Tensor::view)), ("x", Structure::Tensor(x.view()))];
        let error = session.run_structures_blocking(&inputs).expect_err("it is none");
        assert_eq!((error.kind(), error.node()), (InvalidModel, Some(format!("{name}:y").as_str())));
    }
}

/// A model of functions `f0`, `f1`, ... of which each calls the next `calls` times, in a chain.
fn functions(depth: usize, calls: usize, last: &str) -> Vec<u8> {
    let mut fields = vec![
        message(8, vec![number(2, 28)]),
        message(8, vec![text(1, "local"), number(2, 1)]),
        message(7, vec![node("f0", &["x"], &["y"], vec![text(7, "local")]), input("x", &[2]), output("y")]),
    ];
    for level in 0..depth {
        let callee = if level + 1 == depth { last.to_string() } else { format!("f{}", level + 1) };
        let mut function = vec![text(1, &format!("f{level}")), text(10, "local"), text(4, "v0"), text(5, &format!("v{calls}"))];
        for k in 0..calls {
            let domain = if callee == "Relu" { vec![] } else { vec![text(7, "local")] };
            let call = node(&callee, &[&format!("v{k}")], &[&format!("v{}", k + 1)], domain);
            function.push(Field { number: 7, ..call });
        }
        function.extend([message(9, vec![number(2, 28)]), message(9, vec![text(1, "local"), number(2, 1)])]);
        fields.push(message(25, function));
    }
    encode(&fields)
}

#[test]
fn functions_that_grow() {
    let model = Model::from_bytes(&functions(4, 3, "Relu"), None).expect("functions are inlined");
    assert_eq!(model.graph().nodes().len(), 81);
    let error = Model::from_bytes(&functions(12, 12, "Relu"), None).expect_err("12^12 nodes are too many");
    assert_eq!(error.kind(), Limit);
    assert!(error.message().starts_with("the graph is too large with its functions inlined"), "{error}");
    let error = Model::from_bytes(&functions(2, 1, "f0"), None).expect_err("f1 calls f0 again");
    assert_eq!((error.kind(), error.message()), (Limit, "functions nest more than 64 deep, or call themselves"));
}

/// A fresh folder for a test.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(folder.join("model")).expect("the folder for temporary files can be written");
    folder
}

#[test]
fn external_data() {
    let root = folder("external_data");
    let inside = root.join("model");
    fs::write(root.join("secret"), [1; 64]).expect("the file can be written");
    fs::write(inside.join("weights"), [0, 0, 128, 63, 0, 0, 0, 64]).expect("the file can be written");
    let file = |location: &str, offset: &str, length: &str| {
        model(vec![initializer("w", FLOAT, &[2], external(location, offset, length)), output("w")])
    };
    let model = Model::from_bytes(&file("weights", "0", "8"), Some(&inside)).expect("the data are there");
    let graph = model.graph();
    assert_eq!(graph.constant(graph.outputs()[0]).map(|t| t.to_f64()), Some(vec![1.0, 2.0]));

    let refused = |file: &[u8], kind: ErrorKind, message: &str| {
        let error = error(file, Some(&inside));
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, message));
    };
    refused(
        &file("../secret", "0", "8"),
        InvalidModel,
        "tensor `w`: external data in `../secret`: expected a path inside the model's folder",
    );
    let absolute = root.join("secret").to_string_lossy().into_owned();
    refused(
        &file(&absolute, "0", "8"),
        InvalidModel,
        &format!("tensor `w`: external data in `{absolute}`: expected a path inside the model's folder"),
    );
    refused(
        &file("weights", "4", "8"),
        InvalidModel,
        "tensor `w`: external data in `weights`: 8 bytes at offset 4 are past the end of the file, which has 8",
    );
    refused(
        &file("weights", "18446744073709551615", "8"),
        InvalidModel,
        "tensor `w`: external data in `weights`: 8 bytes at offset 18446744073709551615 are past the end of the file, which has 8",
    );
    refused(
        &file("weights", "0", "4"),
        InvalidModel,
        "tensor `w`: external data in `weights`: expected a length of 8 bytes, found 4",
    );
    refused(&file("weights", "-1", "8"), InvalidModel, "tensor `w`: external data: offset is `-1`: expected a number of bytes");
    assert_eq!(error(&file("absent", "0", "8"), Some(&inside)).kind(), Io);
    assert_eq!(error(&file(".", "0", "8"), Some(&inside)).kind(), Io);
    assert_eq!(error(&file("weights", "0", "8"), None).kind(), InvalidArgument);
    #[cfg(unix)]
    {
        let link = inside.join("link");
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(root.join("secret"), &link).expect("links can be made");
        refused(
            &file("link", "0", "8"),
            InvalidModel,
            "tensor `w`: external data in `link`: expected a path inside the model's folder",
        );
    }
}
