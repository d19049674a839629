#include "help.hpp"

namespace pinion::command {

const char* const run_help =
    R"(Usage: pinion run [options] command {} ::: arguments...    (or :::: files...)
       pinion run [options] command {} < lines    or    < command-lines
  -j N, N%, +N, -N   jobs at once; default: one for each usable core
  -k, --lb           print outputs in the order of the input; lines as they come
  -a F  -0  -C RE    lines of file F; end with NUL; are cut into columns {1} {2}
  -n N  -q  --wd D   N arguments a job; quote the command; run in folder D
  --tag, --tagstring S   begin each line of output with the arguments; with S
  --retries N  --timeout T, P%   tries of a job that fails; how long it may take
  --halt now,fail=1  when to give up: now or soon; fail, success, done; N or N%
  --term-seq S  --delay T  --env V   signals; time between starts; bash function
  --joblog F  --resume, --resume-failed, --retry-failed   write a log, in GNU
                     parallel's format; go on from it: see the manual page
  --results D        write outputs into folder D; files D/{1}_{#}; table D.csv
  --dry-run, --bar, --summary   print commands only; progress; speed at the end
  --places P  --bind B  --cpus N   bind to cores, sockets, 0-7,16, none; close,
                     spread, primary; each job to N of its own
  --stats F          write what each job has used to F, as lines of JSON
  {} {.} {/} {//} {/.}  argument; less its extension; its name, folder, stem
  {#} {%} {1} {2.}      job number; slot; those of the first, the second :::
  pinion run -j4 gzip -k {} ::: *.log
  find . -name '*.wav' | pinion run flac -s {} -o {.}.flac
  pinion run --joblog done.log --places cores < commands.sh

Exit status: number of failed jobs; 101 for more than 100; 255 for other errors.
)";

}  // namespace pinion::command
