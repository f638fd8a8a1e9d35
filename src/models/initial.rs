//! What parameters start from: numbers that are functions of a seed and the parameter's name, so that any graph can make them again.

use crate::error::Result;
use crate::ops::dropout::threefry::threefry;
use crate::tensor::{DType, Shape, Tensor, TensorType};
use std::f64::consts::TAU;

/// How the numbers of a parameter are distributed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Initial {
    /// Evenly from minus this to this.
    Uniform(f64),
    /// Around 0, with this standard deviation.
    Normal(f64),
    /// All are this.
    Constant(f32),
}

impl Initial {
    /// As PyTorch starts what sums up so many products: what has variance 1 leaves with a variance of a third.
    pub(super) fn of_inputs(count: usize) -> Self {
        Initial::Uniform((count.max(1) as f64).sqrt().recip())
    }

    /// Numbers for the parameter of this name.
    ///
    /// # Errors
    /// As [`TensorType::checked`].
    pub(super) fn draw(self, shape: impl Into<Shape>, name: &str, seed: u32) -> Result<Tensor> {
        let shape = TensorType::new(DType::F32, shape.into()).checked()?.shape;
        let key = key(seed, name);
        // A word is the middle of its share of the numbers from 0 to 1, and so never either of them.
        let words =
            |pair: u64| threefry(key, [pair as u32, (pair >> 32) as u32]).map(|word| (f64::from(word) + 0.5) / 4_294_967_296.0);
        let numbers: Vec<f32> = match self {
            Initial::Uniform(bound) => {
                (0..).flat_map(words).map(|x| ((2.0 * x - 1.0) * bound) as f32).take(shape.elements()).collect()
            }
            // Box and Muller 1958.
            Initial::Normal(deviation) => {
                let pair = |[x, y]: [f64; 2]| {
                    let radius = deviation * (-2.0 * x.ln()).sqrt();
                    [radius * (TAU * y).cos(), radius * (TAU * y).sin()]
                };
                (0..).map(words).flat_map(pair).map(|x| x as f32).take(shape.elements()).collect()
            }
            Initial::Constant(number) => vec![number; shape.elements()],
        };
        Tensor::new(shape, &numbers)
    }
}

/// The key of a name under a seed: each eight bytes of the name are a counter under the key of those before.
fn key(seed: u32, name: &str) -> [u32; 2] {
    let word = |bytes: &[u8]| bytes.iter().fold(0u32, |word, byte| (word << 8) | u32::from(*byte));
    name.as_bytes().chunks(8).fold([seed, name.len() as u32], |key, chunk| {
        let (first, second) = chunk.split_at(chunk.len().min(4));
        threefry(key, [word(first), word(second)])
    })
}

#[cfg(test)]
mod tests {
    use super::Initial;

    #[test]
    fn numbers_are_distributed_as_said() {
        let moments = |initial: Initial| {
            let drawn = initial.draw([300, 1001], "layer.weight", 3).expect("numbers").to_f64();
            let count = drawn.len() as f64;
            let mean = drawn.iter().sum::<f64>() / count;
            let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
            let most = drawn.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
            (mean, variance.sqrt(), most)
        };
        // Of 300,300 numbers the mean lies within 5 of its standard errors, as does the deviation.
        let (mean, deviation, most) = moments(Initial::of_inputs(16));
        assert!(
            mean.abs() < 5.0 * deviation / 548.0 && (deviation / (0.25 / 3f64.sqrt()) - 1.0).abs() < 0.006,
            "{mean} {deviation}"
        );
        assert!(most <= 0.25 && most > 0.2499, "{most}");
        let (mean, deviation, most) = moments(Initial::Normal(0.02));
        assert!(mean.abs() < 5.0 * deviation / 548.0 && (deviation / 0.02 - 1.0).abs() < 0.007, "{mean} {deviation}");
        assert!((0.08..0.13).contains(&most), "{most}");
        assert_eq!(moments(Initial::Constant(1.0)), (1.0, 0.0, 1.0));
    }

    #[test]
    fn numbers_follow_the_name_and_the_seed() {
        let draw = |name: &str, seed: u32| Initial::Normal(1.0).draw([6], name, seed).expect("numbers");
        assert_eq!(draw("a.weight", 1), draw("a.weight", 1));
        let others = [draw("a.weight", 2), draw("b.weight", 1), draw("a.weights", 1), draw("a.weight\0", 1)];
        assert!(others.iter().all(|other| *other != draw("a.weight", 1)));
        // A longer one begins alike.
        let longer = Initial::Normal(1.0).draw([9], "a.weight", 1).expect("numbers").to_f64();
        assert_eq!(longer[..6], draw("a.weight", 1).to_f64());
    }
}
