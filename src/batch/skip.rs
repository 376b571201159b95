//! Why an input is not read.

use crate::dataset::manifest::{Content, InputKind};
use crate::dataset::state::{Read, State};
use crate::time::Window;

/// Why an input will not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// The dataset has its rows.
    Done,
    /// The dataset has rows of it, but not of all the tables and times that are asked for now.
    DoneOtherwise,
    /// Another input of this run has the same content.
    Duplicate,
    /// Another input, of this run or an earlier one, begins with it.
    Beginning,
    /// The same, but the dataset has rows of that for other tables and times than are asked for now.
    BeginningOtherwise,
    /// The dataset has rows of it, and nothing says by which options.
    ManifestLost,
    /// It has grown, and the dataset has rows of it that would go, of tables that are not asked for now.
    GrownOtherwise,
}

impl Skip {
    /// Why an input is not read whose rows the dataset has by the options `had`, where these are `wanted`. If it lacks but
    /// times (see [`crate::dataset::manifest::InputEntry::span`]), the input is read. Times do not matter to a log.
    pub fn done(had: &Content, wanted: &Content, span: Option<Window>, kind: InputKind) -> Option<Skip> {
        let has_tables = had.has_tables_of(wanted);
        match had.includes(wanted, span) {
            true => Some(Skip::Done),
            false if has_tables && kind == InputKind::ExperimentLog => Some(Skip::Done),
            false if has_tables && wanted.has_tables_of(had) => None,
            false => Some(Skip::DoneOtherwise),
        }
    }

    /// Why an input is not read with which another begins that an earlier run `read`, or one that has grown from that since.
    pub fn outgrown(read: Read, state: &State, wanted: &Content) -> Skip {
        let why = |read: Read| Skip::beginning(&read.content(), wanted, read.input.span);
        if read.live {
            return why(read);
        }
        let later = state.by_head(&read.input.head).filter(|later| later.live && later.input.kind == read.input.kind);
        let mut later = later.filter(|later| later.input.rank() > read.input.rank()).map(why);
        later.find(|why| *why != Skip::Beginning).unwrap_or(Skip::Beginning)
    }

    /// Why an input is not read with which another begins, whose rows the dataset has by the options `had`.
    pub fn beginning(had: &Content, wanted: &Content, span: Option<Window>) -> Skip {
        if had.includes(wanted, span) { Skip::Beginning } else { Skip::BeginningOtherwise }
    }
}
