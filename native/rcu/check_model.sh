#!/bin/sh
# Checks slot_table.pml with SPIN: the protocol must hold in every interleaving, and each deliberate
# mutation of it must be refused. About a minute and 700 MB. Needs spin and a C compiler (CC,
# else gcc).
#   native/rcu/check_model.sh
set -u

model=$(cd "$(dirname "$0")" && pwd)/slot_table.pml
cc=${CC:-gcc}
mutations='1 2 3 4 5 6 7 8 9 10 11'
parkedMutations='3 6 7 9 12 13 14 15 16' # a lost wake-up is none here: a reader may stop anyway
depth=10000
passed=0
failed=0

for tool in spin "$cc"; do
  if ! command -v "$tool" > /dev/null; then
    echo "check_model.sh: $tool is not installed" >&2
    exit 1
  fi
done
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
cd "$dir" || exit 1

# verify OPTIMISATION MUTATION READERS VERSIONS TURNS PARKED: leaves the verifier's words in ./out
verify() {
  rm -f pan* out
  spin -a -DMUTATION="$2" -DREADERS="$3" -DVERSIONS="$4" -DTURNS="$5" \
    -DPARKED="$6" "$model" > out 2>&1 ||
    return 1
  "$cc" "$1" -w -DSAFETY -DCOLLAPSE -DMEMLIM=2000 -o pan pan.c >> out 2>&1 || return 1
  ./pan -m"$depth" > out 2>&1
}

# result WHAT ok|wrong
result() {
  states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' out)
  if [ "$2" = ok ]; then
    passed=$((passed + 1))
    echo "ok      $1 (${states:-?} states)"
  else
    failed=$((failed + 1))
    echo "FAILED  $1"
    sed 's/^/        /' out
  fi
}

exhaustive() {
  grep -q 'errors: 0$' out && grep -q 'states, stored' out &&
    grep -q 'assertion violations.*+' out && grep -q 'invalid end states.*+' out &&
    ! grep -q -e 'Search not completed' -e 'max search depth too small' out
}

# Readers, versions and turns together are too many states; these three cover each two of them.
for size in '1 4 2' '2 2 1' '2 3 0'; do
  # shellcheck disable=SC2086 # the size is three arguments
  set -- $size
  verify -O2 0 "$@" 0
  if exhaustive; then verdict=ok; else verdict=wrong; fi
  result "the protocol holds: $1 worker(s), $2 versions, $3 request(s) each" "$verdict"
done
for size in '1 4' '2 2'; do
  # shellcheck disable=SC2086 # the size is two arguments
  set -- $size
  verify -O2 0 "$@" 0 1
  if exhaustive; then verdict=ok; else verdict=wrong; fi
  result "the protocol holds: $1 parked reader(s), $2 versions" "$verdict"
done

# refuse MUTATION PARKED TURNS
refuse() {
  mutation=$1
  verify -O0 "$1" 1 4 "$3" "$2"
  what=$(sed -n "s/^ \*  *$mutation  \(.*\)/\1/p" "$model")
  if grep -q -e '^pan:1: assertion violated' -e '^pan:1: invalid end state' out &&
    grep -q 'errors: 1$' out; then
    why=$(sed -n 's/^pan:1: \(.*\) (at depth.*/\1/p' out | cut -c1-40)
    result "refused: $mutation, $what: $why" ok
  else
    result "refused: $mutation, $what" wrong
  fi
}
for mutation in $mutations; do refuse "$mutation" 0 2; done
for mutation in $parkedMutations; do refuse "$mutation" 1 0; done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
