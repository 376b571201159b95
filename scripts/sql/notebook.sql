-- The analysis of the notebook "SysFlow support for Kubernetes environments" as views. docs/cookbook.md shows each with
-- its result; `In [n]` is the notebook's cell.
--
-- One text for DuckDB and for Spark SQL. It presumes the dataset's tables in the current schema, as `sf-parquet schema
-- --format duckdb` or `--format spark` makes them. Spark has unnest since 4.3; for an older one write explode instead.
--
-- Missing is NULL, where the notebook has '' or NaN. Views of results come in order, except those of many rows.

-- ---------------------------------------------------------------------------------------------- what is known beforehand

-- The application that was installed: change this line to look at another one.
CREATE OR REPLACE VIEW application AS SELECT 'robot-shop' AS namespace;

-- In [25]: addresses that mean the same in every pod.
CREATE OR REPLACE VIEW known_addresses AS
SELECT * FROM (VALUES
  ('0.0.0.0', 'localhost'),
  ('127.0.0.1', 'localhost'),
  ('172.17.0.1', 'docker network gateway')
) AS known (ip, label);

-- ------------------------------------------------------------------------------------------------------ Kubernetes events

-- In [11]: what Kubernetes reported, by kind and action.
CREATE OR REPLACE VIEW ke_counts AS
SELECT kind, action, count(*) AS events
FROM k8s_events
GROUP BY kind, action
ORDER BY kind, action;

-- In [12], df_ke_ext: an event × item, and of a service × port. Each port has its own values; in the notebook the ports of
-- a service share one dict, so all of them show the last. Two more differences, which keep what it drops or leaves out:
-- * A headless service (clusterIP None) has its ports, too, without ip and iptype. The notebook has one row for it, without
--   port. It counts the same as long as such a service has one port.
-- * A service without ports keeps one row; so does an item with a clusterIP that is not a Service.
CREATE OR REPLACE VIEW k8s_items_expanded AS
SELECT
  i.trace_id, i.record_no, i.item_no, p.port_no,
  i.ts, i.ts_uts, i.action, i.k8s_kind, i.kind, i.type, i.name, i.namespace, i.uid, i.ts_item,
  i.ip, i.iptype, p.proto, p.port, p.target_port, p.portname, p.node_port,
  i.item, e.msg, e.msg_hash, e.node_id, e.node_ip, e.filename, e.schema
FROM k8s_items AS i
JOIN k8s_events AS e ON e.trace_id = i.trace_id AND e.record_no = i.record_no
LEFT JOIN k8s_service_ports AS p ON p.trace_id = i.trace_id AND p.record_no = i.record_no AND p.item_no = i.item_no;

-- In [13], df_ke_ext_sel: what was added and deleted of the application.
CREATE OR REPLACE VIEW robot_shop_events AS
SELECT x.*
FROM k8s_items_expanded AS x
JOIN application AS a ON a.namespace = x.name OR a.namespace = x.namespace
WHERE x.type IN ('ADDED', 'DELETED');

-- In [13]
CREATE OR REPLACE VIEW robot_shop_event_counts AS
SELECT kind, type, count(*) AS events
FROM robot_shop_events
GROUP BY kind, type
ORDER BY events DESC, kind, type;

-- In [4] and In [14]: what was done and what Kubernetes reported about it. `event` is the step, or the object's name.
CREATE OR REPLACE VIEW timeline AS
SELECT ts, ts_uts, 'experiment' AS source, cast(NULL AS STRING) AS kind, cast(NULL AS STRING) AS type, event
FROM experiment_events
WHERE NOT contains(event, 'waiting') AND NOT contains(event, 'starting')
UNION ALL
SELECT ts, ts_uts, 'kubernetes' AS source, kind, type, name AS event
FROM robot_shop_events
WHERE coalesce(port_no, 0) = 0
ORDER BY ts_uts, source, kind, type, event;

-- In [15]: the addresses in the events.
CREATE OR REPLACE VIEW ke_ips AS
SELECT DISTINCT kind, name, namespace, iptype, ip, proto, port, target_port, portname
FROM robot_shop_events
WHERE iptype IS NOT NULL
ORDER BY ip, kind, name, iptype, port, proto, portname, target_port, namespace;

-- In [16], podips: the names of the pods that had an address, by the events.
CREATE OR REPLACE VIEW ke_podips AS
SELECT ip, array_sort(array_agg(DISTINCT name)) AS pods
FROM ke_ips
WHERE iptype = 'podIP'
GROUP BY ip
ORDER BY ip;

-- ---------------------------------------------------------------------------------------------------- containers and pods

-- In [17]: containers by the pod that they belong to. The application's: WHERE contains(container_name, 'robot-shop').
CREATE OR REPLACE VIEW container_counts AS
SELECT container_name, container_id, container_image, pod_name, count(*) AS records
FROM records
WHERE container_name IS NOT NULL
GROUP BY container_name, container_id, container_image, pod_name
ORDER BY container_name, container_id, container_image, pod_name NULLS FIRST;

-- In [18]: when a container was seen, without its pod and with it. Mongodb's: WHERE contains(container_name, 'mongodb').
CREATE OR REPLACE VIEW container_life_cycle AS
SELECT container_name, container_id, pod_name, min_by(container_image, ts_uts) AS container_image,
  min(ts) AS first_seen, max(ts) AS last_seen
FROM records
WHERE container_name IS NOT NULL
GROUP BY container_name, container_id, pod_name
ORDER BY first_seen, container_name, container_id, pod_name NULLS FIRST;

-- In [19]: the pod of a container, once it is known.
CREATE OR REPLACE VIEW container_pods AS
SELECT DISTINCT container_name, pod_name
FROM records
WHERE pod_name IS NOT NULL
ORDER BY container_name, pod_name;

-- In [20]: when a pod of the application was seen, with which addresses.
CREATE OR REPLACE VIEW pod_ips AS
SELECT r.pod_name, r.pod_internalip, min(r.ts) AS first_seen, max(r.ts) AS last_seen
FROM records AS r
JOIN application AS a ON a.namespace = r.pod_ns
GROUP BY r.pod_name, r.pod_internalip
ORDER BY r.pod_name, first_seen;

-- In [21], podips: the names of the pods that had an address, by the events and by the pods themselves.
CREATE OR REPLACE VIEW podips AS
SELECT ip, array_sort(array_agg(DISTINCT name)) AS pods
FROM (
  SELECT ip, name FROM ke_ips WHERE iptype = 'podIP'
  UNION
  SELECT address.ip, pod_name AS name FROM pod_ips, LATERAL unnest(pod_internalip) AS address (ip)
) AS named
GROUP BY ip
ORDER BY ip;

-- ---------------------------------------------------------------------------------------------------- services and traffic

-- In [22], df_services: pod × service × port × cluster IP, of the pods that records refer to, in order of appearance. Each
-- row once; the notebook, which compares the whole of a pod's services, repeats a row when another service joins it.
CREATE OR REPLACE VIEW services AS
SELECT p.service_name, p.service_id, p.service_ns, p.port, p.target_port, p.node_port, p.proto, p.cluster_ip, p.pod_name,
  min(r.first_uts) AS first_uts
FROM pod_service_ports AS p
JOIN (
  SELECT r.trace_id, r.pod_no, min(r.ts_uts) AS first_uts
  FROM records AS r
  JOIN application AS a ON a.namespace = r.pod_ns
  GROUP BY r.trace_id, r.pod_no
) AS r ON r.trace_id = p.trace_id AND r.pod_no = p.record_no
WHERE p.port IS NOT NULL AND p.cluster_ip IS NOT NULL
GROUP BY p.service_name, p.service_id, p.service_ns, p.port, p.target_port, p.node_port, p.proto, p.cluster_ip, p.pod_name
ORDER BY first_uts, p.pod_name, p.service_name, min(p.port_no), min(p.cluster_ip_no), p.port, p.cluster_ip, p.service_id;

-- In [23], services: what stands behind an address and port, at last.
CREATE OR REPLACE VIEW service_names AS
SELECT cluster_ip, port, max_by(concat(service_name, '-', port), first_uts) AS service
FROM services
GROUP BY cluster_ip, port
ORDER BY min(first_uts), cluster_ip, port;

-- In [24] to In [26]: network flows of the application by pod, source, destination and port, and what is known of both
-- ends. The notebook shows those WHERE flow_rbytes > 0. An address that several pods had names all of them.
CREATE OR REPLACE VIEW network_traffic AS
WITH traffic AS (
  SELECT r.pod_name, r.net_sip, r.net_dip, r.net_dport,
    cast(sum(r.flow_rops) AS BIGINT) AS flow_rops, cast(sum(r.flow_rbytes) AS BIGINT) AS flow_rbytes,
    cast(sum(r.flow_wops) AS BIGINT) AS flow_wops, cast(sum(r.flow_wbytes) AS BIGINT) AS flow_wbytes
  FROM records AS r
  JOIN application AS a ON a.namespace = r.pod_ns
  WHERE r.type = 'NF'
  GROUP BY r.pod_name, r.net_sip, r.net_dip, r.net_dport
)
SELECT t.pod_name, t.net_sip, t.net_dip, t.net_dport, t.flow_rops, t.flow_rbytes, t.flow_wops, t.flow_wbytes,
  CASE
    WHEN known_source.ip IS NOT NULL THEN known_source.label
    WHEN pod_source.ip IS NOT NULL THEN concat('POD ', concat_ws(', ', pod_source.pods))
    WHEN t.net_sip = t.net_dip AND t.net_dport <> 42699 THEN 'local'
  END AS type_source,
  CASE
    WHEN known_target.ip IS NOT NULL THEN known_target.label
    WHEN pod_target.ip IS NOT NULL THEN concat('POD ', concat_ws(', ', pod_target.pods))
    WHEN t.net_dport = 42699 THEN 'instana agent'
    WHEN t.net_sip = t.net_dip THEN 'local'
    WHEN t.net_dip = '10.96.0.10' AND t.net_dport = 53 THEN 'cluster DNS'
    WHEN s.service IS NOT NULL THEN concat('SERVICE ', s.service)
  END AS type_destination
FROM traffic AS t
LEFT JOIN known_addresses AS known_source ON known_source.ip = t.net_sip
LEFT JOIN known_addresses AS known_target ON known_target.ip = t.net_dip
LEFT JOIN podips AS pod_source ON pod_source.ip = t.net_sip
LEFT JOIN podips AS pod_target ON pod_target.ip = t.net_dip
LEFT JOIN service_names AS s ON s.cluster_ip = t.net_dip AND s.port = t.net_dport
ORDER BY t.pod_name, t.net_sip, t.net_dip, t.net_dport;
