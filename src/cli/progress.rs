//! The progress of a run: a bar on a terminal, a line every so often elsewhere.

use std::io::IsTerminal;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::log::Log;
use super::{LogFormat, Output};
use crate::progress::{Meter, Phase};
use crate::text::grouped;

/// How often a line appears where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(30);
const REDRAW_EVERY: Duration = Duration::from_millis(100);

/// Runs `work` while its progress is shown.
pub fn shown<T>(meter: &Meter, output: &Output, log: &Log, work: impl FnOnce() -> T) -> T {
    if output.quiet {
        return work();
    }
    let bar = std::io::stderr().is_terminal() && output.log_format == LogFormat::Text;
    thread::scope(|scope| {
        let (done, wait) = channel::<()>();
        // Without a thread the work is done all the same.
        let show = move || if bar { draw(meter, wait) } else { print(meter, log, wait) };
        let _ = thread::Builder::new().spawn_scoped(scope, show);
        let result = work();
        drop(done);
        result
    })
}

/// Calls `tick` in these intervals until the work is done.
fn every(interval: impl Fn() -> Duration, wait: &Receiver<()>, mut tick: impl FnMut()) {
    while wait.recv_timeout(interval()) == Err(RecvTimeoutError::Timeout) {
        tick();
    }
}

fn draw(meter: &Meter, wait: Receiver<()>) {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = "{msg:10} [{bar:30}] {bytes}/{total_bytes}, {prefix} ETA {eta}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style.progress_chars("=> "));
    }
    let mut phase = None;
    let interval = || REDRAW_EVERY;
    every(interval, &wait, || {
        if phase != Some(meter.phase()) {
            phase = Some(meter.phase());
            bar.reset();
        }
        bar.set_length(meter.total_bytes.load(Relaxed));
        bar.set_position(meter.bytes.load(Relaxed));
        bar.set_message(name(meter.phase()));
        bar.set_prefix(numbers(meter));
    });
    bar.finish_and_clear();
}

fn print(meter: &Meter, log: &Log, wait: Receiver<()>) {
    // Work that comes in many pieces has its lines, too.
    let until_next = || LINE_EVERY - Duration::from_secs(meter.elapsed().as_secs() % LINE_EVERY.as_secs());
    every(until_next, &wait, || {
        let bytes = grouped(meter.bytes.load(Relaxed));
        let total = grouped(meter.total_bytes.load(Relaxed));
        log.note(&format!("{}: {bytes} of {total} bytes, {}", name(meter.phase()), numbers(meter)));
    });
}

fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Checking => "checking",
        Phase::Converting => "converting",
        Phase::Publishing => "publishing",
        Phase::Writing => "writing",
    }
}

fn numbers(meter: &Meter) -> String {
    let files = grouped(meter.files.load(Relaxed));
    let total = grouped(meter.total_files.load(Relaxed));
    let speed = meter.records.load(Relaxed) as f64 / meter.elapsed().as_secs_f64().max(1e-3);
    format!("{files}/{total} files, {} records/s", grouped(speed as u64))
}
