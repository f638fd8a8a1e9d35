//! The turns of a loop.

use super::planned::LoopStage;
use super::rows::Rows;
use super::runner::Runner;
use crate::error::Result;
use crate::graph::Structure;
use crate::ops::flow::loops::{LoopInputs, turns_exceeded};
use crate::ops::flow::turns;
use crate::session::data::held::Held;
use crate::tensor::{Tensor, TensorType};
use std::future::poll_fn;
use std::task::Poll;

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
        let mut going = condition.is_absent() || turns::condition("Loop", &self.tensor(condition.tensor()?).await?)?;
        let mut carried = carried.to_vec();
        let mut rows: Vec<Rows> = (0..stage.turns.scan_outputs()?).map(|_| Rows::new(most)).collect();
        let mut number = 0;
        while going && number < most {
            if number >= self.resources.options.max_turns {
                return Err(turns_exceeded(number));
            }
            // Whoever drops the run ends the loop.
            rest().await;
            let slices = scans.iter().map(|scan| scan.slice(number as usize)).collect::<Result<Vec<_>>>()?;
            let mut outputs = self.turn(stage, number, going, &carried, slices, &inputs).await?.into_iter();
            going = match outputs.next() {
                Some(condition) => turns::condition("Loop", &self.tensor(condition.tensor()?).await?)?,
                None => false,
            };
            let next: Vec<_> = outputs.by_ref().take(carried.len()).collect();
            for (k, (before, after)) in carried.iter().zip(&next).enumerate() {
                turns::carried(k, &before.map(Held::ty), &after.map(Held::ty))?;
            }
            carried = next;
            for (index, (rows, row)) in rows.iter_mut().zip(outputs).enumerate() {
                rows.push(self, index, row.tensor()?).await?;
            }
            number += 1;
        }
        if number == 0 && !rows.is_empty() {
            return self.no_turn(stage, carried, &types, &inputs).await;
        }
        let mut outputs = carried;
        for (index, rows) in rows.into_iter().enumerate() {
            outputs.push(Structure::Tensor(rows.stacked(index)?));
        }
        Ok(outputs)
    }

    /// What the body makes in one turn.
    async fn turn<'a>(
        &self,
        stage: &LoopStage,
        number: u64,
        going: bool,
        carried: &[Structure<Held<'a>>],
        slices: Vec<Held<'a>>,
        inputs: &[Structure<Held<'a>>],
    ) -> Result<Vec<Structure<Held<'a>>>> {
        let number = Held::host(Tensor::scalar(number.cast_signed()));
        let mut given = vec![Structure::Tensor(number), Structure::Tensor(Held::host(Tensor::scalar(going)))];
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
        let shown = self.turn(stage, 0, false, &carried, scans.iter().map(slice).collect(), inputs).await?;
        let mut outputs = carried;
        for (index, row) in shown.iter().skip(1 + outputs.len()).enumerate() {
            let ty = turns::stacked(index, &[], &row.tensor()?.ty())?;
            outputs.push(Structure::Tensor(Held::host(Tensor::zeros(ty))));
        }
        Ok(outputs)
    }
}

/// Lets whoever polls the run do something else in between.
async fn rest() {
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
