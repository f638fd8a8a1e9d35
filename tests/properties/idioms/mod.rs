//! Random networks shaped as exporters shape them, through the importer: gates, norms, attention, residual blocks, recurrent
//! layers, dequantized products, shape arithmetic, in the spellings that frameworks leave.
//!
//! A seed is a network. `scripts/fuzz` runs many; each failure is made smaller and kept as a case in the ONNX test layout.

mod attention;
mod check;
mod error;
mod gates;
mod gradients;
mod images;
mod loops;
mod masks;
mod moves;
pub mod network;
mod norms;
mod places;
mod rows;
mod search;
mod shrink;
mod sketch;
mod special;
mod whole;

use super::Draw;
use crate::cases::Random;
use check::{Trial, check};
use gristmill::DType;
use network::Network;
use sketch::{Sizes, Sketch, Value};

/// The extents that networks are made of. There are few, so that kernels repeat from one network to the next.
const PALETTE: [Sizes; 3] = [
    Sizes { batch: 2, length: 5, heads: 2, size: 4, channels: 4, side: 6 },
    Sizes { batch: 1, length: 4, heads: 2, size: 8, channels: 8, side: 4 },
    Sizes { batch: 2, length: 3, heads: 1, size: 8, channels: 3, side: 5 },
];

/// Others, which few networks have.
const RARE: [Sizes; 3] = [
    Sizes { batch: 3, length: 33, heads: 3, size: 6, channels: 16, side: 9 },
    Sizes { batch: 1, length: 1, heads: 4, size: 2, channels: 2, side: 3 },
    Sizes { batch: 1, length: 17, heads: 2, size: 32, channels: 6, side: 8 },
];

/// The plainest, for failures that are made smaller.
const SMALL: [Sizes; 3] = [
    Sizes { batch: 1, length: 2, heads: 1, size: 2, channels: 2, side: 2 },
    Sizes { batch: 1, length: 2, heads: 2, size: 2, channels: 2, side: 4 },
    Sizes { batch: 2, length: 3, heads: 2, size: 2, channels: 4, side: 4 },
];

/// Operator set versions, between which operators changed their form.
const VERSIONS: [i64; 7] = [17, 13, 18, 21, 11, 23, 9];

/// How long tapes are.
const TAPE: usize = 700;

/// No block grows a network beyond this.
const ELEMENTS: usize = 6000;

/// The network of a seed, of other extents if some are given, and what to put it through.
fn drawn(seed: u64, sizes: Option<Sizes>) -> (Network, Trial) {
    let mut random = Random::new(seed);
    let tape: Vec<u16> = (0..TAPE).map(|_| (random.next() >> 32) as u16).collect();
    let mut draw = Draw { tape: &tape, next: 0 };
    let other = draw.rarely(12).then(|| draw.within(0, 7));
    let trial =
        Trial { device: true, checked: draw.rarely(12), other, variant: None, apart: draw.rarely(16), lasts: seed % 3 == 1 };
    let version = draw.pick(&VERSIONS);
    let own = if draw.rarely(24) { draw.pick(&RARE) } else { draw.pick(&[PALETTE[0], PALETTE[0], PALETTE[1], PALETTE[2]]) };
    let dtype = if draw.rarely(10) { DType::F16 } else { DType::F32 };
    let mut s = Sketch::new(draw, seed, sizes.unwrap_or(own), version);
    s.goes_round = seed % 6 == 5;
    grow(&mut s, dtype);
    s.network.prune();
    (s.network, trial)
}

/// Draws the blocks of a network, and which values are outputs.
fn grow(s: &mut Sketch, dtype: DType) {
    s.network.symbolic = s.draw.rarely(3);
    let start = s.draw.within(0, 12);
    if start >= 11 {
        let y = if start == 11 { s.whole_numbers() } else { s.specials() };
        return s.network.outputs.push(y.name);
    }
    let mut image = start > 5;
    let mut x = if image { s.image(dtype) } else { s.sequence(dtype) };
    let mut earlier: Vec<Value> = vec![x.clone()];
    for block in 0..s.draw.within(1, 3) {
        if x.elements() > ELEMENTS {
            break;
        }
        if image && block > 0 && s.draw.rarely(4) {
            x = s.tokens(&x);
            image = false;
        }
        let y = if image {
            s.image_block(&x)
        } else if s.goes_round && s.draw.flag() {
            s.looped(&x)
        } else {
            s.rows_block(&x)
        };
        // A constant of higher rank may have left more axes.
        let wanted: Vec<usize> = y.shape[y.rank() - y.rank().min(x.rank())..].to_vec();
        x = if y.elements() == wanted.iter().product::<usize>() && s.draw.rarely(8) { y } else { s.settled(&y, &wanted) };
        if x.rank() < 3 || x.rank() > 4 {
            break;
        }
        image = x.rank() == 4;
        // What was there before is used again.
        if s.draw.rarely(5) {
            let alike: Vec<Value> = earlier.iter().filter(|v| v.shape == x.shape && v.dtype == x.dtype).cloned().collect();
            if let Some(old) = (!alike.is_empty()).then(|| s.draw.pick(&alike)) {
                let operator = s.draw.pick(&["Add", "Mul", "Sub", "Min", "Max"]);
                x = if s.draw.flag() { s.binary(operator, &x, &old) } else { s.binary(operator, &old, &x) };
            }
        }
        earlier.push(x.clone());
    }
    if s.draw.rarely(3) && x.rank() > 0 {
        x = s.head(&x);
    }
    if !s.network.outputs.contains(&x.name) {
        s.network.outputs.insert(0, x.name);
    }
    // Values in the middle are outputs too.
    if s.draw.rarely(4) {
        let made: Vec<String> =
            s.network.nodes.iter().filter(|n| n.operator != "Constant").flat_map(|n| n.outputs.clone()).collect();
        let name = s.draw.pick(&made);
        if !s.network.outputs.contains(&name) {
            s.network.outputs.push(name);
        }
    }
}

/// How many of the networks of the normal test there are.
const NETWORKS: u64 = 200;

/// Optimised against unoptimised, and the GPU against the references, over the networks of a fixed run of seeds.
#[test]
fn networks_of_exporters() {
    let (mut failures, mut loose) = (Vec::new(), 0);
    for seed in 0..NETWORKS {
        let (network, trial) = drawn(seed, None);
        match check(&network, &trial) {
            Ok(passed) => loose += u64::from(passed.loose),
            Err(failure) => failures.push(format!("seed {seed}: {:?}: {}", failure.stage, failure.message)),
        }
    }
    assert!(failures.is_empty(), "{} of {NETWORKS} networks fail:\n{}", failures.len(), failures.join("\n"));
    assert!(loose < NETWORKS / 20, "the bounds of {loose} networks say little");
}
