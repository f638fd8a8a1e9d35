//! The turns of a steady loop.

use super::body::{Lane, LaneLease, SteadyBody};
use super::copies::{OwnedCopy, copies};
use crate::error::{Error, Result};
use crate::gpu::{GpuBuffer, Lent, Opaque, Range, Recording, Role};
use crate::graph::{Structure, ValueId};
use crate::ops::flow::turns::condition as condition_of;
use crate::plan::{Transfer, Written};
use crate::session::data::elements::{ASSUMED, widen};
use crate::session::data::held::{GpuTensor, Held};
use crate::session::execution::bound_states::Commands;
use crate::session::stages::rows::Rows;
use crate::session::stages::runner::Runner;
use crate::tensor::{DType, Tensor, TensorType};
use std::future::poll_fn;
use std::task::Poll;

/// The most dispatches of one submission.
const DISPATCHES: usize = 2048;

/// How far a loop has come.
pub(crate) struct Progress<'a> {
    /// Turns that are done.
    pub number: u64,
    /// Whether the condition asks for another.
    pub going: bool,
    pub carried: Vec<Structure<Held<'a>>>,
    pub rows: Vec<Rows>,
}

/// A loop on its way.
struct Turning<'r, 'a> {
    runner: &'r Runner<'r>,
    body: &'r SteadyBody,
    lane: &'r mut Lane,
    scans: &'r [GpuTensor],
    progress: &'r mut Progress<'a>,
}

impl Opaque<SteadyBody> {
    /// Takes turns, `most` in all, for as long as this can be done; false where what was assumed of integers was wrong, and nothing of it is
    /// of use. `scans` are whole, `captured` what the body reads beside them.
    pub(crate) async fn run<'a>(
        &self,
        runner: &Runner<'_>,
        progress: &mut Progress<'a>,
        most: u64,
        scans: &[GpuTensor],
        captured: &[Structure<Held<'a>>],
    ) -> Result<bool> {
        let mut lane = self.lane().await?;
        let initial = self.initial(progress);
        let (gpu, tally) = (runner.resources.gpu, runner.resources.tally);
        lane.states.prepare(self.loaded.shared()).await?;
        lane.states.store(&initial, gpu, tally).await?;
        lane.states.prepare(self.loaded.shared()).await?;
        self.give(runner, &lane, scans.len(), captured).await?;
        let mut turning = Turning { runner, body: self, lane: &mut lane, scans, progress };
        turning.turns(most).await?;
        let lease = Opaque::new(LaneLease::new(self.clone(), lane));
        let states = lease.states().ok_or_else(|| Error::internal("a loop without its states"))?;
        if let Some(within) = self.shape.within {
            let word = states.held(within)?.tensor(gpu, tally).await?;
            if word.to_i128() != [1] {
                return Ok(false);
            }
        }
        for (value, input) in progress.carried.iter_mut().zip(&self.shape.carried) {
            let ty = value.tensor()?.ty();
            let held = states.held(*input)?;
            let tensor = held.on_gpu().ok_or_else(|| Error::internal("a carried value that left the GPU"))?;
            let wide = ty.dtype.size() == 8 && ty.dtype.is_integer();
            let bounds = wide.then_some((-ASSUMED, ASSUMED));
            *value = Structure::Tensor(Held::gpu(GpuTensor { ty, bounds, _keeper: Some(lease.keeper()), ..tensor.clone() }));
        }
        Ok(true)
    }
}

impl SteadyBody {
    /// What the states hold before the first turn.
    fn initial<'a>(&self, progress: &Progress<'a>) -> Vec<(ValueId, Held<'a>)> {
        let number = |id: ValueId, number: i32| (id, Held::host(Tensor::scalar(number)));
        let turn = self.shape.turn.map(|id| number(id, progress.number as i32));
        let within = self.shape.within.map(|id| number(id, 1));
        let carried = self.shape.carried.iter().zip(&progress.carried);
        let carried = carried.filter_map(|(id, value)| Some((*id, narrowed(value.tensor().ok()?))));
        turn.into_iter().chain(within).chain(carried).collect()
    }

    /// Puts what is captured where the turns read it.
    async fn give(&self, runner: &Runner<'_>, lane: &Lane, scans: usize, captured: &[Structure<Held<'_>>]) -> Result<()> {
        let shared = self.loaded.shared();
        let mut moves = Vec::new();
        for (ids, values) in self.given.iter().skip(scans).zip(captured) {
            for (id, held) in ids.tensors().iter().zip(values.tensors()) {
                let Some(transfer) = self.upload(*id) else { continue };
                let to = lane.instance.range(shared, None, transfer.tensor)?;
                match held.on_gpu() {
                    Some(tensor) => moves.push(OwnedCopy::new(tensor.range(), to)),
                    None => shared.gpu.write(to.buffer, to.offset, &bytes(&runner.tensor(held).await?)),
                }
            }
        }
        if !moves.is_empty() {
            shared.gpu.submit(&[Recording { before: &copies(&moves), ..Recording::default() }]).await?;
        }
        Ok(())
    }

    /// How an input gets to the GPU, if anything reads it there.
    fn upload(&self, id: ValueId) -> Option<&Transfer> {
        self.loaded.plan().segments.first()?.uploads.iter().find(|transfer| transfer.value == id)
    }

    /// Where an output lies.
    fn output(&self, id: ValueId) -> Option<&Transfer> {
        let plan = self.loaded.plan();
        plan.outputs[plan.graph.outputs().iter().position(|output| *output == id)?].as_ref()
    }
}

impl Turning<'_, '_> {
    async fn turns(&mut self, most: u64) -> Result<()> {
        let plan = self.body.loaded.plan();
        // A condition that depends on nothing is known for all turns.
        let known = plan.graph.constant(self.body.shape.condition);
        let known = known.map(|condition| condition_of("Loop", condition)).transpose()?;
        let (gpu, tally) = (self.runner.resources.gpu, self.runner.resources.tally);
        let mut staging = match known {
            Some(_) => None,
            None => Some(gpu.lend("condition", 4, Role::Download, tally).await?),
        };
        let chunk = if known == Some(true) { (DISPATCHES / plan.steps().count().max(1)).max(1) as u64 } else { 1 };
        let most = most.min(self.runner.resources.options.max_turns).min(ASSUMED as u64);
        while self.progress.going && self.progress.number < most {
            rest().await;
            let turns = chunk.min(most - self.progress.number);
            self.room(turns).await?;
            let mut recorded = Vec::with_capacity(turns as usize);
            for _ in 0..turns {
                recorded.push(self.turn().await?);
            }
            self.progress.going = match &mut staging {
                Some(staging) => self.submit_one(&recorded, staging).await?,
                None => {
                    // No more than one submission waits for another.
                    if self.progress.number > turns {
                        gpu.submit_and_wait(&Recording::default()).await?;
                    }
                    self.submit(&recorded).await?;
                    known == Some(true)
                }
            };
        }
        Ok(())
    }

    /// Makes room for the rows of so many turns.
    async fn room(&mut self, turns: u64) -> Result<()> {
        for (index, (rows, id)) in self.progress.rows.iter_mut().zip(&self.body.shape.rows).enumerate() {
            let transfer = self.body.output(*id).ok_or_else(|| Error::internal("a row that lies nowhere"))?;
            let range = self.lane.instance.range(self.body.loaded.shared(), Some(&self.lane.states), transfer.tensor)?;
            let like = GpuTensor {
                ty: transfer.ty.clone(),
                scalar: transfer.scalar,
                bounds: self.body.loaded.plan().graph.fact(*id)?.bounds,
                buffer: range.buffer.clone(),
                offset: range.offset,
                _keeper: None,
            };
            rows.reserve(self.runner, index, &like, turns).await?;
        }
        Ok(())
    }

    /// What the next turn does.
    async fn turn(&mut self) -> Result<Turn> {
        let (body, shared) = (self.body, self.body.loaded.shared());
        let (instance, states) = (&self.lane.instance, &self.lane.states);
        let commands = instance.commands(shared, Some(states)).await?;
        let mut before = Vec::new();
        for (ids, scan) in body.given.iter().zip(self.scans) {
            let Some(transfer) = ids.tensors().first().and_then(|id| body.upload(*id)) else { continue };
            let slice = scan.slice(self.progress.number as usize);
            before.push(OwnedCopy::new(slice.range(), instance.range(shared, None, transfer.tensor)?));
        }
        let mut after = Vec::new();
        for (rows, id) in self.progress.rows.iter_mut().zip(&body.shape.rows) {
            let transfer = body.output(*id).ok_or_else(|| Error::internal("a row that lies nowhere"))?;
            let from = instance.range(shared, Some(states), transfer.tensor)?;
            let to = rows.next()?;
            after.push(OwnedCopy::new(Range { bytes: transfer.bytes(), ..from }, to.range()));
        }
        for planned in &shared.plan.states {
            if let Written::Copied(tensor) = planned.written {
                let from = instance.range(shared, Some(states), tensor)?;
                let to = states.buffer(planned, true)?;
                after.push(OwnedCopy::new(from, to.range(planned.result_bytes())));
            }
        }
        self.lane.states.flip(&shared.plan)?;
        self.progress.number += 1;
        Ok(Turn { before, commands, after })
    }

    async fn submit(&self, turns: &[Turn]) -> Result<()> {
        let copied: Vec<_> = turns.iter().map(|turn| (copies(&turn.before), copies(&turn.after))).collect();
        let mut recordings = Vec::with_capacity(turns.len());
        for (turn, (before, after)) in turns.iter().zip(&copied) {
            recordings.push(Recording { before, commands: &turn.commands[0], after, ..Recording::default() });
        }
        self.runner.resources.gpu.submit(&recordings).await
    }

    /// Does one turn, and reads its condition.
    async fn submit_one(&self, turns: &[Turn], staging: &mut Lent) -> Result<bool> {
        let Some(turn) = turns.first() else { return Ok(false) };
        let shared = self.body.loaded.shared();
        let transfer =
            self.body.output(self.body.shape.condition).ok_or_else(|| Error::internal("a condition that lies nowhere"))?;
        if transfer.ty.dtype != DType::Bool || transfer.ty.elements() != 1 {
            return Err(Error::invalid_model(format!("Loop takes a condition of one bool, found {}", transfer.ty)));
        }
        let from = self.lane.instance.range(shared, Some(&self.lane.states), transfer.tensor)?;
        let to: &GpuBuffer = staging;
        let condition = OwnedCopy::new(Range { bytes: 4, ..from }, to.range(4));
        let (before, mut after) = (copies(&turn.before), copies(&turn.after));
        after.push(condition.copy());
        let recording =
            Recording { before: &before, commands: &turn.commands[0], after: &after, map: Some(to), ..Recording::default() };
        let done = self.runner.resources.gpu.submit_and_wait(&recording).await;
        let word = done.and_then(|()| to.mapped(4, |bytes| bytes.iter().any(|byte| *byte != 0)));
        if word.is_err() {
            staging.spoil();
        }
        word
    }
}

/// Lets whoever polls the run do something else in between.
pub(crate) async fn rest() {
    let mut rested = false;
    poll_fn(|context| {
        if std::mem::replace(&mut rested, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// One turn, to be submitted.
struct Turn {
    before: Vec<OwnedCopy>,
    commands: Commands,
    after: Vec<OwnedCopy>,
}

/// A carried value as its state holds it: 64-bit integers in 32 bits, which they were found to fit.
fn narrowed<'a>(held: &Held<'a>) -> Held<'a> {
    let ty = held.ty();
    let narrow = match ty.dtype {
        DType::I64 => DType::I32,
        DType::U64 => DType::U32,
        _ => return held.clone(),
    };
    let ty = TensorType::new(narrow, ty.shape);
    match (held.on_gpu(), held.on_host()) {
        (Some(tensor), _) => Held::gpu(GpuTensor { ty, bounds: None, ..tensor.clone() }),
        (None, Some(view)) => {
            let mut words = Vec::new();
            widen(view.dtype(), view.bytes(), &mut words);
            Tensor::from_bytes(ty, &words).map_or_else(|_| held.clone(), Held::host)
        }
        (None, None) => held.clone(),
    }
}

/// The words of a tensor in a storage buffer.
fn bytes(tensor: &Tensor) -> Vec<u8> {
    let mut words = Vec::new();
    widen(tensor.dtype(), tensor.bytes(), &mut words);
    words
}
