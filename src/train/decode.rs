//! The likeliest labels of a sequence, on the host.

use crate::error::{Error, Result};
use crate::tensor::Tensor;
use std::collections::HashMap;

/// The labels of one sequence that connectionist temporal classification finds likeliest, by a search that keeps the `beam_width`
/// best beginnings after each frame (prefix search: Graves et al. 2006; Hannun et al. 2014), the best first, each with the
/// logarithm of its probability: of all alignments of it that the search has kept. That is exact where the beam holds all
/// beginnings there are.
///
/// `log_probabilities` are `[time, classes]`, of which the first `length` frames count.
///
/// # Errors
/// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a tensor of other axes, a length that exceeds it, a blank that is no
/// class, and a beam of width 0.
pub fn beam_search(log_probabilities: &Tensor, length: usize, blank: usize, beam_width: usize) -> Result<Vec<(Vec<usize>, f64)>> {
    let [time, classes] = log_probabilities.shape()[..] else {
        let found = log_probabilities.ty();
        return Err(Error::invalid_argument(format!("beam search expects log-probabilities [time, classes], found {found}")));
    };
    if length > time || blank >= classes || beam_width == 0 {
        return Err(Error::invalid_argument(format!(
            "beam search expects at most {time} frames, a blank below {classes} and some width, found {length}, {blank} and \
             {beam_width}"
        )));
    }
    let data = log_probabilities.to_f64();
    let mut search = Search::new();
    for row in data.chunks(classes).take(length) {
        search.step(row, blank, beam_width);
    }
    let labelled = search.beam.iter().map(|(prefix, ends)| (search.labels(*prefix), ends.total()));
    Ok(labelled.collect())
}

/// The logarithm of a sum of two, given their logarithms.
fn joined(a: f64, b: f64) -> f64 {
    let (most, least) = if a >= b { (a, b) } else { (b, a) };
    if most == f64::NEG_INFINITY { most } else { most + (least - most).exp().ln_1p() }
}

/// The logarithms of the probabilities of a beginning's alignments that end in a blank, and in its last label.
#[derive(Clone, Copy, Debug)]
struct Ends {
    in_blank: f64,
    in_label: f64,
}

impl Ends {
    const NONE: Ends = Ends { in_blank: f64::NEG_INFINITY, in_label: f64::NEG_INFINITY };

    fn total(self) -> f64 {
        joined(self.in_blank, self.in_label)
    }
}

/// A beginning of labels: another one, and what comes after it.
#[derive(Clone, Copy, Debug)]
struct Prefix {
    before: usize,
    label: usize,
}

/// A beginning that has a number, or one that has with one more label: most are not kept, and get none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Candidate {
    number: usize,
    label: Option<usize>,
}

/// Beginnings by their numbers, of which 0 is the empty one.
struct Search {
    prefixes: Vec<Option<Prefix>>,
    numbers: HashMap<(usize, usize), usize>,
    beam: Vec<(usize, Ends)>,
}

impl Search {
    fn new() -> Self {
        let start = Ends { in_blank: 0.0, in_label: f64::NEG_INFINITY };
        Search { prefixes: vec![None], numbers: HashMap::new(), beam: vec![(0, start)] }
    }

    /// A beginning with one more label.
    fn extended(&self, before: usize, label: usize) -> Candidate {
        match self.numbers.get(&(before, label)) {
            Some(number) => Candidate { number: *number, label: None },
            None => Candidate { number: before, label: Some(label) },
        }
    }

    /// The number of a beginning that is kept.
    fn number(&mut self, candidate: Candidate) -> usize {
        let Some(label) = candidate.label else { return candidate.number };
        let number = self.prefixes.len();
        self.prefixes.push(Some(Prefix { before: candidate.number, label }));
        self.numbers.insert((candidate.number, label), number);
        number
    }

    fn last(&self, number: usize) -> Option<usize> {
        self.prefixes.get(number)?.map(|prefix| prefix.label)
    }

    fn labels(&self, number: usize) -> Vec<usize> {
        let mut labels = Vec::new();
        let mut rest = number;
        while let Some(Some(prefix)) = self.prefixes.get(rest) {
            labels.push(prefix.label);
            rest = prefix.before;
        }
        labels.reverse();
        labels
    }

    /// Takes in a frame's log-probabilities.
    fn step(&mut self, row: &[f64], blank: usize, width: usize) {
        // In the order in which they are met, so that equal ones keep it.
        let mut next: Vec<(Candidate, Ends)> = Vec::new();
        let mut places: HashMap<Candidate, usize> = HashMap::new();
        let mut add = |candidate: Candidate, is_label: bool, logarithm: f64| {
            let place = *places.entry(candidate).or_insert(next.len());
            if place == next.len() {
                next.push((candidate, Ends::NONE));
            }
            if let Some((_, ends)) = next.get_mut(place) {
                let sum = if is_label { &mut ends.in_label } else { &mut ends.in_blank };
                *sum = joined(*sum, logarithm);
            }
        };
        for (number, ends) in &self.beam {
            let (own, last) = (Candidate { number: *number, label: None }, self.last(*number));
            for (class, logarithm) in row.iter().enumerate() {
                if class == blank {
                    add(own, false, ends.total() + logarithm);
                } else if last == Some(class) {
                    // The same label goes on, or comes again behind a blank.
                    add(own, true, ends.in_label + logarithm);
                    add(self.extended(*number, class), true, ends.in_blank + logarithm);
                } else {
                    add(self.extended(*number, class), true, ends.total() + logarithm);
                }
            }
        }
        next.retain(|(_, ends)| ends.total() > f64::NEG_INFINITY);
        next.sort_by(|a, b| b.1.total().total_cmp(&a.1.total()));
        next.truncate(width);
        self.beam = next.into_iter().map(|(candidate, ends)| (self.number(candidate), ends)).collect();
    }
}
