//! The SysFlow schema of version 4 (SysFlow specification), put together from its field names and types.

use serde_json::{Value, json};

/// A record from `name:type` pairs; types that are not primitive are given in `types`.
fn record(namespace: &str, name: &str, fields: &str, types: &[(&str, Value)]) -> Value {
    let fields: Vec<Value> = fields
        .split_whitespace()
        .filter_map(|field| field.split_once(':'))
        .map(|(name, ty)| {
            let ty = types.iter().find(|(known, _)| *known == ty).map_or_else(|| json!(ty), |(_, ty)| ty.clone());
            json!({ "name": name, "type": ty })
        })
        .collect();
    json!({ "type": "record", "namespace": namespace, "name": name, "fields": fields })
}

fn symbols(name: &str, prefix: &str, symbols: &str) -> Value {
    let symbols: Vec<String> = symbols.split_whitespace().map(|s| format!("{prefix}{s}")).collect();
    json!({ "type": "enum", "namespace": "sysflow.type", "name": name, "symbols": symbols })
}

/// Kinds of Kubernetes components, in the order of the enum.
pub const K8S_KINDS: &str =
    "NODES NAMESPACES PODS REPLICATIONCONTROLLERS SERVICES EVENTS REPLICASETS DAEMONSETS DEPLOYMENTS UNKNOWN";
/// What happens to them.
pub const K8S_ACTIONS: &str = "ADDED MODIFIED DELETED ERROR NONEXISTENT UNKNOWN";

/// The branches of the top union, in order; [`super::writer::Branch`] names them.
pub fn sysflow() -> Value {
    let oid = record("sysflow.type", "OID", "createTS:long hpid:long", &[]);
    let state = symbols("SFObjectState", "", "CREATED MODIFIED REUP");
    let types = [
        ("container-type", symbols("ContainerType", "CT_", "DOCKER LXC LIBVIRT_LXC MESOS RKT CUSTOM CRI CONTAINERD")),
        ("id?", json!(["null", "string"])),
        ("new-state", state),
        ("state", json!("sysflow.type.SFObjectState")),
        ("new-oid", oid),
        ("oid", json!("sysflow.type.OID")),
        ("oid?", json!(["null", "sysflow.type.OID"])),
        ("new-foid", json!({"type": "fixed", "namespace": "sysflow.type", "name": "FOID", "size": 20})),
        ("foid", json!("sysflow.type.FOID")),
        ("foid?", json!(["null", "sysflow.type.FOID"])),
        ("strings", json!({"type": "array", "items": "string"})),
        ("ips", json!({"type": "array", "items": "long"})),
        ("map", json!({"type": "map", "values": "string"})),
        ("kind", symbols("K8sComponent", "K8S_", K8S_KINDS)),
        ("action", symbols("K8sAction", "K8S_COMPONENT_", K8S_ACTIONS)),
    ];
    let port = record("sysflow.entity", "Port", "port:int targetPort:int nodePort:int proto:string", &[]);
    let ports = [("ports", json!({"type": "array", "items": port})), types[11].clone()];
    let service = record(
        "sysflow.entity",
        "Service",
        "name:string id:string namespace:string portList:ports clusterIP:ips",
        &ports,
    );
    let services = json!({"type": "array", "items": service});
    let pod_types = [types[11].clone(), types[12].clone(), ("services", services)];
    let entity = |name, fields| record("sysflow.entity", name, fields, &types);
    let event = |name, fields| record("sysflow.event", name, fields, &types);
    let flow = |name, fields| record("sysflow.flow", name, fields, &types);
    let counters = "numRRecvOps:long numWSendOps:long numRRecvBytes:long numWSendBytes:long";
    json!({"type": "record", "namespace": "sysflow", "name": "SysFlow", "fields": [{"name": "rec", "type": [
        entity("SFHeader", "version:long exporter:string ip:string filename:string"),
        entity("Container",
            "id:string name:string image:string imageid:string type:container-type privileged:boolean podId:id?"),
        entity("Process",
            "state:new-state oid:new-oid poid:oid? ts:long exe:string exeArgs:string uid:int userName:string gid:int \
             groupName:string tty:boolean containerId:id? entry:boolean"),
        entity("File", "state:state oid:new-foid ts:long restype:int path:string containerId:id?"),
        event("ProcessEvent", "procOID:oid ts:long tid:long opFlags:int args:strings ret:int"),
        flow("NetworkFlow",
            &format!("procOID:oid ts:long tid:long opFlags:int endTs:long sip:int sport:int dip:int dport:int \
                      proto:int fd:int {counters}")),
        flow("FileFlow",
            &format!("procOID:oid ts:long tid:long opFlags:int openFlags:int endTs:long fileOID:foid fd:int {counters}")),
        event("FileEvent", "procOID:oid ts:long tid:long opFlags:int fileOID:foid ret:int newFileOID:foid?"),
        flow("ProcessFlow",
            "procOID:oid ts:long numThreadsCloned:long opFlags:int endTs:long numThreadsExited:long numCloneErrors:long"),
        record("sysflow.entity", "Pod",
            "ts:long id:string name:string nodeName:string hostIP:ips internalIP:ips namespace:string \
             restartCount:long labels:map selectors:map services:services", &pod_types),
        event("K8sEvent", "kind:kind action:action ts:long message:string")
    ]}]})
}
