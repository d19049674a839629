#!/bin/sh
# Installs what is missing, builds a release, and shows the `pinion` command at real work.
set -eu

case ${1-} in
  '') ;;
  *)
    echo "usage: sh tools/quickstart.sh"
    echo "Installs what is missing (apt, dnf or zypper), builds a release into build-release, runs"
    echo "one sha256sum job for each header below /usr/include on pinned workers, and compares all"
    echo "of the output with that of a plain sequential sha256sum."
    [ "$1" = --help ] || [ "$1" = -h ] && exit 0
    exit 2
    ;;
esac

cd "$(dirname "$0")/.."
export LC_ALL=C
. tools/packages.sh

install_packages "$packages_to_build"
build_folder build-release --buildtype=release -Dtests=disabled -Dperf=disabled -Dcommand=enabled
pinion=build-release/tools/pinion

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
find /usr/include -type f \( -name '*.h' -o -name '*.hh' -o -name '*.hpp' \) |
  sort >"$scratch/headers"
jobs=$(wc -l <"$scratch/headers")

echo
echo "$jobs jobs of: pinion run --keep-order --bar --summary sha256sum {}"
$pinion run --keep-order --bar --summary --arg-file "$scratch/headers" sha256sum '{}' \
  >"$scratch/found"

xargs -d '\n' sha256sum <"$scratch/headers" >"$scratch/expected"
if ! cmp "$scratch/found" "$scratch/expected"; then
  echo "The output differs from that of a sequential sha256sum." >&2
  exit 1
fi
echo "The whole output equals that of a sequential sha256sum."
