//! What the AMD compiler makes of the kernels, against the committed figures.
//!
//! `cargo run --features isa -- isa --write` renews them; look at the difference before committing it.

use crate::support::{gristmill, text};
use std::path::PathBuf;

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
    let output = gristmill(&[&["isa"], arguments].concat());
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
    // The last two columns of the table of loops, added up over its rows.
    let hot = |arguments: &[&str]| -> (usize, usize) {
        let (status, text) = isa(arguments);
        assert_eq!(status, Some(0), "{text}");
        let rows = text.lines().skip_while(|line| !line.starts_with("hottest loop")).skip(1).filter(|line| !line.is_empty());
        let number = |word: Option<&str>| -> usize { word.and_then(|w| w.parse().ok()).expect("a count") };
        let counts = rows.map(|line| line.split_whitespace().rev()).map(|mut words| (number(words.next()), number(words.next())));
        counts.fold((0, 0), |sum, (bounds, checks)| (sum.0 + checks, sum.1 + bounds))
    };
    let (own, none) = hot(&["matmul:512"]);
    assert_eq!(none, 0, "a bounded loop, though kernels are translated without checks");
    let (checks, bounds) = hot(&["matmul:512", "--checked"]);
    assert!(checks > own && bounds > 0, "{checks} checks after {own}, {bounds} bounds");
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
