//! Local response normalization.

use super::{Case, Random};
use gristmill::internals::ops::lrn::lrn;

pub fn cases() -> Vec<Case> {
    let mut random = Random::new(0x12);
    let rows: &[(&str, &[usize], usize)] = &[
        ("odd_size", &[2, 7, 3, 5], 3),
        ("even_size", &[1, 6, 4], 4),
        ("wider_than_channels", &[3, 2, 5], 9),
        ("one_channel", &[2, 1, 3, 3], 5),
        ("rank_2", &[4, 11], 5),
        ("size_of_one", &[1, 3, 2, 2], 1),
        ("no_batch", &[0, 3, 2], 3),
        ("rank_8", &[1, 5, 1, 2, 1, 2, 1, 2], 3),
    ];
    let row = |(name, shape, size): &(&str, &[usize], usize)| {
        let op = lrn(0.02, 0.7, 1.5, *size).expect("a size above 0");
        Case::new(format!("lrn/{name}"), op, vec![random.floats(shape)])
    };
    rows.iter().map(row).collect()
}
