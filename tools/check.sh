#!/bin/sh
# Installs what is missing, builds, and runs every test.
set -eu

usage() {
  echo "usage: sh tools/check.sh [--full]"
  echo "  --full  adds the slow tests, the other start methods, io_uring refused, clang, the"
  echo "          sanitizers, fuzzing, the other ring, and the performance bounds"
  echo "Closes with a line \"N passed, N failed, N skipped\"; the exit status is 1 if any failed."
}

full=no
case ${1-} in
  '') ;;
  --full) full=yes ;;
  -h | --help) usage && exit 0 ;;
  *) usage >&2 && exit 2 ;;
esac

cd "$(dirname "$0")/.."
export LC_ALL=C
. tools/packages.sh

needs=$packages_to_build$packages_to_test
[ $full = no ] || needs=$needs$packages_to_test_fully$packages_to_measure
install_packages "$needs"

passed=0
failed=0
skipped=0

# count FILE: adds its last line "... N passed, N failed, N skipped" to the totals.
count() {
  number='\([0-9]*\)'
  counts=$(sed -n "s/.*: $number passed, $number failed, $number skipped\$/\1 \2 \3/p" "$1" |
    tail -n 1)
  # shellcheck disable=SC2086 # three words
  set -- ${counts:-0 1 0}
  passed=$((passed + $1))
  failed=$((failed + $2))
  skipped=$((skipped + $3))
}

skip() {
  echo "skipped: $1"
  skipped=$((skipped + 1))
}

# build FOLDER OPTION...: false, and a failure counted, where it does not build.
build() {
  echo
  echo "=== building $1"
  if build_folder "$@" >"$1.log" 2>&1; then
    rm "$1.log"
    return 0
  fi
  tail -n 60 "$1.log"
  echo "failed: building $1"
  failed=$((failed + 1))
  return 1
}

# run_tests FOLDER WHAT ENVIRONMENT [OPTION...]: runs the tests of a build, counts them, and shows
# what failed. ENVIRONMENT is words "NAME=value", and a program that runs the rest of its arguments.
run_tests() {
  folder=$1
  environment=$3
  echo "=== tests: $2"
  shift 3
  rm -f "$folder/meson-logs/testlog.json"
  # shellcheck disable=SC2086 # words on purpose
  env $environment meson test -C "$folder" --no-rebuild "$@" </dev/null >"$folder/tests.log" 2>&1 ||
    true
  python3 tools/count_tests.py "$folder" >"$folder/counts.log" || true
  cat "$folder/counts.log"
  count "$folder/counts.log"
}

# debug FOLDER OPTION...: builds all that has tests, with assertions, and with what stacks need of
# the symbols: all of them take a third longer to compile.
debug() {
  folder=$1
  shift
  build "$folder" -Doptimization=1 -Ddebug=false -Dcpp_args=-g1 -Dtests=enabled -Dcommand=enabled \
    -Dperf=disabled "$@"
}

mutants=false
[ $full = no ] || mutants=true
if debug build-check -Dwerror=true -Dmutants=$mutants; then
  if [ $full = no ]; then
    run_tests build-check "gcc" "" --no-suite slow --no-suite methods
  else
    run_tests build-check "gcc" "PINION_STORM_SECONDS=60 PINION_TEST_EVERY_STEP=1"
    # As containers refuse io_uring, each in its way; the first for all that the pool promises.
    refuse=$PWD/build-check/tests/fault/refuse_uring
    run_tests build-check "gcc, io_uring refused by EPERM" "$refuse EPERM" --suite contract
    for error in ENOSYS EOPNOTSUPP; do
      run_tests build-check "gcc, io_uring refused by $error" "$refuse $error" \
        coroutines cancel fairness timeouts run_limits_command topo_command
    done
    run_tests build-check "gcc, poll asked for" "PINION_IO=poll" coroutines cancel timeouts
  fi
fi

more_builds() {
  # The check of vtables opens pipes, and takes a shortage of descriptors for a wrong type.
  if debug build-address -Db_sanitize=address,undefined -Db_lundef=false \
    "-Dcpp_args=-g1 -fno-sanitize-recover=undefined -fno-sanitize=vptr"; then
    run_tests build-address "address and undefined behaviour sanitizers" \
      "ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PINION_TEST_PATIENCE=3" \
      --no-suite slow --no-suite methods --no-suite unsanitized --timeout-multiplier 3
  fi
  build_suites=threads
  if debug build-thread -Db_sanitize=thread -Db_lundef=false; then
    run_tests build-thread "thread sanitizer" "PINION_TEST_PATIENCE=5" --suite threads \
      --timeout-multiplier 5
  fi
  build_suites=contract
  if debug build-boost -Dring=boost; then
    run_tests build-boost "the ring of Boost" "" --suite contract
  fi
  clang=$(command -v clang++-16 || command -v clang++ || true)
  if [ -z "$clang" ]; then
    skip "the build by clang: neither clang++-16 nor clang++ is installed"
    return
  fi
  export CXX="$clang" CC="${clang%++*}${clang##*++}"
  if debug build-clang -Dwerror=true; then
    run_tests build-clang "clang" "" --suite contract
  fi
  build_suites=fuzz
  if debug build-fuzz -Db_sanitize=address,undefined -Db_lundef=false; then
    run_tests build-fuzz "fuzzing" "ASAN_OPTIONS=detect_leaks=0" --suite fuzz
  fi
  unset CXX CC build_suites
}

if [ $full = yes ]; then
  more_builds
  echo
  echo "=== performance bounds"
  sh tools/perf.sh --check >build-perf.log 2>&1 || true
  cat build-perf.log
  count build-perf.log
  rm build-perf.log
fi

echo
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
