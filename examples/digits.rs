//! Reads handwritten digits with a convolutional network.
//!
//! `cargo run --example digits [--model MODEL.onnx] [IMAGE.png ...]` reads 28 x 28 images, white on black; without images those under
//! `tests/images/digits` and then all of `tests/images/digits.npz`. The network is that of `tests/models/digit_cnn` unless another is named: one
//! that `gristmill train` made, for instance.

use gristmill::{Gpu, Model, Options, Power, Session, Tensor};
use std::error::Error;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Rows and columns of an image.
const SIDE: usize = 28;

/// Of the 600 labelled digits, how many must be read right.
const EXPECTED: usize = 590;

/// Likewise by a network that was named.
const EXPECTED_OF_OTHERS: usize = 550;

fn main() -> Result<(), Box<dyn Error>> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let gpu = Gpu::new_blocking(Power::High)?;
    let mut arguments: Vec<PathBuf> = std::env::args().skip(1).map(PathBuf::from).collect();
    let mut named = None;
    if let Some(place) = arguments.iter().position(|argument| argument == Path::new("--model")) {
        arguments.remove(place);
        named = Some(if place < arguments.len() { arguments.remove(place) } else { return Err("--model names a file".into()) });
    }
    let expected = if named.is_some() { EXPECTED_OF_OTHERS } else { EXPECTED };
    let model = Model::load(named.unwrap_or_else(|| tests.join("models/digit_cnn/model.onnx")))?;
    let session = Session::new_blocking(&gpu, &model, Options::default())?;
    println!("adapter: {}", gpu.caps());

    let shipped = arguments.is_empty();
    let files = if shipped { png_files(&tests.join("images/digits"))? } else { arguments };
    for file in &files {
        let digit = read_digits(&session, &pixels(file)?)?[0];
        println!("{}: {digit}", file.file_name().unwrap_or_default().to_string_lossy());
    }
    if !shipped {
        return Ok(());
    }

    let (images, labels) = archive(&tests.join("images/digits.npz"))?;
    let read = read_digits(&session, &images)?;
    let right = read.iter().zip(&labels).filter(|(digit, label)| **digit == usize::from(**label)).count();
    println!("digits.npz: {right} of {} right", labels.len());
    if right < expected {
        return Err(format!("expected at least {expected} right").into());
    }
    Ok(())
}

/// The digit that each image shows; `images` holds their bytes one after the other.
fn read_digits(session: &Session, images: &[u8]) -> gristmill::Result<Vec<usize>> {
    // Mean and deviation of the digits the network was trained with.
    let scaled: Vec<f32> = images.iter().map(|x| (f32::from(*x) / 255.0 - 0.1307) / 0.3081).collect();
    let input = Tensor::new([images.len() / (SIDE * SIDE), 1, SIDE, SIDE], &scaled)?;
    let outputs = session.run_blocking(&[("image", input.view())])?;
    let logits: &[f32] = outputs["logits"].as_slice()?;
    Ok(logits.chunks(10).map(largest).collect())
}

/// The index of the largest value.
fn largest(values: &[f32]) -> usize {
    (0..values.len()).max_by(|a, b| values[*a].total_cmp(&values[*b])).unwrap_or(0)
}

fn png_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    files.retain(|f| f.extension().is_some_and(|e| e == "png"));
    files.sort();
    Ok(files)
}

/// The brightness of each pixel.
fn pixels(file: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    let picture = image::open(file)?.to_luma8();
    if picture.dimensions() != (SIDE as u32, SIDE as u32) {
        return Err(format!("{}: expected {SIDE} x {SIDE} pixels, found {:?}", file.display(), picture.dimensions()).into());
    }
    Ok(picture.into_raw())
}

/// The images of a numpy archive and the digits they show.
fn archive(file: &Path) -> Result<(Vec<u8>, Vec<u8>), Box<dyn Error>> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(file)?)?;
    let mut bytes = |name| -> Result<Vec<u8>, Box<dyn Error>> {
        let mut bytes = Vec::new();
        archive.by_name(name)?.read_to_end(&mut bytes)?;
        // The elements stand after a header of ten bytes and a text, whose length is in the last two of them.
        let text = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        Ok(bytes.split_off(10 + text))
    };
    Ok((bytes("images.npy")?, bytes("labels.npy")?))
}
