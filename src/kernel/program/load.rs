//! How a printed function reads one operand.

use super::places::{Places, fours, runs};
use crate::error::{Error, Result};
use crate::kernel::Access;
use crate::tensor::{Scalar, View};

/// The texts by which a function reads an operand.
pub(super) struct Load {
    /// The binding.
    pub variable: String,
    /// A function that `expression` calls, if any.
    pub helper: String,
    /// The value at `index`.
    pub expression: String,
}

/// What is read, and in how wide groups.
struct Reading<'a> {
    /// Of the binding.
    name: String,
    /// Of the function that finds positions.
    position: String,
    scalar: Scalar,
    /// How many neighbouring elements are read at a time.
    width: u32,
    access: Access,
    places: &'a mut Places,
}

impl Load {
    pub(super) fn new(k: usize, view: &View, scalar: Scalar, width: u32, access: Access, places: &mut Places) -> Result<Self> {
        let (name, position) = (format!("operand{k}"), format!("position{k}"));
        Reading { name, position, scalar, width, access, places }.load(view)
    }
}

impl Reading<'_> {
    fn load(mut self, view: &View) -> Result<Load> {
        let mut runs = runs(view);
        let in_fours = fours(&runs, view.offset);
        if self.access.is_texture() && (self.width != 4 || self.scalar != Scalar::F32 || !in_fours) {
            let name = &self.name;
            return Err(Error::internal(format!("{name} is no array of groups of four floats, and bound as a texture")));
        }
        let w = i64::from(self.width);
        let (extent, stride) = runs.last().copied().unwrap_or((w, 0));
        if w == 1 {
            let (helper, call) = self.position(&runs, view.offset);
            return Ok(self.scalars(helper, format!("{}[{call}(index)]", self.name)));
        }
        if extent % w != 0 {
            return Ok(self.each(&runs, view.offset));
        }
        // Neighbours never leave the innermost run, so `index` walks it in steps of as many elements.
        if let Some(last) = runs.last_mut() {
            *last = (extent / w, stride * w);
        }
        Ok(match stride {
            0 => self.repeated(&runs, view.offset),
            _ if !in_fours => self.strided(&runs, view.offset, stride),
            _ => self.groups(runs, view.offset),
        })
    }

    /// One element for all neighbours.
    fn repeated(mut self, runs: &[(i64, i64)], offset: i64) -> Load {
        let (helper, call) = self.position(runs, offset);
        self.scalars(helper, format!("{}({}[{call}(index)])", self.alias(), self.name))
    }

    /// Each neighbour at a position of its own.
    fn each(mut self, runs: &[(i64, i64)], offset: i64) -> Load {
        let (helper, call) = self.position(runs, offset);
        let (name, width) = (&self.name, self.width);
        let each: Vec<String> = (0..width).map(|j| format!("{name}[{call}(index * {width}u + {j}u)]")).collect();
        self.scalars(helper, format!("{}({})", self.alias(), each.join(", ")))
    }

    /// The first neighbour's position, and those of the others by a stride.
    fn strided(mut self, runs: &[(i64, i64)], offset: i64, stride: i64) -> Load {
        let (helper, call) = self.position(runs, offset);
        let (first, step) = (format!("{call}(index)"), self.places.word(stride));
        let each: Vec<String> = (0..self.width).map(|j| format!("{}[{first} + {j}u * {step}]", self.name)).collect();
        self.scalars(helper, format!("{}({})", self.alias(), each.join(", ")))
    }

    /// Neighbours that storage holds as one group.
    fn groups(mut self, mut runs: Vec<(i64, i64)>, offset: i64) -> Load {
        let w = i64::from(self.width);
        runs.iter_mut().for_each(|(_, s)| *s /= w);
        let (helper, call) = self.position(&runs, offset / w);
        let (name, at) = (&self.name, format!("{call}(index)"));
        let (variable, expression) = match self.scalar {
            Scalar::F32 if self.access.is_texture() => {
                (format!("var {name}: texture_storage_2d<rgba32float, read>"), format!("textureLoad({name}, texel({at}))"))
            }
            Scalar::F32 => (self.array("Stored"), format!("floats({name}[{at}])")),
            Scalar::I32 | Scalar::U32 => {
                (self.array(&format!("vec{}<{}>", self.width, self.scalar.wgsl())), format!("{name}[{at}]"))
            }
        };
        Load { variable, helper, expression }
    }

    /// A function of the position, and how it is called; both are empty where the position is the index itself.
    fn position(&mut self, runs: &[(i64, i64)], offset: i64) -> (String, String) {
        match self.places.function(&self.position, runs, offset) {
            Some(function) => (function, self.position.clone()),
            None => (String::new(), String::new()),
        }
    }

    /// A read of an array of single elements.
    fn scalars(&self, helper: String, expression: String) -> Load {
        Load { variable: self.array(self.scalar.wgsl()), helper, expression }
    }

    fn array(&self, element: &str) -> String {
        format!("var<storage, read> {}: array<{element}>", self.name)
    }

    /// The WGSL type that holds the neighbours.
    fn alias(&self) -> &'static str {
        match self.scalar {
            Scalar::F32 => "Float",
            Scalar::I32 => "Int",
            Scalar::U32 => "Uint",
        }
    }
}
