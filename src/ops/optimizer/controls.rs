//! The numbers by which an update is done, as they stand in its input of that name. The host computes them in double precision for each step.

/// How many there are.
pub const COUNT: usize = 16;

/// 1 where parameters change, 0 where gradients are only summed.
pub const APPLY: usize = 0;
/// The norm that gradients are scaled down to where they exceed it.
pub const CLIP_NORM: usize = 1;
/// What of a parameter is added to its gradient.
pub const WEIGHT_DECAY: usize = 2;
/// What of a parameter is left before the update.
pub const KEEP: usize = 3;
/// What of the direction is taken from a parameter.
pub const RATE: usize = 4;
/// What of the sum of earlier gradients stays: 0 in the first of several runs that are summed, 1 in the others.
pub const SUMMED: usize = 5;
/// What the gradient of one of several runs counts in their sum.
pub const SHARE: usize = 12;
/// SGD's momentum; Adam's first decay; RMSprop's decay.
pub const DECAY: usize = 6;
/// What of the gradient is added to what that leaves.
pub const FRESH: usize = 7;
/// Adam's decay of squares; RMSprop's momentum.
pub const SECOND_DECAY: usize = 8;
/// What of the squares is added to what that leaves.
pub const SECOND_FRESH: usize = 9;
/// What is added to a root before it divides.
pub const EPSILON: usize = 10;
/// What Adam's root of squares is multiplied by.
pub const ROOT_SCALE: usize = 11;
/// The number of a batch, of which nothing is learned where it is the first that is not finite: what is left of it by pages of [`PAGE`].
pub const BATCH: usize = 13;
/// How many pages there are before it. Both are exact in 32 bits.
pub const BATCHES: usize = 14;
/// Numbers of batches on a page.
pub const PAGE: f64 = 65_536.0;
