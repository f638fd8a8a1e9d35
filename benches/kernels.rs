//! What the rows of the case table cost, small and odd shapes mostly: `cargo bench --bench kernels -- matmul`. What a kernel
//! can do at the shapes networks are made of is for `gristmill bench` to tell.
//!
//! A row is the time of a node's dispatches by the device's own timestamps, the median of several runs; uploads, downloads and
//! the submit are not in it. Where an adapter has no timestamps it is the time of whole runs, and says so.

#[path = "../tests/cases/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "benches export nothing, and need neither tolerances nor golden numbers")]
mod cases;

use cases::Case;
use gristmill::{Gpu, Options, Power, Session};
use std::time::Instant;

/// Runs that a median is taken of.
const RUNS: usize = 50;

fn measure(gpu: &Gpu, case: &Case) {
    let session = Session::new_blocking(gpu, &case.model(), Options::default()).expect("a case is a valid graph");
    let inputs = case.views(&session);
    let Ok(plan) = session.plan(&inputs) else { return };
    let work = plan.steps().fold((0, 0), |sum, step| (sum.0 + step.work.flops, sum.1 + step.work.bytes));
    if plan.steps().next().is_none() {
        return;
    }
    let (time, what) = if gpu.caps().timestamps {
        (session.profile_blocking(&inputs, RUNS).expect("a case runs").device_microseconds(), "")
    } else {
        session.run_blocking(&inputs).expect("a case runs");
        let run = |_| {
            let start = Instant::now();
            session.run_blocking(&inputs).expect("a case runs");
            start.elapsed().as_secs_f64() * 1e6
        };
        let mut times: Vec<f64> = (0..RUNS).map(run).collect();
        times.sort_by(f64::total_cmp);
        (times[RUNS / 2], " of a whole run")
    };
    let rate = |amount: u64| amount as f64 / time.max(1e-3) / 1e3;
    println!("{:<44} {time:>9.1} us{what}  {:>8.2} GFLOP/s  {:>8.2} GB/s", case.name, rate(work.0), rate(work.1));
}

fn main() {
    let gpu = Gpu::new_blocking(Power::High).expect("a bench needs an adapter; lavapipe will do");
    let filter = std::env::args().skip(1).find(|a| !a.starts_with('-')).unwrap_or_default();
    for case in cases::all().iter().filter(|case| case.name.contains(&filter)) {
        measure(&gpu, case);
    }
}
