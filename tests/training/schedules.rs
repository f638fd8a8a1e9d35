//! Schedules against PyTorch's rates (2.15), step by step.

use gristmill::ErrorKind;
use gristmill::train::Schedule;

fn holds(schedule: &Schedule, truth: &[f64]) {
    for (step, expected) in truth.iter().enumerate() {
        let found = schedule.rate(0.2, step as u64);
        assert!((found - expected).abs() <= 1e-14, "{schedule:?} at {step}: expected {expected}, found {found}");
    }
}

#[test]
#[rustfmt::skip]
fn training_schedules_are_those_of_pytorch() {
    let steps = Schedule::Step { every: 5, factor: 0.3 };
    holds(&Schedule::Constant, &[0.2; 9]);
    holds(&steps, &STEP);
    holds(&Schedule::Cosine { steps: 20, least: 0.01 }, &COSINE);
    holds(&Schedule::one_cycle(20), &ONE_CYCLE);
    let lines = Schedule::OneCycle { steps: 20, rise: 0.25, start_divisor: 10.0, end_divisor: 100.0, linear: true };
    holds(&lines, &ONE_CYCLE_OF_LINES);
    holds(&Schedule::Cosine { steps: 16, least: 0.01 }.after_warm_up(4, 0.25), &COSINE_AFTER_WARM_UP);
    holds(&steps.after_warm_up(4, 0.25), &STEP_AFTER_WARM_UP);
}

const STEP: [f64; 24] = [
    0.2,
    0.2,
    0.2,
    0.2,
    0.2,
    0.06,
    0.06,
    0.06,
    0.06,
    0.06,
    0.018,
    0.018,
    0.018,
    0.018,
    0.018,
    0.005399999999999999,
    0.005399999999999999,
    0.005399999999999999,
    0.005399999999999999,
    0.005399999999999999,
    0.0016199999999999997,
    0.0016199999999999997,
    0.0016199999999999997,
    0.0016199999999999997,
];

const COSINE: [f64; 24] = [
    0.2,
    0.1988303923565381,
    0.19535036904803962,
    0.18964561979789496,
    0.18185661446562004,
    0.17217514421272204,
    0.160839598967785,
    0.148129097475257,
    0.13435661446562006,
    0.11986127417882197,
    0.10500000000000002,
    0.09013872582117811,
    0.07564338553438002,
    0.06187090252474308,
    0.04916040103221508,
    0.037824855787278,
    0.028143385534380005,
    0.02035438020210506,
    0.014649630951960414,
    0.011169607643461922,
    0.01,
    0.011169607643461912,
    0.014649630951960393,
    0.020354380202105046,
];

const ONE_CYCLE: [f64; 20] = [
    0.008000000000000007,
    0.026334368540005065,
    0.07433436854000505,
    0.13366563145999494,
    0.18166563145999495,
    0.2,
    0.19749280124701749,
    0.19009692640269477,
    0.17818323551421,
    0.1623491307899526,
    0.14338860035826018,
    0.12225240438725786,
    0.1000004,
    0.07774839561274215,
    0.056612199641739844,
    0.0376516692100474,
    0.021817564485790007,
    0.009903873597305258,
    0.002507998752982511,
    8e-07,
];

const ONE_CYCLE_OF_LINES: [f64; 20] = [
    0.02,
    0.065,
    0.11000000000000001,
    0.155,
    0.2,
    0.18668,
    0.17336000000000001,
    0.16004000000000002,
    0.14672000000000002,
    0.13340000000000002,
    0.12008,
    0.10676000000000001,
    0.09344000000000001,
    0.08012000000000001,
    0.06680000000000003,
    0.05348000000000003,
    0.04016,
    0.026840000000000003,
    0.013520000000000004,
    0.00020000000000000573,
];

const COSINE_AFTER_WARM_UP: [f64; 20] = [
    0.05,
    0.08750000000000001,
    0.12500000000000003,
    0.16250000000000003,
    0.2,
    0.1981746016383069,
    0.19276855558857225,
    0.18398961316874182,
    0.172175144212722,
    0.1577791721368622,
    0.14135492607468356,
    0.1235335805915322,
    0.105,
    0.08646641940846782,
    0.06864507392531648,
    0.052220827863137816,
    0.03782485578727799,
    0.02601038683125819,
    0.01723144441142776,
    0.011825398361693109,
];

const STEP_AFTER_WARM_UP: [f64; 20] = [
    0.05,
    0.08750000000000001,
    0.12500000000000003,
    0.16250000000000003,
    0.2,
    0.2,
    0.2,
    0.2,
    0.2,
    0.06,
    0.06,
    0.06,
    0.06,
    0.06,
    0.018,
    0.018,
    0.018,
    0.018,
    0.018,
    0.005399999999999999,
];

#[test]
fn training_schedules_name_what_is_wrong() {
    for (schedule, word) in [
        (Schedule::Step { every: 0, factor: 0.1 }, "number of steps"),
        (Schedule::Step { every: 1, factor: f64::NAN }, "factor"),
        (Schedule::Cosine { steps: 3, least: -1.0 }, "least"),
        (Schedule::OneCycle { steps: 3, rise: 1.5, start_divisor: 2.0, end_divisor: 2.0, linear: true }, "rise"),
        (Schedule::OneCycle { steps: 3, rise: 0.5, start_divisor: 0.0, end_divisor: 2.0, linear: true }, "divisor"),
        (Schedule::Cosine { steps: 0, least: 0.0 }.after_warm_up(3, 0.0), "number of steps"),
        (Schedule::Constant.after_warm_up(3, f64::INFINITY), "start"),
    ] {
        let error = schedule.check().expect_err(word);
        assert!(error.kind() == ErrorKind::InvalidArgument && error.to_string().contains(word), "{error}");
        let all = (0..9).map(|step| schedule.rate(0.1, step));
        assert_eq!(all.count(), 9, "no number of it panics");
    }
    for steps in 1..5 {
        let rates: Vec<f64> = (0..8).map(|step| Schedule::one_cycle(steps).rate(1.0, step)).collect();
        assert!(rates.iter().all(|rate| rate.is_finite() && *rate >= 0.0 && *rate <= 1.0), "{steps}: {rates:?}");
        assert!(rates[steps as usize - 1..].windows(2).all(|pair| pair[0] == pair[1]), "{steps}: {rates:?}");
    }
}
