#!/bin/sh
# run.sh - runs the tests and counts what they said.
#
#   tests/run.sh all     everything: builds, unit tests under gcc and clang with sanitisers,
#                        house rules, end-to-end scripts on the release build
#   tests/run.sh quick   house rules and the unit tests of one sanitised build
#   tests/run.sh console a storm afternoon in the browser, axe, exports and attacks; figures last
#   tests/run.sh step LOG TIMEOUT_S COMMAND...  one of several side by side, for run.sh itself
#
# A step either speaks TAP (unit tests, end-to-end scripts) or is judged by its exit status.
# Saying nothing is failing: a TAP step must print its plan, as many results as planned, and
# exit with 0 exactly when all of them are good.  The last line is "N passed, N failed, N skipped",
# but for a campaign's figures.
set -u
cd "$(dirname "$0")/.." || exit 2
mode=${1:-all}
case $mode in all | quick | console | step) ;; *)
    echo "run.sh: unknown mode '$mode': all, quick or console" >&2
    exit 2
    ;;
esac
# One PostgreSQL server for all that need one.
[ -n "${KENG_TEST_POSTGRES:-}" ] || exec sh tests/postgres.sh run sh tests/run.sh "$mode"
MAKE=${MAKE:-make}
export CMOCKA_MESSAGE_OUTPUT=TAP
export UBSAN_OPTIONS=print_stacktrace=1
export ASAN_OPTIONS=detect_stack_use_after_return=1
# The tests compare words and dates; where they run must not matter.
export PYTHONDONTWRITEBYTECODE=1
export LC_ALL=C.UTF-8 TZ=Asia/Ho_Chi_Minh
unset KENG_LANG KENG_HOME KENG_DATA LANGUAGE

logs=build/test-logs
[ "$mode" = step ] || { rm -rf "$logs" && mkdir -p "$logs"; } || exit 2
figures=$logs/figures.txt # what a campaign measured, one line each
passed=0 failed=0 skipped=0 failures=

# count NAME PASSED FAILED SKIPPED LOG SECONDS
count()
{
    passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
    printf '%-44s %4d ok' "$1" "$2"
    [ "$4" -gt 0 ] && printf ' %3d skipped' "$4"
    [ "$3" -gt 0 ] && printf ' %3d FAILED' "$3"
    printf '  %s s\n' "$6"
    [ "$4" -gt 0 ] && grep -i '# skip' "$5" | sed 's/^/    /'
    if [ "$3" -gt 0 ]; then
        failures="$failures $1"
        echo "---- $1: $5"
        grep -a '^not ok' "$5" | grep -vi '# skip' | head -20
        tail -n 25 "$5"
        echo '----'
    fi
}

log_of()
{
    echo "$logs/$(echo "$1" | tr -c 'A-Za-z0-9._\n-' '_').log"
}

# step_status NAME TIMEOUT_S COMMAND...: one result, the exit status
step_status()
{
    name=$1 limit_s=$2
    shift 2
    log=$(log_of "$name") began=$(date +%s)
    timeout -k 10 "$limit_s" "$@" >"$log" 2>&1 </dev/null
    status=$?
    [ $status = 124 ] && echo "no end within $limit_s s" >>"$log"
    took=$(($(date +%s) - began))
    if [ $status = 0 ]; then
        count "$name" 1 0 0 "$log" $took
    else
        count "$name" 0 1 0 "$log" $took
    fi
    return $status
}

# run_logged LOG TIMEOUT_S COMMAND...: runs it; how it ended and how long it took go to LOG.end
run_logged()
{
    log=$1 limit_s=$2 began=$(date +%s)
    shift 2
    timeout -k 10 "$limit_s" "$@" >"$log" 2>&1 </dev/null
    status=$?
    [ $status = 124 ] && echo "no end within $limit_s s" >>"$log"
    echo "$status $(($(date +%s) - began))" >"$log.end"
}
if [ "$mode" = step ]; then
    shift
    run_logged "$@"
    exit 0
fi

# count_tap NAME: as many results as the step planned
count_tap()
{
    name=$1 log=$(log_of "$1") status=1 took=0
    [ -e "$log.end" ] && read -r status took <"$log.end" || : >"$log"
    set -- $(LC_ALL=C awk -v status=$status '
        /^1\.\.[0-9]+/ { split($1, p, /\.\./); planned += p[2]; plans++ }
        /^(not )?ok/ {
            if (toupper($0) ~ /# *SKIP/) skip++
            else if ($1 == "ok") good++
            else bad++
        }
        END {
            seen = good + bad + skip
            if (plans == 0) bad++                       # said nothing: no result
            else if (seen < planned) bad += planned - seen
            else if (seen > planned) bad++              # a plan that is not kept is no plan
            if (status != 0 && bad == 0) bad++          # died after its last result
            if (status == 0 && bad > 0 && plans > 0) late = 1
            print good + 0, bad + 0, skip + 0, late + 0
        }' "$log")
    [ "$4" = 1 ] && echo "# exit status 0 although not all is well" >>"$log"
    [ "$2" -gt 0 ] && echo "# exit status $status" >>"$log"
    count "$name" "$1" "$2" "$3" "$log" $took
    [ "$2" = 0 ]
}

# step_tap NAME TIMEOUT_S COMMAND...
step_tap()
{
    name=$1
    shift
    run_logged "$(log_of "$name")" "$@"
    count_tap "$name"
}

# unit FLAVOUR: the list comes from the sources, so that a program that was not built is missed.
unit()
{
    step_status "build $1" 420 "$MAKE" -s -k -j2 FLAVOUR="$1" unit
    # Most of their time is waiting for a disk or a clock, so some run side by side.
    for src in tests/unit/test_*.c; do
        test_name=$(basename "$src" .c)
        printf '%s\n' "$(log_of "$1 $test_name")" 120 "build/$1/tests/unit/$test_name"
    done | xargs -P 3 -n 3 sh tests/run.sh step
    for src in tests/unit/test_*.c; do
        count_tap "$1 $(basename "$src" .c)"
    done
}

# What strangers and liars try, against a sanitised build.  Each is counted by itself, and one of
# which nothing was heard is a failure.
console_attacks()
{
    attacked='http http_room access cap'
    step_status 'build gcc-san' 420 "$MAKE" -s -j2 FLAVOUR=gcc-san all \
        $(printf 'build/gcc-san/tests/unit/test_%s ' $attacked)
    for part in $attacked; do
        step_tap "gcc-san test_$part" 120 "build/gcc-san/tests/unit/test_$part"
    done
    # What it freed is kept back a little only: the memory that guesses cost is looked at, too.
    step_tap 'attacks' 600 env KENG_BIN=build/gcc-san \
        ASAN_OPTIONS="$ASAN_OPTIONS:quarantine_size_mb=8" \
        python3 tests/e2e/console_attacks.py --tries 10000
    step_tap 'stored markup' 240 env KENG_BIN=build/gcc-san python3 tests/e2e/console_markup.py
    sed -n 's/^# figure: //p' "$(log_of attacks)" "$(log_of 'stored markup')" >"$figures"
    for attack in 'no session' 'wrong role' 'forged form' 'session fixation' 'path tricks' \
        'odd requests' 'oversized requests' 'slow requests' 'readers that hang' \
        'log-in tries' 'stored markup'; do
        grep -q "^attack, $attack: " "$figures" && continue
        echo "attack, $attack: 0 tried (all)" >>"$figures"
        failed=$((failed + 1)) failures="$failures attack:$attack"
    done
}

console()
{
    step_status 'build release' 420 "$MAKE" -s -j2 all
    console_attacks
    for script in tests/e2e/console_*.py; do
        case $script in *_attacks.py | *_markup.py) continue ;; esac
        step_tap "$script" 240 python3 "$script"
    done
    step_tap 'tests/browser/storm.py' 1200 python3 tests/browser/storm.py
    step_status 'exports in others'\'' programs' 900 "$MAKE" -s test-office
    sed -n 's/^# figure: //p' "$(log_of 'tests/browser/storm.py')" >>"$figures"
}

began_all=$(date +%s)
if [ "$mode" != console ]; then
    step_status 'tidy' 60 sh tests/tidy.sh
    step_tap 'tidy notices violations' 60 sh tests/tidy.sh --self-test
fi
if [ "$mode" = console ]; then
    console
elif [ "$mode" = quick ]; then
    unit gcc-san
    step_status 'core-purity' 120 "$MAKE" -s core-purity
else
    step_status 'build release' 420 "$MAKE" -s -k -j2 all
    step_status 'core-purity' 60 "$MAKE" -s core-purity
    step_tap 'manuals agree with --help' 60 sh tests/manuals.sh
    unit gcc-san
    unit clang-san
    # Hostile input once more, against daemons that a sanitiser watches.
    step_status 'build gcc-san programs' 420 "$MAKE" -s -k -j2 FLAVOUR=gcc-san all
    step_tap 'gcc-san tests/e2e/faults.py' 240 \
        env KENG_BIN=build/gcc-san python3 tests/e2e/faults.py
    for script in tests/e2e/*.sh tests/e2e/*.py tests/browser/*.sh; do
        [ -e "$script" ] || continue
        case $script in
        */lib.sh | */rig.py | */crowd.py) continue ;;
        *.py) step_tap "$script" 240 python3 "$script" ;;
        *) step_tap "$script" 240 sh "$script" ;;
        esac
    done
fi

[ -n "$failures" ] && echo "failed:$failures"
echo "took $(($(date +%s) - began_all)) s"
[ $((passed + failed)) -gt 0 ] || failed=1
echo "$passed passed, $failed failed, $skipped skipped"
[ ! -e "$figures" ] || cat "$figures"
[ "$failed" = 0 ]
