#!/usr/bin/env bash
# Measures convert and writes docs/performance.md: scripts/bench.sh [--quick] [TRACE]. Needs Python 3 and hyperfine 1.19 or newer.
# TRACE is tiled 100, 1000 and 10,000 times; the default is a real Kubernetes trace, or if that is not there one of
# testdata/. With sysflow-tools in target/python (scripts/test.sh installs it) it is measured beside convert.
# The program is the one that scripts/release.sh builds; what `cargo build --release` builds is measured beside it.
# --quick takes a twentieth of the input and the latter only, and prints the figures. The inputs stay in target/bench for the
# next time.
set -euo pipefail
cd "$(dirname "$0")/.."
times=1000 inputs=10000 rounds=5 page=docs/performance.md
if [[ ${1:-} == --quick ]]; then
  times=50 inputs=500 rounds=3 page=
  shift
fi
trace=${1:-${SF_PARQUET_TRACES:-../shared/traces}/v4_k8s.sf}
[[ -e $trace ]] || trace=testdata/1647542836.sf
work=target/bench/$times-$(sha256sum "$trace" | cut -c1-8)
python=target/python/bin/python
mkdir -p "$work"
rm -rf "$work"/*.json "$work/facts" "$work"/out* "$work"/old*

cargo build --release --quiet --bin sf-parquet --example tracegen --example floor
plain=target/release/sf-parquet program=$plain
if [[ $page ]]; then
  scripts/release.sh
  program=target/dist/release/sf-parquet
fi
cargo bench --quiet --bench convert | tee "$work/criterion.txt"

# The inputs, each made once.
tile() {
  local out=$1
  shift
  [[ -e $out ]] && return
  rm -rf "$out.part"
  target/release/examples/tracegen tile "$trace" "$@" --out "$out.part"
  mv "$out.part" "$out"
}
tile "$work/tenth.sf" --times $((times / 10))
tile "$work/large.sf" --times "$times"
tile "$work/tenfold.sf" --times $((times * 10))
tile "$work/many" --times "$times" --files 50
tile "$work/small" --times "$inputs" --files "$inputs" --records 20
# As many as make 168,000 events and flows of the usual trace.
tile "$work/short.sf" --times 32

# fact NAME VALUE: for scripts/bench_report.py.
fact() { echo "$1 $2" >>"$work/facts"; }
# measure NAME ROUNDS ARGUMENT...: hyperfine, without a shell between it and the program. A round runs each command once: what
# is compared ran side by side, however the machine changes from round to round.
measure() {
  local name=$1 rounds=$2 round
  shift 2
  for ((round = 1; round <= rounds; round++)); do
    hyperfine --shell=none --style basic --runs 1 --export-json "$work/$name.$round.json" "$@"
  done
}
# peak COMMAND...: its peak memory in bytes.
peak() {
  python3 -c 'import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)' "$@"
}
size() { find "$@" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum }'; }

floor=target/release/examples/floor
arguments="convert -q --out $work/out"
convert="$program $arguments" plain="$plain $arguments"
# Moved aside, not removed: for minutes after many files were removed, ext4 takes longer to make new ones.
aside() { mv --backup=numbered -T "$work/out" "$work/old"; }
fresh=(--conclude "sh -c 'for out in $work/out*; do [ ! -e \$out ] || mv --backup=numbered -T \$out $work/old; done'")
# Two programs beside each other share nothing but the machine: no program of two threads can gain more than they do.
pair="sh -c '${convert}2 --jobs 1 $work/large.sf & $convert --jobs 1 $work/large.sf && wait \$!'"
fact trace "$(basename "$trace")"
fact times "$times"
for input in tenth large tenfold short; do
  fact "records.$input" "$($floor "$work/$input.sf")"
done

measure convert "$rounds" "${fresh[@]}" \
  --command-name floor "$floor $work/large.sf" \
  --command-name one "$convert --jobs 1 $work/large.sf" \
  --command-name two "$convert --jobs 2 $work/large.sf" \
  --command-name plain "$plain --jobs 1 $work/large.sf" \
  --command-name pair "$pair" \
  --command-name many-one "$convert --jobs 1 $work/many" \
  --command-name many-two "$convert --jobs 2 $work/many"
# Short ones before and after the long one, while which the machine may change.
tenth=(--command-name tenth "$convert --jobs 1 $work/tenth.sf")
measure linear 3 "${fresh[@]}" "${tenth[@]}" "${tenth[@]}" "${tenth[@]}" \
  --command-name tenfold "$convert --jobs 1 $work/tenfold.sf" "${tenth[@]}" "${tenth[@]}" "${tenth[@]}"

for jobs in 1 2; do
  for input in large tenfold; do
    fact "peak.$input.$jobs" "$(peak $convert --jobs $jobs "$work/$input.sf")"
    if [[ $input == large ]]; then
      fact bytes.input "$(size "$work/large.sf")"
      fact bytes.records "$(size "$work/out/records")"
      fact bytes.dataset "$(size "$work/out" -name '*.parquet')"
    fi
    aside
  done
done

fact inputs "$inputs"
find "$work/small" -type f | sort >"$work/list"
$convert "$work/small"
measure start 30 \
  --command-name nothing "$program --version" \
  --command-name find "find $work/small -newermt 2100-01-01" \
  --command-name folder "$convert $work/small" \
  --command-name list "$convert --files-from $work/list"
aside

if [[ -x $python ]]; then
  reference="from sysflow.reader import FlattenedSFReader as R; from sysflow.formatter import SFFormatter as F"
  measure reference "$rounds" "${fresh[@]}" \
    --command-name convert "$convert $work/short.sf" \
    --command-name plain "$plain $work/short.sf" \
    --command-name todataframe "$python -c '$reference; F(R(\"$work/short.sf\", False)).toDataframe()'"
else
  echo "SKIPPED: sysflow-tools is not installed (scripts/test.sh installs it)"
fi
rm -rf "$work"/old*

python3 scripts/bench_report.py "$work" $page
