#!/bin/sh
# What is compiled: the program and the native layer, and which of the system's packages both need. `cargo xtask dist` runs it from
# the root of the source tree, in an old Debian or, with --here, on this machine.
#
#   build.sh FOLDER OPENVINO_LIBRARIES COMPILER…
#
# FOLDER gets carafe, libcarafe_openvino.so (from the compiler's words, which end before `-o`), depends.txt and built-with.txt.
set -eu
out=$1 libraries=$2
shift 2

mkdir -p "$out"
cargo build --release --locked --offline --package carafe-cli --target-dir "$out/cargo"
cp "$out/cargo/release/carafe" "$out/carafe"
strip --strip-unneeded "$out/carafe"
"$@" -o "$out/libcarafe_openvino.so"
strip --strip-unneeded "$out/libcarafe_openvino.so"

{
    . /etc/os-release
    echo "$PRETTY_NAME"
    "$1" --version | head -n 1
    ldd --version 2>&1 | head -n 1
    rustc --version
} >"$out/built-with.txt"

# Nothing without dpkg-dev; then there is no Debian package.
rm -f "$out/depends.txt"
if command -v dpkg-shlibdeps >/dev/null; then
    here=$(pwd)
    scratch=$(mktemp -d)
    mkdir "$scratch/debian"
    printf 'Source: carafe\n\nPackage: carafe\nArchitecture: any\n' >"$scratch/debian/control"
    (
        cd "$scratch"
        # OpenVINO's own libraries travel with the package.
        dpkg-shlibdeps -O --ignore-missing-info -l"$here/$libraries" \
            -e"$here/$out/carafe" -e"$here/$out/libcarafe_openvino.so" \
            -e"$here/$libraries"/libopenvino_intel_cpu_plugin.so "-e$(ls "$here/$libraries"/libopenvino.so.*)"
    ) | sed -n 's/^shlibs:Depends=//p' >"$out/depends.txt"
    rm -r "$scratch"
fi
