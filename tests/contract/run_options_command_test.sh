#!/bin/sh
# The options of `pinion run` about input and templates: sh run_options_command_test.sh PATH-OF-PINION
# Where GNU parallel is installed, it is asked for the same and must answer the same.

. "$(dirname "$0")/run_support.sh"

# ---- several sources -----------------------------------------------------------------------------

printf 'a\tb\nc\td\te\n' > table
printf '1\n2\n' > numbers
printf 'x y\nz' > stdin
run -k echo :::: numbers ::: p q
is 'files and words combine' '1 p
1 q
2 p
2 q' "$(cat out)"
alike 'files and words combine alike' -k echo :::: numbers ::: p q
alike 'files combine with themselves' -k echo '{2}{1}' :::: numbers numbers
alike 'a file given by -a combines with words' -k -a numbers echo ::: p q
alike 'standard input is a source' -k echo :::: - numbers
alike 'two files by -a' -k -a numbers -a table echo
run -k echo :::: /no/such/file ::: a
is 'a missing source is refused' '255 0' "$status $(wc -c < out)"
run -k echo :::: numbers /dev/null
is 'an empty source makes no job' '0 0' "$status $(wc -c < out)"
holds 'an empty source is named' says err '/dev/null is empty'
mkfifo slow
(sleep 0.3; printf 'p\n'; sleep 0.3; printf 'q\n') > slow &
run -k echo :::: numbers slow
is 'a slow stream combines' '1 p
1 q
2 p
2 q' "$(cat out)"
printf 'a b\0c\nd\0' > stdin
alike 'items that end with NUL' -k -0 echo '"<{}>"'

# ---- linked sources ------------------------------------------------------------------------------

run -k echo ::: a b c :::+ 1 2 ::: X Y
is 'linked sources go together, as far as the shortest' 'a 1 X
a 1 Y
b 2 X
b 2 Y' "$(cat out)"
alike 'linked words' -k echo ::: a b c :::+ 1 2 3 ::: X Y :::+ 11 22
alike 'the last of two is linked' -k echo ::: a b ::: 1 2 :::+ x y z
alike 'words linked with a file' -k echo :::: numbers :::+ q r s t
alike 'files linked with words, and with each other' -k echo '{3}{1}' ::: a b c ::::+ numbers table
alike 'a linked source without one before it' -k echo :::+ a b
alike 'two linked items a job' -k -n2 echo ::: a b c :::+ 1 2 3
alike 'linked columns' -k --colsep , echo '{1}{2}{3}{4}' ::: a,b c,d :::+ e,f g,h
run -k echo ::: a b :::+
is 'nothing is linked' '0 0' "$status $(wc -c < out)"
rm slow; mkfifo slow
(sleep 0.3; printf 'p\n'; sleep 0.3; printf 'q\n') > slow &
run -k echo ::: a b c ::::+ slow
is 'a slow stream is linked' 'a p
b q' "$(cat out)"

# ---- columns and groups --------------------------------------------------------------------------

alike 'columns' -k --colsep '\t' echo '{1}+{2}+{3}+{}' :::: table
alike 'columns of several sources follow each other' -k --colsep , echo '{1}{2}{3}{4}' ::: a,b c,d ::: e,f
alike 'columns are trimmed' -k -C , echo "'<{1}><{2}>'" ::: ' a b , c '
alike 'empty columns count' -k --colsep , echo '"[{1}][{2}][{3}][{-1}]<{}>"' ::: a,b,, ,a,b '' a,,b
alike 'a regular expression separates columns' -k --colsep '[-:]+\s*' echo '{2}{1}' ::: a-b 'c:- d'
run --colsep '[' echo ::: a
is 'an expression that is none is refused' 255 "$status"
holds 'an expression that is none is named' says err "colsep '\['"

alike 'two arguments a job' -k -n2 echo 'x{1}-{2}' ::: 1 2 3 4 5
alike 'two arguments a job, all at once' -k -n 2 echo 'x{}' ::: 1 2 3
alike 'two arguments a job, at the end' -k -n2 echo ::: 1 2 3
alike 'two items of a combination a job' -k -n2 echo '{1}{2}{3}{4}{5}' ::: a b c ::: 1 2
alike 'two arguments a job, from the end and less an extension' -k -n2 echo '{-1} {2.}' ::: a.x b.y c.z
alike 'two lines of columns a job' -k --colsep , -n2 echo '{1}_{2}_{3}_{4}' ::: a,b c,d
run -k -n0 echo again ::: 1 2
is 'no argument a job' 'again
again' "$(cat out)"

# ---- quoting, dry run, tags ----------------------------------------------------------------------

alike 'a quoted command' -k -q echo '$HOME  "{}" ; *' ::: 'a b' c
alike 'a quoted command with several words' -k -q perl -e 'print "@ARGV\n"' '{}x' y ::: 'a b'
alike 'a quoted command with several arguments' -k -q -n2 echo 'x{}y' '{1}.{2}' ::: a 'b  c' d
rm -f ran
run --dry-run 'touch ran; echo {} {#}' ::: 'a b' c
is 'a dry run prints the jobs' "touch ran; echo 'a b' 1
touch ran; echo c 2" "$(cat out)"
holds 'a dry run runs nothing' [ ! -e ran ]
rm -f log
run --dry-run --joblog log echo ::: a
holds 'a dry run writes no log' [ ! -e log ]
alike 'a dry run' -k --dry-run echo '{} {#} {2/.}' ::: 'a b' "it's" ::: d/e.f
alike 'a dry run of a quoted command' -k --dry-run -q -n2 echo 'x{}y' '{1}.{2}' ::: a 'b c'

alike 'tags' -k --tag echo '{2}' ::: a 'b c' ::: 1
alike 'a tag for each line, none for the end' -k --tag 'printf "l1\nl2"; echo # {}' ::: a
alike 'a tag of several arguments' -k -n2 --tag echo ::: 1 2 3
alike 'a tag of columns' -k --tag --colsep '\t' echo '{2}' :::: table
alike 'a tag with replacement strings' -k --tagstring 'x{}y\t{#}{1/.}' echo ::: a 'b c/d.e'
run --tag 'echo o; echo e >&2 # {}' ::: a
is 'standard error is tagged, too' 'a	o a	e' "$(cat out) $(cat err)"
run -k --tag 'seq {}' ::: 100000 3
seq 100000 | sed 's/^/100000	/' > expected
seq 3 | sed 's/^/3	/' >> expected
holds 'large outputs are tagged' cmp -s out expected

# ---- where a job runs ----------------------------------------------------------------------------

mkdir folder
echo 'echo here "$@"' > folder/script
chmod +x folder/script
run --wd folder pwd '#' ::: 1
is 'a job runs in the folder' "$(pwd -P)/folder" "$(cat out)"
run --wd folder ./script ::: 1
is 'a relative name is looked up in that folder' 'here 1' "$(cat out)"
run -k --workdir "$work/new/{}" pwd '#' ::: 1 2
is 'folders are made, one for each job' "$(pwd -P)/new/1 $(pwd -P)/new/2 " "$(tr '\n' ' ' < out)"
HOME=$work run -k --wd ... 'touch mine; pwd; ls' '#' ::: a b
is 'folders of their own' '1 mine 2 mine ' \
  "$(sed "s|^$(pwd -P)/.parallel/tmp/$(uname -n)-[0-9]*-||" out | tr '\n' ' ')"
holds 'folders of their own are kept' [ "$(find .parallel/tmp -name mine | wc -l)" = 2 ]
HOME='' run --wd ... pwd '#' ::: a
is 'without a home there are none' '255 0' "$status $(wc -c < out)"
alike 'the same folder' -k --wd . pwd '#' ::: 1
alike 'folders by replacement string' -k --wd "$work/w{}x{#}" pwd '#' ::: 1 2
: > file
run --joblog log --wd file/sub pwd '#' ::: 1
is 'a folder that cannot be made fails the job' '1 255' "$status $(tail -1 log | cut -f7)"
holds 'a folder that cannot be made is named' says err file/sub

alike 'the sequence number in the environment' -k echo '$PARALLEL_SEQ {}' ::: a b c
seq 200 > lines
run -j3 -a lines 'echo $PARALLEL_JOBSLOT; sleep 0.0{}'
is 'the slots in the environment' '1 2 3 ' "$(sort -u out | tr '\n' ' ')"
run -j3 -a lines '[ $PARALLEL_JOBSLOT = {%} ] && mkdir slot{%} && sleep 0.00{} && rmdir slot{%}'
is 'slots in lines and in the environment agree, and no two jobs share one' 0 "$status"
run -j3 -a lines 'mkdir s$PARALLEL_JOBSLOT && sleep 0.00{} && rmdir s$PARALLEL_JOBSLOT'
is 'no two jobs share a slot of the environment' 0 "$status"

if command -v bash > /dev/null; then
  bash -c 'f() { echo "f of $1"; }; export -f f; "$1" run -k --env f f ::: "a  b" c' - "$pinion" > out
  is 'an exported function' 'f of a  b
f of c' "$(cat out)"
  bash -c 'ls() { echo mine; }; export -f ls; "$1" run --env _ ls ::: 1' - "$pinion" > out
  is 'all exported functions, before programs' mine "$(cat out)"
else
  skip 'exported functions' 'there is no bash'
fi
run --env NO_SUCH echo ::: a
is 'a variable that is not set does no harm' '0 a' "$status $(cat out)"

# ---- jobs at once --------------------------------------------------------------------------------

cores=$("$pinion" topo | grep -c '^  worker ')
slots() { run "$@" 'echo $PARALLEL_JOBSLOT; sleep 0.3; : {}' ::: 1 2 3 4 5 6 7 8; sort -u out | wc -l; }
if [ "$cores" -le 4 ]; then
  is 'jobs at once: all cores' "$cores" "$(slots)"
  is 'jobs at once: a percentage' "$((2 * cores))" "$(slots -j 200%)"
  is 'jobs at once: more than cores' "$((cores + 1))" "$(slots -j +1)"
  is 'jobs at once: fewer than cores' "$((cores > 1 ? cores - 1 : 1))" "$(slots -j -1)"
  is 'jobs at once: at least one' 1 "$(slots -j -1000)"
else
  skip 'jobs at once in relation to cores' "the jobs here are for 4 cores, and there are $cores"
fi

# ---- results in a table --------------------------------------------------------------------------

# table_alike NAME TABLE ARGUMENTS...: GNU parallel writes the same rows, but for the times.
table_alike() {
  name=$1 table=$2
  shift 2
  if [ -z "$rival" ]; then
    skip "$name" 'GNU parallel is not installed'
    return
  fi
  rm -f "$table"
  run --results "$table" "$@"
  mv "$table" ours
  "$rival" --will-cite --results "$table" "$@" > expected
  for each in ours "$table"; do
    sed -E 's/[0-9]{10}\.[0-9]{3}([,\t])[0-9]+\.[0-9]{3}/T\1T/' "$each" > "$each.rows"
  done
  is "$name" "$(cat expected "$table.rows")" "$(cat out ours.rows)"
}

run -k --results t.csv 'echo {1}; echo "{2}" >&2; exit {#}' ::: 'a,b' c ::: 'x"y'
is 'a table is written, and nothing printed' '2 0' "$status $(cat out err | wc -c)"
is 'a table has a header and a row for each job' \
  'Seq,Host,Starttime,JobRuntime,Send,Receive,Exitval,Signal,Command,V1,V2,Stdout,Stderr' \
  "$(head -1 t.csv)"
run -k --results -.tsv echo ::: a
is 'a table on standard output' '3 11 "echo a"' \
  "$(wc -l < out) $(sed -n 2p out | awk -F '\t' '{ print NF, $9 }')"
table_alike 'a table with commas' t.csv -k -j1 'echo {1}; echo {2} >&2; exit {#}' ::: 'a,b' c ::: 'x"y' ''
table_alike 'a table with tabs' t.tsv -k -j1 echo '{1}-{2}' ::: 'a	b' 'c d' :::+ '1,2' 'x"'
table_alike 'a table of large outputs' t.csv -k -j1 'seq {} | sed "s/\$/,\"/"' ::: 100000 3
run -k -j2 --results t.csv 'sleep 0.{}; echo {}' ::: 5 1
is 'rows in the order of the input' '1 2 ' "$(grep -o '^[12]' t.csv | tr '\n' ' ')"
run --results /dev/full/t.csv true ::: 1
is 'a table that cannot be made' 255 "$status"
holds 'a table that cannot be made is named' says err '/dev/full/t.csv'

# A run that goes on keeps the whole rows, and repeats the job whose row was not.
rm -f t.csv log
run -j1 --joblog log --results t.csv 'echo "{}"; echo two' ::: a b
cp log half.log && cp t.csv half.csv
printf '3,:,17' >> half.csv
run -j1 --resume --joblog half.log --results half.csv 'echo "{}"; echo two' ::: a b c
is 'a table goes on after its last whole row' '1 2 3 ' \
  "$(grep -o '^[0-9]*,' half.csv | tr ',\n' '  ' | tr -s ' ')"

finish
