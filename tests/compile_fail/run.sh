#!/bin/sh
# Each file here must fail to compile, with the sentence of its first line; control.cpp must compile.
# usage: run.sh CXX INCLUDE_DIR...
set -u
here=$(dirname "$0")
if [ $# -lt 2 ]; then
  echo "usage: run.sh CXX INCLUDE_DIR..." >&2
  exit 2
fi
compiler=$1
shift
includes=
for folder in "$@"; do includes="$includes -I$folder"; done

failures=0
count=0
for file in "$here"/*.cpp; do
  # The compiler and its arguments may be several words.
  # shellcheck disable=SC2086
  output=$($compiler -std=c++20 -fsyntax-only $includes "$file" 2>&1)
  status=$?
  count=$((count + 1))
  if [ "$(basename "$file")" = control.cpp ]; then
    if [ $status -ne 0 ]; then
      printf '%s does not compile:\n%s\n' "$file" "$output"
      failures=$((failures + 1))
    fi
    continue
  fi
  sentence=$(sed -n '1s|^// expect: ||p' "$file")
  if [ -z "$sentence" ]; then
    echo "$file: its first line is not '// expect: SENTENCE'"
    failures=$((failures + 1))
  elif [ $status -eq 0 ]; then
    echo "$file compiles, and should not"
    failures=$((failures + 1))
  elif ! printf '%s\n' "$output" | grep -F -q -e "$sentence"; then
    printf "%s fails without the sentence '%s':\n%s\n" "$file" "$sentence" "$output" | head -n 40
    failures=$((failures + 1))
  fi
done
echo "$count files, $failures failures"
[ "$count" -gt 1 ] && [ "$failures" -eq 0 ]
