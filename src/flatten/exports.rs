//! An exported entity as rows: of its own table, and of `pod_service_ports` if it is a pod.

use std::sync::Arc;

use super::entities::{Ancestor, Entities, Index};
use super::entity::{Container, File, Pod, Process, Str};
use super::event::Target;
use crate::k8s::expand::Warning;
use crate::reject::Code;
use crate::tables::entity_row::EntityRow;
use crate::tables::pending::TEXT;
use crate::tables::{pod_service_ports, pods, processes};
use crate::trace::decode::Entries;
use crate::trace::reader::Place;
use crate::trace::records;

/// Rows of `pod_service_ports` that a pod has at most: ports times cluster addresses must not make billions of little.
const MAX_POD_PORTS: usize = 10_000;
/// Addresses of each kind that a pod has at most: every event of the pod has them in its row.
const MAX_POD_ADDRESSES: usize = 1_000;

impl Target<'_> {
    /// Adds a pod and its services. What is left out of them is returned, as code and message.
    pub fn push_pod(&mut self, entities: &mut Entities, place: Place, mut pod: records::Pod) -> Vec<Warning> {
        let services = pod.services.take().unwrap_or_default();
        let (labels, selectors) = (pairs(pod.labels.take()), pairs(pod.selectors.take()));
        let mut left_out = Vec::new();
        let mut many = false;
        for addresses in [&mut pod.host_ip, &mut pod.internal_ip].into_iter().flatten() {
            many |= addresses.len() > MAX_POD_ADDRESSES;
            addresses.truncate(MAX_POD_ADDRESSES);
        }
        let pod = Arc::new(Pod::new(place.record_no as i64, pod));
        entities.add_pod(pod.clone());
        let trace = self.trace;
        let mut ports = pod_service_ports::rows(trace, &pod, &services);
        let mut shared = TEXT * place.size;
        for row in ports.by_ref().take(MAX_POD_PORTS) {
            let bytes = row.bytes() + std::mem::take(&mut shared);
            self.push(row, bytes);
        }
        if ports.next().is_some() {
            let message = format!("the pod has more than {MAX_POD_PORTS} ports times cluster addresses");
            left_out.push((Code::TooManyPorts, message));
        }
        drop(ports);
        if many {
            let message = format!("the pod has more than {MAX_POD_ADDRESSES} addresses of a kind");
            left_out.push((Code::TooManyAddresses, message));
        }
        let entries = [&labels, &selectors].into_iter().flatten().map(Vec::len).sum::<usize>();
        let bytes = TEXT * place.size + size_of::<(Str, Str)>() * entries;
        let base = EntityRow { trace: trace.clone(), entity: pod, container_no: None, pod_no: None };
        self.push(pods::Row { base, labels, selectors }, bytes);
        left_out
    }

    pub fn push_container(&mut self, entities: &mut Entities, place: Place, container: records::Container) {
        let container = Arc::new(Container::new(place.record_no as i64, container));
        let at = entities.add_container(container.clone());
        let pod_no = pod_no(entities, at);
        let row = EntityRow { trace: self.trace.clone(), entity: container, container_no: None, pod_no };
        self.push(row, TEXT * place.size);
    }

    pub fn push_process(&mut self, entities: &mut Entities, place: Place, mut process: records::Process) {
        let env: Option<Vec<Str>> = process.env.take().map(|env| env.into_iter().map(Str::from).collect());
        let process = Arc::new(Process::new(place.record_no as i64, process));
        let at = entities.add_process(process.clone());
        let lineage = entities.lineage(at);
        let container = entities.process_container(at).index();
        let pod_no = container.and_then(|c| pod_no(entities, c));
        let container = container.map(|c| &entities.containers.get_mut(c).entity);
        let (container_no, pod_id) = container.map(|c| (c.record_no, c.pod_id.clone())).unzip();
        let entries = size_of::<Str>() * env.as_ref().map_or(0, Vec::len);
        let bytes = TEXT * place.size + entries + lineage.ancestors.iter().map(Ancestor::bytes).sum::<usize>();
        let base = EntityRow { trace: self.trace.clone(), entity: process, container_no, pod_no };
        let row = processes::Row { base, env, lineage, pod_id: pod_id.flatten() };
        self.push(row, bytes);
    }

    pub fn push_file(&mut self, entities: &mut Entities, place: Place, file: records::File) {
        let file = Arc::new(File::new(place.record_no as i64, file));
        entities.add_file(file.clone());
        let container = entities.container(file.container_id()).index();
        let container_no = container.map(|c| entities.containers.get_mut(c).entity.record_no);
        let row = EntityRow { trace: self.trace.clone(), entity: file, container_no, pod_no: None };
        self.push(row, TEXT * place.size);
    }
}

/// `record_no` of the pod of the container at this index.
fn pod_no(entities: &mut Entities, container: Index) -> Option<i64> {
    let pod = entities.pod(container).index()?;
    Some(entities.pods.get_mut(pod).entity.record_no)
}

fn pairs(entries: Option<Entries>) -> Option<Vec<(Str, Str)>> {
    entries.map(|e| e.0.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
}
