//! The SVG of a curve: a panel for losses, and below it one for each other metric, over one axis of steps.

use super::axis::{Axis, short};
use std::fmt::Write;

/// The width of the picture and where its panels begin and end, in pixels.
const WIDTH: f64 = 760.0;
const SIDES: (f64, f64) = (64.0, WIDTH - 20.0);
/// How high the panels of losses and of metrics are, and what lies above each for its legend.
const HEIGHTS: (f64, f64) = (260.0, 120.0);
const LEGEND: f64 = 34.0;
/// The most panels of metrics.
const METRICS: usize = 6;
/// Losses are drawn in so many columns at most: one of several has their range.
const COLUMNS: usize = 340;
/// What part of a run the line through the losses looks at on either side.
const REACH: f64 = 0.03;

/// Colours of a light page, and of a dark one. Told apart by the colour-blind.
const STYLE: &str = "<style>\n\
.page{fill:#fff}.grid{stroke:#e4e7eb}.text{fill:#1f2328}.minor{fill:#59636e}.batch{stroke:#9cc3ec}.line{stroke:#0a63b8}.eval{stroke:#c8500a}\
.dot{fill:#c8500a}.m0{stroke:#0f7b5f}.m1{stroke:#8250df}.m2{stroke:#a8690b}.d0{fill:#0f7b5f}.d1{fill:#8250df}.d2{fill:#a8690b}\n\
@media (prefers-color-scheme:dark){.page{fill:#0d1117}.grid{stroke:#272e38}.text{fill:#e6edf3}.minor{fill:#9aa4b0}.batch{stroke:#274f7d}\
.line{stroke:#6cb0ff}.eval{stroke:#f28c4a}.dot{fill:#f28c4a}.m0{stroke:#43c59e}.m1{stroke:#b794ff}.m2{stroke:#e0a83e}.d0{fill:#43c59e}\
.d1{fill:#b794ff}.d2{fill:#e0a83e}}\n</style>\n";

/// What is drawn.
pub(super) struct Picture<'a> {
    pub title: &'a str,
    /// Of batches.
    pub losses: &'a [(u64, f64)],
    /// Of evaluations.
    pub metrics: &'a [(String, Vec<(u64, f64)>)],
}

/// A line of a panel.
struct Line<'a> {
    name: String,
    points: &'a [(u64, f64)],
    /// The classes of lines and of dots.
    classes: (String, String),
}

pub(super) fn svg(picture: &Picture<'_>) -> String {
    let Picture { title, losses: batches, metrics } = *picture;
    let (losses, others): (Vec<_>, Vec<_>) = metrics.iter().partition(|(name, _)| is_loss(name));
    let others = &others[..others.len().min(METRICS)];
    let last = |points: &[(u64, f64)]| points.last().map_or(0, |(step, _)| *step);
    let steps = metrics.iter().map(|(_, points)| last(points)).chain([last(batches)]).max().unwrap_or(0);
    let xs = Axis::of_steps(steps, SIDES);
    let head = if title.is_empty() { 4.0 } else { 32.0 };
    let below = 46.0;
    let height = head + LEGEND + HEIGHTS.0 + others.len() as f64 * (LEGEND + HEIGHTS.1) + below;
    let mut out = String::new();
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"-apple-system,Segoe UI,Helvetica,Arial,sans-serif\" font-size=\"12\">\n{STYLE}\
         <rect class=\"page\" width=\"100%\" height=\"100%\" rx=\"6\"/>\n"
    );
    if !title.is_empty() {
        text(&mut out, "text", (SIDES.0, 24.0), "start\" font-size=\"15\" font-weight=\"600", title);
    }
    let evaluated: Vec<Line<'_>> = losses.iter().map(|(name, points)| Line::new(name, points, "eval", "dot")).collect();
    let mut top = head + LEGEND;
    loss_panel(&mut out, &xs, (top, top + HEIGHTS.0), batches, &evaluated);
    top += HEIGHTS.0;
    for (number, (name, points)) in others.iter().enumerate() {
        let (line, dot) = (format!("m{}", number % 3), format!("d{}", number % 3));
        let ends = (top + LEGEND, top + LEGEND + HEIGHTS.1);
        metric_panel(&mut out, &xs, ends, &Line::new(name, points, &line, &dot));
        top = ends.1;
    }
    for (step, name) in xs.ticks() {
        text(&mut out, "minor", (xs.at(step), top + 18.0), "middle", &name);
    }
    text(&mut out, "minor", ((SIDES.0 + SIDES.1) / 2.0, top + 37.0), "middle", "step");
    out.push_str("</svg>\n");
    out
}

/// Whether a metric is drawn beside the losses of batches.
fn is_loss(name: &str) -> bool {
    name.ends_with("loss")
}

impl<'a> Line<'a> {
    fn new(name: &str, points: &'a [(u64, f64)], line: &str, dot: &str) -> Self {
        Line { name: name.to_string(), points, classes: (line.into(), dot.into()) }
    }

    /// Its name with the last value that is a number.
    fn label(&self, what: &str) -> String {
        match self.points.iter().rfind(|(_, value)| value.is_finite()) {
            Some((_, value)) => format!("{what} {}", short(*value)),
            None => what.to_string(),
        }
    }
}

/// Batches' losses, a line through them, and evaluations'.
fn loss_panel(out: &mut String, xs: &Axis, (top, bottom): (f64, f64), losses: &[(u64, f64)], evaluated: &[Line<'_>]) {
    let columns = columns(losses);
    let smooth = smooth(&columns);
    let values = columns.iter().flat_map(|column| [column.least, column.greatest]);
    let values = values.chain(evaluated.iter().flat_map(|line| line.points.iter().map(|(_, value)| *value)));
    let ys = Axis::of(values, true, (bottom, top));
    frame(out, xs, &ys, (top, bottom));
    let ranges = columns.iter().flat_map(|column| match column.least == column.greatest {
        true => vec![(column.step, column.mean)],
        false => vec![(column.step, column.greatest), (column.step, column.least)],
    });
    let is_noisy = columns.len() > 12;
    polyline(out, if is_noisy { "batch" } else { "line" }, if is_noisy { 1.0 } else { 1.8 }, xs, &ys, ranges);
    if is_noisy {
        polyline(out, "line", 2.0, xs, &ys, smooth.iter().copied());
    }
    evaluated.iter().for_each(|line| marked(out, line, xs, &ys));
    let mut entries = vec![];
    if let (Some((_, last)), false) = (smooth.last(), losses.is_empty()) {
        entries.push(("line".to_string(), format!("training loss {}", short(*last))));
    }
    entries.extend(evaluated.iter().map(|line| (line.classes.0.clone(), line.label(&format!("evaluation {}", line.name)))));
    let scale = if ys.is_logarithmic() { "loss, logarithmic" } else { "loss" };
    legend(out, top, scale, &entries);
}

fn metric_panel(out: &mut String, xs: &Axis, (top, bottom): (f64, f64), line: &Line<'_>) {
    let ys = Axis::of(line.points.iter().map(|(_, value)| *value), true, (bottom, top));
    frame(out, xs, &ys, (top, bottom));
    marked(out, line, xs, &ys);
    let scale = if ys.is_logarithmic() { format!("{}, logarithmic", line.name) } else { line.name.clone() };
    legend(out, top, &scale, &[(line.classes.0.clone(), line.label("evaluation"))]);
}

/// The ticks of a panel, and lines across it.
fn frame(out: &mut String, xs: &Axis, ys: &Axis, (top, bottom): (f64, f64)) {
    for (value, name) in ys.ticks() {
        let at = ys.at(value);
        let _ = writeln!(out, "<path class=\"grid\" d=\"M{} {at:.1}H{}\"/>", SIDES.0, SIDES.1);
        text(out, "minor", (SIDES.0 - 8.0, at + 4.0), "end", &name);
    }
    for (step, _) in xs.ticks() {
        let _ = writeln!(out, "<path class=\"grid\" d=\"M{:.1} {top:.1}V{:.1}\"/>", xs.at(step), bottom + 4.0);
    }
    let _ = writeln!(out, "<path class=\"grid\" d=\"M{} {bottom:.1}H{}\"/>", SIDES.0, SIDES.1);
}

/// What a panel shows, at its left, and its lines at the right, the last entry last.
fn legend(out: &mut String, top: f64, scale: &str, entries: &[(String, String)]) {
    text(out, "text", (SIDES.0, top - 11.0), "start\" font-weight=\"600", scale);
    let mut right = SIDES.1;
    for (class, label) in entries.iter().rev() {
        text(out, "minor", (right, top - 11.0), "end", label);
        right -= label.chars().count() as f64 * 6.1 + 8.0;
        let _ = writeln!(out, "<path class=\"{class}\" stroke-width=\"2.5\" d=\"M{:.1} {:.1}h16\"/>", right - 16.0, top - 15.0);
        right -= 34.0;
    }
}

/// A line with a dot at each point, where there are few.
fn marked(out: &mut String, line: &Line<'_>, xs: &Axis, ys: &Axis) {
    polyline(out, &line.classes.0, 1.8, xs, ys, line.points.iter().copied());
    let dots: Vec<_> = line.points.iter().filter(|(_, value)| value.is_finite()).collect();
    if dots.len() <= 60 {
        for (step, value) in dots {
            let (x, y) = (xs.at(*step as f64), ys.at(*value));
            let title = format!("step {step}: {} {}", line.name, short(*value));
            let _ = writeln!(
                out,
                "<circle class=\"{}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.6\"><title>{}</title></circle>",
                line.classes.1,
                escaped(&title)
            );
        }
    }
}

/// A line through points, broken where one is no number.
fn polyline(out: &mut String, class: &str, width: f64, xs: &Axis, ys: &Axis, points: impl Iterator<Item = (u64, f64)>) {
    let mut path = String::new();
    let mut is_down = false;
    for (step, value) in points {
        if value.is_finite() {
            let pen = if is_down { 'L' } else { 'M' };
            let _ = write!(path, "{pen}{:.1} {:.1}", xs.at(step as f64), ys.at(value));
        }
        is_down = value.is_finite();
    }
    if !path.is_empty() {
        let _ = writeln!(
            out,
            "<path class=\"{class}\" fill=\"none\" stroke-width=\"{width}\" stroke-linejoin=\"round\" stroke-linecap=\"round\" d=\"{path}\"/>"
        );
    }
}

fn text(out: &mut String, class: &str, (x, y): (f64, f64), anchor: &str, words: &str) {
    let _ = writeln!(out, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escaped(words));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Neighbouring losses.
struct Column {
    /// The last of their steps.
    step: u64,
    mean: f64,
    least: f64,
    greatest: f64,
}

/// Losses in columns of like numbers of them; what is no number is left out.
fn columns(losses: &[(u64, f64)]) -> Vec<Column> {
    let finite: Vec<(u64, f64)> = losses.iter().copied().filter(|(_, loss)| loss.is_finite()).collect();
    let size = finite.len().div_ceil(COLUMNS).max(1);
    let column = |some: &[(u64, f64)]| Column {
        step: some.last().map_or(0, |(step, _)| *step),
        mean: some.iter().map(|(_, loss)| loss).sum::<f64>() / some.len() as f64,
        least: some.iter().map(|(_, loss)| *loss).fold(f64::INFINITY, f64::min),
        greatest: some.iter().map(|(_, loss)| *loss).fold(f64::NEG_INFINITY, f64::max),
    };
    finite.chunks(size).map(column).collect()
}

/// Means of neighbours, nearer ones counting more.
fn smooth(columns: &[Column]) -> Vec<(u64, f64)> {
    let reach = (columns.len() as f64 * REACH).ceil() as usize;
    let mean = |at: usize| {
        let near = at.saturating_sub(reach)..(at + reach + 1).min(columns.len());
        let (mut sum, mut weights) = (0.0, 0.0);
        for (place, column) in columns.iter().enumerate().take(near.end).skip(near.start) {
            let weight = (reach + 1 - place.abs_diff(at)) as f64;
            sum += weight * column.mean;
            weights += weight;
        }
        sum / weights
    };
    columns.iter().enumerate().map(|(at, column)| (column.step, mean(at))).collect()
}
