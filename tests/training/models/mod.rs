//! The networks of the training fixtures as graphs. Sizes are those of a file's tensors, everything else is what its description says, so
//! that other files of the same form give other networks of the same kinds.

mod attention;
mod convolutional;
mod file;
mod layers;
mod losses;
mod others;
mod recurrent;

pub use file::ModelFile;

use gristmill::DType;
use gristmill::graph::{Graph, ValueId};
use layers::Layers;

/// A network with its loss.
pub struct ModelGraph {
    pub graph: Graph,
    /// The output that is the prediction.
    pub prediction: String,
    /// The output that is the loss.
    pub loss: String,
    /// Constants of the graph that training changes.
    pub parameters: Vec<String>,
    /// States of the graph.
    pub buffers: Vec<String>,
}

/// What a network is run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Statistics are those of the batch, and the running ones follow them.
    Training,
    /// Statistics are the running ones, which stay.
    Evaluation,
}

/// Writes a network, and answers with its prediction.
type Write = fn(&mut Layers<'_>) -> ValueId;

/// The networks by the names that files give them.
const MODELS: &[(&str, Write)] = &[
    ("batchnorm_cnn", convolutional::batchnorm_cnn),
    ("bigru_ctc", recurrent::bigru_ctc),
    ("cnn", convolutional::cnn),
    ("conv_attention", attention::conv_attention),
    ("conv_attention_2d", attention::conv_attention),
    ("lenet", convolutional::lenet),
    ("lstm_classifier", recurrent::lstm_classifier),
    ("seq2seq_gru", recurrent::seq2seq_gru),
    ("speech_ctc", recurrent::speech_ctc),
    ("transformer_lm", attention::transformer_lm),
    ("vit_tiny", attention::vit_tiny),
    ("word2vec", others::word2vec),
];

/// The network that a file describes, in floats of this dtype: parameters are constants, buffers states, data inputs.
pub fn build(file: &ModelFile, dtype: DType, mode: Mode) -> gristmill::Result<ModelGraph> {
    let kind = file.json()["model"].as_str().expect("a kind of network");
    let (_, write) = MODELS.iter().find(|(name, _)| *name == kind).unwrap_or_else(|| panic!("a network {kind}"));
    let mut layers = Layers::new(file, dtype, mode);
    let prediction = write(&mut layers);
    let loss = losses::loss(&mut layers, prediction)?;
    layers.finish(prediction, loss)
}
