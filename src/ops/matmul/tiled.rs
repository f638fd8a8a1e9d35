//! The matrix product for GPUs.

use super::operands::{AForm, BForm};
use super::product::{MatMulParams, Product};
use super::split::{self, Parts};
use crate::error::{Error, Result};
use crate::graph::Io;
use crate::kernel::{Access, Caps, Kernel, Lowering, Offers, Rank, preludes, shader};

shader!(pub(super) static SHADER: MatMulParams = "matmul_tiled");

/// A tile size: what a workgroup makes.
struct Tile {
    variant: &'static str,
    /// The variant that splits k; none where workgroups are large already.
    split: Option<&'static str>,
    /// Invocations along the rows.
    down: u32,
    /// Blocks of 4x4 of each invocation, along each side.
    parts: u32,
}

/// Columns of a packed panel of B.
const PANEL: u32 = 64;

/// The largest first.
static TILES: [Tile; 3] = [
    Tile { variant: "tiled128x64", split: None, down: 16, parts: 2 },
    Tile { variant: "tiled64", split: Some("tiled64_split"), down: 8, parts: 2 },
    Tile { variant: "tiled32", split: Some("tiled32_split"), down: 8, parts: 1 },
];

/// The order of preference.
const SPLIT_THAT_PAYS: Rank = 0;
const BEST: Rank = 1;
const OTHERS: Rank = 2;
const SPLIT: Rank = 3;

impl Tile {
    fn rows(&self) -> usize {
        (4 * self.parts * self.down) as usize
    }

    fn columns(&self) -> usize {
        32 * self.parts as usize
    }

    fn step(&self) -> usize {
        32 / self.parts as usize
    }

    /// Tiles along columns and rows.
    fn grid(&self, product: &Product) -> [usize; 2] {
        [product.columns().div_ceil(self.columns()), product.m.div_ceil(self.rows())]
    }

    fn count(&self, product: &Product) -> usize {
        self.grid(product).iter().product::<usize>() * product.batches()
    }

    /// True when at least half of each side is used.
    fn suits(&self, product: &Product) -> bool {
        2 * product.m > self.rows() && 2 * product.columns() > self.columns()
    }

    /// The variant, with k in parts if it is split.
    fn lower(&self, product: &Product, split: Option<Parts>, io: &Io, caps: &Caps) -> Result<Lowering> {
        // Twice as many invocations as there are blocks of B take half a block each, which a gathered B does not offer.
        if self.down > 8 && product.gather.is_some() {
            return Err(Error::unsupported("the right operand is gathered"));
        }
        let Parts { count, terms } = split.unwrap_or(Parts { count: 1, terms: product.k });
        let [x, y] = self.grid(product);
        // Steps, of which those of a gathered operand are loops themselves, and what is left over whole steps.
        let inner = if product.gather.is_some() { 2 + self.step() / 4 } else { 1 };
        let turns = terms / self.step() * inner + self.step() + 16;
        let share = if self.down > 8 { &preludes::MATMUL_SHARE_HALVES } else { &preludes::MATMUL_SHARE_BLOCKS };
        let kernel = Kernel::new(&SHADER, &[Access::Read, Access::Read, Access::Write], [8, self.down, 1])
            .constant("DOWN", self.down)
            .constant("PARTS", self.parts)
            .constant("GATHERED", product.gather.is_some().into());
        let bound = product.read(kernel, AForm::Blocks, BForm::Panels(PANEL), io, caps)?.prelude(share);
        bound.finish_split(split, [x, y, count * product.batches()], turns)
    }
}

/// Offers all tile sizes, the best one first: the largest that still keeps the adapter busy, else one that splits a long k.
pub(super) fn offer(product: &Product, io: &Io, offers: &mut Offers) -> Result<()> {
    let caps = offers.caps();
    let busy = TILES.iter().find(|tile| tile.suits(product) && tile.count(product) >= caps.enough_workgroups());
    let first = busy.unwrap_or(&TILES[2]);
    for tile in &TILES {
        let rank = if tile.variant == first.variant { BEST } else { OTHERS };
        offers.add(tile.variant, rank, || tile.lower(product, None, io, caps));
    }
    // What is split is the largest tile that the output fills.
    let splitting = || TILES.iter().filter_map(|tile| Some((tile, tile.split?)));
    let suiting = splitting().find(|(tile, _)| tile.suits(product)).or_else(|| splitting().next_back());
    if let Some((tile, variant)) = suiting
        && let Some(parts) = split::parts(product.k, tile.count(product), tile.step(), caps)
    {
        let pays = busy.is_none() && split::pays(product.k, first.count(product), caps);
        let rank = if pays { SPLIT_THAT_PAYS } else { SPLIT };
        offers.add(variant, rank, || tile.lower(product, Some(parts), io, caps));
    }
    Ok(())
}
