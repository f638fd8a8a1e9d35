//! README.md promises neither more nor less operators than there are.

use gristmill::import::onnx;
use std::collections::BTreeSet;

#[test]
fn the_list_of_operators_is_complete() {
    let readme = include_str!("../README.md");
    let section = readme.split("<!-- operators -->").nth(1).expect("README.md marks its list of operators");
    // Every second piece stands between backticks.
    let listed: BTreeSet<&str> = section.split('`').skip(1).step_by(2).collect();
    let supported: BTreeSet<&str> = onnx::supported().map(|(_, name, _)| name).collect();
    let missing: Vec<_> = supported.difference(&listed).collect();
    let surplus: Vec<_> = listed.difference(&supported).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "not listed: {missing:?}; listed, but not implemented: {surplus:?}");
}
