#!/usr/bin/env bash
# Passes all tests on a fresh machine that has Rust and Python 3.11 or newer: style, lints, Rust tests, and then the
# tests against the reference implementation, DuckDB and Spark, for which it installs what they need below target/.
# Tests on real traces take their folder from SF_PARQUET_TRACES (default ../shared/traces) and say if they skip.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "== style and lints"
cargo fmt --check
cargo clippy --all-targets --all-features --quiet -- -D warnings
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

echo "== reference, DuckDB and Spark"
venv=target/python
if ! cmp -s scripts/requirements.txt "$venv/requirements.txt"; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r scripts/requirements.txt
  cp scripts/requirements.txt "$venv/requirements.txt"
fi
SF_PARQUET_BIN="${SF_PARQUET_BIN:-$PWD/target/debug/sf-parquet}" "$venv/bin/python" -m pytest -q -rs tests/python
