//! Blocks of convolutional networks on small images.

use super::network::Attribute;
use super::sketch::{Sketch, Value, set};
use gristmill::{DType, Tensor};

/// A window over the spatial axes.
struct SlidingWindow {
    kernel: usize,
    stride: usize,
    dilation: usize,
    before: usize,
    after: usize,
}

impl SlidingWindow {
    fn extent(&self, n: usize) -> Option<usize> {
        let reach = (self.kernel - 1) * self.dilation + 1;
        Some((n + self.before + self.after).checked_sub(reach)? / self.stride + 1)
    }

    fn attributes(&self, spatial: usize) -> Vec<(String, Attribute)> {
        let list = |n: usize| Attribute::Ints(vec![n as i64; spatial]);
        let pads = [vec![self.before as i64; spatial], vec![self.after as i64; spatial]].concat();
        vec![set("kernel_shape", list(self.kernel)), set("strides", list(self.stride)), set("pads", Attribute::Ints(pads))]
    }
}

impl Sketch<'_> {
    /// An image of the palette's sizes.
    pub fn image(&mut self, dtype: DType) -> Value {
        let (batch, channels, side) = (self.sizes.batch, self.sizes.channels, self.sizes.side);
        let shape = if self.draw.rarely(5) { vec![batch, channels, 2 * side] } else { vec![batch, channels, side, side] };
        self.data(dtype, &shape)
    }

    fn window(&mut self, least: usize) -> SlidingWindow {
        let kernel: usize = self.draw.pick(&[3, 3, 1, 2, 5]);
        let stride = if self.draw.rarely(3) { 2 } else { 1 };
        let dilation = if self.draw.rarely(6) { 2 } else { 1 };
        let before: usize = self.draw.pick(&[(kernel - 1) * dilation / 2, 0, 1]).min(kernel - 1);
        let after = if self.draw.rarely(6) { before.saturating_sub(1) } else { before };
        let window = SlidingWindow { kernel, stride, dilation, before, after };
        let fits = window.extent(least).is_some_and(|n| n > 0);
        if fits { window } else { SlidingWindow { kernel: 1, stride: 1, dilation: 1, before: 0, after: 0 } }
    }

    fn spatial(&self, x: &Value, window: &SlidingWindow) -> Vec<usize> {
        x.shape[2..].iter().map(|n| window.extent(*n).unwrap_or(1)).collect()
    }

    /// A convolution with a window of 1.
    pub fn pointwise(&mut self, x: &Value, filters: usize) -> Value {
        let window = SlidingWindow { kernel: 1, stride: 1, dilation: 1, before: 0, after: 0 };
        self.conv_by(x, filters, 1, &window)
    }

    fn conv_by(&mut self, x: &Value, filters: usize, group: usize, window: &SlidingWindow) -> Value {
        let (channels, spatial) = (x.shape[1], x.rank() - 2);
        let each = channels / group;
        let kernel = [vec![filters, each], vec![window.kernel; spatial]].concat();
        let w = self.weights(x.dtype, &kernel, each * window.kernel.pow(spatial as u32));
        let mut attributes = window.attributes(spatial);
        attributes.push(set("dilations", Attribute::Ints(vec![window.dilation as i64; spatial])));
        attributes.push(set("group", Attribute::Int(group as i64)));
        let shape = [vec![x.shape[0], filters], self.spatial(x, window)].concat();
        if self.draw.flag() {
            let bias = self.weights(x.dtype, &[filters], 4);
            return self.node("Conv", &[x, &w, &bias], attributes, x.dtype, &shape);
        }
        self.node("Conv", &[x, &w], attributes, x.dtype, &shape)
    }

    /// A convolution: plain, grouped, or depthwise.
    pub fn conv(&mut self, x: &Value) -> Value {
        let channels = x.shape[1];
        let least = x.shape[2..].iter().copied().min().unwrap_or(1);
        let window = self.window(least);
        match self.draw.within(0, 5) {
            0 => self.conv_by(x, channels, channels, &window),
            1 if channels.is_multiple_of(2) => self.conv_by(x, channels, 2, &window),
            2 => self.pointwise(x, channels),
            _ => {
                let filters = self.draw.pick(&[channels, self.sizes.channels, 4]);
                self.conv_by(x, filters, 1, &window)
            }
        }
    }

    /// Convolution, norm, activation, in the orders that networks have.
    pub fn conv_block(&mut self, x: &Value) -> Value {
        let mut y = self.conv(x);
        let shape = y.shape.clone();
        if !self.draw.rarely(3) {
            y = self.image_norm(&y);
            y = self.settled(&y, &shape);
        }
        if !self.draw.rarely(4) {
            y = self.activation(&y);
            y = self.settled(&y, &shape);
        }
        y
    }

    /// A residual block: what went in is added, scaled, gated or concatenated.
    pub fn residual(&mut self, x: &Value) -> Value {
        let mut y = self.conv_block(x);
        if self.draw.flag() {
            y = self.conv_block(&y);
        }
        if y.shape != x.shape {
            if y.shape[2..] == x.shape[2..] && self.draw.flag() {
                return self.concat(&[x, &y], 1);
            }
            return y;
        }
        match self.draw.within(0, 4) {
            0 => {
                // Stochastic depth and layer scale.
                let scaled = self.per_channel("Mul", &y);
                let sum = self.either("Add", x, &scaled);
                self.settled(&sum, &x.shape)
            }
            1 => self.concat(&[x, &y], 1),
            2 => {
                let gate = self.squeeze_excite(&y);
                let gate = self.settled(&gate, &x.shape);
                self.either("Add", x, &gate)
            }
            _ => {
                let sum = self.either("Add", x, &y);
                let active = self.activation(&sum);
                self.settled(&active, &x.shape)
            }
        }
    }

    pub fn pool(&mut self, x: &Value) -> Value {
        let least = x.shape[2..].iter().copied().min().unwrap_or(1);
        let mut window = self.window(least);
        window.dilation = 1;
        let operator = self.draw.pick(&["MaxPool", "AveragePool", "LpPool"]);
        let shape = [x.shape[..2].to_vec(), self.spatial(x, &window)].concat();
        let mut attributes = window.attributes(x.rank() - 2);
        if operator == "AveragePool" && self.draw.flag() {
            attributes.push(set("count_include_pad", Attribute::Int(1)));
        }
        self.node(operator, &[x], attributes, x.dtype, &shape)
    }

    /// A nearest or linear resize by whole numbers or to sizes.
    pub fn resize(&mut self, x: &Value) -> Value {
        if self.version() < 13 {
            return self.pool(x);
        }
        let mode = self.draw.pick(&["nearest", "linear"]);
        let coordinates = self.draw.pick(&["asymmetric", "half_pixel", "align_corners", "pytorch_half_pixel"]);
        let mut attributes = vec![set("mode", Attribute::Text(mode.into()))];
        attributes.push(set("coordinate_transformation_mode", Attribute::Text(coordinates.into())));
        if mode == "nearest" {
            let rounding = self.draw.pick(&["floor", "round_prefer_floor"]);
            attributes.push(set("nearest_mode", Attribute::Text(rounding.into())));
        }
        let (numerator, denominator) = self.draw.pick(&[(2, 1), (1, 2), (3, 2), (1, 1)]);
        let extents: Vec<usize> = x.shape[2..].iter().map(|n| (n * numerator / denominator).max(1)).collect();
        let shape = [&x.shape[..2], &extents[..]].concat();
        let exact = x.shape[2..].iter().zip(&extents).all(|(n, to)| n * numerator == to * denominator);
        if exact && self.draw.flag() {
            let factor = numerator as f32 / denominator as f32;
            let scales = [vec![1.0f32; 2], vec![factor; x.rank() - 2]].concat();
            let scales = self.constant(Tensor::vector(&scales));
            return self.nodes("Resize", &[Some(x), None, Some(&scales)], attributes, &[(x.dtype, shape)]).swap_remove(0);
        }
        let sizes: Vec<i64> = shape.iter().map(|n| *n as i64).collect();
        let sizes = self.integers(&sizes);
        self.nodes("Resize", &[Some(x), None, None, Some(&sizes)], attributes, &[(x.dtype, shape)]).swap_remove(0)
    }

    /// Blocks of pixels into channels or back.
    pub fn shuffle(&mut self, x: &Value) -> Value {
        let [n, c, h, w] = *x.shape.as_slice() else { return self.stirred(x) };
        let mode = self.draw.pick(&["DCR", "CRD"]);
        let block = set("blocksize", Attribute::Int(2));
        if c.is_multiple_of(4) && self.draw.flag() {
            let attributes = vec![block, set("mode", Attribute::Text(mode.into()))];
            let attributes = if self.version() >= 11 { attributes } else { attributes[..1].to_vec() };
            return self.node("DepthToSpace", &[x], attributes, x.dtype, &[n, c / 4, 2 * h, 2 * w]);
        }
        if h.is_multiple_of(2) && w.is_multiple_of(2) {
            if self.version() < 10 || self.draw.flag() {
                return self.node("SpaceToDepth", &[x], vec![block], x.dtype, &[n, 4 * c, h / 2, w / 2]);
            }
            // Space to depth as YOLO's focus slices it.
            let mut parts = Vec::new();
            for (row, column) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                let rows = self.slice(x, 2, row, i64::MAX, 2);
                parts.push(self.slice(&rows, 3, column, i64::MAX, 2));
            }
            let parts: Vec<&Value> = parts.iter().collect();
            return self.concat(&parts, 1);
        }
        self.stirred(x)
    }

    /// A transposed convolution that doubles an image.
    pub fn upsampled(&mut self, x: &Value) -> Value {
        let (channels, spatial) = (x.shape[1], x.rank() - 2);
        let w = self.weights(x.dtype, &[vec![channels, channels], vec![2; spatial]].concat(), channels);
        let list = Attribute::Ints(vec![2; spatial]);
        let shape: Vec<usize> = [x.shape[..2].to_vec(), x.shape[2..].iter().map(|n| 2 * n).collect()].concat();
        self.node("ConvTranspose", &[x, &w], vec![set("strides", list.clone()), set("kernel_shape", list)], x.dtype, &shape)
    }

    /// An image as rows: pixels as tokens, or channels pooled.
    pub fn tokens(&mut self, x: &Value) -> Value {
        let pixels: usize = x.shape[2..].iter().product();
        let flat = self.reshape(x, &[x.shape[0], x.shape[1], pixels]);
        let rows = if self.draw.rarely(3) { flat } else { self.transpose(&flat, &[0, 2, 1]) };
        let width = self.sizes.width();
        self.linear(&rows, width)
    }

    /// Any block on an image.
    pub fn image_block(&mut self, x: &Value) -> Value {
        match self.draw.within(0, 13) {
            11 => self.unit_rows(x),
            12 => self.placed(x),
            0..=2 => self.residual(x),
            3 | 4 => self.conv_block(x),
            5 => self.squeeze_excite(x),
            6 => self.image_norm(x),
            7 => self.pool(x),
            8 => self.resize(x),
            9 => self.shuffle(x),
            10 if x.elements() < 2000 => self.upsampled(x),
            _ => self.gate(x),
        }
    }
}
