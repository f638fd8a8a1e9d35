//! Pooling over one to three axes.

use super::conv::{Windowed, windowed};
use super::property;
use crate::cases::F32;
use gristmill::internals::ops::conv::{AutoPad, SlidingWindow};
use gristmill::internals::ops::pool::{average_pool, global_average_pool, global_lp_pool, global_max_pool, lp_pool, max_pool};

#[test]
fn pooling() {
    property(36, F32, |draw, net| {
        let spatial = draw.pick(&[2, 1, 3]);
        let Windowed { mut window, input, .. } = windowed(draw, spatial, true);
        let ceil = draw.flag();
        if window.auto_pad != AutoPad::NotSet && draw.flag() {
            window = SlidingWindow { strides: vec![2; spatial], ..window };
        }
        let batch = draw.pick(&[1, 2, 0]);
        let shape = [&[batch, draw.pick(&[3, 1, 4])], &input[..]].concat();
        let x = if draw.rarely(4) { net.transposed(draw, &shape) } else { net.floats(&shape) };
        let y = match draw.within(0, 5) {
            0 | 1 => net.apply(max_pool(window, ceil, false), &[x]),
            2 => return net.apply_to(max_pool(window, ceil, draw.flag()), &[Some(x)], 2),
            3 | 4 => net.apply(average_pool(window, ceil, draw.flag()), &[x]),
            _ => net.apply(lp_pool(window, ceil, draw.pick(&[2, 1, 3])), &[x]),
        };
        vec![net.epilogue(draw, y, &[])]
    });
}

#[test]
fn global_pooling() {
    property(16, F32, |draw, net| {
        let spatial = draw.within(1, 3);
        let spatial = draw.filled(spatial, &[4, 1, 3, 8, 16, 33], 2000);
        let shape = [vec![draw.pick(&[1, 2, 3]), draw.pick(&[3, 1, 4, 8])], spatial].concat();
        let x = if draw.rarely(4) { net.transposed(draw, &shape) } else { net.floats(&shape) };
        let op = draw.pick(&[global_average_pool(), global_max_pool(), global_lp_pool(2)]);
        let y = net.apply(op, &[x]);
        vec![net.epilogue(draw, y, &[])]
    });
}
