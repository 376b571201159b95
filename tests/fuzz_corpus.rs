//! Runs the checks of the fuzz targets over their seeds and over what fuzzing has found, without a fuzzer.

#[path = "../fuzz/src/lib.rs"]
mod checks;

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

#[test]
fn seeds_and_regressions_pass() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    for (target, check) in checks::ALL {
        for folder in ["seeds", "regressions"] {
            let Ok(entries) = fs::read_dir(fuzz.join(folder).join(target)) else { continue };
            for path in entries.map(|entry| entry.unwrap().path()) {
                let input = fs::read(&path).unwrap();
                assert!(catch_unwind(|| check(&input)).is_ok(), "{}", path.display());
            }
        }
    }
}
