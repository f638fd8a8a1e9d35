//! The data under examples/training/data: what its README says of them.

use gristmill::train::{Dataset, Examples, Safetensors, TokenWindows};
use gristmill::{DType, Tensor};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

fn path(set: &str, part: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("examples/training/data/{set}/{part}.safetensors"))
}

/// Both parts of a set: training first.
fn parts<T>(set: &str, read: impl Fn(PathBuf) -> gristmill::Result<T>) -> [T; 2] {
    ["train", "held_out"].map(|part| read(path(set, part)).expect("a file of examples"))
}

/// A list of the metadata, which is the same in both parts.
fn list(set: &str, name: &str) -> Vec<String> {
    let [training, held_out] = parts(set, Safetensors::load);
    assert_eq!(training.metadata, held_out.metadata);
    serde_json::from_str(training.metadata(name).expect("an entry of that name")).expect("a list of texts")
}

/// The rows of an input, cut to their lengths.
fn rows(examples: &Examples, name: &str) -> Vec<Tensor> {
    let of = |number: usize| {
        let example = examples.example(number).expect("an example");
        example.into_iter().find(|(known, _)| known == name).expect("an input of that name").1
    };
    (0..examples.count()).map(of).collect()
}

/// That each row has tokens of the vocabulary, from the first that is no mark on.
fn check_tokens(rows: &[Tensor], first: i64, vocabulary: &[String]) {
    for row in rows {
        assert!(row.elements() > 0);
        assert!(row.to_i64().iter().all(|token| (first..vocabulary.len() as i64).contains(token)), "{row:?}");
    }
}

#[test]
fn training_digits_are_all_different() {
    let sets = parts("digits", Examples::load);
    assert_eq!(sets.each_ref().map(Examples::count), [1500, 500]);
    let mut known = HashSet::new();
    for examples in &sets {
        let mut counts: HashMap<i64, usize> = HashMap::new();
        rows(examples, "label").iter().for_each(|label| *counts.entry(label.to_i64()[0]).or_default() += 1);
        assert!((0..10).all(|digit| counts[&digit] * 13 > examples.count()) && counts.len() == 10, "{counts:?}");
        for image in rows(examples, "image") {
            assert_eq!((image.dtype(), image.shape().dims()), (DType::U8, &[1, 28, 28][..]));
            assert!(known.insert(image.bytes().to_vec()), "an image stands there twice");
        }
    }
}

#[test]
fn training_words_that_are_held_out_are_unseen() {
    let sets = parts("phonemes", Examples::load);
    assert_eq!(sets.each_ref().map(Examples::count), [3600, 400]);
    let (letters, phonemes) = (list("phonemes", "source_vocabulary"), list("phonemes", "target_vocabulary"));
    assert_eq!((letters.len(), phonemes.len()), (3 + 27, 3 + 39));
    let mut known = HashSet::new();
    for examples in &sets {
        let words = rows(examples, "source");
        check_tokens(&words, 3, &letters);
        check_tokens(&rows(examples, "target"), 3, &phonemes);
        assert!(words.iter().all(|word| known.insert(word.bytes().to_vec())), "a word stands there twice");
    }
    let say =
        |tokens: &Tensor, words: &[String]| tokens.to_i64().iter().map(|token| words[*token as usize].clone()).collect::<Vec<_>>();
    assert_eq!(say(&rows(&sets[1], "source")[2], &letters).concat(), "adoptable");
    assert_eq!(say(&rows(&sets[1], "target")[2], &phonemes).join(" "), "AH D AA P T AH B AH L");
}

#[test]
fn training_texts_are_of_their_characters() {
    let characters = list("shakespeare", "vocabulary");
    assert_eq!(characters.len(), 64);
    let [training, held_out] = parts("shakespeare", |path| TokenWindows::load(path, "tokens", 128));
    assert_eq!((training.tokens(), held_out.tokens()), (180_000, 20_000));
    let first = &training.example(0).expect("a window")[0].1;
    let text: String = first.to_i64().iter().map(|token| characters[*token as usize].as_str()).collect();
    assert!(text.starts_with("COUNTESS.\nIn delivering my son from me"), "{text}");
}

#[test]
fn training_speech_is_long_enough_for_its_digits() {
    let sets = parts("spoken_digits", Examples::load);
    assert_eq!(sets.each_ref().map(Examples::count), [271, 53]);
    let words = list("spoken_digits", "vocabulary");
    for examples in &sets {
        let (features, targets) = (rows(examples, "features"), rows(examples, "target"));
        check_tokens(&targets, 1, &words);
        let mut clamped = 0;
        for (features, target) in features.iter().zip(&targets) {
            assert_eq!(features.shape()[1], 32);
            assert!(features.shape()[0] >= 16 * target.elements(), "{:?}", features.ty());
            // Mean 0 and deviation 1, as the file says, in steps of 1/32; but where an element was clamped.
            if features.bytes().iter().any(|byte| [0, 255].contains(byte)) {
                clamped += 1;
                continue;
            }
            let values: Vec<f64> = features.to_f64().iter().map(|x| (x - 128.0) / 32.0).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let square = values.iter().map(|x| x * x).sum::<f64>() / values.len() as f64;
            assert!(mean.abs() < 0.005 && (square - 1.0).abs() < 0.005, "{mean} {square}");
        }
        assert!(clamped * 10 < examples.count(), "{clamped} of {}", examples.count());
    }
}
