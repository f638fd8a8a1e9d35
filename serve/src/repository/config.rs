//! `model.toml`: how a model is served.

use super::devices::Placement;
use crate::failure::{Failure, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most rows of a batch, whatever a configuration says.
const MAX_ROWS: usize = 4096;

/// The longest that a dimension is padded to, whatever a configuration says.
const MAX_LENGTH: usize = 1 << 20;

/// The most batches of a model that are computed at a time, whatever a configuration says.
const MAX_INSTANCES: usize = 64;

/// How a model is served. Each part may be left out.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// Where it runs; where the server's other models do, if it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<Placement>,
    /// How many of its batches are computed at a time. Models on an adapter take turns beyond the greatest of these numbers; on the CPU each
    /// model has as many threads of its own.
    pub instances: usize,
    /// How requests are joined.
    pub batching: Batching,
    /// How requests wait.
    pub queue: Queue,
    /// Shapes that are run before the model is ready: for each, the shapes of all inputs by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warm: Vec<BTreeMap<String, Vec<usize>>>,
    /// Pairs of an output and an input of the model that holds in each run what the output was in the run before: of the same sequence of
    /// requests, while those that belong to none start each from the beginning.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<[String; 2]>,
    /// How long sequences of requests last.
    pub sequences: Sequences,
    /// How vectors are made of texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embeddings: Option<Embeddings>,
}

impl Default for ModelConfig {
    fn default() -> Self {
        ModelConfig {
            device: None,
            instances: 1,
            batching: Batching::default(),
            queue: Queue::default(),
            warm: vec![],
            states: vec![],
            sequences: Sequences::default(),
            embeddings: None,
        }
    }
}

/// How requests are joined along the batch dimension.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Batching {
    /// Numbers of rows that are planned for, ascending; the last is the most of a batch. Fewer rows are filled up to the next of them.
    /// Left out: 1, 2, 4 and 8 for a model whose inputs and outputs share a first dimension named after batches, else 1.
    pub rows: Option<Vec<usize>>,
    /// Milliseconds that the first request of a batch waits for others.
    pub delay_ms: u32,
    /// The most tokens of a batch of several requests, where a token is an element of the greatest input, padding included.
    pub max_tokens: Option<usize>,
    /// A dimension that is padded, so that requests of several lengths are joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pad: Option<Pad>,
}

/// A dimension that inputs are padded along.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Pad {
    /// Its name in the model.
    pub dimension: String,
    /// Lengths that are planned for, ascending; the last is the longest that a request may have. Shorter ones are padded to the next of them.
    pub lengths: Vec<usize>,
    /// The input that says what is padding: 1 for what a request gives, 0 for padding. The server makes it where a request leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<String>,
    /// What inputs are padded with, by name; 0 for those that are not named.
    #[serde(default)]
    pub values: BTreeMap<String, f64>,
}

/// How requests wait.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Queue {
    /// The most requests that wait.
    pub max_requests: usize,
    /// The most bytes that they hold.
    pub max_bytes: usize,
    /// Milliseconds that a request may wait that names no time itself; 0 is for ever.
    pub timeout_ms: u32,
    /// The level of requests that name none; 1 goes first.
    pub priority: u32,
    /// The model's share of the device beside others.
    pub weight: u32,
}

impl Default for Queue {
    fn default() -> Self {
        Queue { max_requests: 256, max_bytes: 256 << 20, timeout_ms: 0, priority: 2, weight: 1 }
    }
}

/// How long sequences of requests last, and how many there are.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sequences {
    /// Seconds that a sequence may be without a request until it ends.
    pub idle_seconds: u32,
    /// The most sequences that run at a time.
    pub max_sequences: usize,
    /// The most bytes that their states hold, all together; open extents count as 1.
    pub max_bytes: usize,
}

impl Default for Sequences {
    fn default() -> Self {
        Sequences { idle_seconds: 60, max_sequences: 64, max_bytes: 1 << 30 }
    }
}

/// How vectors are made of texts.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Embeddings {
    /// The output that they are made of: of shape `[rows, tokens, dimensions]`, or `[rows, dimensions]` where the model pools itself.
    pub output: String,
    /// The input that takes the numbers of tokens.
    #[serde(default = "ids")]
    pub input: String,
    /// How the vectors of tokens become one.
    #[serde(default)]
    pub pooling: Pooling,
    /// Whether vectors have a length of 1.
    #[serde(default = "yes")]
    pub normalize: bool,
    /// The most tokens of a text; as many as inputs are padded to, if it is left out, else 512.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<usize>,
    /// How many dimensions a request may ask for beside all of them: the first ones of each vector.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dimensions: Vec<usize>,
}

/// How the vectors of tokens become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// Their mean.
    #[default]
    Mean,
    /// The first.
    Cls,
    /// The last.
    Last,
}

fn ids() -> String {
    "input_ids".into()
}

fn yes() -> bool {
    true
}

impl ModelConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Code::InvalidArgument) with the line and what was expected.
    pub fn parse(text: &str) -> Result<Self> {
        let config: ModelConfig = toml::from_str(text).map_err(|e| Failure::invalid(format!("model.toml: {e}")))?;
        let ascends = |numbers: &[usize]| numbers.first().is_some_and(|first| *first > 0) && numbers.is_sorted_by(|a, b| a < b);
        let invalid = |what: &str| Err(Failure::invalid(format!("model.toml: {what}")));
        if config.batching.rows.as_ref().is_some_and(|rows| !ascends(rows)) {
            return invalid("batching.rows: expected numbers from 1 on, each greater than the one before");
        }
        if config.batching.rows.iter().flatten().any(|rows| *rows > MAX_ROWS) {
            return invalid(&format!("batching.rows: expected at most {MAX_ROWS}"));
        }
        let lengths = config.batching.pad.as_ref().map(|pad| pad.lengths.as_slice());
        if lengths.is_some_and(|lengths| !ascends(lengths) || lengths.iter().any(|length| *length > MAX_LENGTH)) {
            return invalid(&format!(
                "batching.pad.lengths: expected numbers from 1 to {MAX_LENGTH}, each greater than the one before"
            ));
        }
        if config.queue.max_requests == 0 || config.queue.weight == 0 || config.queue.priority == 0 {
            return invalid("queue: expected max_requests, weight and priority from 1 on");
        }
        if config.sequences.idle_seconds == 0 || config.sequences.max_sequences == 0 {
            return invalid("sequences: expected idle_seconds and max_sequences from 1 on");
        }
        if config
            .embeddings
            .as_ref()
            .is_some_and(|embeddings| embeddings.max_tokens == Some(0) || embeddings.dimensions.contains(&0))
        {
            return invalid("embeddings: expected max_tokens and dimensions from 1 on");
        }
        if !(1..=MAX_INSTANCES).contains(&config.instances) {
            return invalid(&format!("instances: expected a number from 1 to {MAX_INSTANCES}"));
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_may_be_left_out() {
        assert_eq!(ModelConfig::parse(""), Ok(ModelConfig::default()));
        let text = "[batching]\nrows = [1, 4]\n[queue]\nmax_requests = 3\n[[warm]]\nx = [1, 2]\n";
        let config = ModelConfig::parse(text).expect("it is well formed");
        assert_eq!(config.batching.rows, Some(vec![1, 4]));
        assert_eq!((config.queue.max_requests, config.queue.weight), (3, 1));
        assert_eq!(config.warm[0]["x"], [1, 2]);
        let of = |text: &str| ModelConfig::parse(text).expect("it is well formed");
        assert_eq!(of("device = 1").device, Some(Placement::Adapter(1)));
        assert_eq!(of("device = \"cpu\"\ninstances = 2").device, Some(Placement::Named("cpu".into())));
        assert_eq!(of("[sequences]\nidle_seconds = 5").sequences.max_sequences, 64);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for text in [
            "rows = 1",
            "[batching]\nrows = []",
            "[batching]\nrows = [2, 2]",
            "[batching]\nrows = [0]",
            "[batching]\nrows = [9999]",
            "[queue]\nweight = 0",
            "[queue]\nmax_requests = -1",
            "[batching.pad]\nlengths = [1]",
            "[batching.pad]\ndimension = \"s\"\nlengths = []",
            "[batching.pad]\ndimension = \"s\"\nlengths = [8, 4]",
            "[batching.pad]\ndimension = \"s\"\nlengths = [9999999]",
            "[sequences]\nidle_seconds = 0",
            "[sequences]\nmax_sequences = 0",
            "[embeddings]\npooling = \"mean\"",
            "[embeddings]\noutput = \"y\"\npooling = \"max\"",
            "[embeddings]\noutput = \"y\"\nmax_tokens = 0",
            "instances = 0",
            "instances = 65",
            "device = -1",
        ] {
            let failure = ModelConfig::parse(text).expect_err(text);
            assert!(failure.message().starts_with("model.toml: "), "{failure}");
        }
    }
}
