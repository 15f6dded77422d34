#!/bin/sh
# One real node without a modem, its gateway, and a receiver behind TLS: a report is shown,
# reviewed, sent upward through a cut link, exported and imported.  TAP.
set -u
cd "$(dirname "$0")/../.." || exit 1
programs=$PWD/${PROGRAM_DIR:-build}
case ${PROGRAM_DIR:-} in /*) programs=$PROGRAM_DIR ;; esac
dir=$(mktemp -d "${TMPDIR:-/tmp}/keng-gw.XXXXXX") || exit 1
export KENG_DATA="$PWD/seeds" KENG_LANG=en
pids=
count=0
failed=0

clean_up() {
    for pid in $pids; do kill -9 "$pid" 2>/dev/null; done
    wait 2>/dev/null
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
        for log in "$dir"/*.log; do sed "s|^|# ${log##*/}: |" "$log" | tail -8; done
    fi
}

wait_until() { # seconds command...
    left=$(($1 * 10))
    shift
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 0.1
    done
}

start() { # name command...: its id in $started
    name=$1
    shift
    "$@" >>"$dir/$name.log" 2>&1 &
    started=$!
    pids="$pids $started"
}

listening() { # name: the address in $address
    wait_until 10 grep -q "listening on" "$dir/$1.log"
    address=$(sed -n 's|.*listening on \(https*://[^/]*\)/.*|\1|p' "$dir/$1.log" | tail -1)
    [ -n "$address" ]
}

page() { curl -fsS --noproxy '*' "$gateway/?lang=en&static=1"; }
page_has() { page | grep -q -- "$1"; }
state_is() { "$programs/keng" --home "$dir/home" status --json | grep -q "\"state\": *\"$1\""; }

echo "1..12"
{
    "$programs/keng" init --name "Xã Thử" --code 01879 --dir "$dir/desk" &&
        "$programs/keng" enroll --dir "$dir/desk" --number 60 --name "Tỉnh" --role operator \
            --out "$dir/province" &&
        "$programs/keng" enroll --dir "$dir/desk" --number 9 --name "Trạm xã" --role gateway \
            --village 1 --out "$dir/home" &&
        "$programs/keng" enroll --dir "$dir/desk" --number 10 --name "Trực ban" --role operator \
            --village 1 --out "$dir/home" &&
        "$programs/keng" enroll --dir "$dir/desk" --number 12 --name "An" --role member \
            --village 3 --out "$dir/home" &&
        "$programs/keng" cert --dir "$dir/desk" --out "$dir/tls" localhost 127.0.0.1
} >"$dir/init.log" 2>&1
report $? "a commune, its gateway and a certificate are made"

start kengd "$programs/kengd" --home "$dir/home"
kengd=$started
wait_until 10 "$programs/keng" --home "$dir/home" node
report $? "the node answers"

start gateway "$programs/keng-gateway" --home "$dir/home" --listen 127.0.0.1:0 \
    --push https://localhost:1 --ca "$dir/desk/tls/ca.crt" --push-interval-s 1
gateway_pid=$started
listening gateway
report $? "the gateway listens"
gateway=$address

"$programs/keng" --home "$dir/home" report note --as 12 \
    --text "Sập 1 cầu treo <b>, 3 nhà bị cô lập" \
    >"$dir/report.log" 2>&1 && wait_until 10 page_has 'Sập 1 cầu treo &lt;b&gt;, 3 nhà bị cô lập'
report $? "a report appears on the console, escaped"

page >"$dir/page"
token=$(sed -n 's/.*name="token" value="\([0-9a-f]*\)".*/\1/p' "$dir/page" | head -1)
arrival=$(sed -n 's/.*name="arrival" value="\([0-9]*\)".*/\1/p' "$dir/page" | head -1)
curl -fsS --noproxy '*' -o "$dir/review.log" --data-urlencode "token=$token" -d "arrival=$arrival" \
    -d state=1 --data-urlencode "text=Đã cử tổ 2" "$gateway/review" &&
    wait_until 15 page_has 'Đã cử tổ 2' && wait_until 15 state_is read
report $? "a review reaches the author's status"

kill -9 "$kengd" "$gateway_pid"
start kengd "$programs/kengd" --home "$dir/home"
wait_until 10 "$programs/keng" --home "$dir/home" node
: >"$dir/receiver.log"
start receiver "$programs/keng-gateway" --db "$dir/province.db" --as "$dir/province" \
    --listen 127.0.0.1:0 --no-console --tls-cert "$dir/tls/server.crt" --tls-key \
    "$dir/tls/server.key"
listening receiver
report $? "the receiver listens under TLS"
port=${address##*:}

: >"$dir/gateway.log"
start gateway "$programs/keng-gateway" --home "$dir/home" --listen 127.0.0.1:0 \
    --push "https://localhost:$port" --ca "$dir/desk/tls/ca.crt" --push-interval-s 1
listening gateway
gateway=$address
wait_until 20 page_has '<b>0</b> records waiting'
report $? "after kill -9 of node and gateway everything goes up"

page | grep -c '<article' | grep -qx 1
report $? "and the console still shows the report once"

curl -sS --noproxy '*' "https://localhost:$port/v1/have" >"$dir/have.log" 2>&1
[ $? -eq 60 ]
report $? "a client without the commune's authority does not accept the receiver"

"$programs/keng-gateway" export --home "$dir/home" --out "$dir/stick.keng" \
    >"$dir/export.log" 2>&1 &&
    "$programs/keng-province" --db "$dir/stick.db" trust "$dir/desk/commune.keng" \
        >>"$dir/export.log" 2>&1 &&
    "$programs/keng-province" --db "$dir/stick.db" import "$dir/stick.keng" >"$dir/import.log" 2>&1
report $? "the same records leave on a stick and are imported"

"$programs/keng-province" --db "$dir/province.db" import "$dir/stick.keng" >"$dir/again.log" 2>&1 &&
    grep -q ': 0 new' "$dir/again.log"
report $? "what came by wire and by stick is the same"

{
    "$programs/keng-gateway" --db "$dir/x.db" --listen 0.0.0.0:0
    one=$?
    "$programs/keng-gateway" --db "$dir/x.db" --listen 127.0.0.1:0 \
        --tls-cert "$dir/desk/commune.keng" --tls-key "$dir/desk/commune.keng"
    two=$?
} >"$dir/wrong.log" 2>&1
[ "$one" -eq 1 ] && [ "$two" -eq 1 ] && grep -q 'operator add' "$dir/wrong.log"
report $? "an open console and a wrong certificate are refused with a line"
exit $failed
