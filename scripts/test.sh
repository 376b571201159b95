#!/usr/bin/env bash
# Passes all tests on a fresh machine that has Rust and Python 3.11 or newer: style, lints, Rust tests, a little fuzzing,
# and then the tests against the reference implementation, DuckDB and Spark. What these need is installed below target/.
# Tests on real traces take their folder from SF_PARQUET_TRACES (default ../shared/traces) and say if they skip.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "== style and lints"
cargo fmt --check
cargo fmt --check --manifest-path fuzz/Cargo.toml
cargo clippy --all-targets --all-features --quiet -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --quiet
if command -v cargo-deny >/dev/null; then
  # Advisories need a network; licenses, bans and sources do not.
  cargo deny --offline --log-level error check licenses bans sources
else
  echo "SKIPPED: cargo deny is not installed (cargo install cargo-deny)"
fi

echo "== Rust tests"
if command -v cargo-nextest >/dev/null; then
  cargo nextest run --features faults --no-fail-fast
else
  cargo test --features faults
fi
cargo test --doc --quiet

echo "== fuzzing"
# The same inputs each time, a few seconds for each target; docs/reliability.md says how to fuzz for longer.
if command -v c++ >/dev/null; then
  fuzz=$(command -v cargo-fuzz || echo "$PWD/target/tools/bin/cargo-fuzz")
  [[ -x "$fuzz" ]] || cargo install --quiet --locked cargo-fuzz --root target/tools
  cargo_fuzz=(env CARGO_TARGET_DIR="$PWD/target/fuzz" "$fuzz" fuzz)
  "${cargo_fuzz[@]}" build -s none
  corpus=$(mktemp -d)
  trap 'rm -rf "$corpus"' EXIT
  for target in container k8s_message manifest records schema; do
    mkdir -p "$corpus/$target" "fuzz/regressions/$target"
    if ! "${cargo_fuzz[@]}" run -s none "$target" \
      "$corpus/$target" "fuzz/seeds/$target" "fuzz/regressions/$target" \
      -- -runs=50000 -seed=1 -max_len=4096 -timeout=10 -rss_limit_mb=2048 &>"$corpus/log"; then
      tail -n 60 "$corpus/log"
      exit 1
    fi
    echo "$target: $(grep '^Done' "$corpus/log")"
  done
else
  echo "SKIPPED: libFuzzer needs a C++ compiler"
fi

echo "== reference, DuckDB and Spark"
venv=target/python
if ! cmp -s scripts/requirements.txt "$venv/requirements.txt"; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r scripts/requirements.txt
  cp scripts/requirements.txt "$venv/requirements.txt"
fi
SF_PARQUET_BIN="${SF_PARQUET_BIN:-$PWD/target/debug/sf-parquet}" "$venv/bin/python" -m pytest -q -rs tests/python
