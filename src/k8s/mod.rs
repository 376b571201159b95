//! Kubernetes events: messages as the collector leaves them, fixed, parsed, and expanded into items and ports.

pub mod expand;
pub mod items;
pub mod json;
pub mod message;
pub mod service_ports;
