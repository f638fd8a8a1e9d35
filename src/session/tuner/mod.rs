//! Measuring candidates beside each other.

pub(super) mod choose;
pub(super) mod measure;
