//! The public ONNX backend suite, operator by operator. A case passes, or is refused at import: for an operator that the import table
//! does not have, or for a reason that is written down here. Nothing drops out in silence.

use crate::cases::Tolerance;
use crate::support::{difference, gpu};
use gristmill::internals::graph::{MAX_TURNS, evaluate_structures};
use gristmill::internals::import::onnx::{output_forms, structure_from_bytes, supported};
use gristmill::{DType, Error, ErrorKind, Form, Model, Options, Session, Structure, Tensor, TensorView};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::OnceLock;

/// What the suite itself compares with. Half floats get two units in the last place: their expected values were computed
/// with a rounding after every step of the suite's own order.
fn tolerance(dtype: DType) -> Tolerance {
    match dtype {
        DType::F16 => Tolerance { relative: 1.0 / 512.0, absolute: 1e-4 },
        DType::BF16 => Tolerance { relative: 1.0 / 64.0, absolute: 1e-3 },
        _ => Tolerance { relative: 1e-3, absolute: 1e-7 },
    }
}

/// Types that are not implemented, as the messages name them.
const TYPES: &[&str] = &[
    "elements of type string ",
    "elements of type float8e4m3fn ",
    "elements of type float8e4m3fnuz ",
    "elements of type float8e5m2 ",
    "elements of type float8e5m2fnuz ",
    "elements of type float8e8m0 ",
    "elements of type float4e2m1 ",
    "elements of type int4 ",
    "elements of type uint4 ",
    "elements of type int2 ",
    "elements of type uint2 ",
];

/// Forms of implemented operators that are not implemented, as the messages name them.
const FORMS: &[&str] = &["operator QuantizeLinear: quantization in blocks is not implemented"];

/// Cases whose outputs hold random numbers of ONNX's own: their types alone can be compared.
const RANDOM: &[&str] = &["test_training_dropout", "test_training_dropout_default", "test_training_dropout_default_mask"];

/// What cases give and expect.
pub(crate) type Value = Structure<Tensor>;

/// The files of one case by their path inside its folder.
pub(crate) type Case = BTreeMap<String, Vec<u8>>;

/// The unpacked archive by case.
pub(crate) fn archive() -> &'static BTreeMap<String, Case> {
    static ARCHIVE: OnceLock<BTreeMap<String, Case>> = OnceLock::new();
    ARCHIVE.get_or_init(|| {
        let mut packed: &[u8] = include_bytes!("onnx/onnx-node.tar.xz");
        let mut unpacked = Vec::new();
        lzma_rs::xz_decompress(&mut packed, &mut unpacked).expect("the archive is intact");
        let mut cases: BTreeMap<String, Case> = BTreeMap::new();
        for entry in tar::Archive::new(unpacked.as_slice()).entries().expect("the archive is a tar file") {
            let mut entry = entry.expect("the archive is intact");
            let path = entry.path().expect("paths are UTF-8").to_string_lossy().into_owned();
            let Some((name, file)) = path.trim_start_matches("onnx-node/").split_once('/') else { continue };
            if entry.header().entry_type().is_file() {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).expect("the archive is intact");
                cases.entry(name.to_string()).or_default().insert(file.to_string(), bytes);
            }
        }
        cases
    })
}

/// The values `PREFIX0.pb`, `PREFIX1.pb`, ... of a case, which have these forms.
pub(crate) fn values(case: &Case, prefix: &str, forms: &[Form]) -> Result<Vec<Structure<Tensor>>, Error> {
    let files = forms.iter().enumerate().filter_map(|(k, form)| Some((case.get(&format!("{prefix}{k}.pb"))?, *form)));
    files.map(|(bytes, form)| structure_from_bytes(bytes, form).map(|(_, value)| value)).collect()
}

/// The first difference of two values.
fn structures_differ(found: &Structure<Tensor>, expected: &Structure<Tensor>) -> Option<String> {
    match (found, expected) {
        (Structure::Tensor(found), Structure::Tensor(expected)) => difference(found, expected, tolerance(expected.dtype())),
        (Structure::Sequence(found), Structure::Sequence(expected)) if found.len() == expected.len() => {
            let pairs = found.iter().zip(expected).enumerate();
            pairs.filter_map(|(k, (f, e))| Some(format!("[{k}]: {}", difference(f, e, tolerance(e.dtype()))?))).next()
        }
        (Structure::Absent, Structure::Absent) => None,
        _ => Some(format!("expected {expected:?}, found {found:?}")),
    }
}

/// Runs a case by `run`, which gives the outputs of a model for its inputs, and compares them with the expected ones.
fn check(case: &Case, random: bool, run: impl Fn(&Model, &[Value]) -> Result<Vec<Value>, Error>) -> Result<Option<String>, Error> {
    let model = Model::from_bytes(&case["model.onnx"], None)?;
    let forms: Vec<Form> = model.graph().declared().iter().map(|input| input.form).collect();
    let mut inputs = values(case, "test_data_set_0/input_", &forms)?;
    // A case gives no key: ONNX draws its numbers elsewhere.
    let drops = model.graph().inputs().last().is_some_and(|input| model.graph().value(input.value).name == "dropout_key");
    inputs.extend((drops && inputs.len() < forms.len()).then(|| Structure::Tensor(Tensor::vector(&[1, 2]))));
    let expected = values(case, "test_data_set_0/output_", &output_forms(&case["model.onnx"])?)?;
    let found = run(&model, &inputs)?;
    assert_eq!(found.len(), expected.len());
    if random {
        let types = |values: &[Value]| values.iter().map(|value| value.map(|tensor| tensor.ty().clone())).collect::<Vec<_>>();
        return Ok((types(&found) != types(&expected)).then(|| format!("expected {expected:?}, found {found:?}")));
    }
    let compare = |(k, expected): (usize, &Value)| structures_differ(&found[k], expected).map(|d| format!("output {k}: {d}"));
    Ok(expected.iter().enumerate().find_map(compare))
}

/// What a way to run models makes of tensors alone.
fn tensors(run: impl Fn(&[Value]) -> Result<Vec<Value>, Error>, inputs: &[Tensor]) -> Result<Vec<Tensor>, Error> {
    let outputs = run(&inputs.iter().cloned().map(Structure::Tensor).collect::<Vec<_>>())?;
    outputs.iter().map(|output| output.tensor().cloned()).collect()
}

/// The outputs of a model of tensors by the references of its operators.
pub(crate) fn by_references(model: &Model, inputs: &[Tensor]) -> Result<Vec<Tensor>, Error> {
    tensors(|inputs| values_by_references(model, inputs), inputs)
}

/// The outputs of a model of tensors on the device.
pub(crate) fn by_session(model: &Model, inputs: &[Tensor], options: Options) -> Result<Vec<Tensor>, Error> {
    tensors(|inputs| values_by_session(model, inputs, options.clone()), inputs)
}

/// The outputs of a model by the references of its operators.
pub(crate) fn values_by_references(model: &Model, inputs: &[Value]) -> Result<Vec<Value>, Error> {
    let values = evaluate_structures(model.graph(), inputs, MAX_TURNS)?;
    Ok(model.graph().outputs().iter().map(|output| values[output.index()].clone()).collect())
}

/// The outputs of a model on the device.
fn values_by_session(model: &Model, inputs: &[Value], options: Options) -> Result<Vec<Value>, Error> {
    let session = Session::new_blocking(gpu(), model, options)?;
    let names: Vec<String> = session.inputs().iter().map(|input| input.name.clone()).collect();
    let views = inputs.iter().map(|input| input.map(Tensor::view));
    let inputs: Vec<(&str, Structure<TensorView<'_>>)> = names.iter().map(String::as_str).zip(views).collect();
    let outputs = session.run_structures_blocking(&inputs)?;
    Ok(outputs.structures().map(|(_, value)| value.clone()).collect())
}

/// The reasons of a refusal, where each is a sound one: operators that the import table does not have, or a type or form of the
/// lists above.
fn reasons(error: &Error) -> Option<Vec<String>> {
    let message = error.message();
    let operators: Vec<&str> =
        message.split("operator ").filter_map(|rest| rest.split_once(" of domain").map(|(name, _)| name)).collect();
    if operators.is_empty() {
        return TYPES.iter().chain(FORMS).find(|phrase| message.contains(**phrase)).map(|phrase| vec![phrase.to_string()]);
    }
    let is_missing = |name: &&str| supported().all(|(_, mut known)| known.all(|known| known != *name));
    operators.iter().all(is_missing).then(|| operators.iter().map(ToString::to_string).collect())
}

/// Runs the suite, or those of its cases whose names contain what the environment variable `ONNX_CASES` says.
fn suite(run: impl Fn(&Model, &[Value]) -> Result<Vec<Value>, Error>) {
    let (mut failures, mut met, mut passed, mut refused) = (Vec::new(), BTreeSet::new(), 0, 0);
    let wanted = std::env::var("ONNX_CASES").unwrap_or_default();
    for (name, case) in archive().iter().filter(|(name, _)| name.contains(&wanted)) {
        match check(case, RANDOM.contains(&name.as_str()), &run) {
            Ok(None) => passed += 1,
            Ok(Some(difference)) => failures.push(format!("{name}: {difference}")),
            Err(error) if error.kind() == ErrorKind::Unsupported => match reasons(&error) {
                Some(reasons) => {
                    met.extend(reasons);
                    refused += 1;
                }
                None => failures.push(format!("{name}: {error}")),
            },
            Err(error) => failures.push(format!("{name}: {error:?}")),
        }
    }
    println!("{passed} passed, {refused} refused");
    let stale = TYPES.iter().chain(FORMS).filter(|r| wanted.is_empty() && !met.contains(**r));
    failures.extend(stale.map(|r| format!("no case is refused for {r} any more")));
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn references_pass_the_suite() {
    suite(values_by_references);
}

#[test]
fn the_device_passes_the_suite() {
    suite(|model, inputs| values_by_session(model, inputs, Options::default()));
}
