//! Names of which each is given once.

use std::collections::HashMap;

/// The names that are taken, each with the number of the last copy that was asked for.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: HashMap<String, usize>,
}

impl Names {
    /// Takes a name, or its first copy that is free: `name.2`, `name.3`, ...
    pub(super) fn unique(&mut self, name: &str) -> String {
        let name = if name.is_empty() { "value" } else { name };
        let Some(last) = self.taken.get(name) else {
            self.taken.insert(name.to_string(), 1);
            return name.to_string();
        };
        let mut number = *last;
        let copy = loop {
            number += 1;
            let copy = format!("{name}.{number}");
            if !self.taken.contains_key(&copy) {
                break copy;
            }
        };
        self.taken.insert(name.to_string(), number);
        self.taken.insert(copy.clone(), 1);
        copy
    }

    /// Takes exactly this name; false when it is taken already.
    pub(super) fn take(&mut self, name: &str) -> bool {
        let free = !self.taken.contains_key(name);
        if free {
            self.taken.insert(name.to_string(), 1);
        }
        free
    }

    /// Gives a name back.
    pub(super) fn free(&mut self, name: &str) {
        self.taken.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::Names;

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        let mut names = Names::default();
        assert!(names.take("x.3"));
        let given: Vec<String> = ["x", "x", "x", "", "", "x"].iter().map(|name| names.unique(name)).collect();
        assert_eq!(given, ["x", "x.2", "x.4", "value", "value.2", "x.5"]);
        names.free("x.4");
        assert!(names.take("x.4") && !names.take("x.2"));
    }

    #[test]
    fn many_equal_names_take_no_longer_than_different_ones() {
        let mut names = Names::default();
        let last = (0..200_000).map(|_| names.unique("x")).last();
        assert_eq!(last.as_deref(), Some("x.200000"));
    }
}
