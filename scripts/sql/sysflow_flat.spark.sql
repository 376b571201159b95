-- sysflow_flat: the 75 attributes of the Python reference (SFFormatter._flatten of sysflow-tools 0.6.1), under their
-- dotted names and in its order, then trace_id, record_no and date to sort, join and prune by. A row is one of records.
--
-- For Spark SQL.
-- It presumes the dataset's tables in the current schema, as `sf-parquet schema --format duckdb` or `spark` makes them:
-- records, processes, pod_service_ports. The views for DuckDB and Spark differ in how names are quoted and between the
-- lines that say "dialect"; a test keeps it so.
--
-- Values are the reference's: '' where it has '', NULL where it has None. In particular:
-- * Numbers that it has or leaves out (None) are numbers. Where it mixes numbers or booleans with '' in one column, the
--   column is text, as str() prints the value: opflags_bitmap, proc.tty, proc.entry, pproc.createts, file.fd,
--   file.openflags, net.proto, container.privileged ('True' or 'False'), schema.
-- * pod.hostip, pod.internalip, pod.services and tags, lists in the reference, are JSON text.
-- * ts and endts are datetime.isoformat(): microseconds, floored, left out if they are 0. The reference takes them
--   through a float and can be a microsecond off. They do not depend on the session's time zone.
-- * k8s.msg lacks the newline and NUL that the collector puts at its end.
-- Where the reference fails (old layouts, NetworkEvents, invalid UTF-8), there are the values that it ought to give.
CREATE OR REPLACE VIEW sysflow_flat AS
-- dialect: from here
WITH times AS (
  SELECT *,
    cast(timestampadd(MICROSECOND, unix_micros(ts), TIMESTAMP_NTZ '1970-01-01') AS STRING) AS ts_text,
    cast(timestampadd(MICROSECOND, unix_micros(endts), TIMESTAMP_NTZ '1970-01-01') AS STRING) AS endts_text
  FROM records
),
environments AS (
  SELECT trace_id, record_no, array_join(filter(env, e -> e <> '' AND e <> '='), ';') AS env
  FROM processes
),
service AS (
  SELECT trace_id, record_no, service_no,
    named_struct(
      'name', any_value(service_name), 'id', any_value(service_id), 'namespace', any_value(service_ns),
      'portList', transform(
        array_sort(collect_list(struct(port_no AS no, port, target_port, node_port, proto))
          FILTER (WHERE port_no IS NOT NULL AND coalesce(cluster_ip_no, 0) = 0)),
        p -> named_struct('port', p.port, 'targetPort', p.target_port, 'nodePort', p.node_port, 'proto', p.proto)),
      'clusterIP', transform(
        array_sort(collect_list(struct(cluster_ip_no AS no, cluster_ip))
          FILTER (WHERE cluster_ip_no IS NOT NULL AND coalesce(port_no, 0) = 0)),
        c -> c.cluster_ip)
    ) AS service
  FROM pod_service_ports
  GROUP BY trace_id, record_no, service_no
),
services AS (
  SELECT trace_id, record_no,
    to_json(
      transform(array_sort(collect_list(struct(service_no, service))), s -> s.service),
      map('ignoreNullFields', 'false')) AS services
  FROM service
  GROUP BY trace_id, record_no
)
-- dialect: to here
SELECT
  '4' AS `version`,
  coalesce(r.type, '') AS `type`,
  coalesce(r.state, '') AS `state`,
  coalesce(r.opflags, '') AS `opflags`,
  coalesce(cast(r.opflags_bitmap AS STRING), '') AS `opflags_bitmap`,
  r.ret AS `ret`,
  coalesce(
    replace(CASE WHEN r.ts_text LIKE '%.%' THEN rpad(r.ts_text, 26, '0') ELSE r.ts_text END, ' ', 'T'),
    '') AS `ts`,
  r.ts_uts AS `ts_uts`,
  coalesce(
    replace(CASE WHEN r.endts_text LIKE '%.%' THEN rpad(r.endts_text, 26, '0') ELSE r.endts_text END, ' ', 'T'),
    '') AS `endts`,
  r.endts_uts AS `endts_uts`,
  r.proc_pid AS `proc.pid`,
  r.proc_tid AS `proc.tid`,
  r.proc_uid AS `proc.uid`,
  coalesce(r.proc_user, '') AS `proc.user`,
  r.proc_gid AS `proc.gid`,
  coalesce(r.proc_group, '') AS `proc.group`,
  coalesce(r.proc_cwd, '') AS `proc.cwd`,
  coalesce(r.proc_exe, '') AS `proc.exe`,
  coalesce(r.proc_args, '') AS `proc.args`,
  CASE r.proc_tty WHEN true THEN 'True' WHEN false THEN 'False' ELSE '' END AS `proc.tty`,
  CASE r.proc_entry WHEN true THEN 'True' WHEN false THEN 'False' ELSE '' END AS `proc.entry`,
  coalesce(e.env, '') AS `proc.env`,
  r.proc_createts AS `proc.createts`,
  r.pproc_pid AS `pproc.pid`,
  r.pproc_gid AS `pproc.gid`,
  r.pproc_uid AS `pproc.uid`,
  coalesce(r.pproc_group, '') AS `pproc.group`,
  CASE r.pproc_tty WHEN true THEN 'True' WHEN false THEN 'False' ELSE '' END AS `pproc.tty`,
  CASE r.pproc_entry WHEN true THEN 'True' WHEN false THEN 'False' ELSE '' END AS `pproc.entry`,
  coalesce(pe.env, '') AS `pproc.env`,
  coalesce(r.pproc_user, '') AS `pproc.user`,
  coalesce(r.pproc_cwd, '') AS `pproc.cwd`,
  coalesce(r.pproc_exe, '') AS `pproc.exe`,
  coalesce(r.pproc_args, '') AS `pproc.args`,
  coalesce(cast(r.pproc_createts AS STRING), '') AS `pproc.createts`,
  coalesce(cast(r.file_fd AS STRING), '') AS `file.fd`,
  coalesce(r.file_path, '') AS `file.path`,
  coalesce(r.file_newpath, '') AS `file.newpath`,
  coalesce(r.file_type, '') AS `file.type`,
  coalesce(cast(r.file_openflags AS STRING), '') AS `file.openflags`,
  coalesce(cast(r.net_proto AS STRING), '') AS `net.proto`,
  r.net_sport AS `net.sport`,
  r.net_dport AS `net.dport`,
  coalesce(r.net_sip, '') AS `net.sip`,
  coalesce(r.net_dip, '') AS `net.dip`,
  CASE
    WHEN r.type IN ('FF', 'FE') THEN
      concat(
        coalesce(r.file_path, ''),
        CASE WHEN r.newfile_no IS NULL THEN '' ELSE concat(', ', coalesce(r.file_newpath, '')) END)
    WHEN r.type IN ('NF', 'NE') THEN concat(r.net_sip, ':', r.net_sport, '-', r.net_dip, ':', r.net_dport)
    ELSE ''
  END AS `res`,
  r.flow_rbytes AS `flow.rbytes`,
  r.flow_rops AS `flow.rops`,
  r.flow_wbytes AS `flow.wbytes`,
  r.flow_wops AS `flow.wops`,
  r.pf_nthreads AS `pf.nthreads`,
  r.pf_nexits AS `pf.nexits`,
  r.pf_nerrors AS `pf.nerrors`,
  coalesce(r.container_id, '') AS `container.id`,
  coalesce(r.container_name, '') AS `container.name`,
  coalesce(r.container_imageid, '') AS `container.imageid`,
  coalesce(r.container_image, '') AS `container.image`,
  coalesce(r.container_type, '') AS `container.type`,
  CASE r.container_privileged WHEN true THEN 'True' WHEN false THEN 'False' ELSE '' END AS `container.privileged`,
  coalesce(r.pod_id, '') AS `pod.id`,
  coalesce(r.pod_name, '') AS `pod.name`,
  coalesce(r.pod_nname, '') AS `pod.nname`,
  coalesce(cast(to_json(r.pod_hostip) AS STRING), '') AS `pod.hostip`,
  coalesce(cast(to_json(r.pod_internalip) AS STRING), '') AS `pod.internalip`,
  coalesce(r.pod_ns, '') AS `pod.ns`,
  r.pod_rstrtcnt AS `pod.rstrtcnt`,
  CASE WHEN r.pod_no IS NULL THEN '' ELSE coalesce(s.services, '[]') END AS `pod.services`,
  coalesce(r.node_id, '') AS `node.id`,
  coalesce(r.node_ip, '') AS `node.ip`,
  coalesce(r.filename, '') AS `filename`,
  coalesce(cast(r.schema AS STRING), '') AS `schema`,
  '[]' AS `tags`,
  coalesce(r.k8s_action, '') AS `k8s.action`,
  coalesce(r.k8s_kind, '') AS `k8s.kind`,
  coalesce(r.k8s_msg, '') AS `k8s.msg`,
  r.trace_id AS trace_id,
  r.record_no AS record_no,
  r.`date` AS `date`
FROM times AS r
LEFT JOIN environments AS e ON e.trace_id = r.trace_id AND e.record_no = r.proc_no
LEFT JOIN environments AS pe ON pe.trace_id = r.trace_id AND pe.record_no = r.pproc_no
LEFT JOIN services AS s ON s.trace_id = r.trace_id AND s.record_no = r.pod_no;
