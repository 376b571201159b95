"""The notebook's analysis as SQL (scripts/sql/notebook.sql): the same in DuckDB, in Spark and by the notebook's own code.

Three experiments: testdata/, which is like the notebook's; the real traces with Kubernetes in SF_PARQUET_TRACES; and
`corners`, which has what neither has, made here.
"""

import datetime
import json
import re
import sys
from collections import Counter
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import fastavro
import notebook
import pytest
import synthetic
from conftest import NO_TRACES, REPO, SQL, TESTDATA, TRACES, run_statements

sys.path.append(str(REPO / "scripts"))
import cookbook

NOTEBOOK_SQL = (SQL / "notebook.sql").read_text()
VIEWS = re.findall(r"^CREATE OR REPLACE VIEW (\w+)", NOTEBOOK_SQL, re.MULTILINE)
ORDERED = {
    re.search(r"^CREATE OR REPLACE VIEW (\w+)", statement, re.MULTILINE)[1]
    for statement in NOTEBOOK_SQL.split(";\n")
    if statement.strip().rpartition("\n")[2].startswith("ORDER BY")
}


# --------------------------------------------------------------------------------------------- the corners' trace


def address(text):
    """As in a trace: the lowest byte first."""
    return int.from_bytes(IPv4Address(text).packed, "little")


def pod(name, *ips, services=(), ns="robot-shop"):
    return synthetic.pod(name, list(services), namespace=ns, internalIP=[address(ip) for ip in ips])


def service(name, ports, *ips):
    return synthetic.service(name, ports, [address(ip) for ip in ips])


def message(kind, what, *items):
    text = json.dumps({"apiVersion": "v1", "items": items, "kind": kind, "type": what}, separators=(",", ":"))
    return synthetic.kubernetes(text + "\n\0", kind="K8S_SERVICES" if kind == "Service" else "K8S_PODS")


def item(name, namespace="robot-shop", ports=None, **more):
    if ports is not None:
        more["ports"] = [{"name": f"p{p}", "port": p, "protocol": "TCP", "targetPort": p + 1} for p in ports]
    return {"name": name, "namespace": namespace, "timestamp": "2022-03-17T18:48:40Z"} | more


FLOWS = {
    # source, destination, port: what the notebook says of them
    ("0.0.0.0", "127.0.0.1", 80): ("localhost", "localhost"),
    ("172.17.0.1", "10.1.0.1", 27017): ("docker network gateway", "POD pod-a, pod-b"),
    ("10.1.0.1", "172.17.0.1", 42699): ("POD pod-a, pod-b", "docker network gateway"),
    ("10.1.0.2", "10.9.0.1", 42699): ("POD pod-b", "instana agent"),
    ("10.9.0.9", "10.9.0.9", 80): ("local", "local"),
    ("10.9.0.9", "10.9.0.9", 42699): (None, "instana agent"),
    ("10.1.0.1", "10.1.0.1", 4369): ("POD pod-a, pod-b", "POD pod-a, pod-b"),
    ("10.1.0.2", "10.96.0.10", 53): ("POD pod-b", "cluster DNS"),
    ("10.1.0.2", "10.96.0.10", 9153): ("POD pod-b", "SERVICE dns-9153"),
    ("10.1.0.2", "10.96.0.10", 54): ("POD pod-b", None),
    ("10.1.0.2", "10.96.1.1", 27017): ("POD pod-b", "SERVICE db-27017"),
    ("10.1.0.2", "10.96.1.2", 27017): ("POD pod-b", "SERVICE db-27017"),
    ("10.1.0.2", "10.96.1.1", 80): ("POD pod-b", None),
    ("10.1.0.2", "10.96.1.5", 80): ("POD pod-b", "SERVICE later-80"),
    ("10.1.0.9", "10.1.0.8", 80): (None, "POD only-in-events"),
    ("10.1.0.7", "10.1.0.6", 80): (None, None),
}


def corners(folder):
    """Services that grow and share addresses, pods that share addresses, headless and empty services, every label."""
    db, dns = service("db", [27017], "10.96.1.1", "10.96.1.2"), service("dns", [53, 9153], "10.96.0.10")
    headless, empty = service("headless", [80], *()), service("empty", [], "10.96.1.9")
    names = {name: f"k8s_{name}_robot-shop" for name in ("a", "b", "c", "mongodb")}
    entities = [
        *(synthetic.container(n, f"pod-{n}", name=name) for n, name in names.items()),
        *(synthetic.process(pid, containerId=n) for pid, n in enumerate(names, 1)),
        synthetic.process(5),
    ]
    flows = []
    for i, (sip, dip, dport) in enumerate(FLOWS):
        ends = {"sip": signed(sip), "dip": signed(dip), "dport": dport, "ts": synthetic.T + 10_000 * i}
        counts = {"numRRecvOps": i, "numRRecvBytes": 10**12, "numWSendOps": 1, "numWSendBytes": 2}
        # Twice, by two processes of pods of two addresses: sums, and rows per pod.
        flows += [synthetic.network_flow(pid, **ends, **counts) for pid in (2, 2, 3, 5)]
    events = [
        message("Namespace", "ADDED", item("robot-shop", None)),
        message("Pod", "ADDED", item("only-in-events", podIP="10.1.0.8", hostIP="10.0.0.1"), item("waits")),
        message("Pod", "MODIFIED", item("only-modified", podIP="10.1.0.7")),
        message("Pod", "ADDED", item("elsewhere", "default", podIP="10.1.0.6")),
        message("Pod", "DELETED", item("on-host", podIP=None, hostIP="10.0.0.1")),
        message("Service", "ADDED", item("many", ports=[5672, 15672, 4369], clusterIP="10.96.1.3"), item("one", ports=[80], clusterIP="10.96.1.4")),
        message("Service", "DELETED", item("headless", ports=[80, 81], clusterIP="None"), item("empty", ports=[], clusterIP="10.96.1.9")),
        message("Endpoints", "ADDED", item("no service", ports=[], clusterIP="10.96.1.9")),
        message("ReplicationController", "ADDED"),
    ]  # fmt: skip
    records = [
        synthetic.header(),
        # A container of the application is seen before its pod is known.
        *entities,
        *(synthetic.process_event(pid, ts=synthetic.T - 1000) for pid in range(1, 6)),
        pod("pod-a", "10.1.0.1", services=[db]),
        pod("pod-b", "10.1.0.2", "10.1.0.1", services=[db, headless, dns, empty]),
        pod("pod-c", "10.1.0.9", services=[service("other", [80], "10.96.1.5")], ns="kube-system"),
        pod("pod-mongodb", services=[service("early", [80], "10.96.1.5")]),
        *(synthetic.process_event(pid) for pid in range(1, 6)),
        *flows,
        # Another service joins: the notebook repeats what was there. And an address passes to another service.
        pod("pod-a", "10.1.0.1", services=[db, service("late", [81], "10.96.1.6")]),
        pod("pod-mongodb", "10.1.0.4", services=[service("later", [80], "10.96.1.5")]),
        *(synthetic.process_event(pid, ts=synthetic.T + synthetic.SECOND) for pid in range(1, 6)),
        *events,
    ]
    with open(folder / "corners.sf", "wb") as out:
        fastavro.writer(out, synthetic.schema(), ({"rec": record} for record in records), codec="deflate")
    return [folder / "corners.sf"]


def signed(ip):
    return int.from_bytes(IPv4Address(ip).packed, "little", signed=True)


# ---------------------------------------------------------------------------------------------- the three experiments


def samples(folder):
    """The real trace with pods, and one made from the real messages."""
    if not TRACES.is_dir():
        pytest.skip(NO_TRACES)
    schema = json.loads((TRACES / "SysFlow_v5.avsc").read_text())
    header = {"version": 4, "exporter": "minikube", "ip": "192.168.59.100", "filename": "messages"}
    records = [("sysflow.entity.SFHeader", header)]
    for line in (TRACES / "k8s_messages.jsonl").read_text().splitlines():
        event = json.loads(line)
        time = datetime.datetime.fromisoformat(event.pop("ts")).replace(tzinfo=datetime.timezone.utc)
        event["ts"] = int(time.timestamp()) * 10**9 + time.microsecond * 1000
        records.append(("sysflow.event.K8sEvent", event))
    with open(folder / "messages.sf", "wb") as out:
        fastavro.writer(out, schema, ({"rec": record} for record in records))
    return [TRACES / "v4_k8s.sf", folder / "messages.sf"]


def robot_shop(folder):
    files = cookbook.traces()
    if not files:
        pytest.skip(f"NO TEST DATA: {TESTDATA} has no experiment")
    return files


@dataclass
class Experiment:
    name: str
    files: list
    duck: object
    spark: object
    frame: object

    def query(self, sql):
        """The rows of a query, the same from both engines; if they have no order, put into one."""
        in_duck = self.duck.execute(sql)
        names, rows = [c[0] for c in in_duck.description], plain_rows(in_duck.fetchall())
        in_spark = self.spark.sql(sql)
        assert in_spark.columns == names
        spark_rows = plain_rows(in_spark.collect())
        if "ORDER BY" not in sql and re.search(r"\bFROM (\w+)", sql)[1] not in ORDERED:
            rows, spark_rows = in_order(rows), in_order(spark_rows)
        assert spark_rows == rows
        return rows

    def view(self, view, columns="*", where="true"):
        return self.query(f"SELECT {columns} FROM {view} WHERE {where}")


def plain_rows(rows):
    return [tuple(map(plain, row)) for row in rows]


def plain(value):
    """Times as UTC text; lists as tuples."""
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).replace(tzinfo=None).isoformat(timespec="microseconds")
    return tuple(value) if isinstance(value, list) else value


def in_order(rows):
    return sorted(rows, key=lambda row: [(value is not None, str(value)) for value in row])


@pytest.fixture(scope="module", params=[robot_shop, samples, corners], ids=lambda make: make.__name__)
def experiment(request, sf_parquet, spark, tmp_path_factory):
    import duckdb

    name = request.param.__name__
    folder = tmp_path_factory.mktemp(name)
    files = request.param(folder)
    log = folder / "experiment.log"
    log.write_text(cookbook.LOG.read_text() if cookbook.LOG.exists() else EXPERIMENT_LOG)
    sf_parquet("convert", *files, "--out", folder / "dataset", "--experiment-log", log, "--quiet")

    duck = duckdb.connect()
    duck.execute(sf_parquet("schema", "--format", "duckdb", "--location", folder / "dataset"))
    duck.execute(NOTEBOOK_SQL)

    session = spark.newSession()
    session.sql(f"CREATE DATABASE notebook_{name}")
    session.sql(f"USE notebook_{name}")
    run_statements(session, sf_parquet("schema", "--format", "spark", "--location", folder / "dataset"))
    run_statements(session, NOTEBOOK_SQL)
    yield Experiment(name, files, duck, session, notebook.read(files))
    duck.close()


EXPERIMENT_LOG = """\
2022-03-17 18:48:40,736 main INFO     ----- starting experiment
2022-03-17 18:48:40,991 main INFO     ... waiting for 60 seconds
2022-03-17 18:49:41,047 main INFO     ----- install robot shop
NAME: robot-shop
2022-03-17 19:30:50,346 main INFO     ----- experiment ends
"""


# ------------------------------------------------------------------------------------------------ in DuckDB and Spark


def test_there_are_all_views():
    wanted = """ke_counts k8s_items_expanded robot_shop_events robot_shop_event_counts timeline ke_ips ke_podips
        container_counts container_life_cycle container_pods pod_ips podips services service_names network_traffic"""
    assert set(wanted.split()) <= set(VIEWS)
    assert set(VIEWS) - ORDERED == {"application", "known_addresses", "k8s_items_expanded", "robot_shop_events"}


@pytest.mark.parametrize("view", VIEWS)
def test_duckdb_and_spark_agree(experiment, view):
    assert experiment.view(view), "empty: nothing was compared"


def test_older_spark_says_explode(experiment):
    """The comment in notebook.sql on Spark without unnest."""
    statement = next(s for s in NOTEBOOK_SQL.split(";\n") if "unnest(" in s and "VIEW podips" in s)
    query = statement.partition(" AS\n")[2]
    assert query.count("unnest(") == 1 == NOTEBOOK_SQL.count("unnest(")
    rows = experiment.spark.sql(query.replace("unnest(", "explode(")).collect()
    assert plain_rows(rows) == experiment.view("podips")


# ---------------------------------------------------------------------------------------------- by the notebook's code


def assert_same(ours, theirs):
    assert Counter(ours) == Counter(theirs)


def assert_same_but_for_a_microsecond(ours, theirs):
    """The reference takes times through floats. Times are the last two columns; without them a row is unique."""
    ours, theirs = in_order(ours), in_order(theirs)
    assert [row[:-2] for row in ours] == [row[:-2] for row in theirs]
    for our, their in zip(ours, theirs):
        for a, b in zip(our[-2:], their[-2:]):
            off = datetime.datetime.fromisoformat(a) - datetime.datetime.fromisoformat(b)
            assert abs(off) <= datetime.timedelta(microseconds=1), (our, their)


def podips_of(rows):
    return {ip: set(pods) for ip, pods in rows}


def test_ke_counts(experiment):
    df_ke = notebook.kubernetes_events(experiment.frame)
    assert experiment.view("ke_counts") == notebook.ke_counts(df_ke)


KE_COLUMNS = """ts_uts, action, k8s_kind, kind, type, name, namespace, ts_item, ip, iptype, proto, port, target_port,
    portname, node_port"""


def with_target_as_text(rows):
    return [(*row[:12], None if row[12] is None else str(row[12]), *row[13:]) for row in rows]


def test_k8s_items_expanded(experiment):
    df_ke = notebook.kubernetes_events(experiment.frame)
    ours = experiment.view("k8s_items_expanded", KE_COLUMNS)
    assert_same(ours, with_target_as_text(notebook.ke_rows(notebook.expand(df_ke))))


def test_where_the_notebook_is_wrong(experiment):
    """What its own code gives follows from ours: the last port in place of every port of a service, and rows dropped."""
    df_ke = notebook.kubernetes_events(experiment.frame)
    theirs = with_target_as_text(notebook.ke_rows(notebook.expand(df_ke, corrected=False)))
    keys = "trace_id, record_no, item_no"
    items = {}
    for *key, no, row in (
        (*r[:4], r[4:]) for r in experiment.view("k8s_items_expanded", f"{keys}, port_no, {KE_COLUMNS}")
    ):
        items.setdefault(tuple(key), {})[no] = row
    expected = []
    for ports in items.values():
        last = ports[max(ports, key=lambda no: -1 if no is None else no)]
        kind, iptype = last[3], last[9]
        if iptype == "clusterIP" and (kind != "Service" or None in ports):
            continue
        if iptype is None:
            expected.append((*last[:10], None, None, None, None, None))
        else:
            expected += [last] * len(ports)
    assert_same(expected, theirs)


def test_robot_shop_events(experiment):
    selected = notebook.select(notebook.expand(notebook.kubernetes_events(experiment.frame)))
    assert_same(
        experiment.view("robot_shop_events", KE_COLUMNS), with_target_as_text(notebook.ke_rows(selected))
    )
    assert_same(experiment.view("robot_shop_event_counts"), notebook.selected_counts(selected))


def test_addresses_in_events(experiment):
    selected = notebook.select(notebook.expand(notebook.kubernetes_events(experiment.frame)))
    ips = notebook.ips(selected)
    theirs = [(*row[:7], None if row[7] is None else str(row[7]), row[8]) for row in notebook.rows(ips)]
    ours = experiment.view("ke_ips")
    assert_same(ours, theirs)
    assert [row[4] for row in ours] == sorted(row[4] for row in ours)
    podips = notebook.ke_podips(ips)
    assert podips_of(experiment.view("ke_podips")) == podips
    podips = notebook.add_podips(podips, notebook.of_robot_shop(experiment.frame))
    assert podips_of(experiment.view("podips")) == podips


def test_containers_and_pods(experiment):
    part = "contains(container_name, 'robot-shop')"
    ours = experiment.view("container_counts", where=part)
    assert_same(ours, notebook.container_counts(experiment.frame, "robot-shop"))
    assert_same(experiment.view("container_pods"), notebook.container_pods(experiment.frame))


IS_MONGODB = "contains(container_name, 'mongodb')"


def test_life_cycle(experiment):
    ours = experiment.view("container_life_cycle", where=IS_MONGODB)
    assert ours == sorted(ours, key=lambda row: row[4])
    assert_same_but_for_a_microsecond(ours, notebook.container_life_cycle(experiment.frame, "mongodb"))


def test_pod_ips(experiment):
    df_rs = notebook.of_robot_shop(experiment.frame)
    assert_same_but_for_a_microsecond(experiment.view("pod_ips"), notebook.pod_ips(df_rs))


def test_services(experiment):
    df_services = notebook.services(notebook.of_robot_shop(experiment.frame))
    theirs = notebook.rows(df_services)
    columns = "service_name, service_id, service_ns, port, target_port, node_port, proto, cluster_ip, pod_name"
    ours = experiment.view("services", columns)
    assert_same(ours, set(theirs))
    if experiment.name == "corners":
        assert len(theirs) > len(set(theirs)), "pod-a's services are there to show that the notebook repeats them"
    else:
        assert len(theirs) == len(ours)
    names = {(ip, port): name for ip, port, name in experiment.view("service_names")}
    assert names == notebook.service_names(df_services)


def test_network_traffic(experiment):
    frame = experiment.frame
    df_rs = notebook.of_robot_shop(frame)
    ips = notebook.ips(notebook.select(notebook.expand(notebook.kubernetes_events(frame))))
    podips = notebook.add_podips(notebook.ke_podips(ips), df_rs)
    names = notebook.service_names(notebook.services(df_rs))
    assert experiment.view("network_traffic") == sorted(notebook.traffic(frame, podips, names))
    if experiment.name == "corners":
        labels = experiment.view("network_traffic", "net_sip, net_dip, net_dport, type_source, type_destination")
        assert {row[:3]: row[3:] for row in labels} == FLOWS


def test_timeline(experiment):
    rows = [row[1:] for row in experiment.view("timeline")]
    done = [row[4] for row in rows if row[1] == "experiment"]
    assert "install robot shop" in done and done[-1] == "experiment ends"
    assert not [event for event in done if "waiting" in event or "starting" in event]
    items = experiment.view("robot_shop_events", "ts_uts, kind, type, name", "coalesce(port_no, 0) = 0")
    assert_same([(row[0], *row[2:]) for row in rows if row[1] == "kubernetes"], items)
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)


# ---------------------------------------------------------------------------------------- what the notebook has printed

PRINTED_KE_COUNTS = {
    ("K8S_NAMESPACES", "K8S_COMPONENT_ADDED"): 13,
    ("K8S_NAMESPACES", "K8S_COMPONENT_DELETED"): 1,
    ("K8S_NAMESPACES", "K8S_COMPONENT_MODIFIED"): 3,
    ("K8S_NODES", "K8S_COMPONENT_ADDED"): 3,
    ("K8S_NODES", "K8S_COMPONENT_MODIFIED"): 9,
    ("K8S_PODS", "K8S_COMPONENT_ADDED"): 24,
    ("K8S_PODS", "K8S_COMPONENT_DELETED"): 15,
    ("K8S_PODS", "K8S_COMPONENT_MODIFIED"): 77,
    ("K8S_REPLICATIONCONTROLLERS", "K8S_COMPONENT_ADDED"): 1,
    ("K8S_SERVICES", "K8S_COMPONENT_ADDED"): 15,
    ("K8S_SERVICES", "K8S_COMPONENT_DELETED"): 12,
}
PRINTED_SELECTION = {
    ("Pod", "ADDED"): 15,
    ("Pod", "DELETED"): 15,
    ("Service", "ADDED"): 14,
    ("Service", "DELETED"): 14,
    ("Namespace", "ADDED"): 2,
    ("Namespace", "DELETED"): 1,
}
PRINTED_MONGODB = [
    ("cd4ea3f3e8ae", None, "2022-03-17T18:50:01.173124", "2022-03-17T18:50:14.874146"),
    ("cd4ea3f3e8ae", "mongodb-67c5456f4-d4bgv", "2022-03-17T18:50:01.276773", "2022-03-17T19:04:48.912214"),
    ("9d90554ce0a6", None, "2022-03-17T19:04:49.484837", "2022-03-17T19:04:49.485062"),
    ("4269f06be75a", None, "2022-03-17T19:04:55.566971", "2022-03-17T19:05:13.797194"),
    ("4269f06be75a", "mongodb-67c5456f4-ddhnf", "2022-03-17T19:04:55.568221", "2022-03-17T19:20:39.186520"),
    ("a1397d34b86e", None, "2022-03-17T19:20:40.328251", "2022-03-17T19:20:40.328324"),
]
PRINTED_LOG = [
    ("2022-03-17T18:48:40.736000", "starting experiment"),
    ("2022-03-17T18:48:40.736000", "create project robot-shop"),
    ("2022-03-17T18:48:40.991000", "waiting for 60s"),
    ("2022-03-17T18:49:41.047000", "install robot shop"),
    ("2022-03-17T18:49:42.531000", "waiting for 900s"),
    ("2022-03-17T19:04:47.423000", "kill container mongodb"),
    ("2022-03-17T19:04:53.940000", "waiting for 300s"),
    ("2022-03-17T19:09:53.947000", "kill container web"),
    ("2022-03-17T19:10:02.620000", "waiting for 300s"),
    ("2022-03-17T19:15:02.660000", "kill container user"),
    ("2022-03-17T19:15:36.016000", "waiting for 300s"),
    ("2022-03-17T19:20:36.117000", "delete robot shop"),
    ("2022-03-17T19:20:37.534000", "waiting for 300s"),
    ("2022-03-17T19:25:37.627000", "delete project robot-shop"),
    ("2022-03-17T19:25:50.305000", "waiting for 300s"),
    ("2022-03-17T19:30:50.346000", "experiment ends"),
]
# It prints the first ten rows, and rabbitmq with tcp-epmd only.
PRINTED_IPS = {
    ("shipping", "10.103.83.70", 8080, "http"),
    ("ratings", "10.104.84.135", 80, "http"),
    ("user", "10.105.106.134", 8080, "http"),
    ("mysql", "10.107.7.181", 3306, "mysql"),
    ("payment", "10.108.220.250", 8080, "http"),
    ("mongodb", "10.109.105.252", 27017, "mongo"),
    ("cart", "10.109.213.103", 8080, "http"),
    ("rabbitmq", "10.109.218.161", 4369, "tcp-epmd"),
    ("redis", "10.111.214.104", 6379, "redis"),
    ("catalogue", "10.96.58.129", 8080, "http"),
}
PRINTED_KE_PODIPS = {
    "172.17.0.10": {"mysql-6d778f4c8f-4bcr7"},
    "172.17.0.11": {"shipping-7f6dfbf46f-94trr"},
    "172.17.0.12": {"ratings-7ccf67b49f-6qckr"},
    "172.17.0.13": {"dispatch-69b65d89b9-4lgl7"},
    "172.17.0.14": {"payment-5465d9cc79-8ln4b"},
    "172.17.0.15": {"redis-0"},
    "172.17.0.4": {"catalogue-998b69bc9-bfnr7"},
    "172.17.0.5": {"rabbitmq-785b678f74-mhhtg"},
    "172.17.0.6": {"user-899b6c7ff-c7wnj"},
    "172.17.0.8": {"cart-7d7745696b-qgb99"},
    "172.17.0.9": {"mongodb-67c5456f4-d4bgv", "web-77486f858f-jnf9r"},
}
PRINTED_POD_IPS = {
    ("catalogue-998b69bc9-bfnr7", ("172.17.0.4",), "2022-03-17T18:49:59.867636", "2022-03-17T19:21:08.694894"),
    ("dispatch-69b65d89b9-4lgl7", ("172.17.0.13",), "2022-03-17T18:50:02.550097", "2022-03-17T19:21:08.963347"),
    ("mongodb-67c5456f4-d4bgv", ("172.17.0.9",), "2022-03-17T18:50:01.276773", "2022-03-17T19:04:48.912214"),
    ("mongodb-67c5456f4-ddhnf", ("172.17.0.16",), "2022-03-17T19:04:55.568221", "2022-03-17T19:20:39.186520"),
    ("mysql-6d778f4c8f-4bcr7", ("172.17.0.10",), "2022-03-17T18:50:01.452982", "2022-03-17T19:20:41.989241"),
    ("payment-5465d9cc79-8ln4b", ("172.17.0.14",), "2022-03-17T18:51:37.241520", "2022-03-17T19:21:09.370607"),
    ("rabbitmq-785b678f74-mhhtg", ("172.17.0.5",), "2022-03-17T18:51:01.009719", "2022-03-17T19:21:09.582437"),
    ("ratings-7ccf67b49f-6qckr", ("172.17.0.12",), "2022-03-17T18:50:02.401834", "2022-03-17T19:20:40.260521"),
    ("redis-0", ("172.17.0.15",), "2022-03-17T18:50:02.520990", "2022-03-17T19:20:37.733984"),
    ("shipping-7f6dfbf46f-94trr", ("172.17.0.11",), "2022-03-17T18:50:02.571352", "2022-03-17T19:20:40.710991"),
}
# Ten rows are printed; of the last service, payment, the row is left out.
PRINTED_SERVICES = {
    ("redis", "81bc1a3e-f067-4b37-a077-54061050c1cb", 6379, "10.111.214.104", "redis-0"),
    ("mongodb", "09131df1-404c-4a02-bba2-ebe1e4393caa", 27017, "10.109.105.252", "mongodb-67c5456f4-d4bgv"),
    ("user", "f1686819-1201-4e1b-8d99-8579007104de", 8080, "10.105.106.134", "user-899b6c7ff-c7wnj"),
    ("catalogue", "d34b8f78-0865-4b54-a600-c011fe449545", 8080, "10.96.58.129", "catalogue-998b69bc9-bfnr7"),
    ("shipping", "e11145c8-1fe9-4f2d-a9a0-07d039d519ff", 8080, "10.103.83.70", "shipping-7f6dfbf46f-94trr"),
    ("ratings", "1f438794-721a-4641-8643-8964cba70095", 80, "10.104.84.135", "ratings-7ccf67b49f-6qckr"),
    ("mysql", "d92b4e08-03bf-49a5-954b-026f7744482e", 3306, "10.107.7.181", "mysql-6d778f4c8f-4bcr7"),
    ("rabbitmq", "9a209f55-ed6f-4224-b6d3-2a056f9c7783", 5672, "10.109.218.161", "rabbitmq-785b678f74-mhhtg"),
    ("rabbitmq", "9a209f55-ed6f-4224-b6d3-2a056f9c7783", 15672, "10.109.218.161", "rabbitmq-785b678f74-mhhtg"),
    ("rabbitmq", "9a209f55-ed6f-4224-b6d3-2a056f9c7783", 4369, "10.109.218.161", "rabbitmq-785b678f74-mhhtg"),
}
PRINTED_SERVICE_NAMES = {
    ("10.111.214.104", 6379): "redis-6379",
    ("10.109.105.252", 27017): "mongodb-27017",
    ("10.105.106.134", 8080): "user-8080",
    ("10.96.58.129", 8080): "catalogue-8080",
    ("10.103.83.70", 8080): "shipping-8080",
    ("10.104.84.135", 80): "ratings-80",
    ("10.107.7.181", 3306): "mysql-3306",
    ("10.109.218.161", 5672): "rabbitmq-5672",
    ("10.109.218.161", 15672): "rabbitmq-15672",
    ("10.109.218.161", 4369): "rabbitmq-4369",
    ("10.108.220.250", 8080): "payment-8080",
}
GATEWAY = "docker network gateway"
CATALOGUE, DISPATCH, MYSQL = "catalogue-998b69bc9-bfnr7", "dispatch-69b65d89b9-4lgl7", "mysql-6d778f4c8f-4bcr7"
MONGODB, MONGODB_2 = "mongodb-67c5456f4-d4bgv", "mongodb-67c5456f4-ddhnf"
RABBITMQ, WEB_2 = "rabbitmq-785b678f74-mhhtg", "web-77486f858f-jnf9r"
PRINTED_TRAFFIC = [
    (CATALOGUE, "172.17.0.4", "10.109.105.252", 27017, 359, 108558, 1069, 18992, f"POD {CATALOGUE}", "SERVICE mongodb-27017"),
    (CATALOGUE, "172.17.0.4", "10.96.0.10", 53, 148, 16136, 148, 6452, f"POD {CATALOGUE}", "cluster DNS"),
    (DISPATCH, "172.17.0.13", "10.109.218.161", 5672, 473, 2469, 123, 1287, f"POD {DISPATCH}", "SERVICE rabbitmq-5672"),
    (DISPATCH, "172.17.0.13", "10.96.0.10", 53, 2779, 180224, 1408, 77440, f"POD {DISPATCH}", "cluster DNS"),
    (MONGODB, "172.17.0.1", "172.17.0.9", 27017, 921, 18316, 344, 104606, GATEWAY, f"POD {MONGODB}, {WEB_2}"),
    (MONGODB_2, "172.17.0.1", "172.17.0.16", 27017, 1026, 19986, 372, 113133, GATEWAY, f"POD {MONGODB_2}"),
    (MYSQL, "172.17.0.1", "172.17.0.10", 3306, 4135, 64937, 1161, 73956, GATEWAY, f"POD {MYSQL}"),
    (RABBITMQ, "127.0.0.1", "127.0.0.1", 4369, 35, 470, 24, 470, "localhost", "localhost"),
    (RABBITMQ, "172.17.0.1", "172.17.0.5", 5672, 245, 1287, 236, 2469, GATEWAY, f"POD {RABBITMQ}"),
    (RABBITMQ, "172.17.0.5", "172.17.0.5", 4369, 39, 375, 27, 375, f"POD {RABBITMQ}", f"POD {RABBITMQ}"),
]  # fmt: skip


@pytest.mark.parametrize("experiment", [robot_shop], indirect=True, ids=["robot_shop"])
def test_what_the_notebook_has_printed(experiment):
    view = experiment.view
    assert {row[:2]: row[2] for row in view("ke_counts")} == PRINTED_KE_COUNTS
    assert {row[:2]: row[2] for row in view("robot_shop_event_counts")} == PRINTED_SELECTION
    log = experiment.query("SELECT ts, event FROM experiment_events ORDER BY line_no")
    assert log == PRINTED_LOG
    ips = view("ke_ips", "name, ip, port, portname", "iptype = 'clusterIP'")
    assert set(ips) == PRINTED_IPS | {
        ("rabbitmq", "10.109.218.161", 5672, "tcp-amqp"),
        ("rabbitmq", "10.109.218.161", 15672, "http-management"),
        ("web", "10.99.3.147", 8080, "http"),
    }
    assert podips_of(view("ke_podips")) == PRINTED_KE_PODIPS
    pods = podips_of(view("podips"))
    assert pods["172.17.0.9"] == {MONGODB, WEB_2} and pods["172.17.0.16"] == {MONGODB_2}
    life = view("container_life_cycle", "container_id, pod_name, first_seen, last_seen", IS_MONGODB)
    assert life == PRINTED_MONGODB
    assert PRINTED_POD_IPS <= set(view("pod_ips"))
    services = view("services", "service_name, service_id, port, cluster_ip, pod_name")
    assert len(services) == 11 and set(services[:-1]) == PRINTED_SERVICES and services[-1][0] == "payment"
    assert {row[:2]: row[2] for row in view("service_names")} == PRINTED_SERVICE_NAMES
    assert view("network_traffic", where="flow_rbytes > 0") == PRINTED_TRAFFIC


@pytest.mark.parametrize("experiment", [robot_shop], indirect=True, ids=["robot_shop"])
def test_rabbitmq_has_three_ports(experiment):
    """In the notebook it has the last of them three times."""
    ours = experiment.view("k8s_items_expanded", "port", "name = 'rabbitmq' AND type = 'ADDED' ORDER BY port_no")
    assert ours == [(5672,), (15672,), (4369,)]
    theirs = notebook.expand(notebook.kubernetes_events(experiment.frame), corrected=False)
    theirs = theirs[(theirs.name == "rabbitmq") & (theirs.typ == "ADDED")]
    assert list(theirs.port) == [4369, 4369, 4369]


@pytest.mark.parametrize("experiment", [robot_shop], indirect=True, ids=["robot_shop"])
def test_the_cookbook_is_true(experiment):
    """Run scripts/cookbook.py to write the results anew."""
    page = cookbook.PAGE.read_text()
    assert cookbook.fill(page, experiment.duck) == page
    queries = cookbook.queries(page)
    shown = set(re.findall(r"\bFROM (\w+)", "\n".join(queries)))
    assert set(VIEWS) - {"application", "known_addresses"} <= shown
    for sql in queries:
        assert experiment.query(sql), sql
