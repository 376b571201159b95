//! A row of an entity table: the entity as exported, its trace, and the versions of the entities that it belongs to.

use std::borrow::Cow;
use std::sync::Arc;

use crate::flatten::entities::{Container, Pod, Str, Trace};

/// An exported entity.
#[derive(Debug)]
pub struct EntityRow<E> {
    pub trace: Arc<Trace>,
    pub entity: Arc<E>,
    pub container: Option<Arc<Container>>,
    pub pod: Option<Arc<Pod>>,
}

impl<E> EntityRow<E> {
    pub fn trace_id(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(&self.trace.id))
    }

    pub fn node_id(&self) -> Option<Cow<'_, str>> {
        text(&self.trace.node_id)
    }

    pub fn container_no(&self) -> Option<i64> {
        self.container.as_ref().map(|c| c.record_no)
    }

    pub fn pod_no(&self) -> Option<i64> {
        self.pod.as_ref().map(|p| p.record_no)
    }
}

/// An attribute as a column value.
pub fn text(attribute: &Option<Str>) -> Option<Cow<'_, str>> {
    attribute.as_deref().map(Cow::Borrowed)
}

/// A list attribute as a column value.
pub fn list(attribute: &Option<Vec<Str>>) -> Option<Cow<'_, [Str]>> {
    attribute.as_deref().map(Cow::Borrowed)
}
