//! No variant is dead: each that an operator offers, or that its text names, fits some row on some adapter.

use crate::cases::{self, Case};
use crate::shader_contract::offered;
use gristmill::internals::graph::Op;
use gristmill::internals::kernel::{AdapterClass, Caps, Lowering};
use gristmill::internals::ops::attention::{Attention, attention};
use gristmill::internals::ops::conv::{SlidingWindow, conv};
use gristmill::internals::ops::matmul::{matmul, matmul_nbits};
use gristmill::internals::ops::norm::layer_normalization;
use gristmill::internals::ops::rnn::{Cell, Recurrent, recurrent};
use gristmill::internals::ops::softmax::softmax;
use gristmill::{DType, Tensor, TensorType};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Adapters that between them take every path through the tables of ranks.
fn adapters() -> Vec<Caps> {
    let narrow = Caps { name: "narrow".into(), subgroup: Some(4), shader_i64: false, ..Caps::software() };
    let integrated = Caps { name: "integrated".into(), class: AdapterClass::Integrated, subgroup: Some(32), ..Caps::portable() };
    let discrete = Caps { name: "discrete".into(), subgroup: Some(32), ..Caps::portable() };
    let large = Caps {
        name: "large".into(),
        max_invocations: 1024,
        max_workgroup: [1024, 1024, 64],
        max_workgroup_storage: 49152,
        ..discrete.clone()
    };
    vec![Caps::portable(), Caps::software(), narrow, integrated, discrete, large]
}

/// Values that no half float holds, so that weights stay what they are.
fn filled(shape: &[usize]) -> Tensor {
    Tensor::new(shape, &vec![0.1f32; shape.iter().product()]).expect("as many elements as the shape has")
}

/// Shapes of the size that networks are made of; the rows of the case table are small.
fn large_rows() -> Vec<Case> {
    let mut rows = Vec::new();
    let mut add = |name: &str, op: Arc<dyn Op>, shapes: &[&[usize]], weights: &[usize]| {
        rows.push(Case::new(format!("large/{name}"), op, shapes.iter().map(|shape| filled(shape)).collect()).weights(weights));
    };
    for (m, k, n) in [(512, 512, 512), (1024, 1024, 1024), (32, 4096, 1024), (1, 4096, 1024), (500, 300, 700), (64, 8192, 64)] {
        for weights in [&[1][..], &[]] {
            add(&format!("matmul of {m} x {k} x {n}, weights {weights:?}"), matmul(), &[&[m, k], &[k, n]], weights);
        }
    }
    add("matmul of a batch", matmul(), &[&[12, 128, 64], &[12, 64, 128]], &[]);
    let padded = |stride| SlidingWindow { strides: vec![stride; 2], pads: vec![1; 4], ..SlidingWindow::default() };
    for (name, x, w, group, window) in [
        ("conv of 3 x 3", [1, 64, 56, 56], [64, 64, 3, 3], 1, padded(1)),
        ("conv of 3 x 3 apart 2", [1, 64, 56, 56], [128, 64, 3, 3], 1, padded(2)),
        ("conv of each channel", [1, 128, 56, 56], [128, 1, 3, 3], 128, padded(1)),
        ("conv of 7 x 7", [1, 3, 224, 224], [64, 3, 7, 7], 1, padded(2)),
        ("conv of single pixels", [1, 256, 28, 28], [256, 256, 1, 1], 1, SlidingWindow::default()),
    ] {
        add(name, conv(window, group), &[&x, &w], &[1]);
    }
    for (queries, keys) in [(512, 512), (1, 2048), (4, 2048)] {
        let (q, k): ([usize; 4], [usize; 4]) = ([1, 8, queries, 64], [1, 8, keys, 64]);
        add(&format!("attention of {queries} over {keys}"), attention(Attention::new(0.125)), &[&q, &k, &k], &[]);
    }
    for (hidden, batch) in [(256, 1), (256, 32), (512, 64)] {
        let cell = Cell::Gru { linear_before_reset: true };
        let shapes: [&[usize]; 3] = [&[20, batch, hidden], &[1, 3 * hidden, hidden], &[1, 3 * hidden, hidden]];
        add(&format!("gru of {hidden}, batch {batch}"), recurrent(Recurrent::new(cell)), &shapes, &[1, 2]);
    }
    for axis in [0, 1] {
        add(&format!("softmax along {axis}"), softmax(axis), &[&[1024, 1024]], &[]);
    }
    add("softmax of a long row", softmax(1), &[&[1, 1 << 20]], &[]);
    add("norm of rows", layer_normalization(-1, 1e-5), &[&[1024, 768], &[768], &[768]], &[1, 2]);
    add("norm of a long row", layer_normalization(-1, 1e-5), &[&[2, 1 << 18], &[1 << 18]], &[1]);
    for bits in [4, 8] {
        let packed = TensorType::new(DType::U8, [512, 16, 4 * bits]);
        let packed = Tensor::from_bytes(packed.clone(), &vec![0x5a; packed.elements()]).expect("as many bytes as it takes");
        for count in [1, 32, 512] {
            let op = matmul_nbits(512, 512, bits as u32, 32).expect("a width and a block that it takes");
            let inputs = vec![filled(&[count, 512]), packed.clone(), filled(&[512 * 16])];
            rows.push(Case::new(format!("large/{bits} bits times {count}"), op, inputs).weights(&[1, 2]));
        }
    }
    rows
}

/// The names that the text of operators gives to variants, where it gives them to the collector itself.
fn written() -> BTreeSet<String> {
    fn walk(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).expect("it can be listed").flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
                continue;
            }
            let text = fs::read_to_string(&path).expect("source files are UTF-8");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for call in ["offers.add(", "offers.only(", "inner.add(", "inner.only("] {
                let arguments = code.split(call).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
                found.extend(arguments.filter_map(|rest| rest.split('"').next()).map(String::from));
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ops"), &mut found);
    found
}

/// The variants that the text names or that were offered, and that never fit, each with what is known of it.
fn dead(written: &BTreeSet<String>, fitting: &BTreeSet<&str>, reasons: &BTreeMap<&str, String>) -> Vec<String> {
    let offered: BTreeSet<&str> = written.iter().map(String::as_str).chain(reasons.keys().copied()).collect();
    let told = |name: &str| format!("{name} ({})", reasons.get(name).map_or("it was never offered", String::as_str));
    offered.into_iter().filter(|name| !fitting.contains(name)).map(told).collect()
}

#[test]
fn every_variant_can_be_reached() {
    let mut fitting: BTreeSet<&str> = BTreeSet::new();
    // What never fits, with the reason that was given last.
    let mut reasons: BTreeMap<&str, String> = BTreeMap::new();
    let rows: Vec<Case> = cases::all().into_iter().chain(large_rows()).collect();
    for caps in adapters() {
        for row in &rows {
            let (made, declined) = offered(row, &caps).unwrap_or_else(|e| panic!("{} on {caps}: {e}", row.name));
            fitting.extend(made.iter().map(|offer| offer.variant));
            reasons.extend(declined.iter().map(|d| (d.variant, format!("{} on {caps}: {}", row.name, d.reason.message()))));
        }
    }
    let written = written();
    assert!(written.len() > 10, "the text names more variants than {written:?}");
    let dead = dead(&written, &fitting, &reasons);
    assert!(dead.is_empty(), "variants that fit no row on any adapter:\n  {}", dead.join("\n  "));
}

#[test]
fn no_variant_takes_scratch_that_an_adapter_cannot_bind() {
    let mut refused = BTreeSet::new();
    for caps in adapters() {
        let caps = Caps { max_storage_binding: 1 << 20, ..caps };
        for row in large_rows() {
            let (made, declined) = offered(&row, &caps).unwrap_or_else(|e| panic!("{} on {caps}: {e}", row.name));
            for offer in made {
                let Lowering::Dispatches { temporaries, .. } = offer.lowering else { continue };
                let most = temporaries.into_iter().max().unwrap_or(0);
                assert!(most <= caps.max_storage_binding, "{} by {} on {caps}: {most} bytes", row.name, offer.variant);
            }
            refused.extend(declined.iter().filter(|d| d.reason.message().contains("of scratch")).map(|d| d.variant));
        }
    }
    assert!(refused.iter().any(|variant| variant.starts_with("unfolded")), "{refused:?}");
}

#[test]
fn variants_that_never_fit_are_found() {
    let written = ["tiled", "forgotten"].map(String::from).into();
    let reasons = [("tiled", "too large here".to_string()), ("split", "too small".to_string())].into();
    let expected = ["forgotten (it was never offered)", "split (too small)"];
    assert_eq!(dead(&written, &["tiled", "other"].into(), &reasons), expected);
}
