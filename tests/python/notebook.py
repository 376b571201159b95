"""The code of the SysFlow project's notebook "SysFlow support for Kubernetes environments", cell by cell, with pandas.

A function is a cell, and returns its table as a list of rows: missing is None, numbers are whole. Changed are only what
newer versions of pandas ask for, and the reading of several files, which the notebook had put into one.
"""

import contextlib
import io
import json

import numpy as np
import pandas as pd
from sysflow.formatter import SFFormatter
from sysflow.reader import FlattenedSFReader

IP_COLUMNS = ["kind", "name", "namespace", "iptype", "ip", "proto", "port", "targetPort", "portname"]


def rows(frame, columns=None):
    frame = frame if columns is None else frame.reindex(columns=columns)
    return [tuple(map(plain, row)) for row in frame.itertuples(index=False, name=None)]


def plain(value):
    if isinstance(value, tuple):
        return value
    if value is None or value is pd.NaT or value == "" or value != value:
        return None
    return int(value) if isinstance(value, (float, np.integer)) else value


def read(files):
    """In [6]"""
    frames = []
    for file in files:
        formatter = SFFormatter(FlattenedSFReader(str(file), False))
        with contextlib.redirect_stdout(io.StringIO()):
            frames.append(formatter.toDataframe())
    df = pd.concat(frames, ignore_index=True).astype(object)
    df["pod.internalip"] = df["pod.internalip"].apply(tuple)
    df["pod.hostip"] = df["pod.hostip"].apply(tuple)
    df["pod.services_str"] = df["pod.services"].apply(str)
    return df


def fix_k8s_msg(msg):
    """In [8]"""
    if msg.endswith("\n\u0000"):
        msg = msg[:-2]
    return msg


def kubernetes_events(df):
    """In [9], df_ke"""
    df_ke = df[df.type == "KE"].reset_index()
    df_ke["k8s.msg"] = df_ke["k8s.msg"].apply(fix_k8s_msg)
    return df_ke


def ke_counts(df_ke):
    """In [11]"""
    return sorted(rows(df_ke.value_counts(["k8s.kind", "k8s.action"], sort=False).reset_index()))


def expand(df_ke, corrected=True):
    """In [12], df_ke_ext, as it is or corrected: every port with its own values, and nothing dropped."""
    table = []
    for _, e in df_ke.iterrows():
        msg = json.loads(e["k8s.msg"])
        for item in msg["items"]:
            d = e.to_dict()
            d["kind"] = msg["kind"]
            d["typ"] = msg["type"]
            d["name"] = item.get("name")
            d["namespace"] = item.get("namespace")
            d["ts_item"] = item.get("timestamp")
            if item.get("podIP"):
                d["ip"] = item.get("podIP")
                d["iptype"] = "podIP"
                table.append(d)
            elif item.get("hostIP"):
                d["ip"] = item.get("hostIP")
                d["iptype"] = "hostIP"
                table.append(d)
            elif item.get("clusterIP") and not item.get("clusterIP") == "None":
                if msg["kind"] != "Service" and not corrected:
                    continue
                d["ip"] = item.get("clusterIP")
                d["iptype"] = "clusterIP"
                add_ports(table, d, item, corrected)
            elif corrected and item.get("clusterIP"):
                add_ports(table, d, item, corrected)
            else:
                table.append(d)
    frame = pd.DataFrame(table).reset_index(drop=True).astype(object)
    return frame.sort_values(["ts", "kind"])


def add_ports(table, d, item, corrected):
    ports = item.get("ports")
    if corrected and not ports:
        table.append(d)
    for port in ports:
        if corrected:
            d = d.copy()
        port["portname"] = port["name"]
        del port["name"]
        d.update(port)
        d["proto"] = d["protocol"]
        del d["protocol"]
        table.append(d)


def ke_rows(df_ke_ext):
    keys = ["ts_uts", "k8s.action", "k8s.kind", "kind", "typ", "name", "namespace", "ts_item", "ip", "iptype"]
    return rows(df_ke_ext, [*keys, "proto", "port", "targetPort", "portname", "nodePort"])


def select(df_ke_ext):
    """In [13], df_ke_ext_sel"""
    return df_ke_ext[
        ((df_ke_ext.name == "robot-shop") | (df_ke_ext.namespace == "robot-shop"))
        & ((df_ke_ext.typ == "ADDED") | (df_ke_ext.typ == "DELETED"))
    ]


def selected_counts(df_ke_ext_sel):
    """In [13]"""
    return rows(df_ke_ext_sel.value_counts(["kind", "typ"]).reset_index())


def ips(df_ke_ext_sel):
    """In [15]"""
    frame = df_ke_ext_sel.reindex(columns=[*df_ke_ext_sel.columns, *(set(IP_COLUMNS) - set(df_ke_ext_sel.columns))])
    return frame.dropna(subset=["iptype"])[IP_COLUMNS].sort_values("ip").drop_duplicates()


def ke_podips(ip_table):
    """In [16], podips"""
    podips = {}
    for _, row in ip_table.iterrows():
        if not row["iptype"] == "podIP":
            continue
        podips.setdefault(row["ip"], set()).add(row["name"])
    return podips


def container_counts(df, part):
    """In [17]"""
    keys = ["container.name", "container.id", "container.image", "pod.name"]
    return rows(df[df["container.name"].str.contains(part)].value_counts(keys, sort=False).reset_index())


def container_life_cycle(df, part):
    """In [18]"""
    frame = df[df["container.name"].str.contains(part)].sort_values("ts_uts")
    groups = frame.groupby(["container.name", "container.id", "pod.name"])
    return rows(groups.agg({"container.image": "first", "ts": ["min", "max"]}).reset_index())


def container_pods(df):
    """In [19]"""
    return rows(df[df["pod.name"].astype(bool)][["container.name", "pod.name"]].drop_duplicates())


def of_robot_shop(df):
    """In [20], df_rs"""
    return df[df["pod.ns"] == "robot-shop"]


def pod_ips(df_rs):
    """In [20]"""
    groups = df_rs.sort_values("ts_uts").groupby(["pod.name", "pod.internalip"])
    return rows(groups.agg({"ts": ["min", "max"]}).reset_index())


def add_podips(podips, df_rs):
    """In [21], podips"""
    for _, row in df_rs.sort_values("ts_uts")[["pod.name", "pod.internalip"]].drop_duplicates().iterrows():
        for ip in row["pod.internalip"]:
            podips.setdefault(ip, set()).add(row["pod.name"])
    return podips


def services(df_rs):
    """In [22], df_services"""
    table = []
    for _, row in df_rs.drop_duplicates(subset=["pod.name", "pod.services_str"]).iterrows():
        for service in row["pod.services"]:
            for cip in service["clusterIP"]:
                for port in service["portList"]:
                    svc = service.copy()
                    del svc["portList"]
                    svc.update(port)
                    del svc["clusterIP"]
                    svc["clusterIP"] = cip
                    svc["pod.name"] = row["pod.name"]
                    table.append(svc)
    columns = ["name", "id", "namespace", "port", "targetPort", "nodePort", "proto", "clusterIP", "pod.name"]
    return pd.DataFrame(table, columns=columns)


def service_names(df_services):
    """In [23], services"""
    return {(row["clusterIP"], row["port"]): f"{row['name']}-{row['port']}" for _, row in df_services.iterrows()}


def traffic(df, podips, services):
    """In [24] to In [26]; a label lacks the quotation marks and the names in it are in order."""
    df_nf = df[df.type == "NF"]
    keys = ["pod.name", "net.sip", "net.dip", "net.dport"]
    sums = ["flow.rops", "flow.rbytes", "flow.wops", "flow.wbytes"]
    df_rs_traffic = df_nf[df_nf["pod.ns"] == "robot-shop"].groupby(keys).agg(dict.fromkeys(sums, "sum")).reset_index()
    pod = {ip: f"POD {', '.join(sorted(names))}" for ip, names in podips.items()}
    table = []
    for row in rows(df_rs_traffic):
        _, sip, dip, dport, *_ = row
        type_source = ""
        if sip == "0.0.0.0":
            type_source = "localhost"
        elif sip == "127.0.0.1":
            type_source = "localhost"
        elif sip == "172.17.0.1":
            type_source = "docker network gateway"
        elif podips.get(sip):
            type_source = pod[sip]
        type_destination = ""
        if dip == "0.0.0.0":
            type_destination = "localhost"
        elif dip == "127.0.0.1":
            type_destination = "localhost"
        elif dip == "172.17.0.1":
            type_destination = "docker network gateway"
        elif podips.get(dip):
            type_destination = pod[dip]
        elif dport == 42699:
            type_destination = "instana agent"
        elif sip == dip:
            type_source = "local"
            type_destination = "local"
        else:
            service = services.get((dip, dport), "")
            if service != "":
                type_destination = f"SERVICE {service}"
            if dip == "10.96.0.10" and dport == 53:
                type_destination = "cluster DNS"
        table.append((*row, type_source or None, type_destination or None))
    return table
