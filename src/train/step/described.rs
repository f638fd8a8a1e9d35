//! What a step says of itself.

use super::front::Step;
use super::options::StepOptions;

impl Step {
    /// What it was told, with the learning rates of now.
    pub fn options(&self) -> &StepOptions {
        &self.options
    }

    /// What it runs on: an adapter with its driver, or the references.
    pub fn adapter(&self) -> String {
        match self.training.plain().gpu() {
            Some(gpu) => format!("{}, {}", gpu.caps(), gpu.caps().driver),
            None => "references".into(),
        }
    }

    /// The variants of kernels that measurement has chosen so far, each with the problem it was measured for, which other sessions on the adapter have, too.
    pub(in crate::train) fn measured_variants(&self) -> String {
        let runtime = self.training.plain();
        let choices = runtime.choices.choices(&runtime.caps());
        let lines = choices.measured.iter().flatten().map(|(problem, variant)| format!("{problem}: {variant}"));
        let lines: Vec<String> = lines.collect();
        if lines.is_empty() { "by table".into() } else { lines.join("; ") }
    }
}
