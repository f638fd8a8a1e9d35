//! Scales: from numbers to places on a picture, with the ticks between.

/// Numbers whose greatest is more than so many times the least are drawn by their logarithms.
const DECADES: f64 = 30.0;

/// One direction of a picture.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    is_logarithmic: bool,
    /// Where the low end lies, and the high one.
    ends: (f64, f64),
    /// Numbers that are named.
    ticks: Vec<f64>,
}

impl Axis {
    /// An axis along which steps are counted.
    pub(super) fn of_steps(last: u64, ends: (f64, f64)) -> Self {
        let high = (last as f64).max(1.0);
        let mut ticks = even_ticks(0.0, high, 8.0);
        ticks.retain(|tick| tick.fract() == 0.0 && *tick <= high);
        Axis { low: 0.0, high, is_logarithmic: false, ends, ticks }
    }

    /// An axis on which all of these lie; numbers that are none are left out. Logarithmic where they are positive and far apart, if that is allowed.
    pub(super) fn of(values: impl Iterator<Item = f64>, may_be_logarithmic: bool, ends: (f64, f64)) -> Self {
        let finite = values.filter(|value| value.is_finite());
        let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        if may_be_logarithmic && low > 0.0 && high / low > DECADES {
            let (low, high) = (low / 1.15, high * 1.15);
            return Axis { low, high, is_logarithmic: true, ends, ticks: power_ticks(low, high) };
        }
        let room = match high - low {
            0.0 => high.abs().max(1.0) * 0.1,
            span => span * 0.06,
        };
        // Room at the ends, but none below 0 for what never is negative.
        let bottom = if low >= 0.0 { (low - room).max(0.0) } else { low - room };
        let (low, high) = (bottom, high + room);
        Axis { low, high, is_logarithmic: false, ends, ticks: even_ticks(low, high, 5.0) }
    }

    /// Where a number lies.
    pub(super) fn at(&self, value: f64) -> f64 {
        let part = match self.is_logarithmic {
            true => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        };
        self.ends.0 + part.clamp(0.0, 1.0) * (self.ends.1 - self.ends.0)
    }

    /// Numbers and their names.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let apart = self.ticks.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
        let name = |tick: f64| if self.is_logarithmic { short(tick) } else { even(tick, apart) };
        self.ticks.iter().map(|tick| (*tick, name(*tick))).collect()
    }

    pub(super) fn is_logarithmic(&self) -> bool {
        self.is_logarithmic
    }
}

/// Multiples of 1, 2 or 5 times a power of ten between two numbers, about so many.
fn even_ticks(low: f64, high: f64, count: f64) -> Vec<f64> {
    let raw = (high - low) / count;
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= raw).unwrap_or(raw);
    if !(step.is_finite() && step > 0.0) {
        return Vec::new();
    }
    let first = (low / step).ceil();
    (0..=20).map(|k| (first + f64::from(k)) * step).take_while(|tick| *tick <= high + step * 1e-9).collect()
}

/// Powers of ten between two numbers, with twice and five times each where they are few.
fn power_ticks(low: f64, high: f64) -> Vec<f64> {
    let decades = (high / low).log10();
    let factors: &[f64] = if decades < 2.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let every = (decades / 7.0).ceil().max(1.0) as i32;
    let powers = (low.log10().floor() as i32..=high.log10().ceil() as i32).filter(|power| power.rem_euclid(every) == 0);
    let all = powers.flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)));
    all.filter(|tick| (low..=high).contains(tick)).collect()
}

/// A number beside others that lie so far apart.
fn even(value: f64, apart: f64) -> String {
    if value != 0.0 && apart.is_finite() && apart >= 1000.0 {
        let (unit, name) = if apart >= 1e6 { (1e6, "M") } else { (1e3, "k") };
        return format!("{}{name}", value / unit);
    }
    let decimals = if apart.is_finite() && apart > 0.0 { (-apart.log10().floor()).max(0.0) as usize } else { 2 };
    match decimals {
        0..=6 => format!("{value:.decimals$}"),
        _ => short(value),
    }
}

/// A number in few digits.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if !(1e-3..1e5).contains(&size) => format!("{value:.1e}").replace(".0e", "e"),
        size => {
            let decimals = (3.0 - size.log10().floor() - 1.0).clamp(0.0, 5.0) as usize;
            let text = format!("{value:.decimals$}");
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Axis, short};

    #[test]
    fn ticks_have_names_that_tell_them_apart() {
        let names = |axis: &Axis| axis.ticks().into_iter().map(|(_, name)| name).collect::<Vec<_>>();
        assert_eq!(names(&Axis::of_steps(600, (0.0, 1.0))), ["0", "100", "200", "300", "400", "500", "600"]);
        assert_eq!(names(&Axis::of_steps(30_000, (0.0, 1.0))), ["0", "5k", "10k", "15k", "20k", "25k", "30k"]);
        assert_eq!(names(&Axis::of_steps(3, (0.0, 1.0))), ["0", "1", "2", "3"]);
        let accuracy = Axis::of([0.5, 0.92].into_iter(), false, (1.0, 0.0));
        assert_eq!(names(&accuracy), ["0.5", "0.6", "0.7", "0.8", "0.9"]);
        let wide = Axis::of([1e-4, 2.0].into_iter(), true, (1.0, 0.0));
        assert_eq!(names(&wide), ["1e-4", "0.001", "0.01", "0.1", "1"]);
        let one = Axis::of([3.0].into_iter(), true, (1.0, 0.0));
        assert!(names(&one).len() >= 2 && one.at(3.0) > 0.0 && one.at(3.0) < 1.0);
        assert_eq!([0.0, 1.23456, 98.76, 1234.5, 1e-7, 123_456.0].map(short), ["0", "1.23", "98.8", "1234", "1e-7", "1.2e5"]);
    }
}
