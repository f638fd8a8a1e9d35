//! The public ONNX backend suite, operator by operator. A case passes, or is refused at import: for an operator that the import table
//! does not have, or for a reason that is written down here. Nothing drops out in silence.

use crate::cases::Tolerance;
use crate::support::{difference, gpu};
use gristmill::internals::graph::evaluate;
use gristmill::internals::import::onnx::{supported, tensor_from_bytes};
use gristmill::{DType, Error, ErrorKind, Model, Options, Session, Tensor, TensorView};
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
    "is a sequence; only tensors",
    "is an optional; only tensors",
];

/// Forms of implemented operators that are not implemented, as the messages name them.
const FORMS: &[&str] = &[
    "operator Dropout: training_mode is implemented only where it is a constant false",
    "operator QuantizeLinear: quantization in blocks is not implemented",
];

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

/// The tensors `PREFIX0.pb`, `PREFIX1.pb`, ... of a case.
fn tensors(case: &Case, prefix: &str) -> Result<Vec<Tensor>, Error> {
    (0..)
        .map_while(|k| case.get(&format!("{prefix}{k}.pb")))
        .map(|bytes| tensor_from_bytes(bytes).map(|(_, tensor)| tensor))
        .collect()
}

/// Runs a case by `run`, which gives the outputs of a model for its inputs, and compares them with the expected ones.
fn check(case: &Case, run: impl Fn(&Model, &[Tensor]) -> Result<Vec<Tensor>, Error>) -> Result<Option<String>, Error> {
    let model = Model::from_bytes(&case["model.onnx"], None)?;
    let inputs = tensors(case, "test_data_set_0/input_")?;
    let expected = tensors(case, "test_data_set_0/output_")?;
    let found = run(&model, &inputs)?;
    assert_eq!(found.len(), expected.len());
    let compare = |(k, expected): (usize, &Tensor)| {
        difference(&found[k], expected, tolerance(expected.dtype())).map(|d| format!("output {k}: {d}"))
    };
    Ok(expected.iter().enumerate().find_map(compare))
}

/// The outputs of a model by the references of its operators.
pub(crate) fn by_references(model: &Model, inputs: &[Tensor]) -> Result<Vec<Tensor>, Error> {
    let values = evaluate(model.graph(), inputs)?;
    Ok(model.graph().outputs().iter().map(|output| values[output.index()].clone().expect("every output is computed")).collect())
}

/// The outputs of a model on the device.
pub(crate) fn by_session(model: &Model, inputs: &[Tensor], options: Options) -> Result<Vec<Tensor>, Error> {
    let session = Session::new_blocking(gpu(), model, options)?;
    let names: Vec<String> = session.inputs().iter().map(|input| input.name.clone()).collect();
    let inputs: Vec<(&str, TensorView<'_>)> = names.iter().map(String::as_str).zip(inputs.iter().map(Tensor::view)).collect();
    let outputs = session.run_blocking(&inputs)?;
    Ok(outputs.iter().map(|(_, tensor)| tensor.clone()).collect())
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
fn suite(run: impl Fn(&Model, &[Tensor]) -> Result<Vec<Tensor>, Error>) {
    let (mut failures, mut met, mut passed, mut refused) = (Vec::new(), BTreeSet::new(), 0, 0);
    let wanted = std::env::var("ONNX_CASES").unwrap_or_default();
    for (name, case) in archive().iter().filter(|(name, _)| name.contains(&wanted)) {
        match check(case, &run) {
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
    suite(by_references);
}

#[test]
fn the_device_passes_the_suite() {
    suite(|model, inputs| by_session(model, inputs, Options::default()));
}
