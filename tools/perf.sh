#!/bin/sh
# Builds a release and measures it beside its limits and rivals.
set -eu

case ${1-} in
  -h | --help)
    echo "usage: sh tools/perf.sh [--quick] [--check]"
    echo "  --quick  fewer rounds, under a minute"
    echo "  --check  measures what misses its bound again, three times in all, and fails if it"
    echo "           still does (perf/bounds.json)"
    exit 0
    ;;
esac

cd "$(dirname "$0")/.."
export LC_ALL=C
. tools/packages.sh

install_packages "$packages_to_build$packages_to_measure"
build_folder build-perf --buildtype=release -Dtests=disabled -Dperf=enabled -Dcommand=enabled
exec python3 perf/run.py build-perf "$@"
