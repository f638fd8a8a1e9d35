//! Streams through Silero's voice activity detector, against ONNX Runtime (`scripts/fetch-silero`, `tests/silero/make.py`): a state goes
//! from chunk to chunk, and streams of several rates and batches take turns in one session. `scripts/test-silero` runs these.

use crate::cases::F32;
use crate::support::{difference, gpu, states_on_device};
use gristmill::internals::import::onnx::tensor_from_bytes;
use gristmill::{Model, Options, Session, SessionState, Tensor, TensorView};
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
    state: SessionState,
    /// Of the chunk before, by the names of outputs: what states must hold now.
    expected: Named,
}

impl Stream {
    /// Nothing yet; its states hold what the first chunk is given for them.
    fn new(folder: PathBuf, session: &Session) -> Self {
        let mut state = session.state().expect("states");
        let first = named(&folder.join("test_data_set_0"), "input");
        let views: Vec<(&str, TensorView<'_>)> = first.iter().map(|(name, tensor)| (name.as_str(), tensor.view())).collect();
        assert_eq!(states_on_device(session, &views).len(), session.states().len());
        for (name, tensor) in first.iter().filter(|(name, _)| session.states().iter().any(|info| info.name == *name)) {
            state.set(name, &tensor.view()).expect("it is a state's");
        }
        Stream { folder, state, expected: vec![] }
    }

    /// Runs a chunk beside the state of the one before; none when the stream has ended, else what went wrong.
    fn chunk(&mut self, session: &Session, number: usize) -> Option<Vec<String>> {
        let folder = self.folder.join(format!("test_data_set_{number}"));
        let (inputs, expected) = (named(&folder, "input"), named(&folder, "output"));
        if inputs.is_empty() {
            return None;
        }
        let given = inputs.iter().filter(|(name, _)| session.inputs().iter().any(|info| info.name == *name));
        let views: Vec<(&str, TensorView<'_>)> = given.map(|(name, tensor)| (name.as_str(), tensor.view())).collect();
        let found = session.run_with_blocking(&mut self.state, &views);
        let found = found.unwrap_or_else(|error| panic!("{}: {error:?}", folder.display()));
        let wrong = |(name, found): (&str, &Tensor)| {
            let (_, expected) = expected.iter().find(|(known, _)| known == name)?;
            difference(found, expected, F32).map(|wrong| format!("{}: {name}: {wrong}", folder.display()))
        };
        let wrong = found.iter().filter_map(wrong).collect();
        self.expected = expected;
        Some(wrong)
    }

    /// What is wrong with the states after the last chunk.
    fn end(&self, states: &[(&str, &str)]) -> Vec<String> {
        let wrong = |(output, input): &(&str, &str)| {
            let (_, expected) = self.expected.iter().find(|(name, _)| name == output).expect("the data have it");
            let found = self.state.get_blocking(input).expect("it is held");
            difference(&found, expected, F32).map(|wrong| format!("{}: state {input}: {wrong}", self.folder.display()))
        };
        states.iter().filter_map(wrong).collect()
    }
}

/// All streams of a model, chunk by chunk in turn.
fn check(name: &str, states: &[(&str, &str)], session: impl Fn(&Model) -> Session) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/silero").join(name);
    let entries = fs::read_dir(&root).unwrap_or_else(|e| panic!("{}: {e}; scripts/fetch-silero writes it", root.display()));
    let mut folders: Vec<PathBuf> = entries.map(|e| e.expect("it can be read").path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(folders.len() >= 2, "{} has few streams", root.display());
    let model = Model::load(root.join("model.onnx")).expect("it imports");
    let session = session(&model.with_states(states).expect("it has them"));
    let mut streams: Vec<Stream> = folders.into_iter().map(|folder| Stream::new(folder, &session)).collect();
    let (mut chunks, mut failures) = (0, Vec::new());
    for number in 0.. {
        let found: Vec<Vec<String>> = streams.iter_mut().filter_map(|stream| stream.chunk(&session, number)).collect();
        if found.is_empty() {
            break;
        }
        chunks += found.len();
        failures.extend(found.into_iter().flatten());
    }
    assert!(chunks >= 200, "{} has few chunks", root.display());
    failures.extend(streams.iter().flat_map(|stream| stream.end(states)));
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
