//! Why something was not taken over whole, or should be known: the codes of `rejects`, and how bad they are.

use serde::{Deserialize, Serialize};

/// How bad something is: of a warning nothing was lost, of an error something was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Notice,
    Warning,
    Error,
}

impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Severity::Notice => "notice",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

macro_rules! codes {
    ($($code:ident = $name:literal,)*) => {
        /// What happened, for programs. docs/operations.md says what each means and how bad it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Code {
            $(#[serde(rename = $name)] $code,)*
        }

        impl Code {
            pub const ALL: &[Code] = &[$(Code::$code,)*];

            /// As `rejects` has it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Code::$code => $name,)*
                }
            }
        }
    };
}

codes! {
    Unreadable = "unreadable",
    EmptyFile = "empty_file",
    NotAvro = "not_avro",
    HeaderCut = "header_cut",
    HeaderDamaged = "header_damaged",
    BadSchema = "bad_schema",
    UnknownCodec = "unknown_codec",
    Truncated = "truncated",
    BadBlockHeader = "bad_block_header",
    BadSync = "bad_sync",
    BadCompression = "bad_compression",
    BlockTooLarge = "block_too_large",
    BadRecord = "bad_record",
    TrailingBytes = "trailing_bytes",
    CountMismatch = "count_mismatch",
    TooManyEntries = "too_many_entries",
    TooManyPorts = "too_many_ports",
    TooManyAddresses = "too_many_addresses",
    OddField = "odd_field",
    NumberTooLong = "number_too_long",
    OddValue = "odd_value",
    UnknownRecord = "unknown_record",
    UnknownField = "unknown_field",
    PerhapsTwice = "perhaps_twice",
    NoSteps = "no_steps",
    K8sNoJson = "k8s_no_json",
    K8sOddField = "k8s_odd_field",
    K8sClusterIp = "k8s_cluster_ip",
}
