"""Traces with what the samples lack: several headers, process flows, NetworkEvents, odd services, odd values."""

import fastavro



def schema():
    known = set()

    def record(name, namespace, /, **fields):
        full = f"{namespace}.{name}"
        if full in known:
            return full
        known.add(full)
        listed = [{"name": k, "type": t() if callable(t) else t} for k, t in fields.items()]
        return {"type": "record", "name": name, "namespace": namespace, "fields": listed}

    def named(kind, name, /, **more):
        full = f"sysflow.type.{name}"
        if full in known:
            return full
        known.add(full)
        return {"type": kind, "name": name, "namespace": "sysflow.type", **more}

    def state():
        return named("enum", "SFObjectState", symbols=["CREATED", "MODIFIED", "REUP"])

    def container_type():
        return named("enum", "ContainerType", symbols=["CT_DOCKER", "CT_CRIO"])

    def k8s_kind():
        return named("enum", "K8sComponent", symbols=["K8S_PODS", "K8S_SERVICES"])

    def k8s_action():
        return named("enum", "K8sAction", symbols=["K8S_COMPONENT_ADDED", "K8S_COMPONENT_ERROR"])

    def foid():
        return named("fixed", "FOID", size=20)

    def oid():
        return record("OID", "sysflow.type", createTS="long", hpid="long")

    def list_of(what):
        return {"type": "array", "items": what}

    def port():
        return record("Port", "sysflow.type", port="int", targetPort="int", nodePort="int", proto="string")

    def services():
        text = dict.fromkeys(("name", "id", "namespace"), "string")
        service = record("Service", "sysflow.type", **text, portList=lambda: list_of(port()), clusterIP=list_of("long"))
        return list_of(service)

    def optional(what):
        return lambda: ["null", what()]

    text, flag, number, large, maybe_text = "string", "boolean", "int", "long", ["null", "string"]
    entity, event, flow = "sysflow.entity", "sysflow.event", "sysflow.flow"
    texts = {"type": "map", "values": "string"}
    of_event = {"procOID": oid, "ts": large, "tid": large, "opFlags": number}
    of_flow = of_event | {"endTs": large}
    counts = dict.fromkeys(("numRRecvOps", "numWSendOps", "numRRecvBytes", "numWSendBytes"), large)
    address = dict.fromkeys(("sip", "sport", "dip", "dport", "proto"), number)
    union = [
        record("SFHeader", entity, version=large, exporter=text, ip=text, filename=text),
        record("Container", entity, id=text, name=text, image=text, imageid=text, type=container_type,
               privileged=flag, podId=maybe_text),
        record("Process", entity, state=state, oid=oid, poid=optional(oid), ts=large, exe=text, exeArgs=text,
               uid=number, userName=text, gid=number, groupName=text, tty=flag, containerId=maybe_text, entry=flag,
               cwd=text, env=list_of(text)),
        record("File", entity, state=state, oid=foid, ts=large, restype=number, path=text, containerId=maybe_text),
        record("Pod", entity, ts=large, id=text, name=text, nodeName=text, hostIP=list_of(large),
               internalIP=list_of(large), namespace=text, restartCount=large, labels=texts, selectors=texts,
               services=services),
        record("ProcessEvent", event, **of_event, args=list_of(text), ret=number),
        record("FileEvent", event, **of_event, fileOID=foid, ret=number, newFileOID=optional(foid)),
        record("NetworkEvent", event, **of_event, **address, ret=number),
        record("K8sEvent", event, kind=k8s_kind, action=k8s_action, ts=large, message=text),
        record("ProcessFlow", flow, procOID=oid, ts=large, numThreadsCloned=large, opFlags=number, endTs=large,
               numThreadsExited=large, numCloneErrors=large),
        record("FileFlow", flow, **of_flow, openFlags=number, fileOID=foid, fd=number, **counts),
        record("NetworkFlow", flow, **of_flow, **address, fd=number, **counts),
        record("Later", event, ts=large, what=text),
    ]  # fmt: skip
    return {"type": "record", "name": "SysFlow", "namespace": "sysflow", "fields": [{"name": "rec", "type": union}]}


T = 1_647_544_455_002_529_691
SECOND = 1_000_000_000
COUNTS = {"numRRecvOps": 2**40, "numWSendOps": 1, "numRRecvBytes": 2**62, "numWSendBytes": 3}


def oid(pid, created=T):
    return {"createTS": created, "hpid": pid}


def foid(n):
    return bytes([n]) * 20


def process(pid, parent=None, /, **more):
    return "sysflow.entity.Process", {
        "state": "CREATED", "oid": oid(pid), "poid": parent, "ts": T, "exe": f"/bin/p{pid}", "exeArgs": "-a  b",
        "uid": 0, "userName": "root", "gid": 0, "groupName": "root", "tty": True, "containerId": None, "entry": False,
        "cwd": "/", "env": [],
    } | more  # fmt: skip


def file(n, path, /, **more):
    return "sysflow.entity.File", {
        "state": "REUP", "oid": foid(n), "ts": T, "restype": ord("f"), "path": path, "containerId": None,
    } | more  # fmt: skip


def header(**more):
    return "sysflow.entity.SFHeader", {"version": 5, "exporter": "node", "ip": "10.0.0.1", "filename": "f"} | more


def event(pid, **more):
    return {"procOID": oid(pid), "ts": T, "tid": pid, "opFlags": 2} | more


def process_event(pid, **more):
    return "sysflow.event.ProcessEvent", event(pid, args=[], ret=0) | more


def file_event(pid, file_oid, new=None, **more):
    return "sysflow.event.FileEvent", event(pid, opFlags=1 << 20, fileOID=file_oid, ret=-2, newFileOID=new) | more


def network_flow(pid, **more):
    addresses = {"sip": 16777343, "sport": 65535, "dip": -1, "dport": 0, "proto": 17}
    flow = event(pid, opFlags=1 << 6, endTs=T + SECOND, fd=-1, **addresses, **COUNTS)
    return "sysflow.flow.NetworkFlow", flow | more


def file_flow(pid, file_oid, **more):
    flow = event(pid, opFlags=1 << 8, endTs=T + 1, openFlags=4097, fileOID=file_oid, fd=3, **COUNTS)
    return "sysflow.flow.FileFlow", flow | more


def process_flow(pid, **more):
    flow = event(pid, opFlags=1, numThreadsCloned=3, endTs=T + 5, numThreadsExited=2, numCloneErrors=1) | more
    del flow["tid"]
    return "sysflow.flow.ProcessFlow", flow


def kubernetes(message, **more):
    known = {"kind": "K8S_SERVICES", "action": "K8S_COMPONENT_ADDED", "ts": T, "message": message}
    return "sysflow.event.K8sEvent", known | more


def pod(name, services, /, **more):
    return "sysflow.entity.Pod", {
        "ts": T, "id": name, "name": name, "nodeName": "n", "hostIP": [16777343],
        "internalIP": [1681631424, 4294967295], "namespace": "ns", "restartCount": 7, "labels": {"b": "2", "a": "1"},
        "selectors": {}, "services": services,
    } | more  # fmt: skip


def container(name, pod_id, /, **more):
    return "sysflow.entity.Container", {
        "id": name, "name": f"name of {name}", "image": "i", "imageid": "ii", "type": "CT_CRIO", "privileged": True,
        "podId": pod_id,
    } | more  # fmt: skip


def service(name, ports, ips):
    return {
        "name": name, "id": f"id {name}", "namespace": "ns", "clusterIP": ips,
        "portList": [{"port": p, "targetPort": p + 1, "nodePort": 0, "proto": "TCP"} for p in ports],
    }  # fmt: skip


SERVICES = [
    service('two "ports" \\ ü', [443, 80], [1681631424, 16777343]),
    service("headless", [5432, 80, 80], []),
    service("no port", [], [16777343, 16777343]),
    service("", [], []),
]
ENTITIES = [
    pod("pod with services", SERVICES),
    pod("pod without", []),
    pod("bare", [], hostIP=[], internalIP=[], labels={}),
    container("c1", "pod with services"),
    container("c2", "pod without", privileged=False),
    container("c3", "no such pod"),
    container("c4", "bare"),
    container("c5", None),
    process(1),
    process(2, oid(1), containerId="c1", env=["A=1", "", "=", "B=x;y", "ü=\t"]),
    process(3, oid(2), containerId="c2", env=["=", ""], tty=False, entry=True),
    process(4, oid(99), containerId="c3"),
    process(5, oid(5), containerId="no such container"),
    process(6, oid(1), containerId="c4", exe="", exeArgs="", cwd="", userName="", groupName="", uid=-1, gid=-1),
    process(7, oid(2), containerId="c5", exe="/bin/\u0001\n\t\"'\\ 日本 🦀", oid=oid(7, -5)),
    file(1, "/a, b"),
    file(2, ""),
    file(3, "/new", restype=ord("d")),
]
EVENTS = [
    *(process_event(pid) for pid in (1, 2, 3, 4, 5, 6, 98)),
    process_event(7, procOID=oid(7, -9), ret=-(2**31)),
    *(process_event(1, opFlags=1 << bit) for bit in range(21)),
    process_event(1, opFlags=0),
    process_event(1, opFlags=2**21 - 1),
    file_event(2, foid(1)),
    file_event(2, foid(1), foid(3)),
    file_event(2, foid(2), foid(2)),
    file_event(98, foid(1), foid(9)),
    file_event(98, foid(9), foid(3)),
    file_flow(3, foid(1)),
    file_flow(3, foid(2)),
    file_flow(97, foid(3), openFlags=0, fd=0),
    file_flow(97, foid(9)),
    network_flow(2),
    network_flow(3, sip=0, dip=2**31 - 1),
    process_flow(2),
    process_flow(98),
    # Whole seconds and microseconds, one nanosecond before, the epoch, before it, and as far as nanoseconds go.
    *(process_event(1, ts=ts) for ts in (T // SECOND * SECOND, T // 1000 * 1000, T // SECOND * SECOND - 1, 0, 1, 999)),
    *(process_event(1, ts=ts) for ts in (-1, -SECOND, -SECOND - 1, 2**62)),
    network_flow(1, ts=-1, endTs=0),
]
KUBERNETES = [
    *(kubernetes(end) for end in ("{}\n\0", "{}", "", "\n\0", '{"items": null}\n\0', "no JSON \0 inside\n\0")),
    kubernetes('{"kind": "S", "items": [{"name": "ü"}, {}]}\n\0', action="K8S_COMPONENT_ERROR"),
]
EXPORTED_AGAIN = [
    process(2, oid(3), exe="/bin/again", state="MODIFIED", containerId="c2", env=["NEW=1"]),
    process_event(2),
    process_event(3),
    container("c2", "pod with services", name="renamed"),
    process_event(2),
    pod("pod with services", SERVICES[:1], restartCount=8),
    network_flow(2),
    file(1, "/renamed", state="MODIFIED"),
    file_flow(2, foid(1)),
    process(1, oid(3)),
    process_event(3),
]

WITHOUT_FAULT = [header(), *ENTITIES, *EVENTS, *KUBERNETES, *EXPORTED_AGAIN]
TRACES = {
    "values.sf": WITHOUT_FAULT,
    # What was known is forgotten at a header.
    "three_headers.sf": [*WITHOUT_FAULT, header(exporter="o", ip="", filename=""), *EVENTS, header(), *WITHOUT_FAULT],
    "header_only.sf": [header()],
    "no_header.sf": [*ENTITIES, *EVENTS],
    "network_event.sf": [
        *WITHOUT_FAULT,
        ("sysflow.event.NetworkEvent", event(2, sip=16777343, sport=1, dip=0, dport=80, proto=6, ret=-111)),
    ],
    "later_type.sf": [*WITHOUT_FAULT, ("sysflow.event.Later", {"ts": T, "what": "?"}), *EVENTS],
}  # fmt: skip


def write(folder):
    for name, records in TRACES.items():
        with open(folder / name, "wb") as out:
            # Small blocks: a file of several.
            rows = ({"rec": record} for record in records)
            fastavro.writer(out, schema(), rows, codec="deflate", sync_interval=2000)
    not_utf8(folder / "network_event.sf", folder / "not_utf8.sf")


def not_utf8(source, target):
    """The same with a byte in a path that is no UTF-8, uncompressed so that it can be found."""
    with open(source, "rb") as file, open(target, "wb") as out:
        rows = [row for row in fastavro.reader(file, return_record_name=True) if "NetworkEvent" not in row["rec"][0]]
        fastavro.writer(out, schema(), rows, codec="null")
    data = target.read_bytes()
    assert data.count(b"/renamed") == 1
    target.write_bytes(data.replace(b"/renamed", b"/ren\xff\xc3\x28d"))
