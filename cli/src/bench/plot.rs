//! A roofline picture (Williams et al. 2009): what each row reaches, under what the adapter can do at its intensity.

use super::ceiling::Ceiling;
use super::report::Line;
use crate::failure::{Failure, Result};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// The drawing's size and the margins around its axes, in pixels.
const SIZE: (f64, f64) = (960.0, 560.0);
const MARGIN: (f64, f64, f64, f64) = (70.0, 40.0, 60.0, 230.0); // left, top, bottom, right
/// A palette that is told apart by the colour-blind (Okabe and Ito 2008).
const COLORS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];
/// The least intensity drawn, in operations per byte; rows without arithmetic stand there.
const LEAST: f64 = 0.05;

/// A logarithmic axis from one power of ten to another.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn new(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
        Axis { low: low.log10().floor(), high: high.log10().ceil().max(low.log10().floor() + 1.0), from, to }
    }

    fn at(&self, value: f64) -> f64 {
        self.from + (value.log10() - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    fn powers(&self) -> impl Iterator<Item = f64> {
        (self.low as i32..=self.high as i32).map(|p| 10f64.powi(p))
    }
}

/// Writes the picture.
pub(crate) fn write(path: &Path, title: &str, ceiling: &Ceiling, lines: &[Line]) -> Result<()> {
    fs::write(path, svg(title, ceiling, lines)).map_err(|e| Failure::file("write", path, e))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn svg(title: &str, ceiling: &Ceiling, lines: &[Line]) -> String {
    let (left, top, bottom, right) = MARGIN;
    let ridge = ceiling.gflops / ceiling.gbps();
    let xs = Axis::new(lines.iter().map(intensity).chain([LEAST, ridge * 10.0]), left, SIZE.0 - right);
    let lowest = lines.iter().map(rate).filter(|r| *r > 0.0).fold(ceiling.gflops, f64::min);
    let ys = Axis::new([lowest, ceiling.gflops].into_iter(), SIZE.1 - bottom, top);
    let mut out = String::new();
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"{left}\" y=\"22\" font-size=\"15\">{}</text>\n",
        SIZE.0,
        SIZE.1,
        escape(title)
    );
    scales(&mut out, &xs, &ys);
    roof(&mut out, &xs, &ys, ceiling);
    marks(&mut out, &xs, &ys, lines);
    out.push_str("</svg>\n");
    out
}

/// Lines and numbers at the powers of ten, and what they count.
fn scales(out: &mut String, xs: &Axis, ys: &Axis) {
    let (left, top, bottom, right) = MARGIN;
    for x in xs.powers() {
        let at = xs.at(x);
        let _ = writeln!(out, "<line x1=\"{at:.1}\" y1=\"{top}\" x2=\"{at:.1}\" y2=\"{}\" stroke=\"#e5e5e5\"/>", SIZE.1 - bottom);
        let _ = writeln!(out, "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{x}</text>", SIZE.1 - bottom + 18.0);
    }
    for y in ys.powers() {
        let at = ys.at(y);
        let _ = writeln!(out, "<line x1=\"{left}\" y1=\"{at:.1}\" x2=\"{}\" y2=\"{at:.1}\" stroke=\"#e5e5e5\"/>", SIZE.0 - right);
        let _ = writeln!(out, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{y}</text>", left - 8.0, at + 4.0);
    }
    let middle = (left + SIZE.0 - right) / 2.0;
    let _ = writeln!(out, "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">operations per byte</text>", SIZE.1 - 18.0);
    let _ = writeln!(
        out,
        "<text transform=\"translate(20 {}) rotate(-90)\" text-anchor=\"middle\">GFLOP/s</text>",
        (top + SIZE.1 - bottom) / 2.0
    );
}

/// Operations per byte of a row.
fn intensity(line: &Line) -> f64 {
    line.intensity.max(LEAST)
}

/// GFLOP/s of a row; what has no arithmetic is drawn by the bytes it moves.
fn rate(line: &Line) -> f64 {
    if line.gflops > 0.0 { line.gflops } else { line.gbps * LEAST }
}

/// A point for each row, numbered, and the list of them.
fn marks(out: &mut String, xs: &Axis, ys: &Axis, lines: &[Line]) {
    let (_, top, _, right) = MARGIN;
    let families: Vec<&str> = lines.iter().fold(vec![], |mut all, line| {
        if !all.contains(&line.family) {
            all.push(line.family);
        }
        all
    });
    // Labels that would lie on one another move down a line.
    let mut taken: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (number, line) in lines.iter().enumerate() {
        let color = COLORS[families.iter().position(|f| *f == line.family).unwrap_or(0) % COLORS.len()];
        let (x, y) = (xs.at(intensity(line)), ys.at(rate(line).max(10f64.powf(ys.low))));
        let title =
            format!("{}:{} ({}): {:.1} us, {:.1} GFLOP/s", line.family, line.shape, line.variant, line.median_us, line.gflops);
        let _ = writeln!(
            out,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"{color}\"><title>{}</title></circle>",
            escape(&title)
        );
        let mut slot = (y / 11.0) as i64;
        while taken.get(&slot).is_some_and(|at| at.iter().any(|other| (other - x).abs() < 18.0)) {
            slot += 1;
        }
        taken.entry(slot).or_default().push(x);
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"10\">{}</text>",
            x + 7.0,
            slot as f64 * 11.0 + 8.0,
            number + 1
        );
        let at = top + 14.0 * number as f64;
        let (text, percent) = (escape(&format!("{} {}:{}", number + 1, line.family, line.shape)), line.percent_of_ceiling);
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{at:.1}\" font-size=\"10\" fill=\"{color}\">{text} ({percent:.0}%)</text>",
            SIZE.0 - right + 10.0
        );
    }
}

fn roof(out: &mut String, xs: &Axis, ys: &Axis, ceiling: &Ceiling) {
    let (first, last) = (10f64.powf(xs.low).max(10f64.powf(ys.low) / ceiling.gbps()), 10f64.powf(xs.high));
    let ridge = ceiling.gflops / ceiling.gbps();
    let points = [(first, first * ceiling.gbps()), (ridge, ceiling.gflops), (last, ceiling.gflops)];
    let text: Vec<String> = points.iter().map(|(x, y)| format!("{:.1},{:.1}", xs.at(*x), ys.at(*y))).collect();
    let _ = writeln!(out, "<polyline points=\"{}\" fill=\"none\" stroke=\"#555\" stroke-width=\"2\"/>", text.join(" "));
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#555\">{:.1} GFLOP/s</text>",
        xs.at(last) - 4.0,
        ys.at(ceiling.gflops) - 6.0,
        ceiling.gflops
    );
    let half = (first * ridge).sqrt();
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#555\">{:.1} GB/s</text>",
        xs.at(half) - 6.0,
        ys.at(half * ceiling.gbps()) - 6.0,
        ceiling.gbps()
    );
}
