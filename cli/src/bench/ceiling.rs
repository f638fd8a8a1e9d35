//! What an adapter can do at most, measured: multiply-adds that touch nothing but registers, copies and reads by every way that its
//! kernels have to memory, and the least dispatch.

use super::measure::{Expected, time};
use crate::failure::{Failure, Result};
use crate::inputs::views;
use crate::rows::{Row, subject};
use gristmill::internals::graph::{Builder, Dim, Op};
use gristmill::internals::ops::ceiling::{ceiling, read_ceiling};
use gristmill::internals::ops::elementwise::unary;
use gristmill::{AdapterClass, DType, Gpu, Model, Options, Session, Tensor};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// Microseconds that the timed runs of one measurement may take together.
const BUDGET: f64 = 60_000.0;
/// Elements that are copied and read: what a small cache holds, what a larger one does, and what lies past all of them.
const SIZES: [usize; 3] = [1 << 14, 1 << 18, 1 << 22];
/// The same on a GPU.
const GPU_SIZES: [usize; 3] = [1 << 18, 1 << 22, 1 << 26];
/// What is timed on a GPU is held against copies of at least such a part of its bytes: smaller ones lie in caches that it does not. What
/// a software adapter is held up by is its loads, long before any cache.
const ALIKE: u64 = 4;
/// Elements of a row that is added to others, which all are read.
const READ_ROW: usize = 1 << 13;
/// Dispatches that depend on each other, in one submission, of which the least is timed.
const CHAIN: usize = 32;

/// A way that kernels have to memory, and the variants of a copy and of a load of reads that go it.
struct Route {
    by: Holder,
    copy: &'static str,
    read: &'static str,
}

const ROUTES: [Route; 2] = [
    Route { by: Holder::Buffers, copy: "width4", read: "buffers" },
    Route { by: Holder::Textures, copy: "width4_texels", read: "textures" },
];

/// What a time is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Holder {
    /// Multiply-adds in registers.
    Arithmetic,
    /// Memory through storage buffers.
    Buffers,
    /// Memory through textures, and storage buffers where it is written.
    Textures,
    /// A dispatch that does nothing.
    Dispatch,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Holder::Arithmetic => "arithmetic",
            Holder::Buffers => "buffers",
            Holder::Textures => "textures",
            Holder::Dispatch => "dispatch",
        })
    }
}

/// What one way to memory brings at one size, in units of 1e9 bytes per second.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Memory {
    pub(crate) by: Holder,
    /// Bytes that a copy of this size reads and writes.
    pub(crate) bytes: u64,
    /// Bytes read and written by a copy; into a texture that its input lies in it is not counted how that came there.
    pub(crate) copy_gbps: f64,
    /// Bytes read where next to nothing is written, at least as many.
    pub(crate) read_gbps: f64,
}

impl Memory {
    /// The least microseconds for so many bytes: a copy takes what its reads take, and the rest for what it writes.
    fn microseconds(&self, read: u64, written: u64) -> f64 {
        let each_written = 2.0 / self.copy_gbps - 1.0 / self.read_gbps;
        (read as f64 / self.read_gbps + written as f64 * each_written) / 1e3
    }
}

/// The least time that something can take, and what says so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(crate) microseconds: f64,
    pub(crate) by: Holder,
}

/// What an adapter can do at most.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Ceiling {
    /// Floating-point operations, in units of 1e9 per second.
    pub(crate) gflops: f64,
    /// Microseconds of the least dispatch.
    pub(crate) dispatch_us: f64,
    /// Every way to memory at every size.
    pub(crate) memory: Vec<Memory>,
    #[serde(skip)]
    software: bool,
}

impl Ceiling {
    /// Measures an adapter.
    pub(crate) fn measure(gpu: &Gpu) -> Result<Self> {
        let software = gpu.caps().class == AdapterClass::Cpu;
        let (elements, rounds) = if software { (1 << 14, 125) } else { (1 << 20, 1000) };
        let arithmetic = row("arithmetic", &[elements], &[(ceiling(rounds), &[0])])?;
        let flops = elements as f64 * f64::from(rounds) * 48.0;
        let gflops = flops / fastest(gpu, &arithmetic, None)?.unwrap_or(f64::INFINITY) / 1e3;
        let mut memory = Vec::new();
        for elements in if software { SIZES } else { GPU_SIZES } {
            let copy = row("copy", &[elements], &[(unary("Neg")?, &[0])])?;
            let read = row("read", &[READ_ROW, elements], &[(read_ceiling(), &[1, 0])])?;
            for Route { by, copy: copying, read: reading } in &ROUTES {
                if let Some(us) = fastest(gpu, &copy, Some(copying))? {
                    let bytes = 8 * elements as u64;
                    let copy_gbps = bytes as f64 / us / 1e3;
                    let read_us = fastest(gpu, &read, Some(reading))?.unwrap_or(f64::INFINITY);
                    // To read takes no longer than to read and to write.
                    let read_gbps = (bytes as f64 / 2.0 / read_us / 1e3).max(copy_gbps);
                    memory.push(Memory { by: *by, bytes, copy_gbps, read_gbps });
                }
            }
        }
        let least: Vec<(Arc<dyn Op>, &[usize])> = STEPS.iter().map(|input| (ceiling(0), &input[..])).collect();
        let dispatch_us = fastest(gpu, &row("dispatches", &[4], &least)?, None)?.unwrap_or(0.0) / CHAIN as f64;
        Ok(Ceiling { gflops, dispatch_us, memory, software })
    }

    /// The least time that so many operations, and bytes read and written, can take here, by the best way to memory.
    pub(crate) fn bound(&self, flops: u64, read: u64, written: u64) -> Bound {
        let largest = self.memory.iter().map(|m| m.bytes).max().unwrap_or(0);
        let alike = |m: &&Memory| self.software || m.bytes.saturating_mul(ALIKE) >= (read + written).min(largest);
        let ways = self.memory.iter().filter(alike).map(|m| Bound { microseconds: m.microseconds(read, written), by: m.by });
        let memory = ways.min_by(|a, b| a.microseconds.total_cmp(&b.microseconds));
        let arithmetic = Bound { microseconds: flops as f64 / self.gflops / 1e3, by: Holder::Arithmetic };
        let least = Bound { microseconds: self.dispatch_us, by: Holder::Dispatch };
        memory.into_iter().chain([arithmetic]).fold(least, |most, b| if b.microseconds > most.microseconds { b } else { most })
    }

    /// The better of two measurements of one adapter: what else a machine does can only take from one.
    pub(crate) fn raised(mut self, other: &Self) -> Self {
        self.gflops = self.gflops.max(other.gflops);
        self.dispatch_us = self.dispatch_us.min(other.dispatch_us);
        for (own, other) in self.memory.iter_mut().zip(&other.memory) {
            own.copy_gbps = own.copy_gbps.max(other.copy_gbps);
            own.read_gbps = own.read_gbps.max(other.read_gbps);
        }
        self
    }

    /// The most bytes by any way, in units of 1e9 per second.
    pub(crate) fn gbps(&self) -> f64 {
        self.memory.iter().map(|m| m.read_gbps).fold(0.0, f64::max)
    }
}

/// What each dispatch of a chain reads: the input, then the one before it.
const STEPS: [[usize; 1]; CHAIN] = {
    let mut steps = [[0]; CHAIN];
    let mut k = 0;
    while k < CHAIN {
        steps[k] = [k];
        k += 1;
    }
    steps
};

impl fmt::Display for Ceiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "ceiling  {:.1} GFLOP/s; a dispatch takes {:.1} us at least", self.gflops, self.dispatch_us)?;
        for m in &self.memory {
            let size = crate::table::bytes(m.bytes);
            writeln!(
                f,
                "         {:<8} {size:>8}: copies {:.1} GB/s, reads {:.1} GB/s",
                m.by.to_string(),
                m.copy_gbps,
                m.read_gbps
            )?;
        }
        Ok(())
    }
}

/// Microseconds of the fastest run, by a variant where one is named; `None` where this adapter has no such variant.
fn fastest(gpu: &Gpu, row: &Row, variant: Option<&str>) -> Result<Option<f64>> {
    let options = Options { strict_gpu: true, variant: variant.map(String::from), ..Options::default() };
    let session = Session::new_blocking(gpu, &row.model, options)?;
    let inputs = views(&row.inputs);
    let plan = session.plan(&inputs)?;
    let offered = subject(&plan.variants).map(|node| plan.variants[node].as_slice()).unwrap_or_default();
    if variant.is_some_and(|variant| !offered.contains(&variant)) {
        return Ok(None);
    }
    let worst = Expected::new(&row.model, &row.inputs)?.worst(&session.run_blocking(&inputs)?);
    if worst > 1.0 {
        return Err(Failure::message(format!("the ceiling `{}`: its result is wrong, so it is not timed", row.shape)));
    }
    Ok(Some(super::measure::Times::new(time(gpu, &session, &inputs, BUDGET)?).min()))
}

/// A chain of operators on vectors of such lengths, of which the first is an input of the run and the rest are constants.
fn row(name: &'static str, lengths: &[usize], steps: &[(Arc<dyn Op>, &[usize])]) -> Result<Row> {
    let mut b = Builder::new(name);
    let (mut values, mut inputs) = (Vec::new(), Vec::new());
    for (k, elements) in lengths.iter().enumerate() {
        let data: Vec<f32> = (0..*elements).map(|i| (i % 1021) as f32 / 512.0 - 1.0).collect();
        let tensor = Tensor::new([*elements], &data)?;
        values.push(if k == 0 {
            inputs.push(("x".to_string(), tensor));
            b.input("x", DType::F32, &[Dim::Known(*elements)])
        } else {
            b.constant("constant", tensor)
        });
    }
    for (op, operands) in steps {
        let operands: Vec<_> = operands.iter().map(|k| values.get(*k).copied()).collect();
        values.push(b.node("step", op.clone(), &operands));
    }
    if let Some(last) = values.last() {
        b.output("y", *last)?;
    }
    let model = Model::from_graph(b.finish()?);
    Ok(Row { family: "ceiling", shape: name.into(), dtype: DType::F32, model, inputs, flops: 0, read: 0, written: 0 })
}
