//! How much workgroup memory a kernel takes, read off its text, so that a plan knows before anything is compiled.

use super::Kernel;
use std::collections::HashMap;

/// Definitions that refer to each other more deeply than this are taken for circular.
const MAX_DEPTH: u32 = 32;

impl Kernel {
    /// Bytes of workgroup memory, each variable rounded up to 16 as WebGPU counts them (section 23.1.1, "GPUProgrammableStage
    /// validation"); `None` when a size is written in a way that is not understood here.
    pub fn workgroup_bytes(&self) -> Option<u64> {
        let texts = || self.preludes.iter().map(|p| p.source).chain(self.generated.as_deref()).chain([self.shader.source]);
        if !texts().any(|text| text.contains("var<workgroup>")) {
            return Some(0);
        }
        let texts: Vec<String> = texts().map(without_comments).collect();
        let mut names = Names::default();
        names.numbers.extend(self.constants.iter().chain(&self.overrides).map(|(name, value)| (*name, u64::from(*value))));
        let statements = || texts.iter().flat_map(|text| text.split([';', '{', '}'])).map(str::trim);
        let mut variables = Vec::new();
        for statement in statements() {
            if let Some(variable) = statement.strip_prefix("var<workgroup>") {
                variables.push(variable.split_once(':')?.1);
            } else if let Some((name, value)) = statement.strip_prefix("const ").and_then(|s| s.split_once('=')) {
                names.expressions.insert(name.split(':').next()?.trim(), value);
            } else if let Some((name, ty)) = statement.strip_prefix("alias ").and_then(|s| s.split_once('=')) {
                names.types.insert(name.trim(), ty);
            }
        }
        let sizes = variables.into_iter().map(|ty| names.size(ty, 0).map(|(bytes, _)| bytes.next_multiple_of(16)));
        sizes.sum()
    }
}

fn without_comments(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// What the module's constants and aliases stand for.
#[derive(Default)]
struct Names<'a> {
    numbers: HashMap<&'a str, u64>,
    expressions: HashMap<&'a str, &'a str>,
    types: HashMap<&'a str, &'a str>,
}

impl Names<'_> {
    /// Size and alignment of a type in bytes.
    fn size(&self, ty: &str, depth: u32) -> Option<(u64, u64)> {
        let ty = ty.trim();
        if depth > MAX_DEPTH {
            return None;
        }
        if let Some(alias) = self.types.get(ty) {
            return self.size(alias, depth + 1);
        }
        let (name, arguments) = match ty.split_once('<') {
            Some((name, rest)) => (name.trim(), rest.strip_suffix('>')?),
            None => (ty, ""),
        };
        let vector = |lanes: u64| {
            let (bytes, _) = self.size(arguments, depth + 1)?;
            Some((lanes * bytes, if lanes == 3 { 4 * bytes } else { lanes * bytes }))
        };
        match name {
            "f32" | "i32" | "u32" => Some((4, 4)),
            "f16" => Some((2, 2)),
            "i64" | "u64" => Some((8, 8)),
            "atomic" => self.size(arguments, depth + 1),
            "vec2" => vector(2),
            "vec3" => vector(3),
            "vec4" => vector(4),
            "array" => {
                // The count holds no comma outside of parentheses, and the element type may hold several.
                let (element, count) = arguments.split_at(last_comma(arguments)?);
                let (bytes, alignment) = self.size(element, depth + 1)?;
                let count = self.number(&count[1..], depth + 1)?;
                Some((bytes.next_multiple_of(alignment).checked_mul(count)?, alignment))
            }
            _ => None,
        }
    }

    fn number(&self, expression: &str, depth: u32) -> Option<u64> {
        if depth > MAX_DEPTH {
            return None;
        }
        let mut tokens = Tokens { rest: expression.trim(), names: self, depth };
        let value = tokens.sum()?;
        tokens.rest.trim().trim_end_matches(',').is_empty().then_some(value)
    }
}

/// Where the last comma stands that is in no parentheses.
fn last_comma(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in text.char_indices().rev() {
        match c {
            ')' | '>' => depth += 1,
            '(' | '<' => depth -= 1,
            ',' if depth == 0 && !text[at + 1..].trim().is_empty() => return Some(at),
            _ => {}
        }
    }
    None
}

/// An expression of unsigned integers, from left to right.
struct Tokens<'a, 'n> {
    rest: &'a str,
    names: &'n Names<'n>,
    depth: u32,
}

impl Tokens<'_, '_> {
    fn take(&mut self, symbol: char) -> bool {
        self.rest = self.rest.trim_start();
        let rest = self.rest.strip_prefix(symbol);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn sum(&mut self) -> Option<u64> {
        let mut value = self.product()?;
        loop {
            if self.take('+') {
                value = value.checked_add(self.product()?)?;
            } else if self.take('-') {
                value = value.checked_sub(self.product()?)?;
            } else {
                return Some(value);
            }
        }
    }

    fn product(&mut self) -> Option<u64> {
        let mut value = self.factor()?;
        loop {
            if self.take('*') {
                value = value.checked_mul(self.factor()?)?;
            } else if self.take('/') {
                value = value.checked_div(self.factor()?)?;
            } else if self.take('%') {
                value = value.checked_rem(self.factor()?)?;
            } else {
                return Some(value);
            }
        }
    }

    fn factor(&mut self) -> Option<u64> {
        if self.take('(') {
            let value = self.sum()?;
            return self.take(')').then_some(value);
        }
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            return word.trim_end_matches(['u', 'i']).parse().ok();
        }
        if ["min", "max", "u32"].contains(&word) && self.take('(') {
            let first = self.sum()?;
            let value = match word {
                "u32" => Some(first),
                _ if !self.take(',') => None,
                "min" => self.sum().map(|second| first.min(second)),
                _ => self.sum().map(|second| first.max(second)),
            };
            return value.filter(|_| self.take(')'));
        }
        match self.names.numbers.get(word) {
            Some(number) => Some(*number),
            None => self.names.number(self.names.expressions.get(word)?, self.depth + 1),
        }
    }
}
