//! What a signal does to a command that is at work.

use std::sync::Arc;
use std::thread;

use anyhow::Context;

use crate::progress::Meter;

/// SIGINT, SIGTERM and SIGHUP end the run at the next block, unless they are ignored, as with `nohup`. A second one ends the
/// process at once.
pub(super) fn stop_on_signals(meter: Arc<Meter>) -> anyhow::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let ignored = ignored_signals();
    let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0);
    let mut signals = signal_hook::iterator::Signals::new(wanted).context("cannot watch for signals")?;
    let watch = move || {
        let mut stopping = false;
        for signal in signals.forever() {
            if stopping {
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
            stopping = true;
            meter.stop(signal);
        }
    };
    thread::Builder::new().spawn(watch).map(drop).context("cannot start a thread")
}

/// The signals that the parent has the process ignore: a bit for each, the first for signal 1.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = |line: &str| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok();
    status.lines().find_map(mask).unwrap_or(0)
}
