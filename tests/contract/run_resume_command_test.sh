#!/bin/sh
# Runs that are gone on with, and results in files: sh run_resume_command_test.sh PATH-OF-PINION

. "$(dirname "$0")/run_support.sh"

of_log() { tail -n +2 log | sort -n | cut -f"$1" | tr '\t\n' '  '; }

# ---- what is run again ---------------------------------------------------------------------------

run -j1 --joblog log 'echo {}; exit {}' ::: 0 1 2
run -j1 --resume --joblog log 'echo {}; exit {}' ::: 0 1 2 3
is 'what is in the log is not run again' '1 3' "$status $(cat out)"
is 'and the log goes on' '1 0 2 1 3 2 4 3 ' "$(of_log 1,7)"
is 'with one head' 1 "$(grep -c ^Seq log)"
run -j1 --resume --joblog log 'echo {}; exit {}' ::: 0 1 2 3
is 'when all is done, nothing is run' '0 0' "$status $(wc -c < out)"
run -j1 --resume-failed --joblog log 'echo {}; [ {} = 1 ]; : {}' ::: 0 1
is 'another command is another job' '0 0 1 ' "$status $(tr '\n' ' ' < out)"
run -j1 --joblog log 'echo {}; [ -e fixed ] || exit {}' ::: 0 1 2
run -j1 --resume-failed --joblog log 'echo {}; [ -e fixed ] || exit {}' ::: 5 2 0 1
is 'a failed job is run again, wherever it is in the input' '3 5 2 1 ' "$status $(tr '\n' ' ' < out)"
: > fixed
run -j1 --resume-failed --joblog log 'echo {}; [ -e fixed ] || exit {}' ::: 5 2 0 1
is 'until it succeeds' '0 5 2 1 ' "$status $(tr '\n' ' ' < out)"
run -j1 --resume-failed --joblog log 'echo {}; [ -e fixed ] || exit {}' ::: 5 2 0 1
is 'and then no more' '0 0' "$status $(wc -c < out)"
rm fixed
run -j1 --joblog log 'echo {#}; [ -e fixed ] || exit {}' ::: 0 1 2
: > fixed
run -j1 --retry-failed --joblog log this is ignored ::: 7
is 'failed jobs are run again from the log alone' '0 2 3 ' "$status $(tr '\n' ' ' < out)"
is 'under their numbers' '1 0 2 0 2 1 3 0 3 2 ' \
  "$(tail -n +2 log | cut -f1,7 | sort | tr '\t\n' '  ')"
run -j1 --retry-failed --joblog log
is 'until none has failed' '0 0' "$status $(wc -c < out)"
run -k --joblog log "printf '<%s>' {}" ::: 'two
lines' "it's	tab"
run -k --resume --joblog log "printf '<%s>' {}" ::: "it's	tab" 'two
lines' new
is 'whatever the arguments hold' '<new>' "$(cat out)"
run -j1 --joblog log true ::: x x
run -j1 --resume --joblog log true ::: x x x x
is 'a job that comes more often is run so often' '1 2 3 4 ' "$(of_log 1)"
if [ -n "$rival" ]; then
  "$rival" --will-cite --joblog log 'echo {}; exit {}' ::: 0 1 > out 2> err
  run -j1 --resume-failed --joblog log 'echo {}; exit {}' ::: 0 1 2
  is 'a log of GNU parallel is gone on with' '2 1 2 ' "$status $(tr '\n' ' ' < out)"
  run --joblog log 'echo {}; exit {}' ::: 0 1
  "$rival" --will-cite -j1 --resume --joblog log 'echo {}; exit {}' ::: 0 1 2 > out 2> err
  is 'and GNU parallel goes on with ours' 2 "$(cat out)"
else
  skip 'logs of GNU parallel' 'it is not installed'
fi
run --resume --joblog log -j2 --dry-run echo ::: new
is 'a dry run shows what would be run' 'echo new' "$(cat out)"

mkdir d1 d2
run --joblog log --wd d1 'echo x >> made; : {}' ::: 1
run --joblog log --resume --wd d1 'echo x >> made; : {}' ::: 1
run --joblog log --resume --wd d2 'echo x >> made; : {}' ::: 1
is 'another folder is another job' '1 1' "$(wc -l < d1/made) $(wc -l < d2/made)"
run -j2 --joblog log 'echo {%} > /dev/null; echo {}' ::: 1 2 3 4
run -j1 --joblog log --resume 'echo {%} > /dev/null; echo {}' ::: 4 3 2 1
is 'another slot is not' 0 "$(wc -c < out)"

run --resume true ::: 1
is 'without a log there is nothing to go on with' 255 "$status"
echo 'my notes' > notes
run --resume --joblog notes true ::: 1
is 'a file that is no log is refused, and kept' '255 my notes' "$status $(cat notes)"
rm -f none
run --resume --joblog none echo ::: 1
is 'the first run may say it, too' '0 1 2' "$status $(cat out) $(wc -l < none)"

# ---- kills ---------------------------------------------------------------------------------------

# The log is cut at every byte. Afterwards each job is in the log, and was run again unless its line
# was whole.
run -j1 --joblog log 'echo x >> ran.{}' ::: 1 2 3
cp log whole
bytes=$(wc -c < whole)
wrong=
for length in $(seq 0 "$bytes"); do
  rm -f ran.*
  head -c "$length" whole > log
  lines=$(tail -n +2 log | wc -l)
  timeout 60 "$pinion" run -j1 --resume --joblog log 'echo x >> ran.{}' ::: 1 2 3 > out 2> err ||
    wrong="$wrong $length:$?"
  [ "$(ls ran.* 2> /dev/null | wc -l)" = $((3 - lines)) ] || wrong="$wrong $length:ran"
  [ "$(tail -n +2 log | cut -f1,9 | sort | tr '\t\n' '  ')" = \
    '1 echo x >> ran.1 2 echo x >> ran.2 3 echo x >> ran.3 ' ] || wrong="$wrong $length:log"
done
is "a log cut at any of $bytes bytes is gone on with" '' "$wrong"

# Killed at some moment, again and again: in the end each job has printed its line once and more
# than once only where a kill came between its end and the log.
: > all
: > log
kills=0
while [ "$kills" -lt 12 ]; do
  "$pinion" run -j2 -k --resume --joblog log 'echo {}; sleep 0.01' ::: $(seq 60) >> all 2> err &
  child=$!
  sleep 0.2
  kill -9 "$child" 2> /dev/null
  wait "$child" 2> /dev/null
  kills=$((kills + 1))
done
run -j2 -k --resume --joblog log 'echo {}; sleep 0.01' ::: $(seq 60)
cat out >> all
seq 60 > expected
is 'after kills at any moment every job has printed its line' '' \
  "$(sort -n all | uniq | diff - expected)"
is 'and is in the log' '' "$(tail -n +2 log | cut -f9 | sed 's/echo \([0-9]*\);.*/\1/' |
  sort -n | uniq | diff - expected)"

rm -f running.*
"$pinion" run -j2 --joblog log 'touch running.{}; sleep {}; echo {}' ::: 20 21 0 > out 2> err &
child=$!
wait_until [ -e running.20 ] && wait_until [ -e running.21 ]
kill -TERM "$child"
sleep 0.5
kill -TERM "$child"
status_of "$child"
run -j2 --resume --joblog log --dry-run 'touch running.{}; sleep {}; echo {}' ::: 20 21 0
is 'jobs that were killed with their run are run again' 3 "$(wc -l < out)"

mkfifo pipe
head -1 < pipe > first &
timeout 60 "$pinion" run -j1 --joblog log 'seq {} 100000; : {}' ::: 1 2 > pipe 2> err
wait
is 'a job whose output was lost is not in the log' 1 "$(wc -l < log)"

# ---- results -------------------------------------------------------------------------------------

if [ -n "$rival" ]; then
  for place in res 'res/{1/}_{#}' 'res/x{2}_{#}/'; do
    rm -rf res res.ours
    timeout 60 "$pinion" run -k --results "$place" 'echo o {}; echo e {} >&2' \
      ::: 'a/b c' 'x\y' ::: 1 'tab	and' > out 2> err
    mv res res.ours
    "$rival" --will-cite -k --results "$place" 'echo o {}; echo e {} >&2' \
      ::: 'a/b c' 'x\y' ::: 1 'tab	and' < stdin > expected 2> expected.err
    is "results in $place" "$(diff -r res res.ours && cat expected)" "$(cat out)"
  done
else
  skip 'results in folders and files' 'GNU parallel is not installed'
fi
rm -rf res
run --results res 'seq {}; printf end >&2' ::: 200000 3
seq 200000 > expected
is 'large results are whole' "end 200000 $(cat expected | cksum)" \
  "$(cat res/1/3/stderr) $(wc -l < res/1/200000/stdout) $(cksum < res/1/200000/stdout)"
rm -rf res
is 'results are not printed' '0 0' "$(wc -c < out) $(wc -c < err)"
rm -rf res.ours
run --results res --lb --retries 2 'echo {}; sleep 0.1; printf end; exit 1' ::: a
is 'results of lines as they come, of the last attempt' 'a
end' "$(cat res/1/a/stdout)"
run --results res 'echo {}' ::: .. '' a/../../b
is 'no argument leads out of the folder' '' "$(find . -name stdout | grep -v '^\./res/1/')"
rm -rf res
run --results res --timeout 0.2 'echo begun; sleep 20; : {}' ::: a
is 'what is wrong with a job is both in its results and said' '1 1' \
  "$(grep -c 'time limit' res/1/a/stderr) $(grep -c 'time limit' err)"
is 'with what it has printed' begun "$(cat res/1/a/stdout)"
run --results notes/x true ::: 1
is 'results that cannot be written end the run' 255 "$status"
holds 'results that cannot be written are named' says err notes/x

finish
