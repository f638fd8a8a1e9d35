//! Which of its variants a node runs by: what was measured, and what the driver refused, as data that a plan is made from.

use super::tuning_key::{TuningKey, operator};
use crate::graph::Node;
use crate::kernel::Kernel;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A variant that the driver refused to compile.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// The operator, with a `+` when a program is fused into it.
    pub operator: String,
    /// Name of the variant.
    pub variant: String,
    /// A hash of the text of the kernel at fault; another text is tried again.
    pub text: u64,
}

/// What a plan's choices are made from, beside the order of each operator's variants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// The fastest variants by measurement; `None` to go by the order of variants alone.
    pub measured: Option<BTreeMap<TuningKey, String>>,
    /// Variants that are not taken while there is another.
    pub refused: BTreeSet<Refusal>,
}

impl Choices {
    /// Whether a variant of these kernels was refused.
    pub(super) fn refuses<'a>(&self, node: &Node, variant: &str, kernels: impl IntoIterator<Item = &'a Kernel>) -> bool {
        // Most sessions never see a refusal, and pay nothing for the hashes.
        !self.refused.is_empty() && kernels.into_iter().any(|kernel| self.refused.contains(&Refusal::new(node, variant, kernel)))
    }
}

impl Refusal {
    /// The refusal of a kernel that a node's variant is made of.
    pub(crate) fn new(node: &Node, variant: &str, kernel: &Kernel) -> Self {
        Refusal { operator: operator(node), variant: variant.to_string(), text: kernel.fingerprint() }
    }
}

/// Why a node runs by the variant it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chosen {
    /// It stands first among the variants for the adapter's class.
    #[default]
    Table,
    /// It was measured to be the fastest.
    Measured,
    /// [`PlanOptions::variant`](super::PlanOptions::variant) names it.
    Named,
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Chosen::Table => "table",
            Chosen::Measured => "measured",
            Chosen::Named => "named",
        })
    }
}
