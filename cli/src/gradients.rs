//! `gristmill validate --gradients`.

use crate::failure::Result;
use crate::report::write_json;
use crate::table::Table;
use gristmill::{GradientReport, GradientValidation, NoGradient, SlopeReport};
use serde::Serialize;
use std::io::Write;
use std::path::Path;

#[derive(Serialize)]
struct Report<'a> {
    adapter: String,
    passed: bool,
    nodes: Vec<Row<'a>>,
    slopes: Vec<Slope<'a>>,
    without: Vec<Without<'a>>,
    whole: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    node: &'a str,
    value: &'a str,
    elements: usize,
    greatest: f64,
    device_error: f64,
    divergent: usize,
}

#[derive(Serialize)]
struct Slope<'a> {
    node: &'a str,
    error: f64,
    wrong: usize,
    unsettled: usize,
    directions: usize,
}

#[derive(Serialize)]
struct Without<'a> {
    node: &'a str,
    reason: &'a str,
}

impl<'a> From<&'a GradientReport> for Row<'a> {
    fn from(report: &'a GradientReport) -> Self {
        let GradientReport { node, value, elements, greatest, device_error, divergent } = report;
        Row { node, value, elements: *elements, greatest: *greatest, device_error: *device_error, divergent: *divergent }
    }
}

impl<'a> From<&'a SlopeReport> for Slope<'a> {
    fn from(report: &'a SlopeReport) -> Self {
        let SlopeReport { node, error, wrong, unsettled, directions } = report;
        Slope { node, error: *error, wrong: *wrong, unsettled: *unsettled, directions: *directions }
    }
}

impl<'a> From<&'a NoGradient> for Without<'a> {
    fn from(NoGradient { node, reason }: &'a NoGradient) -> Self {
        Without { node, reason }
    }
}

/// What the whole graph is called, which is no node.
fn name(node: &str) -> &str {
    if node.is_empty() { "the whole graph" } else { node }
}

/// Prints what was found, and writes it to a file if there is one.
pub(crate) fn print(out: &mut dyn Write, device: &str, found: &GradientValidation, json: Option<&Path>) -> Result<()> {
    writeln!(out, "device: {device}")?;
    let mut nodes =
        Table::new(&["node", "with respect to", ">elements", ">device", ">outside", ">slopes", ">wrong", ">kinks", "verdict"]);
    for report in found.nodes.iter().chain(&found.whole) {
        nodes.row(cells(report, found.slopes.iter().find(|slope| slope.node == report.node)));
    }
    writeln!(out, "{nodes}")?;
    for NoGradient { node, reason } in &found.without {
        writeln!(out, "{} has no gradient: {reason}", name(node))?;
    }
    writeln!(out, "{}", if found.passed() { "valid" } else { "NOT valid" })?;
    if let Some(path) = json {
        let report = Report {
            adapter: device.to_string(),
            passed: found.passed(),
            nodes: found.nodes.iter().map(Row::from).collect(),
            slopes: found.slopes.iter().map(Slope::from).collect(),
            without: found.without.iter().map(Without::from).collect(),
            whole: found.whole.iter().map(Row::from).collect(),
        };
        write_json(path, &report)?;
    }
    Ok(())
}

/// A row: one gradient, and how all gradients of its node compare with slopes.
fn cells(report: &GradientReport, slope: Option<&SlopeReport>) -> [String; 9] {
    let right = report.divergent == 0 && slope.is_none_or(|slope| slope.wrong == 0);
    let told = slope.filter(|slope| slope.directions > slope.unsettled);
    let verdict = match (right, told) {
        (false, _) => "WRONG",
        (true, Some(_)) => "right",
        (true, None) => "right on the device; slopes cannot be told",
    };
    [
        name(&report.node).to_string(),
        report.value.clone(),
        report.elements.to_string(),
        format!("{:.2e}", report.device_error),
        report.divergent.to_string(),
        told.map_or("-".into(), |slope| format!("{:.2e}", slope.error)),
        slope.map_or("-".into(), |slope| slope.wrong.to_string()),
        slope.map_or("-".into(), |slope| slope.unsettled.to_string()),
        verdict.to_string(),
    ]
}
