//! From measured times to a choice.

/// The least gain by which a variant beats one before it in the table, so that noise does not decide.
const LEAST_GAIN: f64 = 0.03;
/// Times tell nothing when half the distance between their quartiles exceeds this share of the median.
const MOST_SPREAD: f64 = 0.5;

/// The fastest candidate by its times in microseconds, those of each candidate in any order; candidates stand in the order of
/// the table. `None` when the times tell nothing: there is none, one is no positive number (a clock that stands still or runs
/// backwards), or they lie too far apart.
pub(crate) fn choose(times: &[Vec<f64>]) -> Option<usize> {
    let medians: Vec<f64> = times.iter().map(|times| median(times)).collect::<Option<_>>()?;
    let mut best = 0;
    for (k, median) in medians.iter().enumerate().skip(1) {
        if *median < medians[best] * (1.0 - LEAST_GAIN) {
            best = k;
        }
    }
    (!medians.is_empty()).then_some(best)
}

fn median(times: &[f64]) -> Option<f64> {
    if times.is_empty() || times.iter().any(|t| !t.is_finite() || *t <= 0.0) {
        return None;
    }
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let quantile = |quarter: usize| sorted[(sorted.len() - 1) * quarter / 4];
    ((quantile(3) - quantile(1)) / 2.0 <= MOST_SPREAD * quantile(2)).then(|| quantile(2))
}

#[cfg(test)]
mod tests {
    use super::choose;

    #[test]
    fn the_least_median_wins_if_it_gains_enough() {
        assert_eq!(choose(&[vec![10.0, 11.0, 10.5], vec![7.0, 7.1, 50.0], vec![8.0]]), Some(1));
        assert_eq!(choose(&[vec![10.0], vec![9.9]]), Some(0), "within the noise the table decides");
        assert_eq!(choose(&[vec![10.0]]), Some(0));
    }

    #[test]
    fn nonsense_chooses_nothing() {
        let sound = || vec![5.0, 5.0, 5.0];
        for nonsense in
            [vec![], vec![0.0; 3], vec![5.0, -3.0, 5.0], vec![f64::NAN], vec![f64::INFINITY], vec![1.0, 1.0, 9.0, 99.0, 99.0]]
        {
            assert_eq!(choose(&[sound(), nonsense.clone()]), None, "{nonsense:?}");
            assert_eq!(choose(&[nonsense, sound()]), None);
        }
        assert_eq!(choose(&[]), None);
    }
}
