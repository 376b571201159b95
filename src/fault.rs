//! Points at which tests can end the process, to show that a run survives it.
//!
//! With `SF_PARQUET_FAULT=n` in the environment and the feature `faults`, the program kills itself, as a power cut
//! would, at the `n`-th point that it passes. Without the feature all this is empty.

/// A place where the process may end.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn point(_name: &str) {}

/// A place where the process may end, and says so.
#[cfg(feature = "faults")]
pub fn point(name: &str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicI64, Ordering};
    static LEFT: LazyLock<AtomicI64> = LazyLock::new(|| {
        let n = std::env::var("SF_PARQUET_FAULT").ok().and_then(|n| n.parse().ok());
        AtomicI64::new(n.unwrap_or(i64::MAX))
    });
    if LEFT.fetch_sub(1, Ordering::SeqCst) == 1 {
        eprintln!("killed: {name}");
        // SIGKILL cannot be caught, so nothing is cleaned up.
        let _ = signal_hook::low_level::raise(signal_hook::consts::SIGKILL);
    }
}
