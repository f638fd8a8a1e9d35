//! How one axis is resampled: for each output element, which input elements with which weights. All modes of Resize are
//! separable, so a table for each axis is all that its reference and its kernel know of them.

use crate::error::{Error, Result};

/// How an output index is mapped to a coordinate of the input: the ONNX attribute `coordinate_transformation_mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coordinates {
    /// Centres of pixels onto each other.
    #[default]
    HalfPixel,
    /// As `HalfPixel`, about the middle of an output whose size was rounded.
    HalfPixelSymmetric,
    /// As `HalfPixel`, except that an output of one pixel takes the first.
    PytorchHalfPixel,
    /// First and last pixels onto each other.
    AlignCorners,
    /// As `HalfPixel`, except that coordinates are not moved back by half a pixel.
    TfHalfPixel,
    /// Corners of pixels onto each other.
    Asymmetric,
    /// A region of the input, which may reach out of it.
    CropAndResize,
}

crate::attributes!(
    enum Coordinates {
        HalfPixel,
        HalfPixelSymmetric,
        PytorchHalfPixel,
        AlignCorners,
        TfHalfPixel,
        Asymmetric,
        CropAndResize,
    }
);

impl Coordinates {
    /// The transformation that ONNX names.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) when there is no such transformation.
    pub fn from_name(name: &str) -> Result<Self> {
        Ok(match name {
            "half_pixel" => Coordinates::HalfPixel,
            "half_pixel_symmetric" => Coordinates::HalfPixelSymmetric,
            "pytorch_half_pixel" => Coordinates::PytorchHalfPixel,
            "tf_half_pixel_for_nn" => Coordinates::TfHalfPixel,
            "align_corners" => Coordinates::AlignCorners,
            "asymmetric" => Coordinates::Asymmetric,
            "tf_crop_and_resize" => Coordinates::CropAndResize,
            _ => return Err(Error::invalid_model(format!("the coordinate transformation `{name}` does not exist"))),
        })
    }
}

/// Which neighbour is nearest: the ONNX attribute `nearest_mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearest, the lower of two.
    #[default]
    PreferFloor,
    /// To the nearest, the higher of two.
    PreferCeil,
    /// Down.
    Floor,
    /// Up.
    Ceil,
}

crate::attributes!(
    enum Rounding {
        PreferFloor,
        PreferCeil,
        Floor,
        Ceil,
    }
);

impl Rounding {
    /// The rounding that ONNX names.
    ///
    /// # Errors
    /// [`InvalidModel`](crate::ErrorKind::InvalidModel) when there is no such rounding.
    pub fn from_name(name: &str) -> Result<Self> {
        Ok(match name {
            "round_prefer_floor" => Rounding::PreferFloor,
            "round_prefer_ceil" => Rounding::PreferCeil,
            "floor" => Rounding::Floor,
            "ceil" => Rounding::Ceil,
            _ => return Err(Error::invalid_model(format!("the nearest mode `{name}` does not exist"))),
        })
    }

    fn round(self, x: f64) -> f64 {
        match self {
            Rounding::PreferFloor => (x - 0.5).ceil(),
            Rounding::PreferCeil => (x + 0.5).floor(),
            Rounding::Floor => x.floor(),
            Rounding::Ceil => x.ceil(),
        }
    }
}

/// How neighbours are weighed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Interpolation {
    /// One of them is taken.
    Nearest(Rounding),
    /// Two by distance.
    Linear,
    /// Four by a cubic polynomial with this parameter (Keys 1981).
    Cubic(f64),
}

crate::attributes!(
    enum Interpolation {
        Nearest(value),
        Linear,
        Cubic(value),
    }
);

/// How much larger than the input an output is, as a fraction: dividing by its float would miss pixels where it is exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ratio {
    numerator: f64,
    denominator: f64,
}

impl Ratio {
    /// An output of so many elements for an input of so many.
    pub(super) fn new(output: f64, input: f64) -> Self {
        Ratio { numerator: output, denominator: input }
    }

    /// What a positive scale of 32 bits was written for: the fraction of the smallest numbers among those that round to it. A third,
    /// or 64 / 26, is no float.
    pub(super) fn of_scale(scale: f32) -> Self {
        let given = Ratio { numerator: scale.into(), denominator: 1.0 };
        // Beyond, integers of 128 bits do not hold the bounds.
        if !(1e-9..1e9).contains(&scale) {
            return given;
        }
        let bits = scale.to_bits();
        let (mantissa, exponent) = (u128::from(bits & 0x007f_ffff | 0x0080_0000), (bits >> 23) as i32 - 150);
        let unit = 1u128 << (1 - exponent).max(0);
        let factor = 1u128 << (exponent - 1).max(0);
        let (numerator, denominator) = simplest(((2 * mantissa - 1) * factor, unit), ((2 * mantissa + 1) * factor, unit));
        let found = Ratio { numerator: numerator as f64, denominator: denominator as f64 };
        if found.scale() as f32 == scale { found } else { given }
    }

    /// Its value, rounded.
    pub(super) fn scale(self) -> f64 {
        self.numerator / self.denominator
    }

    /// The place in the output of one in the input; exact wherever a float holds it.
    pub(super) fn enlarge(self, place: f64) -> f64 {
        place * self.numerator / self.denominator
    }

    /// The place in the input of one in the output; exact wherever a float holds it.
    pub(super) fn reduce(self, place: f64) -> f64 {
        place * self.denominator / self.numerator
    }
}

/// The fraction of the smallest numbers from `low` to `high`, both positive (by continued fractions).
fn simplest(low: (u128, u128), high: (u128, u128)) -> (u128, u128) {
    let whole = low.0 / low.1;
    if whole * low.1 == low.0 {
        return (whole, 1);
    }
    if (whole + 1) * high.1 <= high.0 {
        return (whole + 1, 1);
    }
    let (numerator, denominator) = simplest((high.1, high.0 - whole * high.1), (low.1, low.0 - whole * low.1));
    (whole * numerator + denominator, numerator)
}

/// One axis to resample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ResampledAxis {
    /// Elements of the input.
    pub(super) input: usize,
    /// Elements of the output.
    pub(super) output: usize,
    /// Their ratio before the output was rounded.
    pub(super) ratio: Ratio,
    /// Start and end of the region, from 0 to 1, for `CropAndResize`.
    pub(super) region: (f64, f64),
}

/// The rules that all axes share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rules {
    pub(super) interpolation: Interpolation,
    pub(super) coordinates: Coordinates,
    /// Widen the filter when the output is smaller.
    pub(super) antialias: bool,
    /// Neighbours outside of the input weigh nothing, instead of as much as the last element.
    pub(super) exclude_outside: bool,
}

/// Input elements and weights for each output element of an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Taps {
    /// Neighbours of each output element.
    pub(super) count: usize,
    /// For each output element, its neighbours; `None` in place of all of them when it lies outside of the input.
    pub(super) neighbours: Vec<Option<Vec<(usize, f64)>>>,
}

impl ResampledAxis {
    /// True when the output is the input.
    pub(super) fn is_identity(&self, rules: &Rules) -> bool {
        let whole = rules.coordinates != Coordinates::CropAndResize || self.region == (0.0, 1.0);
        self.input == self.output && (self.ratio.scale() - 1.0).abs() < 1e-9 && whole
    }

    fn coordinate(&self, index: usize, coordinates: Coordinates) -> f64 {
        let (x, input) = (index as f64, self.input as f64);
        let output = self.ratio.enlarge(input);
        let centred = self.ratio.reduce(x + 0.5) - 0.5;
        match coordinates {
            Coordinates::HalfPixel => centred,
            Coordinates::HalfPixelSymmetric => input / 2.0 * (1.0 - self.output as f64 / output) + centred,
            Coordinates::PytorchHalfPixel => {
                if output == 1.0 {
                    0.0
                } else {
                    centred
                }
            }
            Coordinates::AlignCorners => {
                if output == 1.0 {
                    0.0
                } else {
                    x * (input - 1.0) / (output - 1.0)
                }
            }
            Coordinates::TfHalfPixel => self.ratio.reduce(x + 0.5),
            Coordinates::Asymmetric => self.ratio.reduce(x),
            Coordinates::CropAndResize => {
                let (start, end) = self.region;
                let step = if output == 1.0 { 0.5 } else { x / (output - 1.0) };
                (start + step * (end - start)) * (input - 1.0)
            }
        }
    }

    /// The table of this axis, whose input has elements.
    pub(super) fn taps(&self, rules: &Rules) -> Taps {
        // An antialiasing filter is as much wider as the output is smaller.
        let squeeze = if rules.antialias { self.ratio.scale().min(1.0) } else { 1.0 };
        let radius = match rules.interpolation {
            Interpolation::Nearest(_) => 0.0,
            Interpolation::Linear => 1.0,
            Interpolation::Cubic(_) => 2.0,
        };
        // Beyond the bound no output element is left, so that nothing is cut off.
        let reach = (-radius / squeeze).floor().max(-1e9) as i64 + 1;
        let count = if radius == 0.0 { 1 } else { (2 - 2 * reach) as usize };
        let neighbours = |index: usize| {
            let x = self.coordinate(index, rules.coordinates);
            if rules.coordinates == Coordinates::CropAndResize && (x < 0.0 || x > self.input as f64 - 1.0) {
                return None;
            }
            let clamp = |place: f64| place.clamp(0.0, self.input as f64 - 1.0) as usize;
            if let Interpolation::Nearest(rounding) = rules.interpolation {
                return Some(vec![(clamp(rounding.round(x)), 1.0)]);
            }
            let first = x.floor() + reach as f64;
            let places = (0..count).map(|k| first + k as f64);
            let weight = |place: f64| match rules.interpolation {
                _ if rules.exclude_outside && (place < 0.0 || place >= self.input as f64) => 0.0,
                Interpolation::Cubic(a) => cubic((place - x) * squeeze, a),
                _ => (1.0 - (place - x).abs() * squeeze).max(0.0),
            };
            let weights: Vec<f64> = places.clone().map(weight).collect();
            let total: f64 = weights.iter().sum();
            let normal = if (rules.antialias || rules.exclude_outside) && total != 0.0 { total } else { 1.0 };
            Some(places.zip(weights).map(|(place, weight)| (clamp(place), weight / normal)).collect())
        };
        Taps { count, neighbours: (0..self.output).map(neighbours).collect() }
    }
}

impl Taps {
    /// For each of so many input elements, the output elements that it counts in: as many for each, with weight 0 where it counts in fewer.
    pub(super) fn transposed(&self, input: usize) -> Taps {
        let mut found: Vec<Vec<(usize, f64)>> = vec![Vec::new(); input];
        for (output, neighbours) in self.neighbours.iter().enumerate() {
            for (place, weight) in neighbours.iter().flatten().filter(|(_, weight)| *weight != 0.0) {
                match found[*place].last_mut() {
                    Some((last, sum)) if *last == output => *sum += weight,
                    _ => found[*place].push((output, *weight)),
                }
            }
        }
        let count = found.iter().map(Vec::len).max().unwrap_or(0).max(1);
        found.iter_mut().for_each(|outputs| outputs.resize(count, (0, 0.0)));
        Taps { count, neighbours: found.into_iter().map(Some).collect() }
    }
}

/// The cubic convolution kernel (Keys, "Cubic convolution interpolation for digital image processing", 1981).
pub(super) fn cubic(x: f64, a: f64) -> f64 {
    let x = x.abs();
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Coordinates, Interpolation, Ratio, ResampledAxis, Rounding, Rules};

    /// The elements that a nearest mode takes.
    fn taken(axis: ResampledAxis, coordinates: Coordinates, rounding: Rounding) -> Vec<i64> {
        let interpolation = Interpolation::Nearest(rounding);
        let taps = axis.taps(&Rules { interpolation, coordinates, antialias: false, exclude_outside: false });
        taps.neighbours.into_iter().map(|n| n.expect("it lies inside")[0].0 as i64).collect()
    }

    #[test]
    fn whole_and_half_pixels_are_met_at_every_ratio_of_sizes() {
        for (input, output) in (1..=90i64).flat_map(|n| (1..=90).map(move |m| (n, m))) {
            let by_sizes = Ratio::new(output as f64, input as f64);
            let by_scale = Ratio::of_scale((output as f64 / input as f64) as f32);
            for ratio in [by_sizes, by_scale] {
                let axis = ResampledAxis { input: input as usize, output: output as usize, ratio, region: (0.0, 1.0) };
                let floor: Vec<i64> = (0..output).map(|k| k * input / output).collect();
                assert_eq!(taken(axis, Coordinates::Asymmetric, Rounding::Floor), floor, "{input} to {output}");
                // floor((k + 1/2) n / m), whose ties of half pixels go up.
                let up: Vec<i64> = (0..output).map(|k| (2 * k + 1) * input / (2 * output)).collect();
                assert_eq!(taken(axis, Coordinates::HalfPixel, Rounding::PreferCeil), up, "{input} to {output}");
            }
        }
    }

    #[test]
    fn scales_are_the_fractions_they_were_written_for() {
        let fractions = [(1, 300), (1, 3), (7, 10), (64, 26), (7, 3), (1, 1), (300, 1), (1999, 2000), (21600, 72), (997, 1024)];
        for (p, q) in fractions {
            let ratio = Ratio::of_scale((f64::from(p) / f64::from(q)) as f32);
            for k in 0..100 {
                let place = f64::from(k * p);
                assert_eq!(ratio.reduce(place), f64::from(k * q), "{place} reduced by {p} / {q} is a whole number");
            }
        }
    }

    #[test]
    fn scales_keep_their_value() {
        for bits in (0x0080_0000..0x7f80_0000u32).step_by(65521) {
            let scale = f32::from_bits(bits);
            assert_eq!(Ratio::of_scale(scale).scale() as f32, scale);
        }
    }
}
