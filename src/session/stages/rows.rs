//! The rows of a scan output, as the turns of a loop make them.

use super::runner::Runner;
use crate::error::Result;
use crate::gpu::{Copy, GpuBuffer, Lent, Opaque, Recording, Role};
use crate::ops::flow::turns;
use crate::session::data::held::{GpuTensor, Held};
use crate::tensor::{Tensor, TensorType};

/// How many rows there is room for at first, where their number is not known.
const FIRST_ROOM: u64 = 16;

/// The most rows that room is made for before they come.
const MOST_ROOM: u64 = 4096;

/// The rows of one scan output.
pub(super) struct Rows {
    /// How many come, at most.
    most: u64,
    /// The type of each; all rows are alike.
    types: Vec<TensorType>,
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
        Rows { most, types: vec![], made: Made::Nowhere }
    }

    /// Adds the row of a turn.
    pub(super) async fn push(&mut self, runner: &Runner<'_>, index: usize, row: &Held<'_>) -> Result<()> {
        let ty = row.ty();
        self.types.truncate(1);
        turns::stacked(index, &self.types, &ty)?;
        self.types.push(ty);
        match (&mut self.made, row.on_gpu()) {
            (Made::Nowhere, Some(gpu)) => {
                let room = if self.most == u64::MAX { FIRST_ROOM } else { self.most.min(MOST_ROOM) };
                let lent = room_for(runner, gpu, room).await?;
                let (buffer, _keeper) = (GpuBuffer::clone(&lent), Some(lent.keeper()));
                let ty = TensorType::new(gpu.ty.dtype, [vec![0], gpu.ty.shape.to_vec()].concat());
                self.made = Made::Gpu { rows: GpuTensor { ty, buffer, offset: 0, _keeper, ..gpu.clone() }, room };
                self.copy(runner, gpu).await
            }
            (Made::Nowhere, None) => {
                self.made = Made::Host(vec![runner.tensor(row).await?]);
                Ok(())
            }
            (Made::Host(rows), _) => {
                rows.push(runner.tensor(row).await?);
                Ok(())
            }
            (Made::Gpu { .. }, Some(gpu)) => self.copy(runner, gpu).await,
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

    /// Copies a row behind the others.
    async fn copy(&mut self, runner: &Runner<'_>, row: &GpuTensor) -> Result<()> {
        let Made::Gpu { rows, room } = &mut self.made else { return Ok(()) };
        let count = rows.ty.shape.first().copied().unwrap_or(0);
        if count as u64 == *room {
            let more = room_for(runner, row, *room * 2).await?;
            let before = [Copy { from: rows.range(), to: &more, offset: 0 }];
            runner.resources.gpu.submit(&Recording { before: &before, ..Recording::default() }).await?;
            (rows.buffer, rows._keeper) = (GpuBuffer::clone(&more), Some(more.keeper()));
            *room *= 2;
        }
        let before = [Copy { from: row.range(), to: &rows.buffer, offset: rows.bytes() }];
        runner.resources.gpu.submit(&Recording { before: &before, ..Recording::default() }).await?;
        rows.ty = TensorType::new(row.ty.dtype, [vec![count + 1], row.ty.shape.to_vec()].concat());
        if let (Some((low, high)), Some((l, h))) = (rows.bounds, row.bounds) {
            rows.bounds = Some((low.min(l), high.max(h)));
        }
        Ok(())
    }

    /// All rows along a new axis 0. There is at least one.
    pub(super) fn stacked<'a>(self, index: usize) -> Result<Held<'a>> {
        match self.made {
            Made::Nowhere => Err(crate::error::Error::internal("a loop of no turn has no rows")),
            Made::Host(rows) => Ok(Held::host(turns::stack(index, &rows, rows[0].ty())?)),
            Made::Gpu { rows, .. } => Ok(Held::gpu(rows)),
        }
    }
}

async fn room_for(runner: &Runner<'_>, row: &GpuTensor, rows: u64) -> Result<Opaque<Lent>> {
    let bytes = row.bytes().saturating_mul(rows);
    Ok(Opaque::new(runner.resources.gpu.lend("rows of a scan output", bytes, Role::Storage, runner.resources.tally).await?))
}
