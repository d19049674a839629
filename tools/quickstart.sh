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
pinion=build-release/pinion

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
find /usr/include -type f \( -name '*.h' -o -name '*.hh' -o -name '*.hpp' \) |
  sort >"$scratch/headers"
jobs=$(wc -l <"$scratch/headers")

echo
echo "$jobs jobs of: pinion run --keep-order --bar sha256sum {}"
start=$(date +%s.%N)
$pinion run --keep-order --bar --arg-file "$scratch/headers" sha256sum '{}' >"$scratch/found"
end=$(date +%s.%N)

xargs -d '\n' sha256sum <"$scratch/headers" >"$scratch/expected"
if ! cmp "$scratch/found" "$scratch/expected"; then
  echo "The output differs from that of a sequential sha256sum." >&2
  exit 1
fi

# Each job of the same command line says what its own process is bound to.
seq 256 | $pinion run "sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status #" |
  sort -n | uniq -c >"$scratch/cpus"

echo "The whole output equals that of a sequential sha256sum."
awk -v jobs="$jobs" -v start="$start" -v end="$end" 'BEGIN {
  seconds = end - start
  printf "jobs        %d\nwall time   %.2f s\njobs per s  %.0f\n", jobs, seconds, jobs / seconds
}'
awk '{ printf "%s%s", NR == 1 ? "ran on CPU  " : ", ", $2 } END { print "" }' "$scratch/cpus"
