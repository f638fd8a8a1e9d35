//! The rows of a scan output, as the turns of a loop make them.

use super::runner::Runner;
use crate::error::{Error, Result};
use crate::gpu::{Copy, GpuBuffer, Lent, Opaque, Recording, Role};
use crate::ops::flow::turns;
use crate::session::data::held::{GpuTensor, Held};
use crate::tensor::{Tensor, TensorType};

/// How many rows there is room for at first, where their number is not known.
const FIRST_ROOM: u64 = 16;

/// The most rows that room is made for before they come.
const MOST_ROOM: u64 = 4096;

/// The rows of one scan output.
pub(crate) struct Rows {
    /// How many come, at most.
    most: u64,
    /// The type of each, once there is one; all rows are alike.
    row: Option<TensorType>,
    made: Made,
}

/// Where rows are collected: one after another, where the first one lies.
enum Made {
    Nowhere,
    Host(Vec<Tensor>),
    Gpu { rows: GpuTensor, room: u64 },
}

impl Rows {
    pub(super) fn new(most: u64) -> Self {
        Rows { most, row: None, made: Made::Nowhere }
    }

    /// Checks that a row is like the others.
    fn check(&mut self, index: usize, ty: &TensorType) -> Result<()> {
        turns::stacked(index, self.row.as_slice(), ty)?;
        self.row = Some(ty.clone());
        Ok(())
    }

    /// Adds the row of a turn.
    pub(super) async fn push(&mut self, runner: &Runner<'_>, index: usize, row: &Held<'_>) -> Result<()> {
        self.check(index, &row.ty())?;
        match (&mut self.made, row.on_gpu()) {
            (Made::Nowhere | Made::Gpu { .. }, Some(gpu)) => {
                self.reserve(runner, index, gpu, 1).await?;
                let to = self.next()?;
                let before = [Copy { from: gpu.range(), to: &to.buffer, offset: to.offset }];
                runner.resources.gpu.submit(&[Recording { before: &before, ..Recording::default() }]).await
            }
            (Made::Nowhere, None) => {
                self.made = Made::Host(vec![runner.tensor(row).await?]);
                Ok(())
            }
            (Made::Host(rows), _) => {
                rows.push(runner.tensor(row).await?);
                Ok(())
            }
            (Made::Gpu { rows, .. }, None) => {
                // The body's plan has changed its mind about where this is made.
                let so_far = runner.tensor(&Held::gpu(rows.clone())).await?;
                let count = so_far.shape().first().copied().unwrap_or(0);
                let mut rows = (0..count).map(|turn| turns::slice(&so_far, turn)).collect::<Result<Vec<_>>>()?;
                rows.push(runner.tensor(row).await?);
                self.made = Made::Host(rows);
                Ok(())
            }
        }
    }

    /// Makes room for so many more rows like this one.
    pub(super) async fn reserve(&mut self, runner: &Runner<'_>, index: usize, like: &GpuTensor, more: u64) -> Result<()> {
        self.check(index, &like.ty)?;
        match &mut self.made {
            Made::Host(_) => Err(Error::internal("rows on the host, and room for them on the GPU")),
            Made::Nowhere => {
                let first = if self.most == u64::MAX { FIRST_ROOM } else { self.most.min(MOST_ROOM) };
                let room = first.max(more);
                let lent = room_for(runner, like, room).await?;
                let (buffer, _keeper) = (GpuBuffer::clone(&lent), Some(lent.keeper()));
                let ty = TensorType::new(like.ty.dtype, [vec![0], like.ty.shape.to_vec()].concat());
                self.made = Made::Gpu { rows: GpuTensor { ty, buffer, offset: 0, _keeper, ..like.clone() }, room };
                Ok(())
            }
            Made::Gpu { rows, room } => {
                let wanted = count(rows) + more;
                if wanted > *room {
                    let larger = room_for(runner, like, wanted.max(*room * 2)).await?;
                    let before = [Copy { from: rows.range(), to: &larger, offset: 0 }];
                    runner.resources.gpu.submit(&[Recording { before: &before, ..Recording::default() }]).await?;
                    (rows.buffer, rows._keeper) = (GpuBuffer::clone(&larger), Some(larger.keeper()));
                    *room = wanted.max(*room * 2);
                }
                if let (Some((low, high)), Some((l, h))) = (rows.bounds, like.bounds) {
                    rows.bounds = Some((low.min(l), high.max(h)));
                }
                Ok(())
            }
        }
    }

    /// Where the next row goes, for which there is room.
    pub(super) fn next(&mut self) -> Result<GpuTensor> {
        let Made::Gpu { rows, .. } = &mut self.made else { return Err(Error::internal("there is no room for a row")) };
        let place = rows.slice(count(rows) as usize);
        let shape = [vec![count(rows) as usize + 1], place.ty.shape.to_vec()].concat();
        rows.ty = TensorType::new(place.ty.dtype, shape);
        Ok(place)
    }

    /// All rows along a new axis 0. There is at least one.
    pub(super) fn stacked<'a>(self, index: usize) -> Result<Held<'a>> {
        match self.made {
            Made::Nowhere => Err(Error::internal("a loop of no turn has no rows")),
            Made::Host(rows) => Ok(Held::host(turns::stack(index, &rows, rows[0].ty())?)),
            Made::Gpu { rows, .. } => Ok(Held::gpu(rows)),
        }
    }
}

fn count(rows: &GpuTensor) -> u64 {
    rows.ty.shape.first().copied().unwrap_or(0) as u64
}

async fn room_for(runner: &Runner<'_>, row: &GpuTensor, rows: u64) -> Result<Opaque<Lent>> {
    let bytes = row.bytes().saturating_mul(rows);
    Ok(Opaque::new(runner.resources.gpu.lend("rows of a scan output", bytes, Role::Storage, runner.resources.tally).await?))
}
