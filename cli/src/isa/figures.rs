//! The kernels of a problem as the planner lowers them for a target, and what the target's compiler makes of each.

use super::assembly::{Mix, hottest};
use super::driver::{ADVICE, Driver};
use crate::failure::{Failure, Result};
use crate::rows::{Row, subject};
use crate::spirv::module;
use gristmill::internals::graph::{Fact, Graph};
use gristmill::internals::kernel::{Caps, Kernel};
use gristmill::internals::passes::{self, Specialized};
use gristmill::internals::plan::{Plan, PlanOptions};
use gristmill::{DType, Gpu};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What the compiler made of one kernel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Figures {
    /// `FAMILY:SHAPE`.
    pub(super) row: String,
    /// The lowering it belongs to.
    pub(super) variant: String,
    /// The shader, with a number from the second kernel of that shader on.
    pub(super) kernel: String,
    /// The driver's name for the GPU.
    pub(super) target: String,
    /// The driver's version.
    pub(super) driver: String,
    /// Lanes of a subgroup.
    pub(super) wave: u32,
    /// Vector registers per lane.
    pub(super) vgprs: u64,
    /// Scalar registers.
    pub(super) sgprs: u64,
    /// Vector registers that went to memory.
    pub(super) spilled_vgprs: u64,
    /// Scalar registers that went to lanes of vector registers.
    pub(super) spilled_sgprs: u64,
    /// Bytes of scratch memory per lane: spilled registers, and arrays that found no place in registers.
    pub(super) scratch: u64,
    /// Bytes of workgroup memory.
    pub(super) lds: u64,
    /// Subgroups that a SIMD holds at a time, as registers and workgroup memory allow. On RDNA a subgroup of 64 lanes counts
    /// two, as the driver counts.
    pub(super) waves: u64,
    /// Bytes of code.
    pub(super) code: u64,
    /// What the hottest loop holds.
    pub(super) hot: Mix,
    /// The disassembly, where it was asked for.
    pub(super) assembly: Option<String>,
}

/// Which kernels, and how compiled.
pub(super) struct Request<'a> {
    pub(super) target: &'a str,
    /// A variant, `all`, or the planner's choice.
    pub(super) variant: Option<&'a str>,
    pub(super) checked: bool,
    pub(super) assembly: bool,
}

/// The compiler of a target, in a process that was started with `RADV_FORCE_FAMILY`.
pub(super) struct Compiler<'a> {
    request: Request<'a>,
    caps: Caps,
    driver: Driver,
    compiled: HashMap<Kernel, Figures>,
}

impl<'a> Compiler<'a> {
    pub(super) fn open(request: Request<'a>) -> Result<Self> {
        let missing = || Failure::message(format!("no Vulkan device of RADV was found: {ADVICE}"));
        let caps = Gpu::adapters_blocking().into_iter().find(|c| c.name.contains("RADV")).ok_or_else(missing)?;
        let driver = Driver::open()?;
        Ok(Compiler { request, caps, driver, compiled: HashMap::new() })
    }

    /// The figures of all kernels of a row, each handed on as it is known.
    pub(super) fn row(&mut self, row: &Row, mut each: impl FnMut(Figures) -> Result<()>) -> Result<()> {
        let graph = optimized(row, &self.caps)?;
        let name = format!("{}:{}", row.family, row.shape);
        for variant in self.variants(&graph, &name)? {
            let plan = self.plan(&graph, variant)?;
            let node = subject(&plan.variants);
            let taken = plan.steps().find(|s| Some(s.node) == node).map_or("none", |s| s.variant);
            let mut seen: HashMap<&str, usize> = HashMap::new();
            for kernel in &plan.kernels {
                let count = seen.entry(kernel.shader.name).or_default();
                *count += 1;
                let kernel_name =
                    if *count == 1 { kernel.shader.name.to_string() } else { format!("{}#{count}", kernel.shader.name) };
                let figures = self.figures(kernel).map_err(|e| Failure::message(format!("{name} ({taken}): {e}")))?;
                each(Figures { row: name.clone(), variant: taken.to_string(), kernel: kernel_name, ..figures })?;
            }
        }
        Ok(())
    }

    fn variants(&self, graph: &Graph, name: &str) -> Result<Vec<Option<&'static str>>> {
        let Some(asked) = self.request.variant else { return Ok(vec![None]) };
        let plan = self.plan(graph, None)?;
        let offered = subject(&plan.variants).map(|node| plan.variants[node].clone()).unwrap_or_default();
        match asked {
            "all" => Ok(offered.into_iter().map(Some).collect()),
            asked => match offered.iter().find(|v| **v == asked) {
                Some(found) => Ok(vec![Some(found)]),
                None => Err(Failure::message(format!(
                    "{name} has no variant `{asked}` on {}: expected one of {}",
                    self.request.target,
                    offered.join(", ")
                ))),
            },
        }
    }

    fn plan(&self, graph: &Graph, variant: Option<&str>) -> Result<Plan> {
        let options = PlanOptions { strict_gpu: true, variant: variant.map(String::from), ..PlanOptions::default() };
        Ok(Plan::new(graph, &self.caps, &options)?)
    }

    fn figures(&mut self, kernel: &Kernel) -> Result<Figures> {
        if let Some(known) = self.compiled.get(kernel) {
            return Ok(known.clone());
        }
        let compiled = self.driver.compile(&module(kernel, self.request.checked)?)?;
        let statistic = |name: &str| compiled.statistics.get(name).copied().unwrap_or_default();
        let figures = Figures {
            row: String::new(),
            variant: String::new(),
            kernel: String::new(),
            target: self.request.target.to_string(),
            driver: self.driver.name.clone(),
            wave: compiled.wave,
            vgprs: statistic("VGPRs"),
            sgprs: statistic("SGPRs"),
            spilled_vgprs: statistic("Spilled VGPRs"),
            spilled_sgprs: statistic("Spilled SGPRs"),
            scratch: statistic("Scratch size"),
            lds: statistic("LDS size"),
            waves: statistic("Subgroups per SIMD"),
            code: statistic("Code size"),
            hot: hottest(&compiled.assembly),
            assembly: self.request.assembly.then_some(compiled.assembly),
        };
        self.compiled.insert(kernel.clone(), figures.clone());
        Ok(figures)
    }
}

/// A row's graph as a session on this adapter would plan it.
fn optimized(row: &Row, caps: &Caps) -> Result<Graph> {
    debug_assert!(row.dtype == DType::F32);
    let facts: Vec<Fact> = row.inputs.iter().map(|(_, t)| Fact::new(t.dtype(), t.shape().clone())).collect();
    match passes::specialize(row.model.graph(), &facts)? {
        Specialized::Graph(graph) => {
            let options = passes::Options { max_storage_buffers: caps.max_storage_buffers as usize, ..Default::default() };
            Ok(passes::optimize(&graph, &options)?)
        }
        Specialized::Blocked { .. } | Specialized::Stage { .. } => {
            Err(Failure::message(format!("{}:{}: a shape depends on data", row.family, row.shape)))
        }
    }
}
