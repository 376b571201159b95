//! Kubernetes events: messages as the collector leaves them, fixed and taken apart.

pub mod message;
