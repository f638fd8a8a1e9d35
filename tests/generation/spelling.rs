//! The GRU that spells words into phonemes, a phoneme at a time with its hidden state beside: against the network over whole words, whose
//! numbers are its framework's.

use super::{likeliest, numbers, on_cpu, on_device};
use crate::models::{data_sets, folders};
use crate::onnx::by_references;
use crate::support::{difference, states_on_device};
use gristmill::{Model, Session, SessionState, Tensor};
use serde_json::Value;
use std::path::PathBuf;

const PHONEMES: usize = 74;

fn folder(name: &str) -> PathBuf {
    folders().into_iter().find(|folder| folder.ends_with(name)).expect("the network is there")
}

fn model(name: &str) -> Model {
    Model::load(folder(name).join("model.onnx")).expect("it imports")
}

/// The two networks, and the decoder's hidden state, which is on the device from the first phoneme of a word on.
struct Speller {
    encoder: Session,
    decoder: Session,
    state: SessionState,
}

impl Speller {
    fn new(open: fn(&Model) -> Session) -> Self {
        let decoder = model("g2p_en_decoder").with_states(&[("hidden_out", "hidden_in")]).expect("it has that");
        let (encoder, decoder) = (open(&model("g2p_en_encoder")), open(&decoder));
        let state = decoder.state().expect("a state");
        Speller { encoder, decoder, state }
    }

    /// Reads a word's letters; what remains of them.
    fn read(&mut self, word: &Tensor) -> Tensor {
        let outputs = self.encoder.run_blocking(&[("word", word.view())]).expect("the word is read");
        let (phoneme, hidden) = (numbers([1, 1], &[0]), outputs["hidden"].view());
        assert_eq!(states_on_device(&self.decoder, &[("phonemes", phoneme.view()), ("hidden_in", hidden)]).len(), 1);
        self.state.set("hidden_in", &hidden).expect("it may be that");
        outputs["hidden"].clone()
    }

    /// Logits of what follows a phoneme.
    fn after(&mut self, phoneme: i64) -> Vec<f32> {
        let phoneme = numbers([1, 1], &[phoneme]);
        let outputs = self.decoder.run_with_blocking(&mut self.state, &[("phonemes", phoneme.view())]).expect("the step runs");
        outputs["logits"].as_slice::<f32>().expect("they are floats").to_vec()
    }
}

fn table(name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(folder("g2p_en_encoder").join("vocabulary.json")).expect("it is there");
    let mut vocabulary: Value = serde_json::from_str(&text).expect("it is JSON");
    serde_json::from_value(vocabulary[name].take()).expect("it is a list of words")
}

fn number(table: &[String], entry: &str) -> i64 {
    table.iter().position(|e| e == entry).expect("it is in the vocabulary") as i64
}

/// The phonemes of the framework's own data, one at a time.
fn check_logits(speller: &mut Speller) {
    for (inputs, expected) in data_sets(&folder("g2p_en")) {
        speller.read(&inputs[0]);
        let phonemes = inputs[1].as_slice::<i64>().expect("they are numbers").to_vec();
        let found: Vec<f32> = phonemes.iter().flat_map(|phoneme| speller.after(*phoneme)).collect();
        let found = Tensor::new([1, phonemes.len(), PHONEMES], &found).expect("as many elements");
        assert_eq!(difference(&found, &expected[0], super::TOLERANCE), None);
    }
}

/// A word by the likeliest phonemes, and what the decoder makes of all of them at once.
fn check_word(speller: &mut Speller, word: &str, spoken: &str) {
    let (graphemes, phonemes) = (table("graphemes"), table("phonemes"));
    let mut letters: Vec<i64> = word.chars().map(|letter| number(&graphemes, &letter.to_string())).collect();
    letters.push(number(&graphemes, "</s>"));
    let letters = numbers([1, letters.len()], &letters);
    let first = speller.read(&letters);
    let (mut said, mut logits) = (vec![number(&phonemes, "<s>")], vec![]);
    while said.last() != Some(&number(&phonemes, "</s>")) && said.len() < 20 {
        let after = speller.after(said[said.len() - 1]);
        said.push(likeliest(&after));
        logits.extend(after);
    }
    let names: Vec<&str> = said[1..said.len() - 1].iter().map(|k| phonemes[*k as usize].as_str()).collect();
    assert_eq!(names.join(" "), spoken);
    let steps = said.len() - 1;
    let whole = by_references(&model("g2p_en_decoder"), &[numbers([1, steps], &said[..steps]), first]).expect("the references run");
    let found = Tensor::new([1, steps, PHONEMES], &logits).expect("as many elements");
    assert_eq!(difference(&found, &whole[0], super::TOLERANCE), None);
}

fn check(open: fn(&Model) -> Session) {
    let mut speller = Speller::new(open);
    check_logits(&mut speller);
    let before = speller.decoder.counters();
    // As the CMU Pronouncing Dictionary has them.
    check_word(&mut speller, "vulkan", "V AH1 L K AH0 N");
    check_word(&mut speller, "kernel", "K ER1 N AH0 L");
    check_word(&mut speller, "shader", "SH EY1 D ER0");
    assert_eq!(speller.decoder.counters(), before, "steps make nothing");
}

#[test]
fn words_are_spelled_by_steps() {
    check(on_device);
}

#[test]
fn words_are_spelled_by_steps_of_references() {
    check(on_cpu);
}
