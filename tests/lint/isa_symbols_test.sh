#!/usr/bin/env bash
# Objects compiled per instruction set may define their kernel table and nothing else that the
# linker could pick for code of another level: no weak symbols, no other global functions.
set -euo pipefail
objects=$(find "$1" -name '*.simd.cc.o')
[ -n "$objects" ] || { echo "no *.simd.cc.o below $1"; exit 1; }
bad=$(nm -C --defined-only $objects | grep -E ' [TWVuiB] ' || true)
if [ -n "$bad" ]; then
  echo "symbols that another level could be linked against:"
  echo "$bad"
  exit 1
fi
echo "$(echo "$objects" | wc -l) objects are clean"
