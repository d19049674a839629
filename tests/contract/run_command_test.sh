#!/bin/sh
# The command `pinion`, seen from outside: sh run_command_test.sh PATH-OF-PINION
# Prints a line for each check, then "N passed, N failed, N skipped"; exit status 1 on failure.

. "$(dirname "$0")/run_support.sh"

# ---- help ----------------------------------------------------------------------------------------

is 'the version is printed' pinion "$("$pinion" --version | cut -d' ' -f1)"
holds 'help of run fits a screen' [ "$("$pinion" run --help | wc -l)" -le 24 ]
"$pinion" run --help > out
holds 'help of run has examples' [ "$(grep -c '^  .*pinion run' out)" -ge 3 ]
"$pinion" nonsense > out 2> err
is 'an unknown subcommand is refused' 255 $?
holds 'an unknown subcommand is named' says err "nonsense"
"$pinion" topo > out 2> err
is 'topo works' 0 $?
for part in 'usable CPUs' placement 'NUMA nodes' I/O; do
  holds "topo shows: $part" says out "^$part"
done

# ---- arguments and lines -------------------------------------------------------------------------

run -k echo ::: a 'b  c' "it's" '$HOME' '*' '"' 'a;b' '\x' '' '-n x' '<&>|(){}[]~#!%'
is 'arguments arrive as they were' "a
b  c
it's
\$HOME
*
\"
a;b
\\x

-n x
<&>|(){}[]~#!%" "$(cat out)"
is 'success is exit status 0' 0 "$status"

printf 'one\ntwo words\nlast' > lines
run -k -a lines echo
is 'lines of a file, the last without a newline' 'one
two words
last' "$(cat out)"
run -k echo < lines
is 'lines of standard input' 'one
two words
last' "$(cat out)"
printf 'echo a\necho "b  c" | tr b d\n\ntrue\n' | timeout 60 "$pinion" run -k > out 2> err
is 'whole command lines' 'a
d  c' "$(cat out)"
printf 'a\nb\0c\0' | timeout 60 "$pinion" run -k -0 echo > out 2> err
is 'lines that end with NUL' 'a
b
c' "$(cat out)"
run -k echo '{} {.} {/} {//} {/.} {#}' ::: d/e.f.g
is 'replacement strings' 'd/e.f.g d/e.f e.f.g d e.f 1' "$(cat out)"
run -k echo ::: a b ::: 1 2
is 'several sources combine, the last varies fastest' 'a 1
a 2
b 1
b 2' "$(cat out)"
run -k echo '{2}-{1}' ::: a b ::: 1 2
is 'sources are addressed by number' '1-a
2-a
1-b
2-b' "$(cat out)"
run -j3 'echo {%}; sleep 0.05' ::: 1 2 3 4 5 6 7 8 9
is 'slots are numbered from 1 to the number of jobs at once' '1 2 3 ' "$(sort -u out | tr '\n' ' ')"
run -j2 ls -d -k {} ::: /
is 'options after the command are its own' / "$(cat out)"
(echo a; sleep 1; echo b) | timeout 60 "$pinion" run -j1 'echo {}; date +%s.%N >> times' > out
is 'a slow stream is read on' 'a
b' "$(cat out)"
holds 'a slow stream is not waited for before its first job is run' \
  [ "$(tr '\n' ' ' < times | awk '{ print ($2 - $1 > 0.5) }')" = 1 ]

# ---- the job's surroundings ----------------------------------------------------------------------

echo 'not for the job' | timeout 60 "$pinion" run 'cat; echo {}' ::: end > out
is 'standard input of a job is empty' end "$(cat out)"
run 'read -r pid name state parent group rest < /proc/self/stat; [ $pid = $group ] # {}' ::: 1
is 'a job has a process group of its own' 0 "$status"
run 'ls /proc/self/fd | wc -l # {}' ::: 1
is 'a job inherits standard descriptors only' 4 "$(cat out)"
run 'yes {} | head -1' ::: 1
is 'a job has default signal dispositions' '1 0' "$(cat out) $status"
cpu=$(grep Cpus_allowed_list /proc/self/status | tr -c '0-9\n' ' ' | awk '{ print $1 }')
run -j2 --places "$cpu" grep Cpus_allowed_list /proc/self/status '#' {} ::: 1 2
is 'a job is bound to its worker'\''s place' "$cpu $cpu " "$(awk '{ print $2 }' out | tr '\n' ' ')"

if strace -f -o trace -e trace=execve true 2> /dev/null; then
  PATH=/no/such:/nor/such:$PATH timeout 60 \
    strace -f -o trace -e trace=execve "$pinion" run true ::: 1 2 > out 2> err
  is 'a program is looked up once' 3 "$(grep -c 'execve(' trace)"
else
  skip 'looking programs up' 'strace cannot run'
fi

# ---- exit status ---------------------------------------------------------------------------------

run 'exit {}' ::: 0 3 0 7 1
is 'the exit status is the number of failed jobs' 3 "$status"
seq 100 > lines
run -a lines 'exit 1;'
is '100 failed jobs' 100 "$status"
seq 101 > lines
run -a lines 'exit 1;'
is 'more than 100 failed jobs are 101' 101 "$status"
run 'kill -9 $$ {}' ::: 1
is 'a job killed by a signal has failed' 1 "$status"

printf 'echo a\nno-such-program x\n/no/such/file\necho b\n' > lines
run -k --joblog log -a lines
is 'programs that do not exist fail and the rest run' '2 a b ' "$status $(tr '\n' ' ' < out)"
is 'a program that does not exist is exit value 127' '0 127 127 0 ' \
  "$(tail -n +2 log | sort -n | cut -f7 | tr '\n' ' ')"
holds 'a program that does not exist is named' says err no-such-program

echo 'echo script "$1"' > script
chmod +x script
run ./script ::: a
is 'a script without an interpreter line is run by the shell' 'script a' "$(cat out)"

# ---- job log -------------------------------------------------------------------------------------

run -j1 --joblog log 'printf 12345; echo 123 >&2; {}' ::: 'exit 0' 'exit 3' 'kill -9 $$'
is 'the head of the log' \
  'Seq	Host	Starttime	JobRuntime	Send	Receive	Exitval	Signal	Command' "$(head -1 log)"
run -j1 --joblog log {} ::: 'printf 12345' 'exit 3' 'kill -9 $$'
is 'the columns of the log' '1 : 0 5 0 0 printf 12345
2 : 0 0 3 0 exit 3
3 : 0 0 0 9 kill -9 $$' "$(tail -n +2 log | awk -F'\t' '{ print $1, $2, $5, $6, $7, $8, $9 }')"
is 'the widths of the log' 3 \
  "$(tail -n +2 log | cut -f3,4 | grep -c '^[0-9]\{10\}\.[0-9]\{3\}	 *[0-9]*\.[0-9]\{3\}$')"
run --joblog log 'sleep 0.3;: ' ::: 1
holds 'the run time is that of the job' \
  [ "$(tail -1 log | awk '{ print ($4 >= 0.3 && $4 < 5) }')" = 1 ]

# ---- output --------------------------------------------------------------------------------------

run -j4 -k 'sleep 0.{}; echo {}' ::: 4 1 3 2
is 'outputs in the order of the input' '4 1 3 2 ' "$(tr '\n' ' ' < out)"
run -j4 'sleep {}; echo {}' ::: 1.5 0.1 0.8
is 'outputs in the order of completion' '0.1 0.8 1.5 ' "$(tr '\n' ' ' < out)"
run -j2 'sleep {}; echo {}' ::: 3 0.1 0.2 0.3 0.4 0.5
is 'no job waits behind a long one' '3' "$(tail -1 out)"
run -j8 'for i in 1 2 3 4 5; do echo {}; echo {} >&2; sleep 0.01; done' ::: 1 2 3 4 5 6 7 8 9
is 'outputs are not mixed' '9 9' "$(uniq out | wc -l) $(uniq err | wc -l)"
run -j2 -k 'seq {}; seq {} >&2' ::: 300000 5 200000
(seq 300000; seq 5; seq 200000) > expected
holds 'large outputs arrive whole' cmp -s out expected
holds 'large error outputs arrive whole' cmp -s err expected
: > appended
timeout 60 "$pinion" run -k 'seq {}' ::: 300000 5 200000 >> appended
holds 'large outputs are appended to a file' cmp -s appended expected
TMPDIR=/no/such/folder run -k 'seq {}' ::: 100000 5
is 'a missing folder for large outputs fails that job only' '1 5' "$status $(tail -1 out)"
holds 'a missing folder for large outputs is named' says err /no/such/folder
mkdir small
if mount -t tmpfs -o size=64k none small 2> /dev/null; then
  TMPDIR=$work/small run -k 'seq {}' ::: 100000 5
  umount small
  is 'a full folder for large outputs fails that job only' '1 5' "$status $(tail -1 out)"
  holds 'a full folder for large outputs is named' says err "in $work/small: No space left"
else
  skip 'a full folder for large outputs' 'nothing can be mounted'
fi
seq 3000 > lines
run -a lines -j4 -k 'test {} -gt 1 || sleep 2; echo {}'
holds 'thousands of jobs wait in order behind a slow one' cmp -s out lines
run -j1 'sleep 60 > /dev/null 2>&1 & echo $!' ::: 1
kill "$(cut -d" " -f1 out)"
is 'a job that leaves a process behind has ended' 0 "$status"
run -j1 'yes & echo $! > yes; sleep 0.1; : {}' ::: 1
is 'a job that leaves a process behind that prints all the time has ended' 0 $status
wait_until ended "$(cat yes)" || kill "$(cat yes)"
run -j1 'sleep 60 & echo $!' ::: 1
kill "$(cut -d" " -f1 out)"
is 'also where that process holds its output open' 0 "$status"

# ---- bad input -----------------------------------------------------------------------------------

# refused NAME PATTERN ARGUMENTS...: exit status 255, a sentence, and no job was run.
refused() {
  name=$1 pattern=$2
  shift 2
  rm -f ran
  run "$@" 'touch ran;: ' ::: 1
  if [ "$status" = 255 ] && says err "$pattern" && [ ! -e ran ]; then
    pass "$name"
  else
    fail "$name" "exit status $status" "$(cat err)"
  fi
}
refused 'no job at once is refused' '-j 0' -j 0
refused 'a number of jobs that is none is refused' "not 'x'" -j x
refused 'too many jobs at once are refused' 65536 -j 99999
refused 'an unknown option is refused' --unknown --unknown
refused 'a CPU that does not exist is refused' 4095 --places 4095
refused 'places that are none are refused' 'places' --places '{nonsense'
refused 'an order of places that is none is refused' 'close, spread or primary' --bind far
refused 'a log in a missing folder is refused' '/no/such/folder/log' --joblog /no/such/folder/log
if [ -w /dev/full ]; then
  refused 'a log on a full disk is refused' 'No space left' --joblog /dev/full
  timeout 60 "$pinion" run 'echo {}' ::: 1 2 > /dev/full 2> err
  is 'a full disk under the output is exit status 255' 255 $?
  holds 'a full disk under the output is said' says err 'No space left'
else
  skip 'full disks' 'there is no /dev/full'
fi
run -a /no/such/file echo
is 'a missing file is refused' 255 "$status"
holds 'a missing file is named' says err /no/such/file
run -a / echo
is 'a folder as a file is refused' 255 "$status"
: > empty
run -a empty echo
is 'an empty file gives no job' '0 0' "$status $(wc -c < out)"
holds 'an empty file is named' says err '^pinion run: empty is empty'
run echo :::
is 'no argument gives no job' '0 0' "$status $(wc -c < out)"
is 'no argument is said' 'pinion run: there is no argument after :::, so no job was run' "$(cat err)"
printf 'a\nb\0b\nc\n' | timeout 60 "$pinion" run -k echo > out 2> err
is 'a line with NUL fails and the rest run' '1 a c ' "$? $(tr '\n' ' ' < out)"
holds 'a line with NUL is named' says err 'line 2 of standard input'
printf 'a\001\033[31mb\0c\n' | timeout 60 "$pinion" run --joblog log echo > out 2> err
holds 'control characters of a line are spelled out' says err "(echo 'a\\\\x01\\\\x1b\[31mb\\\\0c')"
holds 'a NUL is spelled out in the log' says log 'b\\0c'
"$pinion" run "$(printf -- '--x\033')" 2> err
holds 'control characters of an option are spelled out' says err 'no option --x\\x1b$'
timeout 60 "$pinion" run echo ::: 1 2 >&- 2> err
is 'a closed standard output is exit status 255' 255 $?
holds 'a closed standard output is said' says err 'standard output'
head -c 300000 /dev/zero | tr '\0' x > long
run -a long /bin/echo
is 'an argument that is too long fails' '1 0' "$status $(wc -c < out)"
holds 'an argument that is too long is said' says err 'too long'
holds 'an argument that is too long is shortened' [ "$(wc -c < err)" -lt 400 ]

# ---- the end before the end ----------------------------------------------------------------------

mkfifo pipe
head -1 < pipe > first &
seq 100000 | timeout 60 "$pinion" run -j2 'echo {}; echo {} >> started' > pipe 2> err
status=$?
wait
is 'a reader that leaves ends the run' 141 "$status"
holds 'a reader that leaves keeps further jobs from starting' [ "$(wc -l < started)" -lt 50000 ]
is 'a reader that leaves is told of in one sentence' '1 1' \
  "$(wc -l < err) $(grep -Ec \
    '^pinion run: standard output was closed; (at least .* not run|the input was not read on)' err)"
rm started
PINION_JOB=$tag-reader timeout 60 "$pinion" run -j2 \
  'echo {}; echo {} >> started; sleep 0.3' ::: $(seq 100) 2> err > pipe &
head -1 < pipe > first
wait
unrun=$((100 - $(wc -l < started)))
holds 'a reader that leaves: the number of those not run' \
  says err "^pinion run: standard output was closed; $unrun jobs were not run, the first"
is 'a reader that leaves: nothing is left running' '' "$(leftovers reader)"

two_run() {
  [ "$(find . -name 'running.*' | wc -l)" -ge 2 ]
}

# interrupted SIGNAL TIMES SECONDS: runs four jobs of so many seconds, two at once, and sends the
# signal when two run.
interrupted() {
  rm -f running.*
  PINION_JOB=$tag-$1$2 env --default-signal=INT "$pinion" run -j2 --joblog log \
    "touch running.{}; sleep $3; echo {}" ::: 1 2 3 4 > out 2> err &
  child=$!
  wait_until two_run  # which two depends on which worker is awake first
  first_two=$(find . -name 'running.*' | sed 's/.*running\.//' | sort | tr '\n' ' ')
  begun=$(date +%s)
  for _ in $(seq "$2"); do
    kill -s "$1" "$child"
    sleep 0.5  # what comes sooner is taken for the same
  done
  status_of "$child"
  status=$?
  lasted=$(($(date +%s) - begun))
}
if env --default-signal=INT true 2> /dev/null; then
  for signal in INT TERM; do
    interrupted "$signal" 1 4
    is "$signal once: running jobs finish" "255 $first_two" "$status $(sort out | tr '\n' ' ')"
    is "$signal once: what has run is in the log" 3 "$(wc -l < log)"
    holds "$signal once: what was not run is said" says err '2 jobs were not run'
    # Jobs are taken by whichever worker is awake first, so it need not be the third.
    first_unrun=$(for i in 1 2 3 4; do [ -e "running.$i" ] || echo "$i"; done | head -1)
    holds "$signal once: the first that was not run is named" \
      says err "the first of them: .*echo $first_unrun\$"
    interrupted "$signal" 2 15
    is "$signal twice: running jobs are killed" '255 9 9 ' \
      "$status $(tail -n +2 log | cut -f8 | tr '\n' ' ')"
    holds "$signal twice: at once" [ "$lasted" -lt 10 ]
    wait_until nothing_left "${signal}2"
    is "$signal twice: nothing is left running" '' "$(leftovers "${signal}2")"
  done
else
  skip 'signals' 'env cannot set their dispositions'
fi

# The whole group gets the signal: the pool's processes, too, but not the jobs. Both at once, as
# timeout does it.
group_interrupted() {
  rm -f running.*
  PINION_JOB=$tag-group$1 setsid "$pinion" run -j2 --joblog log \
    "touch running.{}; sleep 4; echo {}" ::: 1 2 3 4 5 6 > out 2> err &
  child=$!
  wait_until two_run
  kill -s "$1" -- "$child" "-$child"
  status_of "$child"
  status=$?
}
if command -v setsid > /dev/null; then
  for signal in TERM HUP; do
    group_interrupted "$signal"
    is "$signal for the group: running jobs finish" '255 2 0 0 ' \
      "$status $(wc -l < out) $(tail -n +2 log | cut -f7 | tr '\n' ' ')"
    is "$signal for the group: what was not run is said" 'pinion run: 4 jobs were not run' \
      "$(tail -1 err | cut -d, -f1)"
    is "$signal for the group: nothing is left running" '' "$(leftovers "group$signal")"
  done
else
  skip 'signals for a group' 'there is no setsid'
fi
timeout 4 "$pinion" run -j2 'sleep 6; echo {}' ::: 1 2 3 4 5 6 > out 2> err
is 'timeout lets running jobs finish' '124 2' "$? $(wc -l < out)"
run 'kill -TERM $$; echo {}' ::: 1
is 'a job can be ended by SIGTERM' 1 "$status"
run 'kill -HUP $$; echo {}' ::: 1
is 'a job can be ended by SIGHUP' 1 "$status"
run -j1 'kill -TERM $PPID; echo {}' ::: 1 2
is 'a worker is deaf to SIGTERM' '0 1 2 ' "$status $(tr '\n' ' ' < out)"
run grep SigBlk /proc/self/status '#' {} ::: 1
is 'a job has an empty signal mask' '0000000000000000' "$(awk '{ print $2 }' out)"

mkfifo input
"$pinion" run -j1 'touch begun; echo {}' < input > out 2> err &
child=$!
exec 3> input
echo line >&3
wait_until [ -e begun ]
kill -TERM "$child"
status_of "$child"
is 'a stream that is still open does not hold an interrupted run' '255 line' "$? $(cat out)"
exec 3>&-

PINION_JOB=$tag-killed "$pinion" run -j2 'touch killed.{}; sleep 30; echo {}' ::: 1 2 > out 2> err &
child=$!
wait_until [ -e killed.1 ] && wait_until [ -e killed.2 ]
kill -9 "$child"
status_of "$child" 2> /dev/null
wait_until nothing_left killed
is 'a command that is killed leaves nothing behind' '' "$(leftovers killed)"

PINION_JOB=$tag-worker timeout 60 "$pinion" run -j1 -k --joblog log \
  'test {} = 2 && kill -9 $PPID && sleep 100; echo {}' ::: 1 2 3 > out 2> err
is 'a worker that is killed costs its job only' '1 1 3 ' "$? $(tr '\n' ' ' < out)"
wait_until nothing_left worker
is 'a worker that is killed leaves no job behind' '' "$(leftovers worker)"
holds 'a job that was lost is named' says err 'job 2'
is 'a job that was lost has its times in the log' 1 "$(tail -n +2 log | sort -n | sed -n 2p |
  awk -v now="$(date +%s)" '{ print ($3 > now - 60 && $3 < now + 1 && $4 < 60) }')"

# ---- want of files, processes, memory ------------------------------------------------------------

# limited NUMBER ARGUMENTS...: as run, with so few open files.
limited() {
  files=$1
  shift
  (ulimit -n "$files" && exec timeout -k 5 60 "$pinion" run "$@") > out 2> err
  status=$?
}
limited 64 -j60 'sleep 0.1; echo {}' ::: $(seq 100)
is 'jobs wait for open files' '0 100' "$status $(sort -u out | wc -l)"
is 'jobs wait for open files in silence' '' "$(cat err)"
limited 64 -j60 'for i in 1 2 3; do echo {%}; sleep 0.02; done' ::: $(seq 100)
is 'jobs that waited are not mixed' '0 300' "$status $(wc -l < out)"
limited 64 -j30 'sleep 0.1; seq {}; seq {} >&2' ::: 60000 50000 40000 70000 80000 20001 20002 30000 \
  30001 30002 30003 30004 30005
is 'jobs with large outputs wait for open files' '0 520018 520018' \
  "$status $(wc -l < out) $(wc -l < err)"
(seq 200) > lines
limited 64 -j60 -k -a lines 'sleep 0.0{}; echo {}'
holds 'jobs that waited are printed in order' cmp -s out lines
if setpriv --reuid 54321 --clear-groups prlimit --nproc=12 "$pinion" --version > /dev/null 2>&1; then
  chmod 755 "$work"
  setpriv --reuid 54321 --clear-groups --inh-caps=-all prlimit --nproc=12 \
    timeout 60 "$pinion" run -j20 --joblog - 'sleep 0.1{}' ::: 1 2 3 4 5 6 7 8 9 > out 2> err
  is 'jobs wait for processes' 9 "$(tail -n +2 out | awk '$7 == 0' | wc -l)"
  setpriv --reuid 54321 --clear-groups --inh-caps=-all prlimit --nproc=8 \
    timeout 60 "$pinion" run -j2 'sleep 0.1{}' ::: 1 2 > out 2> err
  is 'a job that cannot be started alone fails' 2 $?
  holds 'a job that cannot be started alone says why' says err 'no other job ran: .*ulimit -u'
else
  skip 'want of processes' 'no other user can be'
fi

# ---- what is left behind -------------------------------------------------------------------------

# The process that guards the command's end is its only child in a session of its own.
guardian_of() {
  for process in /proc/[0-9]*; do
    sed 's/.*) //' "$process/stat" |
      awk -v pid="${process#/proc/}" -v parent="$1" '$2 == parent && $4 == pid { print pid }'
  done 2> /dev/null
}
"$pinion" run 'touch guarded; until [ -e release ]; do sleep 0.1; done; echo {}' ::: 1 > out 2> err &
child=$!
wait_until [ -e guarded ]
guardian=$(guardian_of "$child")
kill -STOP "$guardian"
touch release
wait_until [ -s out ]
sleep 0.5
still_waits() { ! ended "$child"; }
holds 'the command waits for its last process' still_waits
kill -CONT "$guardian"
status_of "$child"
is 'the command has reaped its last process' 0 "$?$(ls -d "/proc/$guardian" 2> /dev/null)"

finish
