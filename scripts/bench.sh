#!/usr/bin/env bash
# Measures convert on a large trace: scripts/bench.sh [TRACE [TIMES]]. Needs hyperfine.
# With sysflow-tools in target/python (scripts/test.sh installs it) it is measured beside it on 30 times the trace.
set -euo pipefail
cd "$(dirname "$0")/.."
trace=${1:-${SF_PARQUET_TRACES:-../shared/traces}/v4_k8s.sf}
times=${2:-1000}
work=target/bench
mkdir -p "$work"

cargo build --release --quiet
cargo build --release --quiet --example tracegen
target/release/examples/tracegen tile "$trace" --times "$times" --out "$work/large.sf"
target/release/examples/tracegen tile "$trace" --times 30 --out "$work/small.sf"
ls -l "$work/large.sf" "$work/small.sf"

convert="target/release/sf-parquet convert -q --out $work/out"
hyperfine --warmup 1 --runs 5 --prepare "rm -rf $work/out" --export-markdown "$work/threads.md" \
  --command-name 'one thread' "$convert --jobs 1 $work/large.sf" \
  --command-name 'two threads' "$convert --jobs 2 $work/large.sf"
if [ -x target/python/bin/python ]; then
  reference="from sysflow.reader import FlattenedSFReader as R; from sysflow.formatter import SFFormatter as F"
  hyperfine --runs 3 --prepare "rm -rf $work/out" --export-markdown "$work/reference.md" \
    --command-name 'sf-parquet convert' "$convert $work/small.sf" \
    --command-name 'sysflow-tools toDataframe' \
    "target/python/bin/python -c '$reference; F(R(\"$work/small.sf\", False)).toDataframe()'"
fi
cat "$work"/*.md
