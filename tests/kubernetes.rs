//! Kubernetes messages: rows as counted by hand from the JSON, and for whatever JSON may come.

mod support;

use std::fs;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use sf_parquet::flatten::entity::Trace as Header;
use sf_parquet::k8s::expand::expand;
use sf_parquet::reject::Code;
use sf_parquet::trace::records::Event;
use support::collected::Collected;
use support::trace::{T0, Trace};
use support::*;

fn some(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|v| Some((*v).to_owned())).collect()
}

#[test]
fn real_messages_become_the_rows_that_a_person_counts() {
    let Some(folder) = shared_traces() else { return };
    let lines = fs::read_to_string(folder.join("k8s_messages.jsonl")).unwrap();
    let mut trace = Trace::new().header("minikube");
    for (i, line) in lines.lines().enumerate() {
        let event: Value = serde_json::from_str(line).unwrap();
        trace = trace.k8s(T0 + i as i64, event["kind"].as_str().unwrap(), event["message"].as_str().unwrap());
    }
    let out = tempfile::tempdir().unwrap();
    let input = out.path().join("messages.sf");
    trace.write(&input);
    let out = out.path().join("out");
    expect_status(&convert(&[&input], &out, &[]), 0);

    assert_eq!(row_count(&out, "k8s_events"), 6);
    assert!(strings(&out, "k8s_events", "parse_error").iter().all(Option::is_none));
    assert_eq!(longs(&out, "k8s_events", "item_count"), [Some(1); 6]);
    assert_eq!(
        strings(&out, "k8s_events", "msg_kind"),
        some(&["Namespace", "Pod", "Pod", "Service", "Service", "Service"])
    );
    assert_eq!(
        strings(&out, "k8s_items", "name"),
        some(&["robot-shop", "catalogue-998b69bc9-bfnr7", "mongodb-67c5456f4-d4bgv", "dispatch", "rabbitmq", "web"])
    );
    assert_eq!(
        strings(&out, "k8s_items", "iptype")[3..],
        [None, Some("clusterIP".to_owned()), Some("clusterIP".to_owned())],
        "a headless service has no address"
    );
    assert_eq!(strings(&out, "k8s_items", "cluster_ip")[3..], some(&["None", "10.109.218.161", "10.99.3.147"]));
    assert_eq!(
        strings(&out, "k8s_service_ports", "portname"),
        some(&["headless", "tcp-amqp", "http-management", "tcp-epmd", "http"])
    );
    assert_eq!(
        strings(&out, "k8s_service_ports", "target_port"),
        some(&["55555", "5672", "15672", "4369", "8080"]),
        "each port has its own values"
    );
    // The JSON is kept to the byte, but for what trails it.
    let messages = strings(&out, "k8s_events", "msg");
    for (line, message) in lines.lines().zip(messages) {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["message"].as_str().unwrap().strip_suffix("\n\0"), message.as_deref());
    }
}

#[test]
fn the_real_trace_has_four_events_of_pods() {
    let Some(folder) = shared_traces() else { return };
    let out = tempfile::tempdir().unwrap();
    expect_status(&convert(&[&folder.join("v4_k8s.sf")], out.path(), &[]), 0);
    assert_eq!(row_count(out.path(), "k8s_events"), 4);
    let items: i64 = longs(out.path(), "k8s_events", "item_count").into_iter().flatten().sum();
    assert_eq!(row_count(out.path(), "k8s_items") as i64, items);
    for (item, name) in strings(out.path(), "k8s_items", "item").iter().zip(strings(out.path(), "k8s_items", "name")) {
        let item: Value = serde_json::from_str(item.as_ref().unwrap()).unwrap();
        assert_eq!(item["name"].as_str(), name.as_deref());
    }
}

#[test]
fn services_are_services_in_any_list() {
    let ports = json!([{"port": 80}, {"port": 443}]);
    let items = json!([{"kind": "Service", "name": "a", "clusterIP": "10.0.0.1", "ports": ports}]);
    let other = json!([{"kind": "Endpoints", "name": "b", "ports": ports}]);
    let mut trace = Trace::new().header("n");
    for (i, (kind, items)) in
        [("Service", &items), ("ServiceList", &items), ("List", &items), ("List", &other)].into_iter().enumerate()
    {
        trace = trace.k8s(T0 + i as i64, "K8S_SERVICES", &json!({"kind": kind, "items": items}).to_string());
    }
    let out = tempfile::tempdir().unwrap();
    let input = out.path().join("a.sf");
    trace.block().write(&input);
    let out = out.path().join("out");
    expect_status(&convert(&[&input], &out, &[]), 0);
    assert_eq!((row_count(&out, "k8s_items"), row_count(&out, "k8s_service_ports")), (4, 6));
    assert_eq!(row_count(&out, "rejects"), 0);
}

#[test]
fn every_kind_of_component_and_every_oddity_is_a_row() {
    let service = json!({"kind": "Service", "type": "ADDED", "items": [
        {"name": "named", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "fd00::1"],
         "ports": [{"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]},
        {"name": "without", "clusterIP": "10.0.0.2", "ports": null},
        {"name": "odd", "clusterIP": 7, "ports": [null, 5, {"port": "443"}]},
        null
    ]});
    let pods = json!({"kind": "Pod", "type": "MODIFIED", "items": [
        {"name": "dual", "podIPs": [{"ip": "10.1.0.1"}, {"ip": "fd00::2"}], "phase": "Running", "nodeName": "n1"},
        {"name": "strange", "clusterIP": "10.0.0.9", "ports": [{"port": 1}]}
    ]});
    let node = json!({"kind": "Node", "type": "ADDED", "items": [{"name": "n1", "addresses": ["10.2.0.1", "n1"]}]});
    let set = json!({"kind": "ReplicaSet", "type": "ADDED",
                     "items": [{"name": "rs", "selector": {"matchLabels": {"app": "web"}}}]});
    let mut trace = Trace::new()
        .header("n1")
        .k8s(T0, "K8S_SERVICES", &format!("{service}\r\n\0\0"))
        .k8s(T0 + 1, "K8S_PODS", &pods.to_string())
        .k8s(T0 + 2, "K8S_NODES", &format!("{node}\n\0"))
        .k8s(T0 + 3, "K8S_REPLICASETS", &format!("{set}\n\0"));
    for (i, kind) in ["Namespace", "ReplicationController", "Event", "DaemonSet", "Deployment"].iter().enumerate() {
        let message = json!({"kind": kind, "type": "DELETED", "items": null});
        trace = trace.k8s(T0 + 4 + i as i64, &format!("K8S_{}S", kind.to_uppercase()), &format!("{message}\n\0"));
    }
    let out = tempfile::tempdir().unwrap();
    let (input, out) = (out.path().join("k.sf"), out.path().join("out"));
    trace.write(&input);
    expect_status(&convert(&[&input], &out, &[]), 0);

    assert_eq!(row_count(&out, "k8s_events"), 9);
    assert_eq!(longs(&out, "k8s_events", "item_count")[..5], [Some(4), Some(2), Some(1), Some(1), None]);
    assert_eq!(
        strings(&out, "k8s_items", "name"),
        [some(&["named", "without", "odd"]), vec![None], some(&["dual", "strange", "n1", "rs"])].concat()
    );
    assert_eq!(
        strings(&out, "k8s_items", "ip"),
        [some(&["10.0.0.1", "10.0.0.2"]), vec![None, None], some(&["10.1.0.1", "10.0.0.9"]), vec![None, None]].concat()
    );
    let targets = strings(&out, "k8s_service_ports", "target_port");
    assert_eq!(targets, [some(&["web"]), vec![None; 4]].concat(), "two of 'named', three of 'odd', none of a pod");
    let mut codes: Vec<_> = strings(&out, "rejects", "code").into_iter().flatten().collect();
    codes.sort();
    assert_eq!(codes, ["k8s_cluster_ip", "k8s_odd_field"]);
    assert!(strings(&out, "rejects", "severity").iter().flatten().all(|s| s == "warning"));
}

#[test]
fn that_there_are_no_objects_is_no_oddity() {
    let none = json!({"apiVersion": "v1", "kind": "Service", "type": "NONEXISTENT", "items": [null]});
    let (folder, header) = (tempfile::tempdir().unwrap(), Trace::new().header("n"));
    let (input, out) = (folder.path().join("a.sf"), folder.path().join("out"));
    header.k8s(T0, "K8S_SERVICES", &format!("{none}\n\0")).write(&input);
    expect_status(&convert(&[&input], &out, &[]), 0);
    assert_eq!(strings(&out, "k8s_items", "item"), some(&["null"]));
    assert_eq!(strings(&out, "k8s_items", "type"), some(&["NONEXISTENT"]));
    assert_eq!(row_count(&out, "rejects"), 0);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        Just(json!("None")),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let key = prop_oneof![
            ".{0,3}",
            Just("name".to_owned()),
            Just("ports".to_owned()),
            Just("clusterIP".to_owned()),
            Just("podIP".to_owned()),
            Just("labels".to_owned()),
            Just("selector".to_owned()),
            Just("addresses".to_owned()),
            Just("port".to_owned()),
            Just("targetPort".to_owned()),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(key, inner, 0..8).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_the_items_are_none_is_dropped(
        items in prop::collection::vec(any_json(), 0..8),
        end in "[\0 \r\n\t]*",
    ) {
        let message = json!({"apiVersion": "v1", "items": items, "kind": "Service", "type": "ADDED"});
        let event = Event { message: Some(format!("{message}{end}").into()), ..Event::default() };
        let mut rows = Collected::default();
        let k8s = expand(&Arc::new(Header::default()), 7, &event, &mut rows);
        prop_assert_eq!(k8s.item_count, Some(items.len() as i64));
        prop_assert_eq!(k8s.message.as_deref(), Some(&*message.to_string()));
        prop_assert_eq!(k8s.fixed, !end.is_empty());
        prop_assert!(k8s.parse_error.is_none());
        prop_assert_eq!(rows.items.len(), items.len());
        let ports: usize = items.iter().filter_map(|i| i.get("ports")?.as_array()).map(Vec::len).sum();
        prop_assert_eq!(rows.ports.len(), ports);
        for (row, item) in rows.items.iter().zip(&items) {
            prop_assert_eq!(&*row.json, item.to_string(), "to the byte, so it parses back to the item");
            let name = item.get("name").and_then(Value::as_str);
            prop_assert_eq!(row.item.name.as_deref(), name);
        }
    }

    #[test]
    fn whatever_the_message_is_there_is_an_event(message: String) {
        let event = Event { message: Some(message.as_str().into()), ..Event::default() };
        let mut rows = Collected::default();
        let k8s = expand(&Arc::new(Header::default()), 0, &event, &mut rows);
        prop_assert_eq!(k8s.parse_error.is_some(), rows.warnings.iter().any(|(code, _)| *code == Code::K8sNoJson));
    }
}
