//! The tuner's cache file: a line for each choice, its parts separated by tabs.

use crate::plan::{Choices, Refusal, TuningKey};
use std::fmt::Write;

pub(crate) fn print(choices: &Choices) -> Vec<u8> {
    let mut text = String::new();
    for (key, variant) in choices.measured.iter().flatten() {
        let _ = writeln!(text, "measured\t{key}\t{variant}");
    }
    for Refusal { operator, variant, text: hash } in &choices.refused {
        let _ = writeln!(text, "refused\t{operator}\t{variant}\t{hash:016x}");
    }
    text.into_bytes()
}

/// `None` when a line is none of those that [`print()`] writes.
pub(crate) fn parse(payload: &[u8]) -> Option<Choices> {
    let mut choices = Choices::default();
    for line in std::str::from_utf8(payload).ok()?.lines() {
        match *line.split('\t').collect::<Vec<_>>().as_slice() {
            ["measured", key, variant] => {
                choices.measured.get_or_insert_default().insert(TuningKey::parse(key), variant.to_string());
            }
            ["refused", operator, variant, hash] => {
                let text = u64::from_str_radix(hash, 16).ok()?;
                choices.refused.insert(Refusal { operator: operator.to_string(), variant: variant.to_string(), text });
            }
            _ => return None,
        }
    }
    Some(choices)
}

#[cfg(test)]
mod tests {
    use super::{parse, print};

    #[test]
    fn what_is_printed_is_parsed_and_nothing_else() {
        let text = b"measured\tMatMul+ f32[4x4]* #0f\ttiled\nrefused\tMatMul\tgemv\t00000000000000ff\n";
        let choices = parse(text).expect("the lines are sound");
        assert_eq!(choices.measured.iter().flatten().count(), 1);
        assert_eq!(choices.refused.first().map(|r| r.text), Some(255));
        assert_eq!(print(&choices), text);
        for damaged in [&b"measured\tMatMul\n"[..], b"refused\ta\tb\tzz\n", b"other\n", b"\xff"] {
            assert!(parse(damaged).is_none());
        }
    }
}
