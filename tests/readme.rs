//! README.md lists the operators of the import table, and repeats BENCHMARKS.md truly.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test readme` renews its table of operators.

use crate::sources::root;
use crate::support::changed;
use gristmill::internals::import::onnx;
use std::fs;

#[test]
fn its_table_of_operators_is_that_of_the_importer() {
    let mut table = String::from("| family | operators |\n|---|---|\n");
    for (family, names) in onnx::supported() {
        let mut names: Vec<&str> = names.collect();
        // The forms of an operator stand together.
        names.dedup();
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        table += &format!("| {family} | {} |\n", names.join(", "));
    }
    let file = root().join("README.md");
    let readme = fs::read_to_string(&file).expect("it is there");
    let (before, rest) = readme.split_once("<!-- operators -->\n").expect("README.md marks its table of operators");
    let (_, after) = rest.split_once("<!-- /operators -->").expect("and its end");
    let renewed = format!("{before}<!-- operators -->\n{table}<!-- /operators -->{after}");
    assert_eq!(changed(&file, &renewed), None, "UPDATE_SNAPSHOTS=1 renews it");
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

/// The cells of a table's rows, from the line that begins so on; without its head, and without stars.
fn table(file: &str, head: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| line.split('|').skip(1).map(|cell| cell.trim().replace("**", "")).collect();
    let rows: Vec<Vec<String>> = file
        .lines()
        .skip_while(|line| !line.starts_with(head))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(cells)
        .collect();
    assert!(!rows.is_empty(), "there is no table {head}");
    rows
}

#[test]
fn its_training_figures_are_those_that_were_measured() {
    let readme = include_str!("../README.md");
    let columns = |rows: Vec<Vec<String>>, columns: &[usize]| -> Vec<Vec<String>> {
        rows.into_iter().map(|row| columns.iter().map(|column| row[*column].clone()).collect()).collect()
    };
    let measured = table(include_str!("../BENCHMARKS.md"), "| network | gristmill forward |");
    assert_eq!(table(readme, "| a training step"), columns(measured, &[0, 2, 3, 7, 8]));
    // What networks came to: the figure of a cell is its first word.
    let figures = |rows: Vec<Vec<String>>, places: [usize; 2]| -> Vec<Vec<String>> {
        let first = |cell: &String| cell.split(' ').next().unwrap_or_default().to_string();
        columns(rows, &places).iter().map(|row| row.iter().map(first).collect()).collect()
    };
    let learned = figures(table(include_str!("../docs/training/README.md"), "| network | trained on |"), [3, 5]);
    assert_eq!(figures(table(readme, "| network | held out | Gristmill |"), [2, 3]), learned);
}
