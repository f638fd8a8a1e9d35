//! How a run of training went, as a picture: what is drawn ([`LossCurve`]), the scales of axes, the SVG.

mod axis;
mod draw;
mod points;

pub use points::LossCurve;
