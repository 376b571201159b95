"""SysFlow traces flattened once more, independently of the converter and of the reference.

Reads with fastavro, by names. Also for traces on which the reference fails: the oldest layouts, and NetworkEvents.
"""

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import fastavro
from fastavro import read as fastavro_read

OPERATIONS = (
    "CLONE EXEC EXIT SETUID SETNS ACCEPT CONNECT OPEN READ_RECV WRITE_SEND CLOSE TRUNCATE SHUTDOWN MMAP DIGEST "
    "MKDIR RMDIR LINK UNLINK SYMLINK RENAME"
).split()
FILE_OPERATIONS = "MKDIR RMDIR LINK SYMLINK UNLINK RENAME".split()
PROCESS_OPERATIONS = "CLONE EXEC EXIT SETUID".split()
FLOW_LETTERS = {
    "OPEN": "O", "ACCEPT": "A", "CONNECT": "C", "WRITE_SEND": "W", "READ_RECV": "R", "SETNS": "N",
    "MMAP": "M", "SHUTDOWN": "S", "CLOSE": "C", "TRUNCATE": "T", "DIGEST": "D",
}  # fmt: skip
CODES = {
    "ProcessEvent": "PE", "FileEvent": "FE", "NetworkEvent": "NE", "ProcessFlow": "PF", "FileFlow": "FF",
    "NetworkFlow": "NF", "K8sEvent": "KE",
}  # fmt: skip
ENTITIES = {"SFHeader": "header", "Pod": "pod", "Container": "container", "Process": "process", "File": "file"}


@dataclass
class Record:
    """An Avro record: its ordinal in the file, its branch's full and last name, its fields."""

    no: int
    full_name: str
    name: str
    fields: dict


@contextmanager
def without_logical_types():
    """Old schemas call nanoseconds timestamp-millis, which fastavro then takes for years far away."""
    readers = dict(fastavro_read.LOGICAL_READERS)
    fastavro_read.LOGICAL_READERS.clear()
    try:
        yield
    finally:
        fastavro_read.LOGICAL_READERS.update(readers)


def read(path):
    """All records that can be read, and the error that ended it before the file's end, or None."""
    records = []
    with open(path, "rb") as file, without_logical_types():
        try:
            for row in fastavro.reader(file, return_record_name=True, handle_unicode_errors="replace"):
                full_name, fields = row["rec"]
                # A union of records names the branch of nested ones, too.
                fields = {k: v[1] if isinstance(v, tuple) else v for k, v in fields.items()}
                records.append(Record(len(records), full_name, full_name.rpartition(".")[2], fields))
        except Exception as error:  # whatever fastavro does with damage
            return records, error
    return records, None


def kind(record):
    """PE, FE, …, or the entity's name, or None for what this version of SysFlow does not know."""
    if record.name == "ProcessFlow" and "endTs" not in record.fields:
        return "PE"  # the oldest layouts call a process event so
    return CODES.get(record.name) or ENTITIES.get(record.name)


def dotted(ip):
    return ".".join(str(ip >> shift & 0xFF) for shift in (0, 8, 16, 24))


def host_order(ip):
    return int.from_bytes((ip & 0xFFFFFFFF).to_bytes(4, "little"), "big")


def iso(ns):
    """datetime.isoformat() of nanoseconds, floored to microseconds, without floats."""
    return (datetime(1970, 1, 1) + timedelta(microseconds=ns // 1000)).isoformat()


def operations(flags):
    return [name for bit, name in enumerate(OPERATIONS) if flags >> bit & 1]


def operations_text(flags):
    names = operations(flags)
    words = [n for n in FILE_OPERATIONS if n in names] or [n for n in PROCESS_OPERATIONS if n in names]
    return "".join(words) or "".join(c if n in names else " " for n, c in FLOW_LETTERS.items())


def process_key(oid):
    return max(oid["createTS"], 0), max(oid["hpid"], 0)


def service(fields):
    return fields | {"clusterIP": [dotted(ip) for ip in fields["clusterIP"]]}


def fixed(message):
    """The collector ends messages with a newline and a NUL."""
    return message.rstrip("\0 \t\n\v\f\r")


class Trace:
    """What is known after a header."""

    def __init__(self, no, header):
        self.no = no
        self.header = header
        self.processes, self.files, self.containers, self.pods = {}, {}, {}, {}

    def add(self, entity, record):
        if entity == "process":
            self.processes[process_key(record.fields["oid"])] = record
        elif entity == "file":
            self.files[bytes(record.fields["oid"])] = record
        elif entity == "container":
            self.containers[record.fields["id"]] = record
        elif entity == "pod":
            self.pods[record.fields["id"]] = record


@dataclass
class Row:
    record_no: int
    trace_no: int | None
    # the columns of sysflow_flat
    flat: dict
    # columns of records that sysflow_flat leaves out
    more: dict


def flatten(records):
    """A Row for each event and flow."""
    trace, headers = Trace(None, {}), 0
    for record in records:
        what = kind(record)
        if what == "header":
            trace, headers = Trace(headers, record.fields), headers + 1
        elif what in ENTITIES.values():
            trace.add(what, record)
        elif what:
            yield flatten_event(trace, what, record)


def flatten_event(trace, what, record):
    event = record.fields
    proc = pproc = cont = pod = file = newfile = None
    if what != "KE":
        proc = trace.processes.get(process_key(event["procOID"]))
        if proc and proc.fields["poid"] is not None:
            pproc = trace.processes.get(process_key(proc.fields["poid"]))
        cont = proc and trace.containers.get(proc.fields["containerId"])
        pod = cont and trace.pods.get(cont.fields.get("podId"))
    if event.get("fileOID") is not None:
        file = trace.files.get(bytes(event["fileOID"]))
    if event.get("newFileOID") is not None:
        newfile = trace.files.get(bytes(event["newFileOID"]))

    flags = event.get("opFlags")
    if flags is None and what == "PE":
        flags = 1 << OPERATIONS.index(event["type"])
    is_flow, is_network = what in ("PF", "FF", "NF"), what in ("NF", "NE")
    counts = is_flow and what != "PF"

    def number(on, field):
        return int(event[field]) if on else None

    def mixed(on, fields, field):
        value = fields.get(field) if on else None
        return "" if value is None else str(value)

    flat = {
        "version": "4",
        "type": what,
        "state": "",
        "opflags": "" if flags is None else operations_text(flags),
        "opflags_bitmap": "" if flags is None else str(flags),
        "ret": number(what in ("PE", "FE", "NE"), "ret"),
        "ts": iso(event["ts"]),
        "ts_uts": event["ts"],
        "endts": iso(event["endTs"]) if is_flow else "",
        "endts_uts": number(is_flow, "endTs"),
        "proc.tid": number(what not in ("KE", "PF"), "tid"),
        "file.fd": mixed(True, event, "fd"),
        "file.path": file.fields["path"] if file else "",
        "file.newpath": newfile.fields["path"] if newfile else "",
        "file.type": chr(file.fields["restype"]) if file else "",
        "file.openflags": mixed(what == "FF", event, "openFlags"),
        "net.proto": mixed(is_network, event, "proto"),
        "net.sport": number(is_network, "sport"),
        "net.dport": number(is_network, "dport"),
        "net.sip": dotted(event["sip"]) if is_network else "",
        "net.dip": dotted(event["dip"]) if is_network else "",
        "res": "",
        "flow.rbytes": number(counts, "numRRecvBytes"),
        "flow.rops": number(counts, "numRRecvOps"),
        "flow.wbytes": number(counts, "numWSendBytes"),
        "flow.wops": number(counts, "numWSendOps"),
        "pf.nthreads": number(what == "PF", "numThreadsCloned"),
        "pf.nexits": number(what == "PF", "numThreadsExited"),
        "pf.nerrors": number(what == "PF", "numCloneErrors"),
        "node.id": trace.header.get("exporter", ""),
        "node.ip": trace.header.get("ip", ""),
        "filename": trace.header.get("filename", ""),
        "schema": mixed(True, trace.header, "version"),
        "tags": [],
        "k8s.action": event["action"] if what == "KE" else "",
        "k8s.kind": event["kind"] if what == "KE" else "",
        "k8s.msg": fixed(event["message"]) if what == "KE" else "",
    }
    for prefix, process in (("proc", proc), ("pproc", pproc)):
        p = process.fields if process else {}
        oid = p.get("oid", {})
        flat |= {
            f"{prefix}.pid": oid.get("hpid"),
            f"{prefix}.uid": p.get("uid"),
            f"{prefix}.user": p.get("userName", ""),
            f"{prefix}.gid": p.get("gid"),
            f"{prefix}.group": p.get("groupName", ""),
            f"{prefix}.cwd": p.get("cwd", ""),
            f"{prefix}.exe": p.get("exe", ""),
            f"{prefix}.args": p.get("exeArgs", ""),
            f"{prefix}.tty": mixed(True, p, "tty"),
            f"{prefix}.entry": mixed(True, p, "entry"),
            f"{prefix}.env": ";".join(e for e in p.get("env", ()) if e not in ("", "=")),
            f"{prefix}.createts": oid.get("createTS"),
        }
    flat["pproc.createts"] = "" if flat["pproc.createts"] is None else str(flat["pproc.createts"])
    if proc:
        flat["state"] = proc.fields.get("state") or proc.fields["type"]
    elif file:
        flat["state"] = file.fields["state"]
    if what in ("FF", "FE"):
        flat["res"] = flat["file.path"] + (f", {newfile.fields['path']}" if newfile else "")
    elif is_network:
        source, target = (f"{dotted(event[f'{d}ip'])}:{event[f'{d}port']}" for d in "sd")
        flat["res"] = f"{source}-{target}"
    c = cont.fields if cont else {}
    for field in ("id", "name", "imageid", "image", "type"):
        flat[f"container.{field}"] = c.get(field, "")
    flat["container.privileged"] = mixed(True, c, "privileged")
    p = pod.fields if pod else {}
    flat |= {
        "pod.id": p.get("id", ""),
        "pod.name": p.get("name", ""),
        "pod.nname": p.get("nodeName", ""),
        "pod.hostip": [dotted(ip) for ip in p["hostIP"]] if pod else "",
        "pod.internalip": [dotted(ip) for ip in p["internalIP"]] if pod else "",
        "pod.ns": p.get("namespace", ""),
        "pod.rstrtcnt": p.get("restartCount"),
        "pod.services": [service(s) for s in p["services"]] if pod else "",
    }
    numbers = {"proc": proc, "pproc": pproc, "file": file, "newfile": newfile, "container": cont, "pod": pod}
    more = {f"{name}_no": entity and entity.no for name, entity in numbers.items()}
    more |= {
        "ops": None if flags is None else operations(flags),
        "net_sip_int": host_order(event["sip"]) if is_network else None,
        "net_dip_int": host_order(event["dip"]) if is_network else None,
    }
    return Row(record.no, trace.no, flat, more)
