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

/// One axis to resample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    /// Elements of the input.
    pub(super) input: usize,
    /// Elements of the output.
    pub(super) output: usize,
    /// Their ratio before the output was rounded.
    pub(super) scale: f64,
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

impl Axis {
    /// True when the output is the input.
    pub(super) fn is_identity(&self, rules: &Rules) -> bool {
        let whole = rules.coordinates != Coordinates::CropAndResize || self.region == (0.0, 1.0);
        self.input == self.output && (self.scale - 1.0).abs() < 1e-9 && whole
    }

    fn coordinate(&self, index: usize, coordinates: Coordinates) -> f64 {
        let (x, input) = (index as f64, self.input as f64);
        let output = self.scale * input;
        let centred = (x + 0.5) / self.scale - 0.5;
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
            Coordinates::TfHalfPixel => (x + 0.5) / self.scale,
            Coordinates::Asymmetric => x / self.scale,
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
        let squeeze = if rules.antialias { self.scale.min(1.0) } else { 1.0 };
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
