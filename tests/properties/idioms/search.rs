//! The long run, which `scripts/fuzz` starts.

use super::check::{Failure, PANIC, Passed, Stage, check, reference};
use super::shrink::shrink;
use super::{Network, drawn};
use gristmill::internals::kernel::Kernel;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// How many cases of one kind are kept.
const KEPT: usize = 3;

pub fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Where a failure panicked, if it did.
fn panicked(failure: &Failure) -> Option<String> {
    let place = failure.message.strip_prefix("panic: panicked at ")?;
    Some(format!("{:?} panic at {}", failure.stage, place.lines().next().unwrap_or_default()))
}

/// What failures of one kind have in common: where, and the operators that are left.
fn kind(network: &Network, failure: &Failure) -> String {
    let mut operators: Vec<&str> = network.nodes.iter().map(|n| n.operator.as_str()).collect();
    operators.truncate(12);
    match panicked(failure) {
        Some(place) => place,
        None if matches!(failure.stage, Stage::Import | Stage::Reference) => {
            let text: String = failure.message.chars().filter(|c| !c.is_ascii_digit()).take(60).collect();
            let node = failure.message.split("operator: ").nth(1).and_then(|rest| rest.split('"').nth(1)).unwrap_or_default();
            format!("{:?} {node} {}", failure.stage, text.lines().next().unwrap_or_default())
        }
        None => format!("{:?} {}", failure.stage, operators.join(" ")),
    }
}

/// Keeps a case, with the references' outputs as what is expected.
fn keep(folder: &Path, network: &Network, text: &str) {
    let expected: Vec<_> = reference(network).map(|(_, right)| right.into_iter().map(|e| e.tensor).collect()).unwrap_or_default();
    let written = network.keep(folder, &expected).and_then(|()| std::fs::write(folder.join("failure.txt"), text));
    if let Err(error) = written {
        println!("could not write {}: {error}", folder.display());
    }
}

/// What a search has seen.
#[derive(Default)]
struct Tally {
    failed: u64,
    loose: u64,
    /// Seeds of failures, by what they have in common.
    kinds: BTreeMap<String, Vec<u64>>,
    kernels: HashSet<Kernel>,
    /// How many different kernels there are of each shader.
    shaders: BTreeMap<&'static str, u64>,
    operators: BTreeMap<String, u64>,
}

impl Tally {
    /// Checks the network of a seed; a failure is shrunk and kept in the folder, unless there are enough of its kind.
    fn try_seed(&mut self, seed: u64, device: bool, folder: &Path) {
        let (network, mut trial) = drawn(seed, None);
        for node in &network.nodes {
            *self.operators.entry(node.operator.clone()).or_default() += 1;
        }
        trial.device &= device;
        let failure = match check(&network, &trial) {
            Ok(passed) => return self.count(passed),
            Err(failure) => failure,
        };
        self.failed += 1;
        let alike = panicked(&failure).and_then(|place| self.kinds.get_mut(&place));
        if let Some(seeds) = alike.filter(|seeds| seeds.len() >= KEPT) {
            seeds.push(seed);
            return;
        }
        let (smaller, failure) = shrink(seed, network, trial, failure);
        let seeds = self.kinds.entry(kind(&smaller, &failure)).or_default();
        seeds.push(seed);
        if seeds.len() <= KEPT {
            let variant = failure.variant.as_deref().unwrap_or("taken");
            let text = format!("seed {seed}: {:?}, variant {variant}: {}\n{smaller}", failure.stage, failure.message);
            println!("{text}");
            keep(&folder.join(format!("seed_{seed}")), &smaller, &text);
        }
    }

    fn count(&mut self, passed: Passed) {
        self.loose += u64::from(passed.loose);
        for kernel in passed.kernels {
            let name = kernel.shader.name;
            if self.kernels.insert(kernel) {
                *self.shaders.entry(name).or_default() += 1;
            }
        }
    }
}

/// `FUZZ_GRAPHS` networks from `FUZZ_SEED` on, every `FUZZ_STEP`th; failures are kept in `FUZZ_KEEP`. `FUZZ_DEVICE=0` stays on
/// the CPU.
#[test]
#[ignore = "runs as long as it is told to; scripts/fuzz starts it"]
fn search() {
    let (graphs, first, step) = (number("FUZZ_GRAPHS", 1000), number("FUZZ_SEED", 0), number("FUZZ_STEP", 1));
    let device = number("FUZZ_DEVICE", 1) != 0;
    let folder = PathBuf::from(std::env::var("FUZZ_KEEP").unwrap_or_else(|_| "target/fuzz".into()));
    let (start, mut shown) = (Instant::now(), Instant::now());
    let mut tally = Tally::default();
    std::panic::set_hook(Box::new(|info| PANIC.set(info.to_string())));
    for count in 0..graphs {
        let seed = first + count * step;
        tally.try_seed(seed, device, &folder);
        if shown.elapsed().as_secs() >= 20 || count + 1 == graphs {
            shown = Instant::now();
            let rate = (count + 1) as f64 / start.elapsed().as_secs_f64();
            println!(
                "{} of {graphs} networks, next seed {}, {rate:.1} a second, {} kernels: {} failed, {} with wide bounds",
                count + 1,
                seed + step,
                tally.kernels.len(),
                tally.failed,
                tally.loose
            );
        }
    }
    println!("kernels: {:?}", tally.shaders);
    println!("operators: {:?}", tally.operators);
    for (kind, seeds) in &tally.kinds {
        println!("{:5} x {kind}: seeds {:?}", seeds.len(), &seeds[..seeds.len().min(8)]);
    }
    assert!(tally.failed == 0, "{} of {graphs} networks fail", tally.failed);
}
