//! Arbitrary manifests: what can be read is written and read back the same, and sums can be taken of it.

use std::path::Path;

use sf_parquet::dataset::layout::Layout;
use sf_parquet::dataset::manifest::Manifest;
use sf_parquet::dataset::state::State;
use sf_parquet::dataset::verify::accounts;

/// Manifests, a NUL between each two.
pub fn check(data: &[u8]) {
    let mut manifests = Vec::new();
    for json in data.split(|byte| *byte == 0) {
        if let Ok(manifest) = Manifest::parse(json) {
            let written = serde_json::to_vec(&manifest).unwrap();
            assert_eq!(Manifest::parse(&written).ok().as_ref(), Some(&manifest));
            manifests.push(manifest);
        }
    }
    let state = State::of(manifests);
    let live = state.live();
    accounts::check(&Layout::new(Path::new("dataset")), &state, &live);
}
