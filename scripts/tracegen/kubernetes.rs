//! What Kubernetes reports of the experiment: KE records with messages as the collector leaves them.

use serde_json::{Value as Json, json};

use super::robot_shop::*;
use super::schema::{K8S_ACTIONS, K8S_KINDS};
use super::writer::{Branch, Record, long, symbol, text};

/// Makes an event with its time. Keys of JSON objects are sorted, as the collector writes them.
fn event(ts: i64, kind: &str, action: &str, singular: &str, items: Vec<Json>) -> (i64, Record) {
    let message = json!({"apiVersion": "v1", "items": items, "kind": singular, "type": action});
    let fields = vec![
        ("kind", symbol(K8S_KINDS, "K8S_", kind)),
        ("action", symbol(K8S_ACTIONS, "K8S_COMPONENT_", action)),
        ("ts", long(ts)),
        ("message", text(format!("{message}\n\0"))),
    ];
    (ts, (Branch::K8sEvent, fields))
}

fn namespace(name: &str, born: &str) -> Json {
    json!({"labels": {"kubernetes.io/metadata.name": name}, "name": name, "timestamp": born, "uid": uid(name)})
}

fn node() -> Json {
    json!({"addresses": [NODE_IP, NODE], "labels": {"kubernetes.io/hostname": NODE}, "name": NODE,
           "timestamp": "2022-03-17T15:19:33Z", "uid": uid(NODE)})
}

/// An identity made of a name.
pub fn uid(name: &str) -> String {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    let (a, b) = (hash, hash.rotate_left(29).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        b >> 52,
        b & 0xffff_ffff_ffff
    )
}

fn shop_pod(pod: &Pod, host: bool, ip: bool, phase: &str) -> Json {
    json!({
        "containers": [{"image": format!("robotshop/rs-{}:latest", pod.service), "name": pod.service}],
        "hostIP": host.then_some(NODE_IP), "podIP": ip.then_some(pod.ip),
        "labels": {"service": pod.service}, "name": pod.name, "namespace": "robot-shop", "nodeName": NODE,
        "phase": phase, "timestamp": "2022-03-17T18:49:42Z", "uid": uid(pod.name)
    })
}

fn system_pod((name, ip): (&str, &str)) -> Json {
    json!({"hostIP": NODE_IP, "podIP": ip, "labels": {"tier": "control-plane"}, "name": name,
           "namespace": "kube-system", "nodeName": NODE, "phase": "Running",
           "timestamp": "2022-03-17T15:19:36Z", "uid": uid(name)})
}

fn shop_service(service: &Service) -> Json {
    let ports: Vec<Json> = service
        .ports
        .iter()
        .map(|&(port, name, node_port)| {
            let mut entry = json!({"name": name, "port": port, "protocol": "TCP", "targetPort": port});
            if node_port > 0 {
                entry["nodePort"] = json!(node_port);
            }
            entry
        })
        .collect();
    json!({"clusterIP": service.cluster_ip, "labels": {"service": service.name}, "name": service.name,
           "namespace": "robot-shop", "ports": ports, "selector": {"service": service.name},
           "timestamp": "2022-03-17T18:49:42Z", "uid": service.id})
}

/// All events, in no order. Their counts by kind and action are those of the notebook.
pub fn events() -> Vec<(i64, Record)> {
    let mut all = Vec::new();
    let minute = 60_000_000_000;

    all.push(event(START, "NODES", "ADDED", "Node", vec![node()]));
    all.push(event(at(19, 8, 57, 118_220), "NODES", "ADDED", "Node", vec![node()]));
    all.push(event(END, "NODES", "ADDED", "Node", vec![node()]));
    all.extend((0..9).map(|i| event(START + (2 + 4 * i) * minute + i, "NODES", "MODIFIED", "Node", vec![node()])));

    let old = ["default", "kube-node-lease", "kube-public", "kube-system", "sysflow"];
    let old: Vec<Json> = old.iter().map(|name| namespace(name, "2022-03-17T15:19:33Z")).collect();
    all.push(event(START, "NAMESPACES", "ADDED", "Namespace", old.clone()));
    // The collector reports single namespaces again when it reconnects.
    all.extend((0..10).map(|i| {
        let item = old[i as usize % old.len()].clone();
        event(START + (4 + 3 * i) * minute + i, "NAMESPACES", "ADDED", "Namespace", vec![item])
    }));
    let shop = || namespace("robot-shop", "2022-03-17T18:48:40Z");
    for ts in [at(18, 48, 41, 875_791), at(19, 8, 57, 118_221)] {
        all.push(event(ts, "NAMESPACES", "ADDED", "Namespace", vec![shop()]));
    }
    for ts in [at(18, 48, 42, 2_118), at(19, 25, 38, 310_004), at(19, 25, 50, 692_443)] {
        all.push(event(ts, "NAMESPACES", "MODIFIED", "Namespace", vec![shop()]));
    }
    all.push(event(at(19, 25, 50, 692_444), "NAMESPACES", "DELETED", "Namespace", vec![shop()]));

    all.push(event(START, "REPLICATIONCONTROLLERS", "ADDED", "ReplicationController", vec![]));

    let cluster_service = |name: &str, ip: &str, port: i32, proto: &str| {
        json!({"clusterIP": ip, "labels": {"app": name}, "name": name, "namespace": "kube-system",
               "ports": [{"name": "main", "port": port, "protocol": proto, "targetPort": "main"}],
               "selector": null, "timestamp": "2022-03-17T15:19:35Z", "uid": uid(name)})
    };
    let (kubernetes, dns) =
        (cluster_service("kubernetes", "10.96.0.1", 443, "TCP"), cluster_service("kube-dns", "10.96.0.10", 53, "UDP"));
    all.push(event(START, "SERVICES", "ADDED", "Service", vec![kubernetes.clone(), dns.clone()]));
    all.push(event(at(19, 8, 57, 118_222), "SERVICES", "ADDED", "Service", vec![kubernetes]));
    all.push(event(at(19, 8, 57, 118_223), "SERVICES", "ADDED", "Service", vec![dns]));
    for (i, service) in SERVICES.iter().enumerate() {
        let item = || vec![shop_service(service)];
        all.push(event(INSTALLED + i as i64, "SERVICES", "ADDED", "Service", item()));
        all.push(event(UNINSTALLED + i as i64, "SERVICES", "DELETED", "Service", item()));
    }

    all.push(event(START, "PODS", "ADDED", "Pod", SYSTEM_PODS.map(system_pod).to_vec()));
    all.extend((0..8).map(|i| {
        let item = system_pod(SYSTEM_PODS[i as usize % SYSTEM_PODS.len()]);
        event(START + (5 + 3 * i) * minute + i, "PODS", "ADDED", "Pod", vec![item])
    }));
    for (i, pod) in PODS.iter().enumerate() {
        let i = i as i64;
        let born = pod.first - 17_000_000_000 + i;
        all.push(event(born, "PODS", "ADDED", "Pod", vec![shop_pod(pod, false, false, "Pending")]));
        // It is scheduled, gets its host, its address, runs, is about to end.
        let states = [
            (false, false, "Pending", born + 100_000_000),
            (true, false, "Pending", born + 900_000_000),
            (true, true, "Pending", pod.first),
            (true, true, "Running", pod.first + 2_000_000_000),
            (true, true, "Running", pod.last),
        ];
        for (host, ip, phase, ts) in states {
            all.push(event(ts, "PODS", "MODIFIED", "Pod", vec![shop_pod(pod, host, ip, phase)]));
        }
        let gone = pod.last + 1_500_000_000;
        all.push(event(gone, "PODS", "DELETED", "Pod", vec![shop_pod(pod, pod.ip_at_end, pod.ip_at_end, "Running")]));
    }
    for ts in [START + 7 * minute, START + 31 * minute] {
        all.push(event(ts, "PODS", "MODIFIED", "Pod", vec![system_pod(SYSTEM_PODS[0])]));
    }
    all
}
