//! What is asked for: texts, or tokens, and the form of their vectors.

use super::reply::Refused;
use crate::repository::Embedder;
use serde::Deserialize;

/// The most texts of a request.
const MAX_INPUTS: usize = 2048;

/// The body of a request.
#[derive(Deserialize)]
pub(super) struct Body {
    pub(super) model: String,
    input: Input,
    #[serde(default)]
    pub(super) encoding_format: Format,
    #[serde(default)]
    pub(super) dimensions: Option<usize>,
}

/// How vectors are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    /// As lists of numbers.
    #[default]
    Float,
    /// As the bytes of 32-bit floats, little-endian, in base64.
    Base64,
}

/// A text or several, or their tokens.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected `input` to be a text, a list of texts, a list of tokens, or a list of lists of tokens")]
enum Input {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    Lists(Vec<Vec<u32>>),
}

impl Body {
    pub(super) fn read(body: &[u8]) -> Result<Self, Refused> {
        serde_json::from_slice(body)
            .map_err(|e| Refused::invalid(format!("the body is no request for embeddings in JSON: {e}"), None))
    }

    /// The tokens of each text.
    pub(super) fn tokens(&self, embedder: &Embedder) -> Result<Vec<Vec<u32>>, Refused> {
        let all: Vec<Vec<u32>> = match &self.input {
            Input::Text(text) => vec![tokens(embedder, 0, text)?],
            Input::Texts(texts) => {
                bounded(texts.len())?;
                texts.iter().enumerate().map(|(index, text)| tokens(embedder, index, text)).collect::<Result<_, _>>()?
            }
            Input::Tokens(list) => vec![list.clone()],
            Input::Lists(lists) => lists.clone(),
        };
        bounded(all.len())?;
        for (index, tokens) in all.iter().enumerate() {
            let most = embedder.max_tokens;
            let refused = |what: String| Err(Refused::invalid(format!("input {index}: {what}"), Some("input")));
            if tokens.is_empty() {
                return refused("expected a token at least, found none".into());
            }
            if tokens.len() > most {
                return refused(format!("expected at most {most} tokens, found {}", tokens.len()));
            }
            let outside = |token: &&u32| usize::try_from(**token).map_or(true, |token| token >= embedder.vocabulary());
            if let Some(token) = tokens.iter().find(outside) {
                return refused(format!("expected tokens below {}, found {token}", embedder.vocabulary()));
            }
        }
        Ok(all)
    }

    /// How many dimensions vectors are to have, of so many that the model gives.
    pub(super) fn dimensions(&self, embedder: &Embedder, all: usize) -> Result<usize, Refused> {
        let allowed = &embedder.settings.dimensions;
        match self.dimensions {
            None => Ok(all),
            Some(asked) if asked == all || asked <= all && allowed.contains(&asked) => Ok(asked),
            Some(asked) => {
                let expected: Vec<String> =
                    allowed.iter().filter(|some| **some < all).chain([&all]).map(ToString::to_string).collect();
                Err(Refused::invalid(
                    format!("expected dimensions among {}, found {asked}", expected.join(", ")),
                    Some("dimensions"),
                ))
            }
        }
    }
}

fn bounded(count: usize) -> Result<(), Refused> {
    match count {
        1..=MAX_INPUTS => Ok(()),
        _ => Err(Refused::invalid(format!("expected from 1 to {MAX_INPUTS} texts, found {count}"), Some("input"))),
    }
}

fn tokens(embedder: &Embedder, index: usize, text: &str) -> Result<Vec<u32>, Refused> {
    if text.is_empty() {
        return Err(Refused::invalid(format!("input {index}: expected a text, found an empty one"), Some("input")));
    }
    embedder.tokens(text).map_err(|e| Refused::invalid(format!("input {index}: {e}"), Some("input")))
}
