//! What a signal does to a command that is at work.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context;

use crate::progress::Meter;

/// How long a command that would leave nothing behind may take to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// The meter of a command that SIGINT, SIGTERM and SIGHUP end at the next block, unless they are ignored, as with `nohup`. A second
/// one ends the process at once; where that `leaves_nothing` the first does, too, if a reader lets the command wait.
pub(super) fn meter(leaves_nothing: bool) -> anyhow::Result<Arc<Meter>> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let meter = Arc::new(Meter::default());
    let ignored = ignored_signals();
    let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0);
    let mut signals = signal_hook::iterator::Signals::new(wanted).context("cannot watch for signals")?;
    let stopped = meter.clone();
    let watch = move || {
        let mut stopping = false;
        for signal in signals.forever() {
            if stopping {
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
            stopping = true;
            stopped.stop(signal);
            if leaves_nothing {
                // Without a thread, a second signal is needed.
                let _ = thread::Builder::new().spawn(move || {
                    thread::sleep(PATIENCE);
                    std::process::exit(128 + signal);
                });
            }
        }
    };
    thread::Builder::new().spawn(watch).context("cannot start a thread")?;
    Ok(meter)
}

/// The signals that the parent has the process ignore: a bit for each, the first for signal 1.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = |line: &str| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok();
    status.lines().find_map(mask).unwrap_or(0)
}
