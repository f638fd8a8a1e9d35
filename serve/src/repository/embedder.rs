//! What a model needs to make vectors of texts: its tokenizer, and which of its inputs takes what.

use super::config::Embeddings;
use super::interface::Interface;
use super::layout::Folder;
use super::padding::Padding;
use crate::failure::{Failure, Result};
use crate::protocol::{Datatype, InferTensor};
use bytes::Bytes;
use tokenizers::Tokenizer;

/// The most tokens of a text where nothing says how many.
const MAX_TOKENS: usize = 512;

/// What an input of the model is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// The numbers of the tokens.
    Tokens,
    /// 1 for each: all tokens are there.
    Mask,
    /// 0 for each: all tokens are of the first text.
    Segment,
}

/// What a model needs to make vectors of texts.
#[derive(Debug)]
pub struct Embedder {
    /// How vectors are made.
    pub settings: Embeddings,
    /// The most tokens of a text.
    pub max_tokens: usize,
    tokenizer: Tokenizer,
    /// What the numbers of all tokens are below that the tokenizer knows.
    vocabulary: usize,
    inputs: Vec<(String, Datatype, Role)>,
}

fn invalid<T>(what: impl AsRef<str>) -> Result<T> {
    Err(Failure::invalid(format!("model.toml: embeddings: {}", what.as_ref())))
}

impl Embedder {
    /// Reads a model's tokenizer.
    ///
    /// # Errors
    /// A folder without a tokenizer, one that cannot be read, and inputs or outputs that the model does not have, or that are not for this.
    pub(super) fn new(settings: &Embeddings, folder: &Folder, interface: &Interface, padding: Option<&Padding>) -> Result<Self> {
        let Some((file, _)) = &folder.tokenizer else {
            return invalid("expected a file tokenizer.json beside the model");
        };
        let read = Tokenizer::from_file(file);
        let mut tokenizer = match read {
            Ok(tokenizer) => tokenizer,
            Err(e) => return invalid(format!("{} is no tokenizer: {e}", file.display())),
        };
        // Texts that are too long are refused, and the server pads.
        if let Err(e) = tokenizer.with_truncation(None) {
            return invalid(format!("the tokenizer cannot do without truncation: {e}"));
        }
        tokenizer.with_padding(None);
        let numbers = tokenizer.get_vocab(true).into_values();
        let vocabulary = numbers.max().and_then(|most| usize::try_from(most).ok()).map_or(0, |most| most.saturating_add(1));
        let Some(output) = interface.outputs.iter().find(|output| output.name == settings.output) else {
            return invalid(format!("the model has no output `{}`", settings.output));
        };
        if !matches!(output.datatype, Datatype::Fp32 | Datatype::Fp16 | Datatype::Bf16) {
            return invalid(format!("output `{}` is {}: expected floats", output.name, output.datatype));
        }
        if output.dims.as_ref().is_some_and(|dims| ![2, 3].contains(&dims.len())) {
            return invalid(format!("output `{}`: expected [rows, tokens, dimensions] or [rows, dimensions]", output.name));
        }
        let inputs = roles(settings, interface)?;
        let most = padding.and_then(|padding| padding.lengths.last().copied());
        let max_tokens = settings.max_tokens.or(most).unwrap_or(MAX_TOKENS).min(most.unwrap_or(usize::MAX));
        Ok(Embedder { settings: settings.clone(), max_tokens, tokenizer, vocabulary, inputs })
    }

    /// The tokens of a text, with those that the tokenizer puts around it.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Code::InvalidArgument) for a text that the tokenizer does not take.
    pub fn tokens(&self, text: &str) -> Result<Vec<u32>> {
        let encoded = self.tokenizer.encode(text, true);
        encoded.map(|encoding| encoding.get_ids().to_vec()).map_err(|e| Failure::invalid(format!("the text has no tokens: {e}")))
    }

    /// What the numbers of all tokens are below.
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// The inputs of a run over one text.
    ///
    /// # Errors
    /// [`TooLarge`](crate::Code::TooLarge) for more tokens than a tensor has elements.
    pub fn inputs(&self, tokens: &[u32]) -> Result<Vec<InferTensor>> {
        let tensor = |(name, datatype, role): &(String, Datatype, Role)| {
            let number = |token: &u32| match role {
                Role::Tokens => *token,
                Role::Mask => 1,
                Role::Segment => 0,
            };
            let numbers = tokens.iter().map(number);
            let data: Bytes = match datatype {
                Datatype::Int32 => numbers.flat_map(|number| number.to_le_bytes()).collect(),
                _ => numbers.flat_map(|number| u64::from(number).to_le_bytes()).collect(),
            };
            InferTensor::new(name.clone(), *datatype, vec![1, tokens.len()], data)
        };
        self.inputs.iter().map(tensor).collect()
    }
}

/// What each input is given that a request must give.
fn roles(settings: &Embeddings, interface: &Interface) -> Result<Vec<(String, Datatype, Role)>> {
    if interface.input(&settings.input).is_none() {
        return invalid(format!("the model has no input `{}`", settings.input));
    }
    let mut inputs = Vec::new();
    for input in interface.inputs.iter().filter(|input| !input.optional || input.name == settings.input) {
        let role = match input.name.as_str() {
            name if name == settings.input => Role::Tokens,
            "attention_mask" => Role::Mask,
            "token_type_ids" => Role::Segment,
            name => return invalid(format!("input `{name}` is none that texts have: expected attention_mask or token_type_ids")),
        };
        if !matches!(input.datatype, Datatype::Int64 | Datatype::Int32) || input.dims.as_ref().is_none_or(|dims| dims.len() != 2) {
            return invalid(format!("input `{}`: expected integers of 32 or 64 bits in [rows, tokens]", input.name));
        }
        inputs.push((input.name.clone(), input.datatype, role));
    }
    Ok(inputs)
}
