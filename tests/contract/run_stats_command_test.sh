#!/bin/sh
# What jobs have used, and the cores they are bound to: sh run_stats_command_test.sh PATH-OF-PINION

. "$(dirname "$0")/run_support.sh"

# of_stats FIELD: its values, by sequence number and attempt.
of_stats() {
  python3 -c '
import json, sys
lines = [json.loads(line) for line in open("stats")]
lines.sort(key=lambda line: (line["seq"], line["attempt"]))
print(*[json.dumps(line[sys.argv[1]]) for line in lines])' "$1"
}
if ! command -v python3 > /dev/null; then
  skip 'statistics' 'there is no python3 to read JSON'
  finish
  exit
fi

# ---- statistics ----------------------------------------------------------------------------------

run -j1 --stats stats 'exit {}' ::: 0 3
is 'exit values' '0 3' "$(of_stats exit)"
is 'numbers' '1 2' "$(of_stats seq)"
is 'commands' '"exit 0" "exit 3"' "$(of_stats command)"
run -j1 --stats stats 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; sleep 0.2; : {}' ::: 1
is 'times' 'True True True' "$(python3 -c '
import json
line = json.loads(open("stats").read())
print(line["user"] > 0.02, line["wall"] >= line["user"] + 0.19, line["wall"] < 50)')"
run -j1 --stats stats 'head -c 100000000 /dev/zero | tail -c 90000000 > /dev/null; : {}' ::: 1
is 'the memory of the largest process' True "$(python3 -c '
import json
print(80000 < json.loads(open("stats").read())["max_rss_kib"] < 400000)')"
run -j1 --stats stats --retries 3 'kill -9 $$; : {}' ::: 1
is 'every attempt' '1 2 3' "$(of_stats attempt)"
is 'signals' '9 9 9' "$(of_stats signal)"
is 'a job that somebody has killed was not out of memory' 'false false false' "$(of_stats oom)"
run -j2 --stats stats --timeout 0.3 'sleep {}; :' ::: 30 0
is 'time limits' 'true false' "$(of_stats timed_out)"
run -k --stats stats 'printf "%s" {}' ::: 'a"b\c' 'é
x' "$(printf '\377')"
is 'any text is JSON' '1 2 3' "$(of_stats seq)"
run --stats - 'true {}' ::: 1
is 'statistics on standard output' 1 "$(grep -c '^{"seq":1,' out)"
run --stats /no/such/folder/stats true ::: 1
is 'statistics that cannot be written are refused' 255 "$status"
run --stats /dev/full true ::: 1
is 'statistics on a full disk end the run' 255 "$status"

group=
if [ -w /sys/fs/cgroup/memory ] && mkdir "/sys/fs/cgroup/memory/pinion-$tag" 2> /dev/null; then
  group=/sys/fs/cgroup/memory/pinion-$tag
  echo 160000000 > "$group/memory.limit_in_bytes"
elif [ -w /sys/fs/cgroup/cgroup.procs ] && mkdir "/sys/fs/cgroup/pinion-$tag" 2> /dev/null; then
  group=/sys/fs/cgroup/pinion-$tag
  echo 160000000 > "$group/memory.max" 2> /dev/null || { rmdir "$group"; group=; }
fi
if [ -n "$group" ]; then
  sh -c 'echo $$ > "$1/cgroup.procs"; shift; exec timeout 60 "$@"' - "$group" "$pinion" run -j1 \
    --stats stats '{}' ::: 'head -c 400000000 /dev/zero | tail -c 390000000 > /dev/null; kill -9 $$' \
    'exec python3 -c "x = bytearray(400000000)"' 'kill -9 $$' > out 2> err
  is 'a job that was killed for want of memory' 'true true' "$(of_stats oom | cut -d' ' -f2) $(
    [ "$(of_stats signal | cut -d' ' -f2)" = 9 ] && echo true)"
  wait_until rmdir "$group" 2> /dev/null
else
  skip 'want of memory' 'no memory cgroup can be made'
fi

# ---- cores ---------------------------------------------------------------------------------------

cpu=$(grep Cpus_allowed_list /proc/self/status | tr -c '0-9\n' ' ' | awk '{ print $1 }')
run -j2 --places "$cpu" --stats stats true ::: 1 2
is 'the binding is read back once the program is executed' "[$cpu] [$cpu] true true" \
  "$(of_stats cpus) $(of_stats bound)"
run -j2 --places none --stats stats true ::: 1
is 'without a binding there is none' false "$(of_stats bound)"

cores=$("$pinion" topo | grep -c '^  worker ')
run -j1 --cpus "$cores" --stats stats 'echo $OMP_NUM_THREADS $OPENBLAS_NUM_THREADS' '#' ::: 1
is 'a job gets all cores' "$cores $cores" "$(cat out)"
is 'and is bound to them' "$(awk '/Cpus_allowed_list/ { print $2 }' /proc/self/status)" \
  "$(of_stats cpus | tr -d '[] ' | python3 -c '
cpus = sorted(int(cpu) for cpu in input().split(","))
parts, first = [], None
for cpu in cpus:
    if parts and cpu == parts[-1][1] + 1: parts[-1][1] = cpu
    else: parts.append([cpu, cpu])
print(",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts))')"
run --cpus "$cores" 'echo $PARALLEL_JOBSLOT; sleep 0.1; : {}' ::: 1 2 3
is 'no more jobs at once than have their cores' 1 "$(sort -u out | wc -l)"
run --cpus $((cores + 1)) true ::: 1
is 'more cores than there are are refused' 255 "$status"
holds 'with their number' says err "only $cores core"
run -j $((cores + 1)) --cpus 1 true ::: 1
is 'more jobs than cores are refused, where each has its own' 255 "$status"
run --cpus 0 true ::: 1
is 'no core for a job is refused' 255 "$status"
unset OMP_NUM_THREADS OPENBLAS_NUM_THREADS MKL_NUM_THREADS
run -j1 --places "$cpu" 'echo $OMP_NUM_THREADS $MKL_NUM_THREADS' '#' ::: 1
is 'a job on one CPU is told to start one thread' '1 1' "$(cat out)"
OMP_NUM_THREADS=5 run -j1 --places "$cpu" 'echo $OMP_NUM_THREADS $MKL_NUM_THREADS' '#' ::: 1
is 'what the user has said stays' 5 "$(cat out)"

finish
