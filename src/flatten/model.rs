//! Entities with hardly any memory against a plain model.

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::entities::*;
use super::entity::{Container, Process};
use crate::trace::records;

/// A step: an export of a process, or a reference to one.
#[derive(Debug, Clone)]
enum Step {
    Export { pid: i64, parent: Option<i64>, container: Option<u8> },
    Container { id: u8 },
    Refer { pid: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    let pid = || -1..40i64;
    prop_oneof![
        (pid(), proptest::option::of(pid()), proptest::option::of(0..6u8))
            .prop_map(|(pid, parent, container)| Step::Export { pid, parent, container }),
        (0..6u8).prop_map(|id| Step::Container { id }),
        pid().prop_map(|pid| Step::Refer { pid }),
    ]
}

fn oid(pid: i64) -> records::Oid<'static> {
    records::Oid { create_ts: Some(7), hpid: Some(pid), ..records::Oid::default() }
}

fn process(record_no: i64, pid: i64, parent: Option<i64>, container: Option<u8>) -> Arc<Process> {
    let exported = records::Process {
        oid: Some(oid(pid)),
        poid: parent.map(oid),
        exe: Some(format!("/bin/{record_no}").repeat(1 + record_no as usize % 5).into()),
        container_id: container.map(|c| container_id(c).into()),
        ..records::Process::default()
    };
    Arc::new(Process::new(record_no, exported))
}

/// Short ids, and long ones with the same beginning.
fn container_id(id: u8) -> String {
    if id.is_multiple_of(2) { format!("c{id}") } else { format!("{}{id}", "long".repeat(20)) }
}

proptest! {
    #[test]
    fn what_was_spilled_comes_back(steps in prop::collection::vec(step(), 1..400), exports in 0..4_000usize) {
        let folder = tempfile::tempdir().unwrap();
        let mut entities = Entities::new(Room { folder: folder.path().to_owned(), exports, index: usize::MAX });
        let mut processes: HashMap<i64, Arc<Process>> = HashMap::new();
        let mut containers: HashMap<String, i64> = HashMap::new();
        let mut indexes: HashMap<i64, Index> = HashMap::new();
        for (record_no, step) in steps.into_iter().enumerate() {
            let record_no = record_no as i64;
            entities.make_room().unwrap();
            let pid = match step {
                Step::Export { pid, parent, container } => {
                    let process = process(record_no, pid, parent, container);
                    let index = entities.add_process(process.clone());
                    // Keys are clamped, so that -1 and 0 are the same.
                    prop_assert_eq!(*indexes.entry(pid.max(0)).or_insert(index), index);
                    processes.insert(pid.max(0), process);
                    pid
                }
                Step::Container { id } => {
                    let id = container_id(id);
                    containers.insert(id.clone(), record_no);
                    let exported = records::Container { id: Some(id.into()), ..records::Container::default() };
                    entities.add_container(Arc::new(Container::new(record_no, exported)));
                    continue;
                }
                Step::Refer { pid } => pid,
            };
            let oid = oid(pid);
            let Some(expected) = processes.get(&pid.max(0)) else {
                prop_assert_eq!(entities.actor(Some(&oid)).process, Ref::Dangling);
                continue;
            };
            let index = entities.actor(Some(&oid)).process.index().unwrap();
            prop_assert_eq!(&entities.processes.get_mut(index).entity, expected);
            let parent = expected.parent.map(|id| processes.get(&id.pid.max(0)));
            let found = entities.parent(index);
            prop_assert_eq!(found == Ref::Absent, parent.is_none());
            let found = found.index().map(|i| entities.processes.get_mut(i).entity.clone());
            prop_assert_eq!(found.as_ref(), parent.flatten());
            let container = expected.container_id().map(|id| containers.get(id));
            let found = entities.process_container(index);
            prop_assert_eq!(found == Ref::Absent, container.is_none());
            let found = found.index().map(|i| entities.containers.get_mut(i).entity.record_no);
            prop_assert_eq!(found, container.flatten().copied());
        }
        prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn too_many_entities_are_an_error_that_names_the_number() {
    let folder = tempfile::tempdir().unwrap();
    let mut entities = Entities::new(Room { folder: folder.path().to_owned(), exports: 1_000, index: 100_000 });
    let count = (0..100_000).find_map(|pid| {
        entities.add_process(process(pid, pid, None, None));
        entities.make_room().err().map(|e| (pid + 1, e.to_string()))
    });
    let (count, message) = count.unwrap();
    // 24 bytes of key and place, and at most 17 of the table.
    assert!((2_400..4_200).contains(&count), "{count}");
    assert!(message.contains(&format!("{count} processes")) && message.contains("--memory"), "{message}");
}
