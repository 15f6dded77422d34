#!/bin/sh
# tidy.sh - the house rules that a machine can check.
#
#   tests/tidy.sh [DIR]        checks the tree; one line for each violation; exit status 1 if any
#   tests/tidy.sh --self-test  plants each violation in a tree of its own, must be told (TAP)
#
# Checked: who may include whom, banned calls, lengths of lines and functions, tabs and trailing
# space, unfinished marks, names of times without a unit, big files, layout, paths of a machine.
set -u
here=$(cd "$(dirname "$0")" && pwd)
LC_ALL=C
export LC_ALL

self_test()
{
    dir=$(mktemp -d) || exit 2
    trap 'rm -rf "$dir"' EXIT
    number=0
    while IFS='|' read -r want path text; do
        [ -n "$want" ] || continue
        number=$((number + 1))
        rm -rf "$dir/tree"
        mkdir -p "$dir/tree/$(dirname "$path")" "$dir/tree/proto"
        printf 'int one(void)\n{\n    return 1; // strcpy(a, b)\n}\n' >"$dir/tree/proto/fine.c"
        printf "$text\n" >"$dir/tree/$path"
        out=$(sh "$here/tidy.sh" "$dir/tree" 2>&1)
        status=$?
        if [ "$want" = clean ]; then
            [ $status = 0 ] && word=ok || word='not ok'
        else
            word='not ok'
            # One plant, one finding, of the right name and place.
            [ $status = 1 ] && word=$(printf '%s\n' "$out" |
                awk -v w="$path.*: $want" '$0 ~ w { n++ } END { print n == 1 ? "ok" : "not ok" }')
        fi
        echo "$word $number - $want: $path"
        [ "$word" = ok ] || printf '%s\n' "$out" | sed 's/^/# /'
    done <<'CASES'
clean|proto/fine2.c|#include <string.h>\n#include <sodium.h>\n#include "proto/bytes.h"
clean|node/core/fine.c|#include <string.h>\n#include "proto/limits.h"\n#include "node/core/mesh.h"
clean|node/fine.c|/* rand() and\\n   time() are only named here */\nconst char *s = "gets(x)";
clean|gateway/fine.c|#include "node/client.h"\n#include <microhttpd.h>
include|proto/bad.c|#include "node/home.h"
include|proto/bad.c|#include <sqlite3.h>
include|proto/bad.h|#include <gnutls/gnutls.h>
include|node/core/bad.c|#include "proto/roster.h"
include|node/core/bad.c|#include "node/store.h"
include|node/core/bad.c|#include <stdio.h>
include|node/core/bad.c|#include <sodium.h>
include|hw/bad.c|#include "proto/record.h"
include|hw/bad.c|#include "node/home.h"
include|hw/modem_x.c|#include <libserialport.h>
include|node/bad.c|#include "gateway/db.h"
include|node/loop.c|#include <sqlite3.h>
include|node/bad.c|#include <microhttpd.h>
include|gateway/bad.c|#include "node/store.h"
include|gateway/bad.c|#include "hw/modem.h"
include|gateway/console.c|#include <sqlite3.h>
include|gateway/db.c|#include <libpq-fe.h>
include|node/bad.c|#include "tests/support/x.h"
include|node/bad.c|#include "home.h"
include|node/bad.c|#include <zlib.h>
banned|node/bad.c|int f(void) { return sprintf(b, "x"); }
banned|hw/bad.c|    strcpy(a, b);
banned|tests/unit/test_bad.c|    strcat(a, b);
banned|gateway/bad.c|    p = strtok(a, b);
banned|node/bad.c|    n = atoi(a);
banned|node/bad.c|    gets(a);
banned|node/bad.c|    p = alloca(9);
banned|node/bad.c|    n = rand();
banned|node/core/bad.c|    t = time(NULL);
banned|node/core/bad.c|    p = malloc(4);
banned|proto/bad.c|struct x { int a; } __attribute__((packed));
tab|proto/bad.c|\tint a;
trailing space|proto/bad.c|int a;\040
trailing space|README.md|word\040
unfinished|proto/bad.c|// FIX\115E: later
unfinished|proto/bad.c|// TO\104O later
unit|proto/bad.h|int f(int timeout);
unit|proto/bad.h|    uint32_t delay;
layout|other/file.c|int a;
layout|notes.txt|hello
machine path|proto/bad.c|const char *p = "/ho\155e/somebody/x";
machine path|README.md|see /ro\157t/x
shell|tests/bad.sh|if true; then
CASES
    number=$((number + 1))
    rm -rf "$dir/tree"
    mkdir -p "$dir/tree/node"
    { printf 'int f(void)\n{\n'; yes '    x();' | head -n 69; echo '}'; } >"$dir/tree/node/bad.c"
    if sh "$here/tidy.sh" "$dir/tree" | grep -q '^node/bad.c:2: long function: 71'; then
        echo "ok $number - long function"
    else
        echo "not ok $number - long function"
    fi
    number=$((number + 1))
    # 97 characters in more than 100 bytes are fine, 101 characters are not.
    { printf '// %94s\n' '' | sed 's/ /\xc3\xa1/g'; printf '// %98s\n' '' | tr ' ' x; } \
        >"$dir/tree/node/bad.c"
    if [ "$(sh "$here/tidy.sh" "$dir/tree" | grep -c 'long line')" = 1 ]; then
        echo "ok $number - long line: characters, not bytes"
    else
        echo "not ok $number - long line: characters, not bytes"
    fi
    number=$((number + 1))
    rm "$dir/tree/node/bad.c"
    mkdir -p "$dir/tree/seeds"
    head -c 1100000 /dev/zero >"$dir/tree/seeds/big.bin"
    if sh "$here/tidy.sh" "$dir/tree" | grep -q '^seeds/big.bin: big file'; then
        echo "ok $number - big file"
    else
        echo "not ok $number - big file"
    fi
    echo "1..$number"
}

if [ "${1:-}" = --self-test ]; then
    self_test
    exit
fi
cd "${1:-$here/..}" || exit 2

list=$(mktemp) || exit 2
found=$(mktemp) || exit 2
trap 'rm -f "$list" "$found"' EXIT
# Tracked files and new ones alike; outside a repository every file there is.
git ls-files -co --exclude-standard >"$list" 2>/dev/null && [ -s "$list" ] && [ -e .git ] ||
    find . -type f ! -path './.git/*' ! -path './build/*' | sed 's|^\./||' >"$list"
sort -u -o "$list" "$list"

# ---- layout and size ---------------------------------------------------------
layout='^(Makefile|README\.md|CHANGELOG\.md|LICENSE[^/]*|\.[^/]+|\.ci/.*'
layout="$layout|(node|gateway|proto|hw|tests|seeds|debian)/.*)\$"
grep -vE "$layout" "$list" | sed 's/$/: layout: no such place in this house/' >>"$found"
while read -r path; do
    [ -f "$path" ] || continue
    [ "$(wc -c <"$path")" -le 1048576 ] || echo "$path: big file: more than 1 MB" >>"$found"
done <"$list"

# ---- text --------------------------------------------------------------------
# Others' work is kept as it came.
code=$(grep -E '\.(c|h|S|proto|sh|py|js|css)$' "$list" | grep -v '^gateway/console/leaflet/')
prose=$(grep -E '(\.(md|1|5|8|conf|json|html)|Makefile)$' "$list")
for path in $code $prose; do
    [ -f "$path" ] || continue
    awk -v path="$path" -v is_code="$(echo "$code" | grep -cxF "$path")" '
        function say(what) { print path ":" FNR ": " what }
        / $/ || /\t$/ { say("trailing space") }
        is_code && /\t/ { say("tab") }
        is_code {
            line = $0
            gsub(/[\200-\277]/, "", line) # count characters, not bytes
            if (length(line) > 100) say("long line: " length(line) " columns, 100 at most")
        }
        /FIX[M]E|TO[D]O|(^|[^X])XX[X]([^X]|$)/ {
            say("unfinished: do it or say plainly what is not there")
        }
        /\/(hom[e]|Users)\/[a-z]|\/roo[t]\/|\/wor[k]\/|\/mn[t]\// { say("machine path") }
    ' "$path" >>"$found"
done
for path in $(grep -E '\.sh$' "$list"); do
    [ -f "$path" ] || continue
    sh -n "$path" 2>/dev/null || echo "$path: shell: does not parse" >>"$found"
done

# ---- C -----------------------------------------------------------------------
for path in $(grep -E '\.[ch]$' "$list"); do
    [ -f "$path" ] && awk -v path="$path" -f "$here/tidy.awk" "$path" >>"$found"
done

if [ -s "$found" ]; then
    cat "$found"
    echo "tidy: $(wc -l <"$found" | tr -d ' ') violations"
    exit 1
fi
echo "tidy: $(wc -l <"$list" | tr -d ' ') files keep the house rules"
