#!/bin/sh
# The console in a real browser: live arrival, both languages, a phone's and a desk's width.  TAP.
# Pictures go to build/shots/.  PROGRAM_DIR and UNIT_DIR say where the programs are; the records
# shown are made by a unit test (make FLAVOUR=gcc-san unit).
set -u
cd "$(dirname "$0")/../.." || exit 1
programs=${PROGRAM_DIR:-build}
units=${UNIT_DIR:-build/gcc-san/tests/unit}
dir=$(mktemp -d "${TMPDIR:-/tmp}/keng-shots.XXXXXX") || exit 1
pid=
count=0
failed=0

clean_up() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null
    rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

report() { # status text
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $count - $2"
    else
        echo "not ok $count - $2"
        failed=1
        sed 's/^/# /' "$dir/said"
    fi
}

browse() { # width height url steps...
    width=$1 height=$2
    shift 2
    timeout 60 python3 tests/browser/cdp.py --width "$width" --height "$height" "$@" \
        >"$dir/said" 2>&1
}

hash_of() { # file
    python3 -c 'import hashlib,sys
print(hashlib.blake2b(open(sys.argv[1], "rb").read(), digest_size=32).hexdigest())' "$1"
}

put_url() { # file: where it is put; the network id stands behind the magic
    network=$(od -An -v -tx1 -j8 -N32 "$1" | tr -d ' \n')
    echo "$base/v1/batch/$(hash_of "$1")?network=$network&nonce=00000000000000000000000000000000"
}

put() { # file
    curl -fsS --noproxy '*' -H Expect: -T "$1" "$(put_url "$1")" >"$dir/said" 2>&1
}

echo "1..8"
mkdir -p build/shots
KENG_DEMO_DIR=$dir "$units/test_gateway_demo" >"$dir/said" 2>&1
report $? "demonstration records are made and verify"

"$programs/keng-gateway" --db "$dir/a.db" --trust "$dir/commune.keng" --listen 127.0.0.1:0 \
    --villages seeds/demo/villages.csv 2>"$dir/log" &
pid=$!
base=
tries=0
while [ -z "$base" ] && [ "$tries" -lt 100 ]; do
    sleep 0.1
    base=$(sed -n 's|.*listening on \(http://[0-9.:]*\)/.*|\1|p' "$dir/log")
    tries=$((tries + 1))
done
cp "$dir/log" "$dir/said"
[ -n "$base" ]
report $? "the receiver listens"

put "$dir/reports.keng"
report $? "a batch is taken"

browse 1280 900 "$base/?lang=vi" "wait:#line.on" "wait-text:Lũng Cằm" \
    "wait-text:<script>alert('xã')</script>" \
    "wait-text:1 tin CỨU NẠN chờ xem" "wait-js:document.title.includes('CỨU NẠN')" \
    "wait:article.drill .mark.drill" \
    "wait-js:document.documentElement.scrollWidth <= 1280" shot:build/shots/vi-1280.png
report $? "Vietnamese at a desk's width, nothing from outside, no script of a report runs"
browse 1280 900 "$base/?lang=en" "wait:#line.on" "wait-text:Totals by village" \
    shot:build/shots/en-1280.png
report $? "English at a desk's width"
browse 360 740 "$base/?lang=vi" "wait:#line.on" "wait-text:Tổng hợp" \
    "wait-js:document.documentElement.scrollWidth <= 360" shot:build/shots/vi-360.png
report $? "Vietnamese at a phone's width without scrolling sideways"
browse 360 740 "$base/?lang=en" "wait:#line.on" \
    "wait-js:document.documentElement.scrollWidth <= 360" shot:build/shots/en-360.png
report $? "English at a phone's width without scrolling sideways"

url=$(put_url "$dir/late.keng")
browse 1280 900 "$base/" "wait:#line.on" "eval:window.kengMark = 1" \
    "wait-js:!document.body.innerText.includes('2 nhà đổ tường')" \
    "run:curl -fsS --noproxy '*' -H Expect: -T $dir/late.keng '$url'" \
    "wait-text:2 nhà đổ tường" "wait:article.new" "wait-js:window.kengMark === 1" \
    shot:build/shots/vi-1280-live.png
report $? "a report that arrives shows up without a reload"
exit $failed
