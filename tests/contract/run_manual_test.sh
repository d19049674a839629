#!/bin/sh
# The manual page and the completions know the options that there are:
# sh run_manual_test.sh PATH-OF-PINION

source_root=$(cd "$(dirname "$0")/../.." && pwd)
. "$(dirname "$0")/run_support.sh"

manual=$source_root/docs/pinion.1
bash_completion=$source_root/tools/completions/pinion
zsh_completion=$source_root/tools/completions/_pinion

# The program itself says which options there are, with or without a value.
options='--jobs=1 --max-procs=1 --keep-order --line-buffer --arg-file=stdin --null --colsep=,
  --max-args=1 --quote --tag --tagstring=x --wd=. --workdir=. --env=x --dry-run --places=none --bind=close
  --cpus=1 --retries=1 --timeout=9 --term-seq=KILL --delay=0 --halt=never --joblog=log --resume
  --resume-failed --retry-failed --results=res --stats=stats --bar --summary'
for option in $options; do
  word=${option%%=*}
  run --joblog "log$word" "$option" true ::: 1
  holds "there is an option $word" [ "$status" = 0 ]
  troff=$(echo "$word" | sed 's/-/\\-/g')
  holds "the manual page has $word" grep -q -F -e "$troff" "$manual"
  holds "the completion for bash has $word" grep -q -e "$word" "$bash_completion"
  holds "the completion for zsh has $word" grep -q -e "$word" "$zsh_completion"
done
for word in $(cat "$bash_completion" "$zsh_completion" | grep -o -e '--[a-z][a-z-]*' | sort -u); do
  case $word in --help | --version | --lb | --json) continue ;; esac
  holds "the completed option $word is one" sh -c 'case "$2" in *"$1"*) ;; *) exit 1 ;; esac' \
    - "$word" "$options"
done

if command -v groff > /dev/null; then
  groff -man -Tutf8 -ww -z "$manual" > out 2>&1
  is 'the manual page is set without a warning' '' "$(cat out)"
else
  skip 'setting the manual page' 'groff is not installed'
fi

# completes NAME WORD...: the completions of the last word.
completes() {
  bash -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _pinion
    printf "%s\n" "${COMPREPLY[@]}"' - "$bash_completion" "$@"
}
if command -v bash > /dev/null; then
  is 'subcommands are completed' run "$(completes pinion ru)"
  is 'options are completed' '--retries
--retry-failed' "$(completes pinion run --retr | sort)"
  is 'values are completed' 'now,done=1
now,fail=1
now,success=1' "$(completes pinion run --halt now | sort)"
  mkdir folder
  : > filename
  is 'folders are completed' folder "$(completes pinion run --wd f)"
  is 'files are completed' 'filename
folder' "$(completes pinion run --joblog f | sort)"
  is 'arguments of the command are files' 'filename' "$(completes pinion run -j 4 cat filen)"
  holds 'the command is completed' sh -c 'echo "$1" | grep -qx true' - \
    "$(completes pinion run -j 4 tru)"
  is 'options of topo are completed' '--places' "$(completes pinion topo --pl)"
else
  skip 'completion for bash' 'there is no bash'
fi
if command -v zsh > /dev/null; then
  holds 'the completion for zsh is a script' zsh -n "$zsh_completion"
else
  skip 'completion for zsh' 'there is no zsh'
fi

finish
