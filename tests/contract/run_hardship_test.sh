#!/bin/sh
# What GNU parallel's manual recommends to try on tools of its kind: sh run_hardship_test.sh
# PATH-OF-PINION. Where GNU parallel is installed, it is asked for the same.

. "$(dirname "$0")/run_support.sh"

# ---- mixing --------------------------------------------------------------------------------------

# Each job prints half a line, waits, and prints the rest; then long runs of one letter, which pipes
# would cut into pieces.
for order in '' -k --line-buffer '-k --line-buffer'; do
  run -j4 $order 'printf {}; sleep 0.1; printf {}; sleep 0.1; echo {}' ::: a b c d e f
  is "half lines are not mixed: $order" 'aaa bbb ccc ddd eee fff ' "$(sort out | tr '\n' ' ')"
  run -j4 $order 'head -c 300000 /dev/zero | tr "\0" {}; echo' ::: a b c d
  is "long outputs are not mixed: $order" 'a 300000 b 300000 c 300000 d 300000 ' \
    "$(awk '{ print substr($0, 1, 1), length($0) }' out | sort | tr '\n' ' ')"
  is "and of one letter each: $order" 4 "$(tr -s abcd < out | sort -u | grep -c '^.$')"
done

# ---- standard error ------------------------------------------------------------------------------

for order in '' --line-buffer; do
  run -j4 $order 'echo out{}; echo err{} >&2' ::: 1 2 3 4
  is "standard output has that of the jobs only: $order" 'out1 out2 out3 out4 ' \
    "$(sort out | tr '\n' ' ')"
  is "and standard error: $order" 'err1 err2 err3 err4 ' "$(sort err | tr '\n' ' ')"
done
run -j1 --joblog log 'echo out; echo err >&2; false {}' ::: 1
is 'also of a job that fails' '1 out err' "$status $(cat out) $(cat err)"

# ---- memory --------------------------------------------------------------------------------------

# The largest process of the run, jobs included, in KiB. What the address sanitizer keeps of memory
# that was given back does not count.
ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=1
export ASAN_OPTIONS
if command -v python3 > /dev/null; then
  memory_of() {
    python3 -c '
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, timeout=100, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)' "$@"
  }
  small=$(memory_of "$pinion" run -j2 'head -c 1000 /dev/zero; : {}' ::: 1 2)
  for order in '' -k --line-buffer '-k --line-buffer'; do
    large=$(memory_of "$pinion" run -j2 $order 'head -c 200000000 /dev/zero; : {}' ::: 1 2)
    is "large outputs are not in memory: $order" "1 (of $small and $large KiB)" \
      "$((large < small + 30000)) (of $small and $large KiB)"
  done
else
  skip 'memory' 'no python3 to measure it with'
fi

# ---- full disks ----------------------------------------------------------------------------------

mkdir small
if mount -t tmpfs -o size=2m none small 2> /dev/null; then
  TMPDIR=$work/small run -j1 --joblog log 'head -c {} /dev/zero' ::: 10000000 10
  is 'an output that the disk does not hold fails its job' '1 10' "$status $(tail -1 log | cut -f6)"
  holds 'and is told' says err 'No space left'
  TMPDIR=$work/small run -j2 -k --line-buffer '[ {} = 1 ] && sleep 1; head -c 10000000 /dev/zero; :' \
    ::: 1 2
  is 'lines that the disk does not hold end the run' 255 "$status"
  run -j1 --results small/res 'head -c 5000000 /dev/zero; : {}' ::: 1
  is 'results that the disk does not hold end the run' 255 "$status"
  rm -rf small/res
  seq 20000 | timeout 60 "$pinion" run -j2 true > small/out 2> err --joblog small/log
  is 'a log that the disk does not hold does not' 0 $?
  head -c 1900000 /dev/zero > small/filler
  seq 9000 | timeout 60 "$pinion" run -j2 --joblog small/log true > out 2> err
  is 'a log that the disk no longer holds ends the run' 255 $?
  holds 'and says so' says err 'log .*No space left'
  umount small
else
  skip 'full disks' 'nothing can be mounted'
fi

# ---- what is left behind -------------------------------------------------------------------------

mkdir temporary
TMPDIR=$work/temporary PINION_JOB=$tag-files "$pinion" run -j2 \
  'seq 200000; touch printed.{}; sleep 60' ::: 1 2 > out 2> err &
child=$!
wait_until [ -e printed.1 ] && wait_until [ -e printed.2 ]
is 'no temporary file can be seen' '' "$(ls temporary)"
kill -9 "$child"
status_of "$child" 2> /dev/null
wait_until nothing_left files
is 'kill -9 leaves no file' '' "$(ls temporary)"
is 'and no process' '' "$(leftovers files)"

# ---- special characters --------------------------------------------------------------------------

if command -v python3 > /dev/null; then
  python3 -c '
import sys
for byte in range(1, 256):
    if byte != 10: sys.stdout.buffer.write(b"a" + bytes([byte]) + b"b" + bytes([byte]) * 2 + b"\n")
    ' > bytes
  run -k -a bytes printf '"%s\n"'
  holds 'every byte arrives' cmp -s bytes out
  run -k -a bytes -q printf '%s\n'
  holds 'every byte arrives at a quoted command' cmp -s bytes out
  run -k -a bytes 'printf "%s\n" {} | cat'
  holds 'every byte arrives through a shell' cmp -s bytes out
  cp bytes stdin
  alike 'every byte arrives alike' -k 'printf "%s.%s\n" {} {.}'
else
  skip 'every byte' 'no python3 to write it with'
fi
for text in '#' '%' "'" '"' '`id`' '$(id)' '!!' '~root' '*' '?' '[a-z]' '{a,b}' '\' '\\' ' ' '  a  b ' \
  '-n' '--help' '-' '--' '&' '|' ';' '<' '>' '(' ')' '=' 'A=1' '$IFS' '^' '!' "a'b\"c" "''" '""'; do
  printf '%s\n' "$text" > expected
  run printf '"%s\n"' ::: "$text"
  holds "the argument $text arrives" cmp -s expected out
  run 'echo "" | printf "%s\n"' {} ::: "$text"
  holds "the argument $text arrives through a shell" cmp -s expected out
done

# ---- composed commands ---------------------------------------------------------------------------

alike 'two commands' -k 'echo {}; echo second {}' ::: a 'b c'
alike 'pipes' -k 'echo {} | tr a-c x-z | cat' ::: a 'b c'
alike 'conditions' -k '[ {} -gt 1 ] && echo large {} || echo small {}' ::: 1 2 3
alike 'loops' -k 'for i in 1 2; do echo {} $i; done' ::: a b
alike 'subshells, groups and redirection' -k '(echo {}; echo x >&2) 2>&1 | wc -l; { echo {}; }' ::: a b
alike 'assignments' -k 'A={}; echo "$A" $((1 + 1))' ::: 'a  b' c
alike 'here documents' -k 'cat <<E
<{}>
E' ::: a b
alike 'comments' -k 'echo {} # comment' ::: a
alike 'exit statuses' -k 'echo {}; (exit {})' ::: 0 1 2

# ---- replacement strings -------------------------------------------------------------------------

alike 'once' -k echo 'x{}y' ::: a 'b c'
alike 'several times' -k echo '{}{} {}-{} {.}{.}' ::: a.b 'c d.e'
alike 'all of them' -k echo '{} {.} {/} {//} {/.} {#} {1} {1.} {1/} {1//} {1/.} {-1}' ::: a/b.c d ./e.f.g /h /
alike 'of several sources' -k echo '{2}{1}{2} {2.}+{1/}' ::: a/b c ::: d.e f
alike 'what only looks like one' -k echo '{a} {} {1a} {,} {...} {} $HOME' ::: x
alike 'names that begin with a dot' -k echo '{.} {/.}' ::: .a b/.c d.e/f g.

# ---- long lines, many words, many jobs -----------------------------------------------------------

head -c 100000 /dev/zero | tr '\0' x > long
for times in 1 2; do cat long; echo; done > lines
run -k -a lines 'printf "%s" {} | wc -c'
is 'arguments of 100,000 bytes' '100000 100000 ' "$(tr '\n' ' ' < out)"
seq -s ' ' 20000 > words
run -k -a words
is 'a line that is too long for one argument of the shell is refused by name' 1 "$status"
seq -s ' ' 10000 | sed 's/^/printf "%s\\n" /' > words
run -k -a words
is 'a command line of 10,000 words' 10000 "$(wc -l < out)"
seq -s ' ' 10000 > words
run -k -a words 'set -- {}; echo $#'
is 'an argument with 10,000 words is one' 1 "$(cat out)"
run -k --colsep ' ' -a words 'printf "%s\n" {} | wc -l'
is 'and 10,000 columns are as many' 10000 "$(cat out)"
seq 5000 > lines
run -k -n5000 -a lines 'printf "%s\n" {}'
holds '5,000 arguments for one job' cmp -s out lines
run -j4 -k -a lines echo
holds '5,000 jobs in order' cmp -s out lines

finish
