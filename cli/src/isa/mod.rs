//! `gristmill isa`: what a real GPU's compiler makes of the kernels, on a machine without that GPU.
//!
//! Mesa's AMD driver, RADV, compiles for the GPU that the environment variable `RADV_FORCE_FAMILY` names. Each target gets a
//! process of its own that is started with it, plans the rows for the adapter that RADV then shows, and hands the figures back
//! as lines of JSON; a driver that ends its process in the middle then costs an error message and no more.

mod assembly;
mod driver;
mod figures;
mod snapshot;

use crate::Verdict;
use crate::failure::{Failure, Result};
use crate::problems::{FAMILIES, Family};
use crate::rows::{self, Row, wanted};
use crate::table::Table;
use clap::Args;
use figures::{Compiler, Figures, Request};
use gristmill::DType;
use snapshot::Snapshot;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The rows of the committed file.
fn committed_rows() -> Vec<String> {
    let compiled = |f: &'static Family| f.rows.iter().filter(|row| row.is_compiled).map(|row| format!("{}:{}", f.name, row.shape));
    FAMILIES.iter().flat_map(compiled).collect()
}

/// The GPU of the committed file, and the one that is looked at when none is named.
const TARGET: &str = "GFX1100";

/// Shows what an AMD GPU's compiler makes of kernels: registers, occupancy, the hottest loop; no GPU is needed
///
/// The kernels are those that the planner picks for such a GPU, with all their parameters, and are translated as they are
/// for a run. The compiler is Mesa's RADV.
#[derive(Args)]
#[command(after_long_help = rows::help())]
pub(crate) struct Isa {
    /// What to look at, as FAMILY or FAMILY:SHAPE; everything if left out
    #[arg(value_name = "FAMILY[:SHAPE]")]
    rows: Vec<String>,
    /// GPUs to compile for, as RADV names them: GFX1100 (RDNA3), NAVI21 (RDNA2), VEGA10 (GCN5), ...
    #[arg(long = "target", value_name = "GPU", value_delimiter = ',', default_value = TARGET)]
    targets: Vec<String>,
    /// Look at this kernel variant, or `all` that the GPU can run
    #[arg(long, value_name = "V|all")]
    variant: Option<String>,
    /// Translate kernels with run-time checks of every index
    #[arg(long)]
    checked: bool,
    /// Print the disassembly too
    #[arg(long)]
    asm: bool,
    /// Write the figures of every variant of the committed rows to the snapshot
    #[arg(long, conflicts_with_all = ["compare", "rows", "variant", "checked", "targets"])]
    write: bool,
    /// Compare the figures with the snapshot; exit status 1 where one is worse
    #[arg(long, conflicts_with_all = ["rows", "variant", "checked", "targets"])]
    compare: bool,
    /// The snapshot
    #[arg(long, value_name = "FILE", default_value = "benches/isa.snap")]
    snapshot: PathBuf,
    /// Be the process of one target.
    #[arg(long, hide = true)]
    here: bool,
}

impl Isa {
    pub(crate) fn run(&self, out: &mut dyn Write) -> Result<Verdict> {
        if self.here {
            return self.compile(out);
        }
        let committed = self.write || self.compare;
        let rows: Vec<String> = if committed { committed_rows() } else { self.rows.clone() };
        wanted(&rows)?;
        let before = if self.compare { Some(self.read()?) } else { None };
        let mut figures = Vec::new();
        for target in &self.targets {
            figures.extend(self.compiled(target, &rows, if committed { Some("all") } else { self.variant.as_deref() })?);
        }
        for (figures, assembly) in figures.iter().filter_map(|f| Some((f, f.assembly.as_ref()?))) {
            writeln!(out, "; {} {} {} {}\n{assembly}", figures.row, figures.variant, figures.kernel, figures.target)?;
        }
        if self.write {
            let path = &self.snapshot;
            fs::write(path, Snapshot::of(&figures).print()).map_err(|e| Failure::file("write", path, e))?;
            writeln!(out, "{} is renewed", path.display())?;
            return Ok(Verdict::Good);
        }
        if let Some(before) = before {
            return self.compare(&Snapshot::of(&figures), &before, out);
        }
        print(&figures, out)?;
        Ok(Verdict::Good)
    }

    /// The figures for one target, from a process of its own.
    fn compiled(&self, target: &str, rows: &[String], variant: Option<&str>) -> Result<Vec<Figures>> {
        let program = std::env::current_exe().map_err(|e| Failure::message(format!("cannot find the own program: {e}")))?;
        let mut command = Command::new(program);
        command.args(["isa", "--here", "--target", target]).args(rows);
        command.args(variant.map(|v| format!("--variant={v}")));
        command.args(self.checked.then_some("--checked")).args(self.asm.then_some("--asm"));
        // The driver's cache keeps code without what it tells of it.
        command.env("RADV_FORCE_FAMILY", target).env("MESA_SHADER_CACHE_DISABLE", "true");
        for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] {
            // A choice of another driver for runs says nothing of the compiler.
            if std::env::var(variable).is_ok_and(|files| !files.contains("radeon")) {
                command.env_remove(variable);
            }
        }
        if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
            command.env("XDG_RUNTIME_DIR", std::env::temp_dir());
        }
        let done = command.stdin(Stdio::null()).output().map_err(|e| Failure::message(format!("cannot start a process: {e}")))?;
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr);
            let why = said.lines().rfind(|l| !l.trim().is_empty()).unwrap_or("it said nothing");
            let why = why.trim_start_matches("error: ");
            return Err(Failure::message(format!("--target {target}: {why}")));
        }
        let parse = |line: &str| serde_json::from_str(line).map_err(|e| Failure::message(format!("--target {target}: {e}")));
        String::from_utf8_lossy(&done.stdout).lines().map(parse).collect()
    }

    /// Compiles for the target that this process was started for; figures as lines of JSON.
    fn compile(&self, out: &mut dyn Write) -> Result<Verdict> {
        let [target] = self.targets.as_slice() else { return Err(Failure::message("expected one target")) };
        let request = Request { target, variant: self.variant.as_deref(), checked: self.checked, assembly: self.asm };
        let mut compiler = Compiler::open(request)?;
        for problem in wanted(&self.rows)? {
            compiler.row(&Row::new(&problem, DType::F32)?, |figures| {
                let line = serde_json::to_string(&figures).map_err(|e| Failure::message(e.to_string()))?;
                Ok(writeln!(out, "{line}")?)
            })?;
        }
        Ok(Verdict::Good)
    }

    fn read(&self) -> Result<Snapshot> {
        let path = &self.snapshot;
        Snapshot::parse(&fs::read_to_string(path).map_err(|e| Failure::file("read", path, e))?)
    }

    /// Says what is worse than the committed figures, and what is merely different.
    fn compare(&self, found: &Snapshot, committed: &Snapshot, out: &mut dyn Write) -> Result<Verdict> {
        let path = &self.snapshot;
        if found.driver != committed.driver {
            let (theirs, ours) = (&committed.driver, &found.driver);
            writeln!(out, "{} is from {theirs}, this is {ours}: only spills and bounds are compared", path.display())?;
        }
        let comparison = found.against(committed);
        for line in &comparison.worse {
            writeln!(out, "worse: {line}")?;
        }
        for line in &comparison.other {
            writeln!(out, "other: {line}")?;
        }
        if !comparison.worse.is_empty() || !comparison.other.is_empty() {
            writeln!(out, "`gristmill isa --write` renews {} when this is as it should be", path.display())?;
        }
        Ok(if comparison.worse.is_empty() { Verdict::Good } else { Verdict::Bad })
    }
}

/// The figures for people.
fn print(figures: &[Figures], out: &mut dyn Write) -> Result<()> {
    if let Some(first) = figures.first() {
        writeln!(out, "driver  {}\n", first.driver)?;
    }
    let mut registers = Table::new(&[
        "row",
        "variant",
        "kernel",
        "target",
        ">wave",
        ">VGPRs",
        ">SGPRs",
        ">spilled",
        ">scratch",
        ">LDS",
        ">waves/SIMD",
        ">code",
    ]);
    let mut loops = Table::new(&[
        "hottest loop of",
        "variant",
        "kernel",
        "target",
        ">instr",
        ">fma",
        ">valu",
        ">salu",
        ">smem",
        ">lds",
        ">vmem",
        ">branch",
        ">wait",
        ">fma share",
        ">dwords/vmem",
        ">checks",
        ">bounds",
    ]);
    for f in figures {
        let name = [f.row.clone(), f.variant.clone(), f.kernel.clone(), f.target.clone()];
        let spilled = match (f.spilled_vgprs, f.spilled_sgprs) {
            (0, 0) => "none".to_string(),
            (v, s) => format!("{v} v, {s} s"),
        };
        let numbers = [f.lds, f.waves, f.code].map(|n| n.to_string());
        let start = [f.wave.to_string(), f.vgprs.to_string(), f.sgprs.to_string(), spilled, f.scratch.to_string()];
        registers.row(name.iter().cloned().chain(start).chain(numbers));
        let hot = &f.hot;
        let counts = [hot.instructions, hot.fma, hot.valu, hot.salu, hot.smem, hot.lds, hot.vmem, hot.branches, hot.waits]
            .map(|n| n.to_string());
        let mut name = name;
        if !hot.looped {
            name[0].push_str(" (no hot loop: all of it)");
        }
        let end = [format!("{:.1}%", hot.share()), format!("{:.1}", hot.width()), hot.checks.to_string(), hot.bounds.to_string()];
        loops.row(name.into_iter().chain(counts).chain(end));
    }
    writeln!(out, "{registers}\n{loops}")?;
    Ok(())
}
