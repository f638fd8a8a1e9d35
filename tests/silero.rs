//! Streams through Silero's voice activity detector, against ONNX Runtime (`scripts/fetch-silero`, `tests/silero/make.py`): a state goes
//! from chunk to chunk, and streams of several rates and batches take turns in one session. `scripts/test-silero` runs these.

use crate::cases::F32;
use crate::support::{difference, gpu};
use gristmill::internals::import::onnx::tensor_from_bytes;
use gristmill::{Model, Options, Session, Tensor, TensorView};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The models, each with its states: outputs, and the inputs that they are for the next chunk.
const MODELS: &[(&str, &[(&str, &str)])] =
    &[("silero_vad", &[("stateN", "state")]), ("silero_vad_16k_sequence", &[("hn", "h"), ("cn", "c")])];

type Named = Vec<(String, Tensor)>;

fn named(folder: &Path, kind: &str) -> Named {
    (0..)
        .map_while(|k| fs::read(folder.join(format!("{kind}_{k}.pb"))).ok())
        .map(|bytes| tensor_from_bytes(&bytes).expect("test data are tensors"))
        .collect()
}

/// A stream on its way.
struct Stream {
    folder: PathBuf,
    /// By the names of inputs, what the chunk before left.
    states: HashMap<String, Tensor>,
}

impl Stream {
    /// Runs a chunk by the state of the one before; none when the stream has ended, else what went wrong.
    fn chunk(&mut self, session: &Session, number: usize, states: &[(&str, &str)]) -> Option<Vec<String>> {
        let folder = self.folder.join(format!("test_data_set_{number}"));
        let (mut inputs, expected) = (named(&folder, "input"), named(&folder, "output"));
        if inputs.is_empty() {
            return None;
        }
        let mut carried = 0;
        for (name, value) in &mut inputs {
            if let Some(state) = self.states.remove(name) {
                *value = state;
                carried += 1;
            }
        }
        assert_eq!(carried, if number == 0 { 0 } else { states.len() }, "{}", folder.display());
        let views: Vec<(&str, TensorView<'_>)> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor.view())).collect();
        let found = session.run_blocking(&views).unwrap_or_else(|error| panic!("{}: {error:?}", folder.display()));
        let at = |name: &str, wrong: String| format!("{}: {name}: {wrong}", folder.display());
        let wrong = expected.iter().filter_map(|(name, e)| Some(at(name, difference(&found[name.as_str()], e, F32)?))).collect();
        self.states = states.iter().map(|(output, input)| (input.to_string(), found[*output].clone())).collect();
        Some(wrong)
    }
}

/// All streams of a model, chunk by chunk in turn.
fn check(name: &str, states: &[(&str, &str)], session: impl Fn(&Model) -> Session) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/silero").join(name);
    let entries = fs::read_dir(&root).unwrap_or_else(|e| panic!("{}: {e}; scripts/fetch-silero writes it", root.display()));
    let mut folders: Vec<PathBuf> = entries.map(|e| e.expect("it can be read").path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(folders.len() >= 2, "{} has few streams", root.display());
    let session = session(&Model::load(root.join("model.onnx")).expect("it imports"));
    let mut streams: Vec<Stream> = folders.into_iter().map(|folder| Stream { folder, states: HashMap::new() }).collect();
    let (mut chunks, mut failures) = (0, Vec::new());
    for number in 0.. {
        let found: Vec<Vec<String>> = streams.iter_mut().filter_map(|stream| stream.chunk(&session, number, states)).collect();
        if found.is_empty() {
            break;
        }
        chunks += found.len();
        failures.extend(found.into_iter().flatten());
    }
    assert!(chunks >= 200, "{} has few chunks", root.display());
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
#[ignore = "reads what scripts/fetch-silero fetches"]
fn streams_on_the_device_agree_with_onnx_runtime() {
    for (name, states) in MODELS {
        let options = Options { strict_gpu: true, ..Options::default() };
        check(name, states, |model| Session::new_blocking(gpu(), model, options.clone()).expect("a session"));
    }
}

#[test]
#[ignore = "reads what scripts/fetch-silero fetches"]
fn streams_on_the_cpu_agree_with_onnx_runtime() {
    for (name, states) in MODELS {
        check(name, states, |model| Session::cpu(model, Options::default()).expect("a session"));
    }
}
