# What the tests of `pinion run` share; read by them, with the path of the command as $1.

: "${1:?the path of the command pinion is needed}"
pinion=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
passed=0 failed=0 skipped=0
# In the environment of processes that are looked for later, so that they are told from others.
tag=$$-$(od -An -N4 -tx4 /dev/urandom | tr -d ' ')

pass() { passed=$((passed + 1)); echo "ok      $1"; }
fail() {
  failed=$((failed + 1))
  echo "FAILED  $1"
  shift
  for line; do echo "          $line"; done
}
skip() { skipped=$((skipped + 1)); echo "skipped $1: $2"; }

# is NAME EXPECTED FOUND
is() { if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "expected: $2" "found:    $3"; fi; }

# holds NAME COMMAND...
holds() {
  name=$1
  shift
  if "$@"; then pass "$name"; else fail "$name" "not true: $*"; fi
}

# Runs pinion run with the arguments; leaves the files out and err, and the status in $status. Ends
# it after a minute, which is a failure of every check.
run() {
  timeout -k 5 60 "$pinion" run "$@" > out 2> err
  status=$?
}

says() { grep -q -e "$2" "$1"; }

# leftovers NAME: the processes that were started with PINION_JOB=$tag-NAME and still are.
leftovers() {
  for process in /proc/[0-9]*; do
    tr '\0' '\n' < "$process/environ" | grep -q "^PINION_JOB=$tag-$1\$" && cat "$process/comm"
  done 2> /dev/null
}

nothing_left() { [ -z "$(leftovers "$1")" ]; }

# Whether a process of this shell has ended.
ended() {
  [ "$(sed 's/.*) //' "/proc/$1/stat" 2> /dev/null | cut -c1)" = Z ] || [ ! -e "/proc/$1" ]
}

# status_of PID: waits for it, at most 20 s, then kills it.
status_of() {
  wait_until ended "$1" || kill -9 "$1"
  wait "$1"
}

# Waits until the command given is true, at most 20 s.
wait_until() {
  for _ in $(seq 200); do
    "$@" && return 0
    sleep 0.1
  done
  return 1
}

# alike NAME ARGUMENTS...: GNU parallel, given the same, prints the same and has the same exit
# status. Standard input is the file `stdin`.
alike() {
  name=$1
  shift
  if [ -z "$rival" ]; then
    skip "$name" 'GNU parallel is not installed'
    return
  fi
  timeout -k 5 60 "$pinion" run "$@" < stdin > out 2> err
  status=$?
  timeout -k 5 60 "$rival" --will-cite "$@" < stdin > expected 2> expected.err
  is "$name" "$? $(cat expected)" "$status $(cat out)"
}
rival=$(command -v parallel || true)
case $rival in
  ?*) "$rival" --version 2> /dev/null | grep -q '^GNU parallel' || rival= ;;
esac
unset PARALLEL PARALLEL_SEQ PARALLEL_JOBSLOT
: > stdin

# Says how many checks there were, as the last thing.
finish() {
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" = 0 ]
}
