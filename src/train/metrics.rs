//! Numbers that say how well a network does, over all batches of an evaluation.

use super::data::Batch;
use crate::error::{Error, Result};
use crate::session::Outputs;
use crate::tensor::Tensor;

/// A number over all batches of an evaluation.
pub trait Metric: Send {
    /// What logs and early stops call it.
    fn name(&self) -> &str;

    /// The values of the network that it is computed from.
    fn outputs(&self) -> Vec<String>;

    /// Takes a batch into account.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for values or inputs that are not what it needs.
    fn add(&mut self, outputs: &Outputs, batch: &Batch) -> Result<()>;

    /// The number for the batches since it was last asked for; no number where there was none.
    fn take(&mut self) -> f64;
}

/// A sum and what it is divided by.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    sum: f64,
    of: f64,
}

impl Share {
    fn take(&mut self) -> f64 {
        let Share { sum, of } = std::mem::take(self);
        sum / of
    }
}

/// The mean of a value of one element, such as a loss: each batch by its examples.
#[derive(Clone, Debug)]
pub struct MeanOf {
    name: String,
    value: String,
    exponential: bool,
    share: Share,
}

impl MeanOf {
    /// The mean of a value, by the value's name.
    pub fn new(value: impl Into<String>) -> Self {
        let value = value.into();
        MeanOf { name: value.clone(), value, exponential: false, share: Share::default() }
    }

    /// The perplexity: the exponential of the mean of a cross-entropy.
    pub fn perplexity(value: impl Into<String>) -> Self {
        MeanOf { name: "perplexity".into(), exponential: true, ..MeanOf::new(value) }
    }
}

impl Metric for MeanOf {
    fn name(&self) -> &str {
        &self.name
    }

    fn outputs(&self) -> Vec<String> {
        vec![self.value.clone()]
    }

    fn add(&mut self, outputs: &Outputs, batch: &Batch) -> Result<()> {
        let found = output(outputs, &self.value)?;
        let [value] = found.to_f64()[..] else {
            return Err(Error::invalid_input(format!("`{}` is {}; its mean needs one element", self.value, found.ty())));
        };
        let weight = batch.examples.len() as f64;
        self.share.sum += value * weight;
        self.share.of += weight;
        Ok(())
    }

    fn take(&mut self) -> f64 {
        let mean = self.share.take();
        if self.exponential { mean.exp() } else { mean }
    }
}

/// What part of labels is the class of the highest score. Named `accuracy`.
#[derive(Clone, Debug)]
pub struct Accuracy {
    scores: String,
    labels: String,
    axis: i64,
    ignored: Option<i64>,
    share: Share,
}

impl Accuracy {
    /// Of a value of the network, whose axis 1 is the classes as that of [`cross_entropy`](super::cross_entropy) is, and an input that holds labels.
    pub fn new(scores: impl Into<String>, labels: impl Into<String>) -> Self {
        Accuracy { scores: scores.into(), labels: labels.into(), axis: 1, ignored: None, share: Share::default() }
    }

    /// The same with classes on another axis of the scores; negative counts from the end.
    pub fn with_axis(self, axis: i64) -> Self {
        Accuracy { axis, ..self }
    }

    /// The same without the places whose label is this one.
    pub fn ignoring(self, label: i64) -> Self {
        Accuracy { ignored: Some(label), ..self }
    }
}

impl Metric for Accuracy {
    fn name(&self) -> &str {
        "accuracy"
    }

    fn outputs(&self) -> Vec<String> {
        vec![self.scores.clone()]
    }

    fn add(&mut self, outputs: &Outputs, batch: &Batch) -> Result<()> {
        let best = highest(output(outputs, &self.scores)?, self.axis, &self.scores)?;
        let labels = input(batch, &self.labels)?.to_i64();
        if best.len() != labels.len() {
            let message = format!("`{}` has scores for {} labels, `{}` has {}", self.scores, best.len(), self.labels, labels.len());
            return Err(Error::invalid_input(message));
        }
        for (found, label) in best.into_iter().zip(labels).filter(|(_, label)| Some(*label) != self.ignored) {
            self.share.of += 1.0;
            self.share.sum += f64::from(u8::from(found == label));
        }
        Ok(())
    }

    fn take(&mut self) -> f64 {
        self.share.take()
    }
}

/// How many tokens have to be put in, left out or replaced to make of the found sequences the true ones, by the tokens of the true ones. Found are
/// the tokens of the highest scores, or those that the network itself says. Named `token_error_rate`.
#[derive(Clone, Debug)]
pub struct TokenErrorRate {
    /// The value of the network that holds scores, `[batch, time, tokens]`, or the tokens themselves, integers `[batch, time]`.
    pub scores: String,
    /// Whether they are `[time, batch, tokens]` instead.
    pub time_first: bool,
    /// The input that says how many scores of each example count; all where there is none.
    pub lengths: Option<String>,
    /// The input of the true tokens: `[batch, length]`.
    pub targets: String,
    /// The input that says how many of them count; all where there is none.
    pub target_lengths: Option<String>,
    /// The blank of connectionist temporal classification: equal neighbours are one token then, and blanks are none.
    pub blank: Option<i64>,
    /// The token before which sequences end.
    pub end: Option<i64>,
    errors: Share,
}

impl TokenErrorRate {
    /// Of sequences that count in their whole length.
    pub fn new(scores: impl Into<String>, targets: impl Into<String>) -> Self {
        TokenErrorRate {
            scores: scores.into(),
            time_first: false,
            lengths: None,
            targets: targets.into(),
            target_lengths: None,
            blank: None,
            end: None,
            errors: Share::default(),
        }
    }

    /// The tokens of a row, of which so many count.
    fn tokens<'a>(&self, row: &'a [i64], length: usize) -> &'a [i64] {
        let row = &row[..length.min(row.len())];
        let end = row.iter().position(|token| Some(*token) == self.end);
        &row[..end.unwrap_or(row.len())]
    }

    /// What the blank leaves of tokens.
    fn collapsed(&self, tokens: &[i64]) -> Vec<i64> {
        let Some(blank) = self.blank else { return tokens.to_vec() };
        let mut kept = tokens.to_vec();
        kept.dedup();
        kept.retain(|token| *token != blank);
        kept
    }
}

impl TokenErrorRate {
    /// The tokens that were found and the true ones, of each example of a batch.
    fn sequences(&self, outputs: &Outputs, batch: &Batch) -> Result<Vec<[Vec<i64>; 2]>> {
        let (scores, targets) = (output(outputs, &self.scores)?, input(batch, &self.targets)?);
        let (([first, second], [rows, width]), are_tokens) = match (&scores.shape()[..], &targets.shape()[..]) {
            ([first, second, _], [rows, width]) => (([first, second], [rows, width]), false),
            ([first, second], [rows, width]) if scores.dtype().is_integer() => (([first, second], [rows, width]), true),
            _ => {
                let message = format!("`{}` is {} and `{}` {}", self.scores, scores.ty(), self.targets, targets.ty());
                let needed = "token errors need scores of three axes, or tokens of two, and targets of two";
                return Err(Error::invalid_input(format!("{message}; {needed}")));
            }
        };
        let (count, time) = if self.time_first { (*second, *first) } else { (*first, *second) };
        let lengths_of = |name: &Option<String>, all: usize| match name {
            Some(name) => Ok(input(batch, name)?.to_i64().into_iter().map(|n| usize::try_from(n).unwrap_or(0)).collect()),
            None => Ok::<_, Error>(vec![all; count]),
        };
        let (lengths, target_lengths) = (lengths_of(&self.lengths, time)?, lengths_of(&self.target_lengths, *width)?);
        if *rows != count || lengths.len() != count || target_lengths.len() != count {
            return Err(Error::invalid_input(format!("`{}` has scores of {count} examples, not as many as others", self.scores)));
        }
        let best = if are_tokens { scores.to_i64() } else { highest(scores, -1, &self.scores)? };
        let targets = targets.to_i64();
        let pair = |(example, (length, target_length)): (usize, (usize, usize))| {
            let place = |frame: usize| if self.time_first { frame * count + example } else { example * time + frame };
            let row: Vec<i64> = (0..time).map(|frame| best[place(frame)]).collect();
            let found = self.collapsed(self.tokens(&row, length));
            let truth = self.tokens(&targets[example * width..(example + 1) * width], target_length);
            [found, truth.to_vec()]
        };
        Ok(lengths.into_iter().zip(target_lengths).enumerate().map(pair).collect())
    }
}

impl Metric for TokenErrorRate {
    fn name(&self) -> &str {
        "token_error_rate"
    }

    fn outputs(&self) -> Vec<String> {
        vec![self.scores.clone()]
    }

    fn add(&mut self, outputs: &Outputs, batch: &Batch) -> Result<()> {
        for [found, truth] in self.sequences(outputs, batch)? {
            self.errors.sum += edit_distance(&found, &truth) as f64;
            self.errors.of += truth.len() as f64;
        }
        Ok(())
    }

    fn take(&mut self) -> f64 {
        self.errors.take()
    }
}

/// What part of sequences was found without an error. Named `exact`.
#[derive(Clone, Debug)]
pub struct Exact {
    of: TokenErrorRate,
    share: Share,
}

impl Exact {
    /// Of the sequences whose errors this would count.
    pub fn new(of: TokenErrorRate) -> Self {
        Exact { of, share: Share::default() }
    }
}

impl Metric for Exact {
    fn name(&self) -> &str {
        "exact"
    }

    fn outputs(&self) -> Vec<String> {
        self.of.outputs()
    }

    fn add(&mut self, outputs: &Outputs, batch: &Batch) -> Result<()> {
        for [found, truth] in self.of.sequences(outputs, batch)? {
            self.share.sum += f64::from(u8::from(found == truth));
            self.share.of += 1.0;
        }
        Ok(())
    }

    fn take(&mut self) -> f64 {
        self.share.take()
    }
}

/// How many elements have to be put in, left out or replaced to make one sequence of another (Levenshtein 1966).
///
/// ```
/// let [a, b] = ["kitten", "sitting"].map(|word| word.chars().collect::<Vec<_>>());
/// assert_eq!(gristmill::train::edit_distance(&a, &b), 3);
/// ```
pub fn edit_distance<T: PartialEq>(a: &[T], b: &[T]) -> usize {
    // The distances of what of `a` has been to all beginnings of `b`.
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (number, element) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], number + 1);
        for (column, other) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(element != other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[b.len()]
}

fn output<'a>(outputs: &'a Outputs, name: &str) -> Result<&'a Tensor> {
    outputs.get(name).ok_or_else(|| Error::invalid_input(format!("the evaluation has no value `{name}`")))
}

fn input<'a>(batch: &'a Batch, name: &str) -> Result<&'a Tensor> {
    batch.get(name).ok_or_else(|| Error::invalid_input(format!("the batch has no input `{name}`")))
}

/// The place of the highest score along an axis, the first of equal ones, for all that the other axes count. Negative axes count from the end.
fn highest(scores: &Tensor, axis: i64, name: &str) -> Result<Vec<i64>> {
    let shape = scores.shape();
    let place = if axis < 0 { axis + shape.rank() as i64 } else { axis };
    let axis = usize::try_from(place).unwrap_or(usize::MAX);
    let classes = shape.get(axis).copied().filter(|classes| *classes > 0);
    let classes =
        classes.ok_or_else(|| Error::invalid_input(format!("`{name}` is {}, without classes on axis {place}", scores.ty())))?;
    let (numbers, inner) = (scores.to_f64(), shape.product(axis + 1..shape.rank()));
    let mut found = Vec::with_capacity(numbers.len() / classes);
    for block in numbers.chunks((classes * inner).max(1)) {
        for place in 0..inner {
            let mut best = 0;
            for class in 1..classes {
                if block[class * inner + place] > block[best * inner + place] {
                    best = class;
                }
            }
            found.push(best as i64);
        }
    }
    Ok(found)
}
