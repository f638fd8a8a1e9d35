//! Spells words into phonemes with a GRU encoder and decoder, one phoneme after the other (greedy decoding).
//!
//! `cargo run --example phonemes [WORD ...]`. The phonemes are those of the CMU Pronouncing Dictionary.

use gristmill::{Gpu, Model, Options, Power, Session, Tensor};
use std::error::Error;
use std::path::Path;

/// Words have few phonemes; a network that does not find an end is stopped here.
const MOST_PHONEMES: usize = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models");
    let gpu = Gpu::new_blocking(Power::High)?;
    let speller = Speller::load(&gpu, &models)?;
    println!("adapter: {}", gpu.caps());

    let words: Vec<String> = std::env::args().skip(1).collect();
    let words = if words.is_empty() { vec!["vulkan".to_string()] } else { words };
    for word in words {
        println!("{word}: {}", speller.spell(&word)?.join(" "));
    }
    Ok(())
}

/// The two networks and what their numbers stand for.
struct Speller {
    encoder: Session,
    decoder: Session,
    graphemes: Vec<String>,
    phonemes: Vec<String>,
}

impl Speller {
    fn load(gpu: &Gpu, models: &Path) -> Result<Self, Box<dyn Error>> {
        let session = |name: &str| {
            let model = Model::load(models.join(name).join("model.onnx"))?;
            Session::new_blocking(gpu, &model, Options::default())
        };
        let text = std::fs::read_to_string(models.join("g2p_en_encoder/vocabulary.json"))?;
        let vocabulary: serde_json::Value = serde_json::from_str(&text)?;
        let list = |key: &str| -> Result<Vec<String>, serde_json::Error> { serde_json::from_value(vocabulary[key].clone()) };
        Ok(Speller {
            encoder: session("g2p_en_encoder")?,
            decoder: session("g2p_en_decoder")?,
            graphemes: list("graphemes")?,
            phonemes: list("phonemes")?,
        })
    }

    /// The phonemes of a word.
    fn spell(&self, word: &str) -> Result<Vec<&str>, Box<dyn Error>> {
        let letters = word.to_lowercase().chars().map(|c| c.to_string()).chain(["</s>".to_string()]).collect::<Vec<_>>();
        let spelling: Vec<i64> = letters.iter().map(|l| number(&self.graphemes, l)).collect();
        let spelling = Tensor::new([1, spelling.len()], &spelling)?;
        let mut hidden = self.encoder.run_blocking(&[("word", spelling.view())])?["hidden"].clone();

        let mut phonemes = Vec::new();
        let mut last = number(&self.phonemes, "<s>");
        while phonemes.len() < MOST_PHONEMES {
            let token = Tensor::new([1, 1], &[last])?;
            let outputs = self.decoder.run_blocking(&[("phonemes", token.view()), ("hidden_in", hidden.view())])?;
            let logits: &[f32] = outputs["logits"].as_slice()?;
            let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap_or(0);
            if self.phonemes[best] == "</s>" {
                break;
            }
            phonemes.push(self.phonemes[best].as_str());
            last = best as i64;
            hidden = outputs["hidden_out"].clone();
        }
        Ok(phonemes)
    }
}

/// The place of an entry in a vocabulary; that of `<unk>` for one that is not there.
fn number(vocabulary: &[String], entry: &str) -> i64 {
    let place = |entry: &str| vocabulary.iter().position(|v| v == entry);
    place(entry).or(place("<unk>")).unwrap_or(0) as i64
}
