//! Messages on standard error, as lines for people or as JSON for machines.

use std::io::{self, Write};

use serde_json::json;

use super::{LogFormat, Output};
use crate::input::Found;
use crate::text::{Escaped, path_text};

/// Where messages go.
#[derive(Debug)]
pub struct Log {
    quiet: bool,
    verbose: bool,
    format: LogFormat,
}

impl Log {
    pub fn new(output: &Output) -> Log {
        let Output { quiet, verbose, log_format } = *output;
        Log { quiet, verbose, format: log_format }
    }

    /// Something failed.
    pub fn error(&self, message: &str) {
        self.write("error", message);
    }

    /// A line that already says how bad it is (`warning: …`).
    pub fn problem(&self, line: &str) {
        let (level, message) = line.split_once(": ").unwrap_or(("error", line));
        if !self.quiet || level == "error" {
            self.write(level, message);
        }
    }

    /// Something worth knowing.
    pub fn note(&self, message: &str) {
        if !self.quiet {
            self.write("note", message);
        }
    }

    /// Something for those who asked for more.
    pub fn detail(&self, message: &str) {
        if self.verbose {
            self.write("detail", message);
        }
    }

    /// What was passed over of the inputs.
    pub fn passed_over(&self, found: &Found) {
        for path in &found.passed_over {
            self.detail(&format!("{} is no trace and was passed over", Escaped(&path_text(path))));
        }
    }

    fn write(&self, level: &str, message: &str) {
        let line = match self.format {
            LogFormat::Text => format!("{level}: {message}\n"),
            LogFormat::Json => format!("{}\n", json!({ "level": level, "message": message })),
        };
        // Nobody is left to tell if standard error is closed.
        let _ = io::stderr().write_all(line.as_bytes());
    }
}
