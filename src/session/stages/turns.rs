//! The turns of a loop.

use super::planned::LoopStage;
use super::rows::Rows;
use super::runner::Runner;
use super::steady::{Progress, rest};
use crate::error::{Error, Result};
use crate::gpu::{GpuBuffer, Opaque, Role};
use crate::graph::Structure;
use crate::ops::flow::loops::{LoopInputs, turns_exceeded};
use crate::ops::flow::turns;
use crate::session::data::elements::widen;
use crate::session::data::held::{GpuTensor, Held};
use crate::session::resources::Resources;
use crate::tensor::{Tensor, TensorType};

impl Runner<'_> {
    /// The outputs of a loop.
    pub(super) async fn turns<'a>(&self, stage: &LoopStage, inputs: Vec<Structure<Held<'a>>>) -> Result<Vec<Structure<Held<'a>>>> {
        let LoopInputs { count, condition, carried, scans } = stage.turns.inputs(&inputs)?;
        let scans = scans.iter().map(Structure::tensor).collect::<Result<Vec<_>>>()?;
        let types: Vec<TensorType> = scans.iter().map(|scan| scan.ty()).collect();
        let mut most = turns::slices(types.iter())?.unwrap_or(u64::MAX);
        if !count.is_absent() {
            most = most.min(turns::count(&self.tensor(count.tensor()?).await?)?);
        }
        let going = condition.is_absent() || turns::condition("Loop", &self.tensor(condition.tensor()?).await?)?;
        let rows = |count: usize| (0..count).map(|_| Rows::new(most)).collect::<Vec<_>>();
        let start = || -> Result<Progress<'a>> {
            Ok(Progress { number: 0, going, carried: carried.to_vec(), rows: rows(stage.turns.scan_outputs()?) })
        };
        let mut progress = start()?;
        if going && most > 0 && !self.steadily(stage, &mut progress, most, &scans, &inputs).await? {
            progress = start()?;
        }
        while progress.going && progress.number < most {
            if progress.number >= self.resources.options.max_turns {
                return Err(turns_exceeded(progress.number));
            }
            // Whoever drops the run ends the loop.
            rest().await;
            self.step(stage, &mut progress, &scans, &inputs).await?;
        }
        if progress.number == 0 && !progress.rows.is_empty() {
            return self.no_turn(stage, progress.carried, &types, &inputs).await;
        }
        let mut outputs = progress.carried;
        for (index, rows) in progress.rows.into_iter().enumerate() {
            outputs.push(Structure::Tensor(rows.stacked(index)?));
        }
        Ok(outputs)
    }

    /// Takes turns that are all alike, for as long as they are; false where what was assumed of them was wrong.
    async fn steadily<'a>(
        &self,
        stage: &LoopStage,
        progress: &mut Progress<'a>,
        most: u64,
        scans: &[&Held<'a>],
        inputs: &[Structure<Held<'a>>],
    ) -> Result<bool> {
        if self.recorder.is_some() {
            return Ok(true);
        }
        let captured = stage.body.arguments(vec![], inputs);
        let slices = scans.iter().map(|scan| Ok(Structure::Tensor(scan.slice(0)?))).collect::<Result<Vec<_>>>()?;
        let given = [slices, captured.clone()].concat();
        let body = stage.steady.find(&self.resources, &stage.body.planned.graph, &progress.carried, &given).await?;
        let Some(body) = body else { return Ok(true) };
        let mut whole = Vec::with_capacity(scans.len());
        for scan in scans {
            whole.push(self.on_gpu(scan).await?);
        }
        body.run(self, progress, most, &whole, &captured).await
    }

    /// A tensor on the GPU, uploaded where it is not there.
    async fn on_gpu(&self, held: &Held<'_>) -> Result<GpuTensor> {
        if let Some(tensor) = held.on_gpu() {
            return Ok(tensor.clone());
        }
        let Resources { gpu, tally, .. } = self.resources;
        let fact = held.fact();
        let scalar = fact.scalar().ok_or_else(|| Error::internal("a scan input that has no form on the GPU"))?;
        let tensor = self.tensor(held).await?;
        let mut words = Vec::new();
        widen(tensor.dtype(), tensor.bytes(), &mut words);
        let lent = Opaque::new(gpu.lend("scan input", words.len() as u64, Role::Storage, tally).await?);
        gpu.write(&lent, 0, &words);
        let _keeper = Some(lent.keeper());
        Ok(GpuTensor { ty: fact.ty, scalar, bounds: fact.bounds, buffer: GpuBuffer::clone(&lent), offset: 0, _keeper })
    }

    /// Takes one turn by itself.
    async fn step<'a>(
        &self,
        stage: &LoopStage,
        progress: &mut Progress<'a>,
        scans: &[&Held<'a>],
        inputs: &[Structure<Held<'a>>],
    ) -> Result<()> {
        let slices = scans.iter().map(|scan| scan.slice(progress.number as usize)).collect::<Result<Vec<_>>>()?;
        let mut outputs = self.turn(stage, progress.number, &progress.carried, slices, inputs).await?.into_iter();
        progress.going = match outputs.next() {
            Some(condition) => turns::condition("Loop", &self.tensor(condition.tensor()?).await?)?,
            None => false,
        };
        let mut next = Vec::with_capacity(progress.carried.len());
        for (k, (before, after)) in progress.carried.iter().zip(outputs.by_ref()).enumerate() {
            turns::carried(k, &before.map(Held::ty), &after.map(Held::ty))?;
            next.push(self.carried(before, after).await?);
        }
        progress.carried = next;
        for (index, (rows, row)) in progress.rows.iter_mut().zip(outputs).enumerate() {
            rows.push(self, index, row.tensor()?).await?;
        }
        progress.number += 1;
        Ok(())
    }

    /// What the body makes in one turn.
    async fn turn<'a>(
        &self,
        stage: &LoopStage,
        number: u64,
        carried: &[Structure<Held<'a>>],
        slices: Vec<Held<'a>>,
        inputs: &[Structure<Held<'a>>],
    ) -> Result<Vec<Structure<Held<'a>>>> {
        let number = Held::host(Tensor::scalar(number.cast_signed()));
        let mut given = vec![Structure::Tensor(number)];
        given.extend_from_slice(carried);
        given.extend(slices.into_iter().map(Structure::Tensor));
        self.outputs(&stage.body.planned, stage.body.arguments(given, inputs)).await
    }

    /// The outputs of a loop that takes no turn: one is computed to find out what the rows of scan outputs would be.
    async fn no_turn<'a>(
        &self,
        stage: &LoopStage,
        carried: Vec<Structure<Held<'a>>>,
        scans: &[TensorType],
        inputs: &[Structure<Held<'a>>],
    ) -> Result<Vec<Structure<Held<'a>>>> {
        let slice = |ty: &TensorType| Held::host(Tensor::zeros(TensorType::new(ty.dtype, ty.shape.get(1..).unwrap_or(&[]))));
        let shown = self.turn(stage, 0, &carried, scans.iter().map(slice).collect(), inputs).await?;
        let mut outputs = carried;
        for (index, row) in shown.iter().skip(1 + outputs.len()).enumerate() {
            let ty = turns::stacked(index, &[], &row.tensor()?.ty())?;
            outputs.push(Structure::Tensor(Held::host(Tensor::zeros(ty))));
        }
        Ok(outputs)
    }
}
