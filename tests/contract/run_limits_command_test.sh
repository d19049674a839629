#!/bin/sh
# Retries, time limits, delays, early ends and lines as they come: sh run_limits_command_test.sh PATH-OF-PINION
# Where GNU parallel is installed, it is asked for the same and must answer the same.

. "$(dirname "$0")/run_support.sh"

# of_log COLUMNS: those columns of the log without its head, by sequence number.
of_log() { tail -n +2 log | sort -n | cut -f"$1" | tr '\t\n' '  '; }

# ---- retries -------------------------------------------------------------------------------------

tries='echo x >> tries.{}; [ $(wc -l < tries.{}) -ge {} ] && echo enough'
rm -f tries.*
run -j2 -k --retries 3 --joblog log "$tries" ::: 1 2 3 4
is 'a job that fails is tried again, so often in all' '1 1 2 3 3 ' \
  "$status $(for i in 1 2 3 4; do wc -l < tries.$i; done | tr '\n' ' ')"
is 'only the last attempt is printed' 'enough enough enough ' "$(tr '\n' ' ' < out)"
is 'only the last attempt is in the log' '1 0 2 0 3 0 4 1 ' "$(of_log 1,7)"
rm -f tries.*
alike 'retries' -k --retries 3 'echo {}; exit {}' ::: 1 0 3
rm -f tries.*
run --retries 0 "$tries" ::: 20
is 'retries without end' '0 20' "$status $(wc -l < tries.20)"
rm -f tries.*
run --retries 2 'echo x >> tries.{#}; seq 30000; kill -9 $$ {}' ::: 1
is 'a job that is killed after a large output is tried again' '1 2 30000' \
  "$status $(wc -l < tries.1) $(wc -l < out)"
run -j3 --retries 3 '[ $PARALLEL_JOBSLOT = {%} ] && mkdir try{%} && sleep 0.01 && rmdir try{%}; exit {}' ::: 1 1 1 1 1 1 1
is 'retries keep their slot' '' "$(cat err)"
run --retries x echo ::: 1
is 'retries that are no number are refused' 255 "$status"

# ---- time limits ---------------------------------------------------------------------------------

# How long a command takes, in tenths of a second.
tenths() {
  begun=$(date +%s%N)
  "$@"
  echo $((($(date +%s%N) - begun) / 100000000))
}
PINION_JOB=$tag-limit run -j2 --timeout 0.5 --joblog log 'echo begun; sleep {}; echo ended' ::: 30 0
is 'a job that takes too long is ended' '1 -1 15 0 0 ' "$status $(of_log 7,8)"
is 'what it has printed is kept' 'begun begun ended ' "$(sort out | tr '\n' ' ')"
holds 'a job that takes too long is named' says err '^pinion run: job 1 (echo begun; sleep 30.*time limit$'
is 'a job that takes too long leaves nothing behind' '' "$(leftovers limit)"
alike 'a time limit' -k --timeout 1 'echo begun; sleep {}; echo ended' ::: 20 0
run --timeout 0.01m sleep ::: 30
is 'a time limit in minutes' 1 "$status"
run -j1 --timeout 500% --joblog log sleep ::: 0.2 0.2 0.2 30
is 'a time limit in multiples of the median' '0 0 0 -1 ' "$(of_log 7)"
run -j1 --timeout 0.3 --retries 3 --joblog log 'echo x >> tried; sleep 30; : {}' ::: 1
is 'a job that takes too long is tried again' '1 3 -1 15 ' "$status $(wc -l < tried) $(of_log 7,8)"
run -j4 --timeout 0.3 'sleep 0.1; : {}' ::: 1 2 3 4 5 6 7 8 9 10 11 12
is 'the time limit is that of each job, and not of those before it' 0 "$status"
run --timeout 0.3 'sleep 30 & echo $!; sleep 0.1; : {}' ::: 1
kill "$(cat out)"
is 'a job that has ended in time is not waited for' "0 0" "$status $?"

run --term-seq INT,100,KILL,25 --timeout 0.3 --joblog log 'trap "echo int" INT; sleep 5; sleep 30; : {}' ::: 1
is 'a sequence of signals' 'int -1 9 ' "$(cat out) $(of_log 7,8)"
PINION_JOB=$tag-deaf run --timeout 0.3 --joblog log \
  'trap "" TERM; (trap "" TERM; sleep 30) & sleep 31; : {}' ::: 1
is 'a job that is deaf to the first signals is killed' '-1 9 ' "$(of_log 7,8)"
is 'with all of its group' '' "$(leftovers deaf)"
run --timeout 0.3 'sh -c "trap \"sleep 0.05; echo cleaned > cleaned; exit\" TERM; while :; do sleep 0.01; done" & wait; : {}' ::: 1
is 'the rest of the group has its time to clean up' cleaned "$(cat cleaned)"
run --term-seq TERM,x true ::: 1
is 'a sequence that is none is refused' 255 "$status"
run --timeout 0 true ::: 1
is 'a time limit of nothing is refused' 255 "$status"

# ---- delays --------------------------------------------------------------------------------------

is 'jobs start no sooner than the delay after each other' 1 \
  $(($(tenths run -j8 --delay 0.2 'true {}' ::: 1 2 3 4) >= 6))
run -j8 --delay 0.2 'date +%s%N; : {}' ::: 1 2 3
is 'each after the one before' 1 \
  "$(sort out | tr '\n' ' ' | awk '{ print ($2 - $1 > 1.8e8 && $3 - $2 > 1.8e8) }')"

# ---- early ends ----------------------------------------------------------------------------------

alike 'halt soon at the first that fails' -j1 --halt soon,fail=1 'echo {}; exit {}' ::: 0 5 0 3
alike 'halt at the second that fails' -j1 --halt soon,fail=2 'echo {}; exit {}' ::: 4 0 2 1
alike 'halt at half of the jobs failed' -j1 --halt soon,fail=50% 'echo {}; exit {}' ::: 4 0 2 1 0 0
alike 'halt at the first success' -j1 --halt now,success=1 'echo {}; exit {}' ::: 4 0 2
alike 'halt after one' -j1 --halt now,done=1 'echo {}; exit {}' ::: 4 0 2
alike 'halt after two' -j1 --halt now,done=2 'echo {}; exit {}' ::: 4 0 2
alike 'halt that is never met' -j1 --halt now,success=3 'echo {}; exit {}' ::: 0 3
alike 'halt at a job that is killed' -j1 --halt now,fail=1 'kill -9 $$; : {}' ::: 4 0
alike 'halt never' -j1 --halt never 'exit {}' ::: 1 1
alike 'halt in short' -j1 --halt 1 'echo {}; exit {}' ::: 0 7 0
alike 'halt at a success in short' -j1 --halt -1 'echo {}; exit {}' ::: 7 0 7
alike 'halt in percent' -j1 --halt 30% 'echo {}; exit {}' ::: 1 1 0 0 0
alike 'halt now ends the others' -j2 --halt now,fail=1 'echo {}; sleep {}; exit {}' ::: 25 1
rm -f begun.*
is 'halt now waits for nobody' 1 "$(($(PINION_JOB=$tag-halt tenths \
  run -j2 --joblog log --halt now,fail=1 'touch begun.{}; sleep {}; exit {}' ::: 25 1 3 4) < 100))"
is 'and leaves nothing behind' '' "$(leftovers halt)"
run -j2 --joblog log --halt now,fail=1 'touch begun.{}; sleep {}; exit {}' ::: 25 1 3 4
is 'halt now: those that were ended are not in the log' '2 1 ' "$(of_log 1,7)"
is 'halt now: no further job is started' 'begun.1 begun.25 ' "$(echo begun.*) "
holds 'halt now says why' says err '^pinion run: --halt: job 2 (.*) has failed; 1 running job will be ended'
run -j2 --joblog log --halt soon,fail=1 'sleep 0.{}; exit {}' ::: 5 1 3 4
is 'halt soon lets running jobs finish' '1 5 2 1 ' "$(of_log 1,7)"
holds 'halt soon says how many were not run' says err '2 jobs were not run'
run -j1 --retries 2 --halt soon,fail=1 'echo x >> twice; exit {}' ::: 3 0
is 'a job has failed after its last attempt only' '3 2' "$status $(wc -l < twice)"
printf 'a\0b\nc\n' > lines
run -j1 --halt soon,fail=1 -a lines 'echo ran {}'
is 'a job that cannot be run has failed' '255 0' "$status $(wc -c < out)"
run --halt sometimes,fail=1 true ::: 1
is 'a halt that is none is refused' 255 "$status"

# ---- lines as they come --------------------------------------------------------------------------

run -j2 --line-buffer 'echo a{}; sleep {}; echo b{}' ::: 0.6 0.3
is 'lines of jobs that run' 'b0.3 b0.6 ' "$(tail -2 out | tr '\n' ' ')"
(timeout 60 "$pinion" run -j1 --lb 'echo {}; sleep 3; echo {}' ::: line | head -1 > first) &
begun=$(date +%s%N)
wait_until [ -s first ]
is 'a line is printed while its job runs' 1 $((($(date +%s%N) - begun) / 1000000 < 2500))
wait
PINION_JOB=$tag-endless timeout -k 5 60 "$pinion" run -j2 --lb 'yes {}' ::: a a 2> err | head -1 > first
is 'jobs without an end are ended when nobody reads on' 'a ' "$(cat first) $(leftovers endless)"
holds 'and that is said' says err 'standard output was closed'
run -j4 --lb 'for i in $(seq 300); do printf "%s" {}{}; echo {}; done' ::: a b c d
is 'lines are not mixed' 'aaa bbb ccc ddd ' "$(sort -u out | tr '\n' ' ')"
is 'and none is lost' 1200 "$(wc -l < out)"
run -j4 --lb --tag 'for i in 1 2 3; do echo o{}; echo e{} >&2; done' ::: a b
is 'lines are tagged' 'a	oa b	ob ' "$(sort -u out | tr '\n' ' ')"
is 'lines of standard error, too' 'a	ea b	eb ' "$(sort -u err | tr '\n' ' ')"
run -j3 -k --lb 'echo a{}; sleep {}; echo b{}' ::: 0.3 0.1 0.2
is 'lines in the order of the input' 'a0.3 b0.3 a0.1 b0.1 a0.2 b0.2 ' "$(tr '\n' ' ' < out)"
run -j3 -k --lb 'seq {}; printf end' ::: 200000 5 100000
(seq 200000; printf end; seq 5; printf end; seq 100000; printf end) > expected
holds 'large outputs and lines without an end arrive whole' cmp -s out expected
run --lb 'head -c 3000000 /dev/zero | tr "\0" {}; echo' ::: x y
is 'long lines are not mixed' '3000000 3000000 ' "$(awk '{ print length($0) }' out | tr '\n' ' ')"
is 'of one letter each' 'x y ' "$(tr -s xy < out | sort | tr '\n' ' ')"
run --lb 'no-such-program {}' ::: 1
holds 'errors are told' says err no-such-program

finish
