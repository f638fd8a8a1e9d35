//! Times training steps of burn's wgpu backend, with autotune and fusion on, and the forward passes alone, and prints two JSON lines a
//! network.
//!
//! A sample is so many passes, a wait and one read of the last loss, divided by their number. Samples of both kinds alternate, once
//! autotune has settled. Forward passes keep nothing for a backward pass.

mod networks;

use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, DeviceKind, Tensor};
use networks::{Cnn, Gpt, Network, Seq2Seq};
use std::time::{Duration, Instant};

/// Time that all samples of a network may take, and one of them.
const NETWORK: Duration = Duration::from_secs(20);
const SAMPLE_MILLISECONDS: f64 = 500.0;
const FEWEST_SAMPLES: usize = 5;
const WARM_UP: usize = 3;

/// A network in training.
struct Training<N: Network> {
    /// Gone only while the optimizer has it.
    network: Option<N>,
    data: (N::Input, Tensor<1, burn::tensor::Int>),
    optimizer: ModuleOptimizer,
}

impl<N: Network> Training<N> {
    fn new(network: N, device: &Device) -> Self {
        let optimizer = AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.01).init();
        Training { network: Some(network), data: N::data(device), optimizer }
    }

    /// Forward, backward and update; the loss before it.
    fn step(&mut self) -> Tensor<1> {
        let network = self.network.take().expect("no update failed");
        let loss = network.loss(&self.data);
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        self.network = Some(self.optimizer.step(1e-3, network, gradients));
        loss.inner()
    }
}

/// Milliseconds of one pass, as means over some, and the last loss.
struct Sample {
    taken: f64,
    /// What all threads computed, those of a driver on the CPU included.
    processor: f64,
    loss: f32,
}

fn sample(passes: usize, mut pass: impl FnMut() -> Tensor<1>, device: &Device) -> Sample {
    let (start, before) = (Instant::now(), processor());
    let mut losses: Vec<_> = (0..passes)
        .map(|_| {
            let loss = pass();
            device.flush().expect("flush");
            loss
        })
        .collect();
    device.sync().expect("sync");
    let loss = losses.pop().expect("at least one pass").into_scalar::<f32>();
    let mean = |milliseconds: f64| milliseconds / passes as f64;
    Sample { taken: mean(start.elapsed().as_secs_f64() * 1e3), processor: mean(processor() - before), loss }
}

/// Milliseconds that all threads of this process have computed, as Linux counts them, in hundredths of a second; elsewhere none.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default();
    fields.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() * 10.0
}

/// How many passes make a sample, once nothing is new any more.
fn warm_up(mut pass: impl FnMut() -> Tensor<1>, device: &Device) -> usize {
    let once = (0..WARM_UP).map(|_| sample(1, &mut pass, device).taken).fold(f64::INFINITY, f64::min);
    (SAMPLE_MILLISECONDS / once).clamp(1.0, 16.0) as usize
}

/// Times a network; an error says what is wrong with its loss.
fn measure<N: Network>(name: &str, device: &Device) -> Result<(), String> {
    let tracked = device.clone().autodiff();
    let network = N::new(&tracked);
    let parameters = network.num_params();
    let (frozen, data) = (network.valid(), N::data(device));
    let mut training = Training::new(network, &tracked);
    let first = sample(1, || training.step(), device).loss;
    let forwards = warm_up(|| frozen.loss(&data), device);
    let steps = warm_up(|| training.step(), device);
    let (mut forward, mut step) = (vec![], vec![]);
    let start = Instant::now();
    while step.len() < FEWEST_SAMPLES || start.elapsed() < NETWORK {
        forward.push(sample(forwards, || frozen.loss(&data), device));
        step.push(sample(steps, || training.step(), device));
    }
    let last = step.last().map_or(f32::NAN, |sample| sample.loss);
    if !(last.is_finite() && last < first) {
        return Err(format!("{name}: the loss went from {first} to {last}"));
    }
    report(name, "forward", &forward, parameters);
    report(name, "step", &step, parameters);
    Ok(())
}

/// One line: medians, the minimum, and half the distance between the quartiles over the median.
fn report(network: &str, what: &str, samples: &[Sample], parameters: usize) {
    let sorted = |of: fn(&Sample) -> f64| {
        let mut values: Vec<_> = samples.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let (taken, processor) = (sorted(|sample| sample.taken), sorted(|sample| sample.processor));
    let (low, median, high) = (taken[taken.len() / 4], taken[taken.len() / 2], taken[taken.len() * 3 / 4]);
    println!(
        r#"{{"engine":"burn","network":"{network}","what":"{what}","milliseconds":{median:.3},"minimum":{:.3},"spread":{:.4},"processor":{:.3},"samples":{},"parameters":{parameters}}}"#,
        taken[0],
        (high - low) / 2.0 / median,
        processor[processor.len() / 2],
        samples.len(),
    );
}

fn main() {
    // burn keeps what autotune found below the outermost Cargo.toml around the current folder.
    std::env::set_current_dir(env!("CARGO_MANIFEST_DIR")).expect("the folder this was built in");
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let device = Device::wgpu(DeviceKind::DefaultDevice);
    device.seed(3);
    eprintln!("{:?}", device.identity());
    type Measure = fn(&str, &Device) -> Result<(), String>;
    let networks: [(&str, Measure); 3] = [("seq2seq", measure::<Seq2Seq>), ("cnn", measure::<Cnn>), ("gpt", measure::<Gpt>)];
    let mut wrong = false;
    for (name, measure) in networks.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|w| w == name)) {
        if let Err(reason) = measure(name, &device) {
            eprintln!("{reason}");
            wrong = true;
        }
    }
    std::process::exit(i32::from(wrong));
}
