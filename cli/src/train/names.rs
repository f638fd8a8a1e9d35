//! Names that people write: the one that was meant, and patterns that stand for several.

use gristmill::train::edit_distance;

/// The known name that a misspelled one is likely to be.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters: Vec<char> = name.to_lowercase().chars().collect();
    let far = |other: &str| edit_distance(&letters, &other.to_lowercase().chars().collect::<Vec<_>>());
    let best = known.into_iter().map(|other| (far(other), other)).min_by_key(|(distance, _)| *distance);
    best.filter(|(distance, other)| *distance <= (letters.len().max(other.chars().count()) / 3).max(1)).map(|(_, other)| other)
}

/// Names as a sentence lists them; of many the first.
pub(crate) fn listed<T: AsRef<str>>(names: &[T]) -> String {
    /// More than this nobody reads.
    const MOST: usize = 24;
    let first: Vec<String> = names.iter().take(MOST).map(|name| format!("`{}`", name.as_ref())).collect();
    match names.len() {
        0 => "none".into(),
        count if count > MOST => format!("{} and {} more", first.join(", "), count - MOST),
        _ => first.join(", "),
    }
}

/// Whether a name is of a pattern, in which `*` stands for any text.
pub(crate) fn is_of(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(part) = last.replace(part) {
            let Some(place) = rest.find(part) else { return false };
            rest = &rest[place + part.len()..];
        }
    }
    match last {
        Some(last) => rest.ends_with(last),
        None => rest.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_of, nearest};

    #[test]
    fn patterns_match_whole_names() {
        let cases = [
            ("*.bias", "conv1.bias", true),
            ("*.bias", "conv1.weight", false),
            ("conv1.*", "conv1.weight", true),
            ("conv1", "conv1.weight", false),
            ("*norm*weight", "layer.norm1.weight", true),
            ("a*a", "a", false),
            ("*", "", true),
            ("", "x", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(is_of(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn near_names_are_meant() {
        assert_eq!(nearest("learning_rat", ["momentum", "learning_rate"]), Some("learning_rate"));
        assert_eq!(nearest("batch", ["momentum", "learning_rate"]), None);
    }
}
