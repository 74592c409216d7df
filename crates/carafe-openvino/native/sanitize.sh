#!/usr/bin/env bash
# Runs the tests of carafe-openvino with the native layer under AddressSanitizer and UndefinedBehaviorSanitizer.
# Needs g++ with its sanitizers, and what `cargo xtask setup` makes. Leaks are not looked for: OpenVINO, TBB and the loaded
# libraries keep what they have until the process ends.
set -euo pipefail
cd "$(dirname "$0")/../../.."

out=$PWD/target/sanitized
library=$(find -L .venv -name 'libopenvino.so.*' | head -n 1)
mkdir -p "$out"

# OpenVINO opens its plugins with RTLD_DEEPBIND, which AddressSanitizer refuses.
cat > "$out/dlopen.c" <<'SOURCE'
#define _GNU_SOURCE
#include <dlfcn.h>
void *dlopen(const char *file, int flags) {
    void *(*next)(const char *, int) = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
    return next(file, flags & ~RTLD_DEEPBIND);
}
SOURCE
gcc -shared -fPIC -o "$out/dlopen.so" "$out/dlopen.c" -ldl
g++ -std=c++17 -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined \
    -isystem "$(dirname "$library")/../include" -fPIC -shared -fvisibility=hidden \
    -o "$out/libcarafe_openvino.so" crates/carafe-openvino/native/carafe_openvino.cpp "$(realpath "$library")"

tests=$(cargo test --release --package carafe-openvino --test all --no-run --message-format=json |
    python3 -c 'import json, sys; print([m["executable"] for m in map(json.loads, sys.stdin) if m.get("executable")][-1])')
cd crates/carafe-openvino
export CARAFE_TEST_LAYER=$out
export ASAN_OPTIONS=detect_leaks=0:detect_odr_violation=0:verify_asan_link_order=0 UBSAN_OPTIONS=print_stacktrace=1
LD_PRELOAD="$out/dlopen.so $(g++ -print-file-name=libasan.so) $(g++ -print-file-name=libubsan.so)" "$tests" --test-threads=1
