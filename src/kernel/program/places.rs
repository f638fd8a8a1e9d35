//! Where a printed function finds the elements of its operands. Extents and strides are no part of the text but numbers in a
//! uniform, so that one pipeline serves every shape of the same structure.

use crate::tensor::View;
use std::fmt::Write;

/// The extents and strides that a printed function finds in its uniform `numbers`, in the order in which the text names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Places {
    /// How many other numbers stand before them.
    first: usize,
    /// Whether all indices are below 2^21, for which a short division is exact.
    small: bool,
    words: Vec<u32>,
}

impl Places {
    /// No extents and strides yet; `first` other numbers stand before them, and indices are below `indices`.
    pub(super) fn new(first: usize, indices: usize) -> Self {
        Places { first, small: indices <= 1 << 21, words: vec![] }
    }

    /// The WGSL expression of a number; it wraps as two's complement.
    pub(super) fn word(&mut self, value: i64) -> String {
        let at = self.first + self.words.len();
        self.words.push(value as u32);
        format!("numbers[{}].{}", at / 4, ["x", "y", "z", "w"][at % 4])
    }

    /// The numbers, filled up to whole groups of four.
    pub(super) fn into_words(mut self) -> Vec<u32> {
        self.words.resize(self.words.len().next_multiple_of(4), 0);
        self.words
    }

    /// A WGSL function `NAME(index: u32) -> u32`, the position of an element that is walked in these runs: each run's digit of
    /// `index` times its stride. Positions are u32 and wrap, so that a negative stride or an offset past the start is a
    /// subtraction. Nothing when the position is `index` itself.
    pub(super) fn function(&mut self, name: &str, runs: &[(i64, i64)], offset: i64) -> Option<String> {
        // Outer runs of stride 0 add nothing to the position.
        let still = runs.iter().take_while(|(_, stride)| *stride == 0).count();
        if still == 0 && offset == 0 && matches!(runs, [(_, 1)]) {
            return None;
        }
        let moving = &runs[still..];
        let (mut body, mut terms) = (String::new(), Vec::new());
        let mut rest = "index".to_string();
        for (k, &(extent, stride)) in moving.iter().enumerate().rev() {
            let digit = if k + still == 0 {
                // The outermost digit is what is left.
                rest.clone()
            } else {
                let (by, inverse) = (self.word(extent), self.word(i64::from((1.0 / extent as f32).to_bits())));
                let divided = match self.small {
                    true => format!("small_quotient({rest}, bitcast<f32>({inverse}))"),
                    false => format!("quotient({rest}, {by}, bitcast<f32>({inverse}))"),
                };
                let _ = writeln!(body, "    let rest{k} = {divided};");
                let digit = format!("({rest} - rest{k} * {by})");
                rest = format!("rest{k}");
                digit
            };
            match stride {
                0 => {}
                1 => terms.push(digit),
                _ => terms.push(format!("{digit} * {}", self.word(stride))),
            }
        }
        if offset != 0 || terms.is_empty() {
            terms.push(self.word(offset));
        }
        Some(format!("fn {name}(index: u32) -> u32 {{\n{body}    return {};\n}}\n", terms.join(" + ")))
    }
}

/// Whether four neighbours of the output are four neighbours of an operand that is walked in these runs, and start at a multiple of
/// four.
pub(super) fn fours(runs: &[(i64, i64)], offset: i64) -> bool {
    let Some((&(extent, stride), outer)) = runs.split_last() else { return false };
    extent % 4 == 0 && stride == 1 && offset % 4 == 0 && outer.iter().all(|(_, s)| s % 4 == 0)
}

/// The axes of a view from the outermost in, as (extent, stride), joined where they are walked without a gap.
pub(super) fn runs(view: &View) -> Vec<(i64, i64)> {
    view.runs().into_iter().map(|(extent, stride)| (extent as i64, stride)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of a walk and its numbers.
    fn walk(view: &View) -> (Option<String>, Vec<u32>) {
        let mut places = Places::new(4, 1000);
        (places.function("position", &runs(view), view.offset), places.into_words())
    }

    /// A bias per channel of images of two sizes.
    fn bias(channels: usize, area: usize) -> View {
        View { shape: [2, channels, area].into(), strides: vec![0, 1, 0], offset: 0 }
    }

    #[test]
    fn shapes_of_one_structure_share_a_text() {
        let (one, other) = (walk(&bias(64, 3136)), walk(&bias(512, 49)));
        assert_eq!(one.0, other.0);
        assert_ne!(one.1, other.1);
    }

    /// What the prelude `divide` computes, in the same arithmetic.
    #[test]
    fn a_short_division_is_exact_below_its_limit() {
        let limit = 1u32 << 21;
        for by in (1..3000).chain([65_535, 65_537, 1_000_003, limit - 1, limit]) {
            let inverse = 1.0 / by as f32;
            // Products of rounding err most where the quotient is about to step.
            let steps = (0..=limit / by).step_by((limit / by / 500).max(1) as usize).map(|k| k * by);
            for number in steps.flat_map(|n| [n.saturating_sub(1), n, n + 1]).chain([limit - 1]).filter(|n| *n < limit) {
                assert_eq!(((number as f32 + 0.5) * inverse) as u32, number / by, "{number} / {by}");
            }
        }
    }

    #[test]
    fn a_walk_without_gaps_is_the_index_itself() {
        assert_eq!(walk(&View::contiguous(&[3, 5, 7].into())).0, None);
    }
}
