//! README.md promises neither more nor less operators than there are, and repeats BENCHMARKS.md truly.

use gristmill::internals::import::onnx;
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

/// What stands between two marks of a file, line by line.
fn region<'a>(file: &'a str, name: &str) -> Vec<&'a str> {
    let (_, rest) = file.split_once(&format!("<!-- {name} -->\n")).unwrap_or_else(|| panic!("{name} has no beginning"));
    let (region, _) = rest.split_once(&format!("<!-- /{name} -->")).unwrap_or_else(|| panic!("{name} has no end"));
    region.lines().collect()
}

#[test]
fn its_times_are_those_of_benchmarks() {
    let columns = |line: &str| -> Vec<String> { line.split('|').take(5).map(|cell| cell.trim().to_owned()).collect() };
    for name in ["kernels", "models"] {
        let measured = region(include_str!("../BENCHMARKS.md"), name);
        // A line about the adapter, then the first table.
        let measured: Vec<_> = measured.into_iter().skip(2).take_while(|line| !line.is_empty()).map(columns).collect();
        let shown: Vec<_> = region(include_str!("../README.md"), name).into_iter().map(columns).collect();
        assert!(measured.len() > 2, "BENCHMARKS.md has no table of {name}");
        assert_eq!(shown, measured, "{name}: benches/peers/compare writes both tables");
    }
}
