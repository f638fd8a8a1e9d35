//! `gristmill bench --model`: what a whole model costs its user, from upload to readback, and until its first result.

use super::measure::{Expected, Times};
use crate::device::DeviceArguments;
use crate::failure::{Failure, Result};
use crate::inputs::{InputArguments, views};
use crate::kernels::{self, KernelTime};
use crate::progress::Watch;
use crate::report::write_json;
use crate::table::{bytes, duration};
use gristmill::{ErrorKind, Model, Options, Session, TensorView};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, process};

/// Runs that the quantiles are taken of: as many as fit the time, within these bounds.
const RUNS: (usize, usize) = (20, 1000);
/// Time that they may take together.
const BUDGET: Duration = Duration::from_secs(3);
/// Recordings that the host's time is the median of.
const REHEARSALS: usize = 50;
/// How many times the tolerance of one kernel a whole model may lie off: errors add up along its depth.
const TOLERANCES: f64 = 20.0;

/// What `bench --model` prints; times in microseconds.
#[derive(Debug, Serialize)]
struct Report {
    adapter: String,
    driver: String,
    model: String,
    /// Name and type of each input.
    inputs: Vec<String>,
    runs: usize,
    /// Latency of a run, upload and readback included.
    p50_us: f64,
    p95_us: f64,
    /// Time of its dispatches by the device's clock; absent without timestamps.
    device_us: Option<f64>,
    /// Absent for models that run in stages.
    dispatches: Option<usize>,
    /// CPU time of recording a run's commands; absent for models that run in stages.
    host_us: Option<f64>,
    host_us_per_dispatch: Option<f64>,
    /// Bytes of buffers on the device: weights, inputs, outputs and intermediate tensors at their peak.
    peak_device_bytes: Option<u64>,
    /// Most memory the process had resident; absent where the system does not tell.
    peak_host_bytes: Option<u64>,
    /// Loading the model to its first result, with neither our caches nor the driver's.
    cold_us: f64,
    /// The time once both are filled.
    cached_us: f64,
    /// What each kernel took of the former, the slowest first.
    kernels: Vec<KernelTime>,
}

/// What a child process measures that has never run the model.
#[derive(Debug, Serialize, Deserialize)]
struct FirstResult {
    first_us: f64,
    peak_host_bytes: Option<u64>,
    kernels: Vec<KernelTime>,
}

/// The arguments that concern a whole model.
pub(super) struct ModelBench<'a> {
    pub(super) path: &'a Path,
    pub(super) inputs: &'a InputArguments,
    pub(super) device: &'a DeviceArguments,
    pub(super) options: Options,
    pub(super) json: Option<&'a PathBuf>,
}

impl ModelBench<'_> {
    /// Measures and prints.
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<()> {
        let gpu = self.device.open_gpu()?;
        let model = Model::load(self.path)?;
        let inputs = self.inputs.load(&model, Some(0))?;
        let session = Session::new_blocking(&gpu, &model, self.options.clone())?;
        let given = views(&inputs);
        let worst = Expected::new(&model, &inputs)?.worst(&session.run_blocking(&given)?);
        if worst > TOLERANCES {
            return Err(Failure::message(format!(
                "{}: the result lies {worst:.1} tolerances from the reference, so it is not timed",
                self.path.display()
            )));
        }
        let times = latencies(&session, &given)?;
        let (dispatches, host) = absent_if_unsupported(host_time(&session, &given))?.unzip();
        let device = absent_if_unsupported(session.profile_blocking(&given, RUNS.0).map(|p| p.device_microseconds()))?;
        let explained = absent_if_unsupported(session.explain_run(&given))?;
        let (cold, cached) = first_results()?;
        let report = Report {
            adapter: gpu.caps().to_string(),
            driver: gpu.caps().driver.clone(),
            model: self.path.display().to_string(),
            inputs: inputs.iter().map(|(name, tensor)| format!("{name} {}", tensor.ty())).collect(),
            runs: times.len(),
            p50_us: times.median(),
            p95_us: times.quantile(0.95),
            device_us: device,
            dispatches,
            host_us: host,
            host_us_per_dispatch: host.zip(dispatches).map(|(host, dispatches)| host / dispatches.max(1) as f64),
            peak_device_bytes: explained.map(|e| e.weight_bytes + e.own_bytes + e.peak_bytes),
            peak_host_bytes: cached.peak_host_bytes,
            cold_us: cold.first_us,
            cached_us: cached.first_us,
            kernels: cold.kernels,
        };
        report.print(out)?;
        self.json.map_or(Ok(()), |path| write_json(path, &report))
    }

    /// Loads the model, runs it once and prints how long that took, as JSON for the process that asked.
    pub(super) fn first_result(&self, out: &mut dyn Write) -> Result<()> {
        let gpu = self.device.open_gpu()?;
        let inputs = self.inputs.load(&Model::load(self.path)?, Some(0))?;
        let watch = Watch::new();
        let start = Instant::now();
        // Kernels that are watched are submitted one by one, which takes much less time than to compile them.
        let session = Session::new_blocking(&gpu, &Model::load(self.path)?, watch.options(self.options.clone()))?;
        session.run_blocking(&views(&inputs))?;
        let (first_us, peak_host_bytes) = (start.elapsed().as_secs_f64() * 1e6, peak_resident());
        let plan = session.plan(&views(&inputs)).ok();
        let first = FirstResult { first_us, peak_host_bytes, kernels: watch.times(plan.as_ref(), self.options.checked)? };
        let text = serde_json::to_string(&first).map_err(|e| Failure::message(e.to_string()))?;
        Ok(writeln!(out, "{text}")?)
    }
}

/// What some models or adapters cannot tell is absent; any other error is one.
fn absent_if_unsupported<T>(result: gristmill::Result<T>) -> Result<Option<T>> {
    match result {
        Err(e) if e.kind() == ErrorKind::Unsupported => Ok(None),
        other => Ok(Some(other?)),
    }
}

fn latencies(session: &Session, inputs: &[(&str, TensorView<'_>)]) -> Result<Times> {
    let mut times = Vec::new();
    let start = Instant::now();
    while times.len() < RUNS.0 || (times.len() < RUNS.1 && start.elapsed() < BUDGET) {
        let run = Instant::now();
        session.run_blocking(inputs)?;
        times.push(run.elapsed().as_secs_f64() * 1e6);
    }
    Ok(Times::new(times))
}

/// Dispatches of a run, and the microseconds it takes to record them.
fn host_time(session: &Session, inputs: &[(&str, TensorView<'_>)]) -> gristmill::Result<(usize, f64)> {
    let dispatches = session.rehearse_blocking(inputs)?;
    let rehearse = |_| {
        let start = Instant::now();
        session.rehearse_blocking(inputs)?;
        Ok(start.elapsed().as_secs_f64() * 1e6)
    };
    let times = (0..REHEARSALS).map(rehearse).collect::<gristmill::Result<Vec<f64>>>()?;
    Ok((dispatches, Times::new(times).median()))
}

/// Runs one command in two fresh processes, one after the other, with an empty folder for all caches.
fn first_results() -> Result<(FirstResult, FirstResult)> {
    let folder = env::temp_dir().join(format!("gristmill-caches-{}", process::id()));
    fs::create_dir_all(&folder).map_err(|e| Failure::file("make", &folder, e))?;
    let both = first_result_in(&folder).and_then(|cold| Ok((cold, first_result_in(&folder)?)));
    // What is left of a folder of temporary files does no harm.
    let _ = fs::remove_dir_all(&folder);
    both
}

fn first_result_in(caches: &Path) -> Result<FirstResult> {
    let own = env::current_exe().map_err(|e| Failure::message(format!("cannot find this program: {e}")))?;
    let mut command = Command::new(own);
    command.args(env::args_os().skip(1)).arg("--first-result").stderr(Stdio::inherit());
    // Where drivers and this program keep their caches.
    for name in ["XDG_CACHE_HOME", "MESA_SHADER_CACHE_DIR", "__GL_SHADER_DISK_CACHE_PATH", "LOCALAPPDATA"] {
        command.env(name, caches);
    }
    let output = command.output().map_err(|e| Failure::message(format!("cannot start a process of its own: {e}")))?;
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.trim()).map_err(|e| Failure::message(format!("a fresh process did not run the model: {e}")))
}

/// The most memory this process had resident so far, in bytes.
fn peak_resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

impl Report {
    fn print(&self, out: &mut dyn Write) -> Result<()> {
        let time = |us: f64| duration(Duration::from_secs_f64(us.max(0.0) * 1e-6));
        let maybe = |us: Option<f64>| us.map_or("unknown".into(), time);
        let size = |count: Option<u64>| count.map_or("unknown".into(), bytes);
        kernels::print(out, &self.kernels)?;
        writeln!(out, "adapter            {}", self.adapter)?;
        writeln!(out, "driver             {}", self.driver)?;
        writeln!(out, "model              {}", self.model)?;
        for input in &self.inputs {
            writeln!(out, "input              {input}")?;
        }
        writeln!(out, "latency            p50 {}, p95 {} of {} runs", time(self.p50_us), time(self.p95_us), self.runs)?;
        writeln!(out, "device             {}", maybe(self.device_us))?;
        match (self.host_us, self.dispatches) {
            (Some(host), Some(dispatches)) => {
                let each = maybe(self.host_us_per_dispatch);
                writeln!(out, "host               {} to record {dispatches} dispatches, {each} each", time(host))?;
            }
            _ => writeln!(out, "host               unknown, as the model runs in stages")?,
        }
        writeln!(
            out,
            "peak memory        {} on the device, {} resident",
            size(self.peak_device_bytes),
            size(self.peak_host_bytes)
        )?;
        writeln!(out, "first result       {} without caches, {} with", time(self.cold_us), time(self.cached_us))?;
        Ok(())
    }
}
