#!/usr/bin/env bash
# Builds the program as it is given to others: target/dist/release/sf-parquet, up to a tenth faster than what
# `cargo build --release` builds and no different otherwise (docs/performance.md). An instrumented build converts generated
# traces; what it did tells the compiler which code is worth what. It needs no shared library, so it runs on any Linux of its
# architecture, and starts in two thirds of the time. Takes as long as two builds from nothing. llvm-profdata comes with rustup's
# component llvm-tools, libc.a with what C programs are built with (on Fedora it is a package of its own, glibc-static).
set -euo pipefail
cd "$(dirname "$0")/.."
profdata() { find "$(rustc --print sysroot)" -name llvm-profdata -print -quit; }
[[ $(profdata) ]] || rustup component add llvm-tools
work=$PWD/target/profile
# With a target that is named, flags are not for procedural macros, which are libraries. Functions have other names then, so the profile
# needs it, too.
host=$(rustc --version --verbose | sed -n 's/^host: //p')
rm -rf "$work/runs" "$work/out" "$work/traces"
mkdir -p "$work/runs"

cargo build --release --quiet --example tracegen
target/release/examples/tracegen tile testdata/1647542836.sf --times 300 --files 3 --out "$work/traces"
RUSTFLAGS="-Cprofile-generate=$work/runs" CARGO_TARGET_DIR=$work cargo build --release --quiet --bin sf-parquet --target "$host"
# What is usual: one file and many, one thread and two, new inputs and known ones.
program=$work/$host/release/sf-parquet
for jobs in 1 2; do
  for run in first again; do
    "$program" convert -q --jobs $jobs --out "$work/out/$jobs" testdata "$work/traces" --experiment-log testdata/experiment.log
  done
done
"$program" verify -q "$work/out/1"
"$(profdata)" merge -o "$work/profile" "$work/runs"

export RUSTFLAGS="-Cprofile-use=$work/profile -Ctarget-feature=+crt-static -Clink-arg=-Wl,-z,pack-relative-relocs"
CARGO_TARGET_DIR=target/dist cargo build --release --quiet --bin sf-parquet --target "$host"
install -D "target/dist/$host/release/sf-parquet" target/dist/release/sf-parquet
