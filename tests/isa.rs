//! What the AMD compiler makes of the kernels, against the committed figures.
//!
//! `cargo run --features isa -- isa --write` renews them; look at the difference before committing it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// True when a manifest of RADV lies where the Vulkan loader looks, or the environment names drivers of its own.
fn radv_is_installed() -> bool {
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).or(home);
    let roots = ["/usr/share", "/usr/local/share", "/etc"].into_iter().map(PathBuf::from).chain(data);
    let manifests = roots.flat_map(|root| std::fs::read_dir(root.join("vulkan/icd.d")).into_iter().flatten().flatten());
    let is_radv = |name: &str| name.contains("radeon_icd");
    let named = |variable: &str| std::env::var(variable).is_ok_and(|files| is_radv(&files));
    manifests.into_iter().any(|entry| is_radv(&entry.file_name().to_string_lossy()))
        || named("VK_DRIVER_FILES")
        || named("VK_ICD_FILENAMES")
}

fn isa(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gristmill"));
    command.arg("isa").args(arguments).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
    let output = command.output().expect("the binary was built beside this test");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn hot_loops_are_as_good_as_they_were() {
    let (status, text) = isa(&["--compare"]);
    if status == Some(2) && !radv_is_installed() {
        assert!(text.contains("mesa-vulkan-drivers"), "the error says what to install: {text}");
        eprintln!("not run: RADV is not installed");
        return;
    }
    // Figures that are merely different are no failure, but somebody should renew the file.
    eprint!("{text}");
    assert_eq!(status, Some(0), "{text}");
}

#[test]
fn checks_are_seen_where_they_are() {
    if !radv_is_installed() {
        eprintln!("not run: RADV is not installed");
        return;
    }
    let hot = |arguments: &[&str]| -> (usize, usize) {
        let (status, text) = isa(arguments);
        assert_eq!(status, Some(0), "{text}");
        let last = text.trim_end().lines().last().unwrap_or_default();
        let numbers: Vec<usize> = last.split_whitespace().rev().take(2).filter_map(|n| n.parse().ok()).collect();
        assert_eq!(numbers.len(), 2, "{text}");
        (numbers[1], numbers[0])
    };
    let row = ["matmul:512", "--variant", "tiled64"];
    assert_eq!(hot(&row), (0, 0));
    let (checks, bounds) = hot(&[row.as_slice(), &["--checked"]].concat());
    assert!(checks > 0 && bounds > 0, "{checks} checks, {bounds} bounds");
}

#[test]
fn errors_say_what_was_expected() {
    for (arguments, expected) in [
        (&["nothing"][..], "no kernel family"),
        (&["matmul:512", "--target", "NO_SUCH_GPU"][..], "NO_SUCH_GPU"),
        (&["--compare", "--snapshot", "no/such.snap"][..], "no/such.snap"),
    ] {
        let (status, text) = isa(arguments);
        assert_eq!(status, Some(2), "{arguments:?}: {text}");
        assert!(text.contains(expected) && text.trim_end().lines().count() == 1, "{arguments:?}: {text}");
    }
}
