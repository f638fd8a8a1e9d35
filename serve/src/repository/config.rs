//! `model.toml`: how a model is served.

use crate::failure::{Failure, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most rows of a batch, whatever a configuration says.
const MAX_ROWS: usize = 4096;

/// How a model is served. Each part may be left out.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// How requests are joined.
    pub batching: Batching,
    /// How requests wait.
    pub queue: Queue,
    /// Shapes that are run before the model is ready: for each, the shapes of all inputs by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warm: Vec<BTreeMap<String, Vec<usize>>>,
    /// Pairs of an output and an input of the model that holds in each run what the output was in the run before. Runs by requests start
    /// each from the beginning.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<[String; 2]>,
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
    /// The most tokens of a batch of several requests, where a token is an element of the greatest input.
    pub max_tokens: Option<usize>,
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
        if config.queue.max_requests == 0 || config.queue.weight == 0 || config.queue.priority == 0 {
            return invalid("queue: expected max_requests, weight and priority from 1 on");
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
        ] {
            let failure = ModelConfig::parse(text).expect_err(text);
            assert!(failure.message().starts_with("model.toml: "), "{failure}");
        }
    }
}
