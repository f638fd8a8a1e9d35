//! What an adapter can do at most, measured: multiply-adds that touch nothing but registers, and a copy.

use super::measure::{Expected, measure};
use crate::failure::Result;
use crate::rows::Row;
use gristmill::internals::graph::{Builder, Dim};
use gristmill::internals::ops::{ceiling::ceiling, elementwise::unary};
use gristmill::{AdapterClass, DType, Gpu, Model, Options, Tensor};
use serde::Serialize;

/// The two ceilings of a roofline.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Ceiling {
    /// Floating-point operations, in units of 1e9 per second.
    pub(crate) gflops: f64,
    /// Bytes read and written, in units of 1e9 per second.
    pub(crate) gbps: f64,
}

impl Ceiling {
    /// Measures an adapter.
    pub(crate) fn measure(gpu: &Gpu) -> Result<Self> {
        let software = gpu.caps().class == AdapterClass::Cpu;
        // What is copied lies past the caches of a GPU; a software adapter is held up by its loads long before.
        let (elements, rounds, copied) = if software { (1 << 14, 500, 1 << 21) } else { (1 << 20, 1000, 1 << 24) };
        let arithmetic = row("arithmetic", elements, ceiling(rounds))?;
        let flops = elements as f64 * f64::from(rounds) * 48.0;
        let copy = row("copy", copied, unary("Neg")?)?;
        Ok(Ceiling { gflops: flops / fastest(gpu, &arithmetic)? / 1e3, gbps: 8.0 * copied as f64 / fastest(gpu, &copy)? / 1e3 })
    }

    /// The least microseconds that so much work can take here.
    pub(crate) fn microseconds(&self, flops: u64, bytes: u64) -> f64 {
        (flops as f64 / self.gflops / 1e3).max(bytes as f64 / self.gbps / 1e3)
    }
}

/// Microseconds of the fastest run.
fn fastest(gpu: &Gpu, row: &Row) -> Result<f64> {
    let expected = Expected::new(&row.model, &row.inputs)?;
    Ok(measure(gpu, row, &expected, Options::default())?.times.min())
}

fn row(name: &'static str, elements: usize, op: std::sync::Arc<dyn gristmill::internals::graph::Op>) -> Result<Row> {
    let mut b = Builder::new(name);
    let x = b.input("x", DType::F32, &[Dim::Known(elements)]);
    let y = b.node("y", op, &[Some(x)]);
    b.output("y", y)?;
    let data: Vec<f32> = (0..elements).map(|i| (i % 1024) as f32 / 512.0 - 1.0).collect();
    let inputs = vec![("x".to_string(), Tensor::new([elements], &data)?)];
    Ok(Row {
        family: "ceiling",
        shape: name.into(),
        dtype: DType::F32,
        model: Model::from_graph(b.finish()?),
        inputs,
        flops: 0,
        bytes: 0,
    })
}
