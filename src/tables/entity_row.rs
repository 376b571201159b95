//! A row of an entity table: the entity as exported, its trace, and which versions of other entities it belongs to.

use std::borrow::Cow;
use std::sync::Arc;

use crate::flatten::entity::{Str, Trace};

/// An exported entity.
#[derive(Debug)]
pub struct EntityRow<E> {
    pub trace: Arc<Trace>,
    pub entity: Arc<E>,
    /// `record_no` of the container's row.
    pub container_no: Option<i64>,
    /// `record_no` of the pod's row.
    pub pod_no: Option<i64>,
}

impl<E> EntityRow<E> {
    pub fn trace_id(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(&self.trace.id))
    }

    pub fn node_id(&self) -> Option<Cow<'_, str>> {
        text(&self.trace.node_id)
    }
}

/// An attribute as a column value.
pub fn text<S: AsRef<str>>(attribute: &Option<S>) -> Option<Cow<'_, str>> {
    given(attribute.as_ref().map(AsRef::as_ref))
}

/// The same of one of an entity's [`crate::flatten::texts::Texts`].
pub fn given(attribute: Option<&str>) -> Option<Cow<'_, str>> {
    attribute.map(Cow::Borrowed)
}

/// Appends the entries of a list attribute, and says whether it is there.
pub fn list<'r>(attribute: &'r Option<Vec<Str>>, entries: &mut Vec<&'r str>) -> bool {
    entries.extend(attribute.iter().flatten().map(|entry| &**entry));
    attribute.is_some()
}
