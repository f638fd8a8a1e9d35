//! The command line, run as a user runs it.

use crate::support::{gristmill, model, models, root, text};
use std::io::Read;

/// Runs and expects success; the text on stdout.
fn succeeds(arguments: &[&str]) -> String {
    let output = gristmill(arguments);
    assert!(
        output.status.success(),
        "{arguments:?} ended with {}: {}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// Runs and expects exit status 2 with one line on stderr beside notes; that line.
fn fails(arguments: &[&str]) -> String {
    let output = gristmill(arguments);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
    let lines: Vec<&str> = stderr.lines().filter(|line| !line.starts_with("note: ")).collect();
    assert!(matches!(lines.as_slice(), [line] if line.starts_with("error: ")), "one line, found: {stderr}");
    lines[0].to_string()
}

#[test]
fn info_names_the_chosen_adapter() {
    let text = succeeds(&["info"]);
    assert!(text.contains("chosen: ") && text.contains("largest storage binding"), "{text}");
}

#[test]
fn run_prints_and_writes_every_output() {
    let file = std::env::temp_dir().join(format!("gristmill-outputs-{}.npz", std::process::id()));
    let text = succeeds(&["run", &model("digit_cnn"), "--random", "7", "--dim", "batch=3", "--outputs", &file.to_string_lossy()]);
    assert!(text.contains("logits") && text.contains("[3,10]"), "{text}");
    let mut archive = zip::ZipArchive::new(std::fs::File::open(&file).expect("the archive was written")).expect("it is one");
    let mut logits = Vec::new();
    archive.by_name("logits.npy").expect("it holds the output").read_to_end(&mut logits).expect("it can be read");
    assert!(String::from_utf8_lossy(&logits[..128]).contains("'shape': (3, 10)"));
    assert_eq!(logits.len(), 128 + 3 * 10 * 4);
    std::fs::remove_file(&file).expect("the archive can be removed");
}

#[test]
fn states_last_from_run_to_run() {
    let decoder = model("g2p_en_decoder");
    let run = |repeat: &str, pair: &str| succeeds(&["run", &decoder, "--random", "7", "--repeat", repeat, "--state", pair]);
    let once = run("1", "hidden_out=hidden_in");
    let line = |text: &str| text.lines().find(|line| line.starts_with("state hidden_in")).map(String::from);
    let (first, later) = (line(&once), line(&run("5", "hidden_out=hidden_in")));
    assert!(first.is_some() && later.is_some() && first != later, "{once}");
    assert!(!once.contains("hidden_out"), "{once}");
    let explained = succeeds(&["explain", &decoder, "--state", "hidden_out=hidden_in"]);
    assert!(explained.contains("state      hidden_in f32[1,1,256], 2.0 KiB: swapped, since"), "{explained}");
    succeeds(&["validate", &decoder, "--random", "7", "--state", "hidden_out=hidden_in"]);
    let wrong = fails(&["run", &decoder, "--random", "7", "--state", "hidden=hidden_in"]);
    assert!(wrong.contains("the model has no output `hidden`"), "{wrong}");
}

#[test]
fn an_image_is_an_input() {
    let image = root().join("tests/images/digits/7_0.png");
    let argument = format!("image={}", image.display());
    let text =
        succeeds(&["run", &model("digit_cnn"), "--inputs", &argument, "--mean", "0.1307", "--std", "0.3081", "--device", "cpu"]);
    assert!(text.contains("[1,10]"), "{text}");
}

#[test]
fn test_counts_the_cases_and_writes_json() {
    let file = std::env::temp_dir().join(format!("gristmill-report-{}.json", std::process::id()));
    let folder = models().join("digit_cnn");
    let text = succeeds(&["test", &folder.to_string_lossy(), "--json", &file.to_string_lossy()]);
    assert_eq!(text.lines().last(), Some("1 passed, 0 failed, 0 unsupported"));
    let json = std::fs::read_to_string(&file).expect("the report was written");
    let json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!((json["passed"].as_u64(), json["failed"].as_u64(), json["unsupported"].as_u64()), (Some(1), Some(0), Some(0)));
    let case = &json["cases"][0];
    assert_eq!((case["name"].as_str(), case["status"].as_str()), (Some("digit_cnn"), Some("passed")));
    assert!(json["adapter"].is_string() && case["max_abs"].is_number() && case["gpu_nodes"].as_u64() > Some(0), "{json}");
    std::fs::remove_file(&file).expect("the report can be removed");
}

#[test]
fn test_ends_with_1_when_a_case_fails() {
    let folder = models().join("digit_cnn");
    // No float result is that close.
    let output = gristmill(&["test", &folder.to_string_lossy(), "--rtol", "0", "--atol", "0"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).lines().last(), Some("0 passed, 1 failed, 0 unsupported"));
}

#[test]
fn validate_names_every_node() {
    let text = succeeds(&["validate", &model("digit_cnn"), "--random", "1", "--dim", "batch=2"]);
    assert!(text.contains("Conv") && text.contains("MaxPool"), "{text}");
}

#[test]
fn validate_holds_gradients_against_slopes() {
    let file = std::env::temp_dir().join(format!("gristmill-gradients-{}.json", std::process::id()));
    let arguments = ["validate", &model("digit_cnn"), "--random", "1", "--gradients", "--json", &file.to_string_lossy()];
    let text = succeeds(&arguments);
    assert!(text.contains("Conv") && text.contains("the whole graph") && text.lines().last() == Some("valid"), "{text}");
    let json = std::fs::read_to_string(&file).expect("the report was written");
    let json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    let count = |part: &str| json[part].as_array().map_or(0, Vec::len);
    assert!(json["passed"] == true && count("nodes") > 5 && count("slopes") > 5 && count("whole") > 5, "{json}");
}

#[test]
fn explain_shows_steps_and_memory() {
    let text = succeeds(&["explain", &model("digit_cnn")]);
    assert!(text.contains("dispatch") && text.contains("lower bound"), "{text}");
}

#[test]
fn explain_takes_the_inputs_of_a_run() {
    let data = models().join("digit_cnn/test_data_set_0");
    let by_inputs = succeeds(&["explain", &model("digit_cnn"), "--inputs", &data.to_string_lossy()]);
    assert_eq!(by_inputs, succeeds(&["explain", &model("digit_cnn"), "--random", "1", "--dim", "batch=1"]));
}

#[test]
fn explain_prints_the_shader_of_a_step() {
    let text = succeeds(&["explain", &model("digit_cnn"), "--wgsl", "1"]);
    assert!(text.starts_with("// step 1: ") && text.contains("@compute"), "{text}");
    // As it stands, it is a shader.
    naga::front::wgsl::parse_str(&text).expect("the text parses");
}

#[test]
fn profile_writes_a_trace() {
    let file = std::env::temp_dir().join(format!("gristmill-trace-{}.json", std::process::id()));
    let report = file.with_extension("losses.json");
    let paths = [file.to_string_lossy(), report.to_string_lossy()];
    let text = succeeds(&["profile", &model("digit_cnn"), "--trace", &paths[0], "--json", &paths[1]]);
    assert!(text.contains("most is lost by"), "{text}");
    let losses = std::fs::read_to_string(&report).expect("the report was written");
    let losses: serde_json::Value = serde_json::from_str(&losses).expect("it is JSON");
    let named = losses["losses"].as_array().expect("it names kernels");
    let lost: Vec<f64> = named.iter().map(|loss| loss["lost_us"].as_f64().expect("a time")).collect();
    assert!(!lost.is_empty() && lost.len() <= 3 && lost.is_sorted_by(|a, b| a >= b), "{losses}");
    assert!(losses["ceiling"]["memory"].as_array().is_some_and(|ways| !ways.is_empty()), "{losses}");
    std::fs::remove_file(&report).expect("the report can be removed");
    let json = std::fs::read_to_string(&file).expect("the trace was written");
    let json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    assert!(json["traceEvents"].as_array().is_some_and(|events| !events.is_empty()), "{json}");
    std::fs::remove_file(&file).expect("the trace can be removed");
}

#[test]
fn bench_times_rows_and_draws_them() {
    let file = |ending: &str| std::env::temp_dir().join(format!("gristmill-bench-{}.{ending}", std::process::id()));
    let (json, plot) = (file("json"), file("svg"));
    let rows = ["softmax:32x64", "matmul:16x32x8"];
    let text = succeeds(&["bench", rows[0], rows[1], "--json", &json.to_string_lossy(), "--plot", &plot.to_string_lossy()]);
    assert!(text.contains("ceiling") && text.contains("16x32x8"), "{text}");
    let report = std::fs::read_to_string(&json).expect("the report was written");
    let report: serde_json::Value = serde_json::from_str(&report).expect("it is JSON");
    let found: Vec<String> = report["rows"]
        .as_array()
        .expect("it has rows")
        .iter()
        .map(|row| {
            assert!(row["variant"].is_string() && row["dtype"] == "f32", "{row}");
            for number in ["median_us", "min_us", "gflops", "gbps", "percent_of_ceiling"] {
                assert!(row[number].as_f64().is_some_and(|x| x > 0.0), "{number} of {row}");
            }
            format!("{}:{}", row["family"].as_str().unwrap_or_default(), row["shape"].as_str().unwrap_or_default())
        })
        .collect();
    assert_eq!(found, rows);
    let picture = std::fs::read_to_string(&plot).expect("the picture was written");
    assert!(picture.starts_with("<svg") && picture.contains("16x32x8"), "{picture}");
    for path in [json, plot] {
        std::fs::remove_file(path).expect("it can be removed");
    }
}

#[test]
fn bench_times_a_model_and_its_first_result() {
    let file = std::env::temp_dir().join(format!("gristmill-bench-model-{}.json", std::process::id()));
    let inputs = models().join("digit_cnn/test_data_set_0");
    let arguments = ["--inputs", &inputs.to_string_lossy(), "--json", &file.to_string_lossy()];
    let text = succeeds(&[&["bench", "--model", &model("digit_cnn")], &arguments[..]].concat());
    assert!(text.contains("latency") && text.contains("first result"), "{text}");
    let json = std::fs::read_to_string(&file).expect("the report was written");
    let json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    for number in ["p50_us", "p95_us", "dispatches", "host_us", "host_us_per_dispatch", "peak_device_bytes", "cold_us", "cached_us"]
    {
        assert!(json[number].as_f64().is_some_and(|x| x > 0.0), "{number} of {json}");
    }
    let kernels = json["kernels"].as_array().expect("kernels are listed");
    assert!(!kernels.is_empty(), "{json}");
    for number in ["compile_us", "first_dispatch_us", "lines", "words", "steps"] {
        assert!(kernels.iter().all(|k| k[number].as_f64().is_some_and(|x| x > 0.0)), "{number} of {json}");
    }
    std::fs::remove_file(&file).expect("the report can be removed");
}

#[test]
fn errors_say_what_to_do() {
    let digits = model("digit_cnn");
    let cases: &[(&[&str], &str)] = &[
        (&["run", "no/such/model.onnx", "--random", "1"], "no/such/model.onnx"),
        (&["run", &digits], "--random SEED"),
        (&["run", &digits, "--random", "1", "--dim", "length=3"], "batch"),
        (&["run", &digits, "--inputs", "nothing"], "NAME=FILE.npy"),
        (&["run", &digits, "--inputs", "picture=nothing.npy"], "nothing.npy"),
        (&["run", &digits, "--random", "1", "--device", "no such adapter"], "no such adapter"),
        (&["run", &digits, "--random", "1", "--tap", "no_such_value"], "no_such_value"),
        (&["validate", &digits, "--random", "1", "--device", "cpu"], "--device"),
        (&["explain", &digits, "--wgsl", "1000"], "--wgsl 1000"),
        (&["bench", "matmull"], "matmul"),
        (&["bench", "matmul:4x"], "4x"),
        (&["bench", "matmul:16", "--variant", "no_such_kernel"], "no_such_kernel"),
        (&["bench", "matmul:16", "--dtype", "f64"], "f16"),
        (&["bench", "--model", "no/such/model.onnx"], "no/such/model.onnx"),
    ];
    for (arguments, expected) in cases {
        let line = fails(arguments);
        assert!(line.contains(expected), "{arguments:?}: expected `{expected}` in {line}");
    }
    let empty = root().join("scripts");
    assert!(fails(&["test", &empty.to_string_lossy()]).contains("no test case"));
}
