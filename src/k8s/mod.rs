//! Kubernetes events: messages as the collector leaves them, fixed, parsed, and expanded into items and ports.
//!
//! [`expand`] makes the rows of an event: its [`message`], the [`items`] of that, and the [`service_ports`] of those, read from
//! [`json`] only as deep as wanted.

pub mod expand;
pub mod items;
pub mod json;
pub mod message;
pub mod service_ports;
