#!/bin/sh
# keng_cli.sh - the command line as people type it: a key desk, enrolment, reports to a real kengd,
# and wrong input, which must cost one line and exit status 2 and leave nothing behind (TAP).
set -u
cd "$(dirname "$0")/../.." || exit 2
root=$PWD
bin=$(cd "${KENG_BIN:-build}" && pwd) || exit 2
keng=$bin/keng
work=$(mktemp -d) || exit 2
daemon=
cleanup()
{
    [ -n "$daemon" ] && kill "$daemon" 2>/dev/null && wait "$daemon" 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT
unset KENG_HOME LANGUAGE LC_MESSAGES
KENG_LANG=en KENG_DATA=$root/seeds LC_ALL=C.UTF-8
export KENG_LANG KENG_DATA LC_ALL
cd "$work" || exit 2

number=0
failures=0
result()
{
    number=$((number + 1))
    if [ "$1" = 0 ]; then
        echo "ok $number - $2"
    else
        echo "not ok $number - $2"
        failures=$((failures + 1))
        sed 's/^/# out: /' out
        sed 's/^/# err: /' err
    fi
}

# Everything on disk, apart from what the daemon writes while it runs.
fingerprint()
{
    find . -type f ! -name out ! -name err ! -name 'store.db*' ! -name kengd.log ! -name '*.txt' \
        ! -name before -exec sha256sum {} + | sort
}

# run STATUS TEXT COMMAND...: the exit status, and no word on standard error when it is 0
run()
{
    want=$1 text=$2
    shift 2
    "$@" >out 2>err </dev/null
    got=$?
    [ $got = "$want" ] && { [ "$want" != 0 ] || [ ! -s err ]; }
    result $? "$text"
}

# wrong TEXT PATTERN ARGUMENT...: exit status 2, one line that says PATTERN, no file changed
wrong()
{
    text=$1 pattern=$2
    shift 2
    fingerprint >before
    "$keng" "$@" >out 2>err </dev/null
    got=$?
    [ $got = 2 ] && [ ! -s out ] && [ "$(wc -l <err)" = 1 ] && grep -qe "$pattern" err &&
        fingerprint | cmp -s - before
    result $? "wrong input: $text"
}

said()
{
    grep -qe "$2" out
    result $? "$1"
}

# ---- the key desk ------------------------------------------------------------------------------
wrong "init without a name" "name" init --code 01879 --dir desk
wrong "init with letters in the code" "digits" init --name "Xã Cao Minh" --code 18a --dir desk
wrong "a region that is none" "VN-920" init --name X --code 1 --dir desk --region EU-868
wrong "a frequency outside" "from 920.06" init --name X --code 1 --dir desk --freq 923.5
wrong "a channel that hangs over the edge" "from 920.06" init --name X --code 1 --dir desk \
    --freq 922.95 --bw 125
wrong "more power than the law allows" "16" init --name X --code 1 --dir desk --eirp 17
wrong "a spreading factor that is none" "sf" init --name X --code 1 --dir desk --sf 13
wrong "a name of two lines" "one line" init --name "a
b" --code 1 --dir desk
[ ! -e desk ] && [ ! -e desk.new ]
result $? "no desk after wrong input"
run 0 "init makes a desk" "$keng" init --name "Xã Cao Minh" --code 01879 --dir desk
said "init tells the fingerprint" "Fingerprint of the network: [0-9a-f ]*"
[ "$(stat -c %a desk/root.key desk/network.key desk/tls/ca.key | sort -u)" = 600 ]
result $? "keys are for their owner only"
wrong "init where a desk is" "exists" init --name "Xã Cao Minh" --code 01879 --dir desk
wrong "the same in Vietnamese" "đã có" --lang vi init --name "Xã Cao Minh" --code 01879 --dir desk
mkdir later.new && touch later.new/precious
wrong "init beside a directory that is not ours" "exists" init --name X --code 1 --dir later
rm -r later.new
run 0 "an edge of the band is lawful" "$keng" init --name Y --code 1 --dir desk2 --region VN-433 \
    --freq 433.1125 --bw 125 --eirp 12 --sf 7 --cr 8
run 1 "a desk without its key cannot enrol" "$keng" enroll --dir nowhere --number 1 --name A \
    --role node
[ "$(wc -l <err)" = 1 ]
result $? "and says so in one line"

# ---- enrolment ---------------------------------------------------------------------------------
run 0 "a member is enrolled" "$keng" enroll --dir desk --number 12 --name "Lò Văn Pánh" \
    --role member --village "nà lẹng" --out home
run 0 "a node into the same home" "$keng" enroll --dir desk --number 11 --name "Máy Nà Lẹng" \
    --role node --village 1 --out home
[ "$(ls home/identity)" = "11.key
12.key" ] && cmp -s desk/commune.keng home/commune.keng && cmp -s desk/network.key home/network.key
result $? "the home has both keys and the newest roster"
grep -q '^node = 12$' home/kengd.conf && grep -q '^role = "village"$' home/kengd.conf
result $? "settings to begin with are those of the first"
fingerprint >before
run 0 "the same enrolment again is no second one" "$keng" enroll --dir desk --number 12 \
    --name "Lò Văn Pánh" --role member --village 1 --out home
fingerprint | cmp -s - before
result $? "and changes no file"
wrong "a number that is taken" "free: 13" enroll --dir desk --number 12 --name "Khác" \
    --role member --out other
wrong "a number that is taken, same home" "free: 13" enroll --dir desk --number 12 --name "Khác" \
    --role member --out home
wrong "number 0" "1 to" enroll --dir desk --number 0 --name A --role member
wrong "number 65535" "65534" enroll --dir desk --number 65535 --name A --role member
wrong "a role that is none" "member" enroll --dir desk --number 13 --name A --role chief
wrong "a mistyped village" "Nà Lẹng" enroll --dir desk --number 13 --name A --role member \
    --village "na leg"
wrong "an empty name" "name" enroll --dir desk --number 13 --name "" --role member
wrong "a home of another commune" "another commune" enroll --dir desk2 --number 1 --name A \
    --role node --out home
[ ! -e other ]
result $? "no home after wrong input"

# A crash between key and roster: the key is there, the root has not spoken yet.
cp -r desk desk3 && mkdir -p home3
run 0 "an enrolment" "$keng" enroll --dir desk3 --number 20 --name A --role member --out home3
key=$(cat home3/identity/20.key)
rm -r desk3 home3/commune.keng home3/kengd.conf && cp -r desk desk3
run 0 "an enrolment that was cut off is finished" "$keng" enroll --dir desk3 --number 20 --name A \
    --role member --out home3
[ "$key" = "$(cat home3/identity/20.key)" ] && [ -f home3/kengd.conf ]
result $? "with the key that was made first"
cp -r desk3 desk4
run 0 "revoke" "$keng" revoke --dir desk3 --number 20 --after 7
wrong "revoke somebody unknown" "roster" revoke --dir desk3 --number 21 --after 7
wrong "revoke without a number" "after" revoke --dir desk3 --number 20
wrong "a revoked number again" "never used again" enroll --dir desk3 --number 20 --name A \
    --role member --out home3
printf 'x' | dd of=desk4/commune.keng bs=1 seek=150 conv=notrunc 2>/dev/null
run 1 "a damaged roster is noticed" "$keng" enroll --dir desk4 --number 30 --name A --role member
chmod 644 desk3/root.key
run 1 "a root key that others can read is refused" "$keng" enroll --dir desk3 --number 30 --name A \
    --role member
run 0 "a certificate" "$keng" cert --dir desk --out tls gateway.local 127.0.0.1
[ -s tls/server.crt ] && [ -s tls/ca.crt ] && [ "$(stat -c %a tls/server.key)" = 600 ]
result $? "with a private key of its own"
wrong "a certificate for a host that is none" "certificate" cert --dir desk --out tls2 a "b c"

# ---- the profile ------------------------------------------------------------------------------
cp -r desk desk5
fingerprint >before
run 0 "the profile is shown" "$keng" profile --dir desk5
said "with the radio and the law" "VN-920: 920 to 923 MHz, at most 14 dBm ERP"
run 0 "a change is tried" "$keng" profile --dir desk5 --sf 10 --dry-run
said "and not signed" "Nothing was signed"
run 0 "what stands is not signed again" "$keng" profile --dir desk5 --sf 9 --region VN-920
said "since it is the same" "Nothing is different"
fingerprint | cmp -s - before
result $? "no file was changed by any of them"
wrong "a profile outside its band" "from 920.06" profile --dir desk5 --freq 923.5
wrong "more power than its law allows" "16" profile --dir desk5 --eirp 17
wrong "a region that is none" "VN-920" profile --dir desk5 --region EU-868
wrong "letters in the code" "digits" profile --dir desk5 --code 18a
run 0 "another power" "$keng" profile --dir desk5 --eirp 12 --sf 10
run 0 "another band and name" "$keng" --lang vi profile --dir desk5 --region VN-433 --name "Xã Mới"
said "power and spreading stay" "433.92 MHz, băng thông 125 kHz, SF10, 4/5, 12 dBm EIRP"
run 0 "back to the first band, to its middle" "$keng" profile --dir desk5 --region VN-920 --json
said "each is a record of the root" '"freq_hz":921500000.*"name":"VN-433".*"seq":6,"signed":true'
cp -r home home5
run 0 "who was enrolled stays enrolled" "$keng" enroll --dir desk5 --number 12 \
    --name "Lò Văn Pánh" --role member --village 1 --out home5

# ---- words -------------------------------------------------------------------------------------
run 0 "help" "$keng" --help
said "help lists the commands" "^  report "
run 0 "help in Vietnamese" "$keng" --lang vi help report
said "help of a command has its options" "--lines"
run 0 "help on the indicators" "$keng" help report damage
said "indicators have a name, a meaning and a unit" "rice  *Rice area damaged \[ha\]"
wrong "no command" "help"
wrong "a command that is none" "frobnicate" frobnicate
wrong "an option that is none" "frob" status --frob
wrong "a language that is none" "vi or en" --lang fr status
run 0 "a report is checked without a daemon" "$keng" report damage nha_sap=3 mat_tich=1 \
    bi_thuong=2 --dry-run --json
awk -F'frame_len":' '{ exit !($2 + 0 > 0 && $2 + 0 <= 110) }' out
result $? "three indicators take at most 110 bytes on air"
wrong "a mistyped indicator" "did you mean" report damage nha_sapp=3
wrong "a mistyped indicator in Vietnamese" "có phải: nha_sap" --lang vi bao thiet-hai nha_sapp=3
wrong "a value that is no number" "number" report damage nha_sap=ba
wrong "a value below zero" "negative" report damage nha_sap=-3
wrong "half a house" "decimals" report damage nha_sap=2.5
wrong "a value out of reach" "large" report damage nha_sap=9999999999999
wrong "an indicator twice" "twice" report damage nha_sap=1 nhà-sập=2
wrong "no value" "NAME=VALUE" report damage nha_sap
wrong "a state that is none" "open" report access road=maybe
wrong "nothing to say" "empty" report damage
wrong "a kind without the command" "type: keng report rescue" rescue trapped=3
wrong "a point of thousands" "1250" report damage nha_sap=1.250
wrong "a value with its unit" "unit: kg" report needs gao=50kg
wrong "two texts" "two texts" report rescue "a b" "c d" --dry-run
run 0 "a kind of two words, any case, words in quotes" "$keng" --lang vi bao CỨU NẠN mac_ket=3 \
    "trên mái nhà" --thon "na leng" --thu
run 0 "a note needs no quotes" "$keng" bao ghi chú nước lên nhanh --dry-run
run 0 "help on a kind" "$keng" --lang vi help cứu nạn
said "has its names" "mac_ket .*Người mắc kẹt \[người\]"
run 0 "help on the command has the kinds" "$keng" report --help
said "and examples" "keng report rescue trapped=3"
wrong "a kind that is none" "rescue" report flood
wrong "text with a control character" "characters" report note --text "$(printf 'a\033[2Jb')"
wrong "text that is not UTF-8" "characters" report note --text "$(printf 'a\377b')"
wrong "text that is too long" "too long" report note --text "$(head -c 700 /dev/zero | tr '\0' q)"
wrong "a place on no map" "LAT,LON" report rescue --text a --at 99,10
wrong "a hazard that is none" "lu_quet" report note --text a --hazard xyzzy
wrong "a priority that is none" "rescue" report note --text a --priority high
wrong "an author that cannot be" "as" report note --text a --as 0

# ---- a real daemon -------------------------------------------------------------------------------
run 1 "a report without a daemon" "$keng" --home home report note --text a
[ "$(wc -l <err)" = 1 ] && grep -q 'nothing was stored' err
result $? "says in one line that nothing was stored"
if [ ! -x "$bin/kengd" ]; then
    number=$((number + 1))
    echo "ok $number - a real daemon # SKIP kengd is not built"
    echo "1..$number"
    [ $failures = 0 ]
    exit
fi
start()
{
    "$bin/kengd" --home home >>kengd.log 2>&1 &
    daemon=$!
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        "$keng" --home home node --json >out 2>err && return
        sleep 0.5
    done
}
start
run 0 "the node answers" "$keng" --home home node
run 0 "the roster is known" "$keng" --home home --lang vi roster
said "with names and villages" "12  Lò Văn Pánh · người báo tin · Nà Lẹng"
run 0 "nothing is filed yet" "$keng" --home home status
said "no report came of all the wrong ones" "no reports of its own yet"
run 0 "a damage report" "$keng" --home home report damage nha_sap=3 mat_tich=0 --hazard lu_quet
said "has the member's number" "keeps report 12-1 ([0-9]* bytes on air)"
run 0 "a rescue in Vietnamese" "$keng" --home home --lang vi bao cứu-nạn \
    --text "Ba người trên mái nhà, cần xuồng" --at 22.11420,105.98310
said "is confirmed in Vietnamese" "Máy đã giữ tin số 12-2"
printf 'Nước đang lên\nlần nữa\n' | "$keng" --home home report note --text - >out 2>err
result $? "text from standard input"
printf 'một\n\nhai\r\nba\n' >lines.txt
run 0 "each line of a file is a report" "$keng" --home home report note --lines lines.txt --json
[ "$(grep -c '"seq"' out)" = 3 ]
result $? "three lines, three numbers"
printf 'tốt\nhỏng \001\n' >bad.txt
wrong "one bad line files none" "line 2" --home home report note --lines bad.txt
wrong "an author whose key is elsewhere" "no key" --home home report note --text a --as 999
run 0 "all is safe needs no figure" "$keng" --home home report safe
run 0 "the state of my reports" "$keng" --home home --lang vi status
said "in words" "● Máy đã giữ tin – chờ phát"
said "with what was said" "“Ba người trên mái nhà, cần xuồng”"
said "and two lines stay two" "lần nữa”"
run 0 "the state as JSON" "$keng" --home home status --json --all
python3 - <<'PY' >err 2>&1
import json
said = json.load(open("out", encoding="utf-8"))
seqs = sorted(r["seq"] for r in said["reports"])
assert seqs == list(range(1, 8)), seqs
first = next(r for r in said["reports"] if r["seq"] == 1)
assert first["state"] == "stored" and first["village"] == 1, first
assert [f["value"] for f in first["figures"]] in ([0, 3], [3, 0]), first
assert first["hazard_name"] and said["node"]["node"] == 12
PY
result $? "seven reports, numbered without a gap, figures as typed"
run 0 "the desk's file is known already" "$keng" --home home import desk/commune.keng
said "record by record" "duplicate: 3"
"$keng" enroll --dir desk --number 13 --name "Mai" --role member >out 2>err
run 0 "a newer one brings the new member" "$keng" --home home import desk/commune.keng --json
said "one record is new" '"new":1'
run 0 "roster as JSON" "$keng" --home home roster --json
said "with the new member" '"name":"Mai"'
wrong "another commune's file" "another commune" --home home import desk2/commune.keng
wrong "a file of something else" "not a file of" --home home import lines.txt
run 1 "a file that is not there" "$keng" --home home import nowhere.keng
run 0 "an inbox that is empty" "$keng" --home home inbox
"$keng" --home home watch --json >watched.txt 2>/dev/null &
watcher=$!
sleep 1
kill -9 "$daemon" && wait "$daemon" 2>/dev/null
"$keng" --home home report note --text "trong lúc máy khởi động lại" >out 2>err &
filing=$!
start
wait "$filing"
result $? "a report filed while the daemon restarts"
run 0 "one more" "$keng" --home home report note --text "sau cùng"
for _ in 1 2 3 4 5 6; do
    grep -q 'sau cùng' watched.txt && break
    sleep 1
done
kill "$watcher" && wait "$watcher" 2>/dev/null
[ "$(grep -c '"record".*sau cùng' watched.txt)" = 1 ]
result $? "watch survives the restart and shows the record once"
run 0 "status after the restart" "$keng" --home home status --json
[ "$(grep -o '"text":"trong lúc[^"]*"' out | wc -l)" = 1 ]
result $? "nothing was filed twice"
run 0 "another profile is signed" "$keng" profile --dir desk --sf 10
run 0 "and fed to the node" "$keng" --home home import desk/commune.keng
run 0 "which says" "$keng" --home home status
said "that it must start again" "radio profile changed: restart kengd"
"$keng" --home home modem show >out 2>err
said "and goes on as before" "SF9"
kill "$daemon" && wait "$daemon" 2>/dev/null
start
run 0 "started again" "$keng" --home home modem show
said "it holds, though the file in the home is the old one" "SF10"
grep -q "restart kengd" out
[ $? = 1 ]
result $? "and nothing is left to do"
run 0 "none of a number's reports is good" "$keng" revoke --dir desk --number 12 --after 0
run 0 "the node hears of it" "$keng" --home home import desk/commune.keng
run 0 "the roster" "$keng" --home home --lang vi roster
said "shows it" "12  Lò Văn Pánh .* · đã thu hồi"
run 1 "his report is not taken" "$keng" --home home --lang vi bao damage nha_sap=4
grep -q "xã đã thu hồi số của người gửi; hãy hỏi xã" err
result $? "and he hears why"
"$keng" --home home report damage nha_sap=4 >out 2>err
grep -q "ask the commune" err
result $? "in English too"
echo "1..$number"
[ $failures = 0 ]
