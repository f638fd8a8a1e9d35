//! Times burn's wgpu backend, with autotune and fusion on, on rows that `gristmill bench` times too, and prints one JSON line a row.
//!
//! A row runs until autotune has settled, and is checked. A sample then is so many runs and one wait, divided by their number: neither
//! upload nor readback counts. Every run's operators are flushed as a unit, as otherwise fusion would join the runs with one another; its
//! output lives until the wait, so that none is optimised away.

use burn::nn::gru::GruConfig;
use burn::tensor::module::{attention, conv2d, layer_norm};
use burn::tensor::ops::{AttentionModuleOptions, ConvOptions};
use burn::tensor::{Device, DeviceKind, Distribution, Tensor, activation};
use std::time::{Duration, Instant};

/// Time that all samples of a row may take, and one of them.
const ROW: Duration = Duration::from_millis(2500);
const SAMPLE: Duration = Duration::from_millis(120);
const SAMPLES: std::ops::Range<usize> = 5..25;

/// Runs a row once. Outputs of any rank are flattened, which moves nothing.
type Run = Box<dyn Fn() -> Tensor<1>>;

struct Row {
    family: &'static str,
    shape: &'static str,
    make: fn(&Device) -> Run,
}

const fn row(family: &'static str, shape: &'static str, make: fn(&Device) -> Run) -> Row {
    Row { family, shape, make }
}

const ROWS: &[Row] = &[
    row("matmul", "512", |d| matmul([512, 512, 512], d)),
    row("matmul", "1024", |d| matmul([1024, 1024, 1024], d)),
    row("matmul", "32x4096x4096", |d| matmul([32, 4096, 4096], d)),
    row("matmul", "1x4096x4096", |d| matmul([1, 4096, 4096], d)),
    row("conv", "64x56x56-64x3x3,pad=1", |d| conv([64, 56, 56], [64, 3, 3], 1, 1, 1, d)),
    row("conv", "3x224x224-64x7x7,stride=2,pad=3", |d| conv([3, 224, 224], [64, 7, 7], 2, 3, 1, d)),
    row("conv", "128x56x56-128x3x3,pad=1,group=128", |d| conv([128, 56, 56], [128, 3, 3], 1, 1, 128, d)),
    row("conv", "256x28x28-256x1x1", |d| conv([256, 28, 28], [256, 1, 1], 1, 0, 1, d)),
    row("softmax", "1024x1024", |d| softmax([1024, 1024], d)),
    row("layer_norm", "1024x768", |d| normalized([1024, 768], d)),
    row("attention", "8x512x512x64", |d| attended([8, 512, 512, 64], d)),
    row("attention", "8x1x2048x64", |d| attended([8, 1, 2048, 64], d)),
    row("gru", "256x100x1", |d| gru([256, 100, 1], d)),
    row("gru", "256x100x32", |d| gru([256, 100, 32], d)),
    row("elementwise", "1048576", |d| elementwise(1 << 20, d)),
];

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), device)
}

fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    tensor.flatten(0, D - 1)
}

/// burn lays no weights out anew for its matmul: a constant right operand is a tensor like any other.
fn matmul([m, k, n]: [usize; 3], device: &Device) -> Run {
    let (a, b) = (random([m, k], device), random([k, n], device));
    Box::new(move || flat(a.clone().matmul(b.clone())))
}

fn conv(image: [usize; 3], [filters, y, x]: [usize; 3], stride: usize, pad: usize, group: usize, device: &Device) -> Run {
    let data = random([1, image[0], image[1], image[2]], device);
    let weights = random([filters, image[0] / group, y, x], device);
    Box::new(move || {
        let options = ConvOptions::new([stride; 2], [pad; 2], [1; 2], group);
        flat(conv2d(data.clone(), weights.clone(), None, options))
    })
}

fn softmax(shape: [usize; 2], device: &Device) -> Run {
    let x = random(shape, device);
    Box::new(move || flat(activation::softmax(x.clone(), 1)))
}

fn normalized(shape: [usize; 2], device: &Device) -> Run {
    let (x, scale, bias) = (random(shape, device), random([shape[1]], device), random([shape[1]], device));
    Box::new(move || flat(layer_norm(x.clone(), scale.clone(), Some(bias.clone()), 1e-5)))
}

fn attended([heads, queries, keys, size]: [usize; 4], device: &Device) -> Run {
    let q = random([1, heads, queries, size], device);
    let (k, v) = (random([1, heads, keys, size], device), random([1, heads, keys, size], device));
    Box::new(move || flat(attention(q.clone(), k.clone(), v.clone(), None, None, AttentionModuleOptions::default())))
}

/// `burn::nn::Gru` as it comes: batch before steps, six matrix products a step, the reset gate after the product.
fn gru([hidden, steps, batch]: [usize; 3], device: &Device) -> Run {
    let x = random([batch, steps, hidden], device);
    let gru = GruConfig::new(hidden, hidden, false).init(device);
    Box::new(move || flat(gru.forward(x.clone(), None)))
}

fn elementwise(elements: usize, device: &Device) -> Run {
    let (x, y) = (random([elements], device), random([elements], device));
    Box::new(move || activation::relu((x.clone() + y.clone()) * x.clone() - y.clone()))
}

/// The time of one run, as the mean over `runs`, and their outputs.
fn sample(run: &Run, runs: usize, device: &Device) -> (Duration, Vec<Tensor<1>>) {
    let start = Instant::now();
    let outputs: Vec<_> = (0..runs)
        .map(|_| {
            let output = run();
            device.flush().expect("flush");
            output
        })
        .collect();
    device.sync().expect("sync");
    (start.elapsed() / runs as u32, outputs)
}

/// Times a row; an error says what is wrong with its result.
fn measure(row: &Row, device: &Device) -> Result<Vec<f64>, String> {
    let run = (row.make)(device);
    device.sync().expect("sync");
    let mut values = vec![];
    let mut once = Duration::MAX;
    for _ in 0..3 {
        let (time, mut outputs) = sample(&run, 1, device);
        once = once.min(time);
        values = outputs.remove(0).into_data().as_slice::<f32>().map_err(|e| format!("{e:?}"))?.to_vec();
    }
    if !values.iter().all(|v| v.is_finite()) || values.iter().all(|v| *v == values[0]) {
        return Err(format!("{}:{}: the result is not a number or constant", row.family, row.shape));
    }
    let runs = (SAMPLE.as_secs_f64() / once.as_secs_f64()).clamp(1.0, 64.0) as usize;
    let start = Instant::now();
    let mut times = vec![];
    while times.len() < SAMPLES.start || (times.len() < SAMPLES.end && start.elapsed() < ROW) {
        times.push(sample(&run, runs, device).0.as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

fn main() {
    // burn keeps what autotune found below the outermost Cargo.toml around the current folder.
    std::env::set_current_dir(env!("CARGO_MANIFEST_DIR")).expect("the folder this was built in");
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let named =
        |row: &Row| wanted.is_empty() || wanted.iter().any(|w| w == row.family || *w == format!("{}:{}", row.family, row.shape));
    let device = Device::wgpu(DeviceKind::DefaultDevice);
    device.seed(3);
    eprintln!("{:?}", device.identity());
    let mut wrong = false;
    for row in ROWS.iter().filter(|row| named(row)) {
        match measure(row, &device) {
            Ok(times) => println!(
                r#"{{"family":"{}","shape":"{}","median_us":{:.1},"min_us":{:.1},"samples":{}}}"#,
                row.family,
                row.shape,
                times[times.len() / 2],
                times[0],
                times.len()
            ),
            Err(reason) => {
                eprintln!("{reason}");
                wrong = true;
            }
        }
    }
    std::process::exit(i32::from(wrong));
}
