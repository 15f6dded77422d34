#!/bin/sh
# manuals.sh - every program has a manual page, mandoc finds nothing wrong with it, and page and
# --help, in both languages together, name the same options and subcommands; the gateway's texts
# are translated (TAP).
set -u
cd "$(dirname "$0")/.." || exit 2
bin=${KENG_BIN:-build}
number=0
all_well=0

result()
{
    number=$((number + 1))
    if [ "$1" = 0 ]; then
        echo "ok $number - $2"
    else
        echo "not ok $number - $2"
        all_well=1
    fi
}

options()
{
    grep -oE '(^|[^A-Za-z0-9-])--[a-z][a-z0-9-]+' | grep -oE '[-]-[a-z][a-z0-9-]+' | sort -u
}

for page in node/man/keng.1 node/man/kengd.8 gateway/man/keng-gateway.8 \
    gateway/man/keng-province.1 hw/keng-air.1; do
    program=$(basename "$page" | sed 's/\.[0-9]$//')
    if ! [ -f "$page" ]; then
        result 1 "$program has a manual page ($page)"
        continue
    fi
    lint=$(mandoc -T lint -W warning "$page" 2>&1)
    [ -z "$lint" ]
    result $? "$page: mandoc has nothing to warn of"
    [ -z "$lint" ] || printf '%s\n' "$lint" | sed 's/^/# /'

    text=$(mandoc -T utf8 -O width=200 "$page" | sed 's/.\x08//g')
    # --help of the program and, where there are subcommands, of each of them.
    help=$(KENG_LANG=en "$bin/$program" --help 2>&1)
    result $? "$program --help exits with 0"
    subcommands=$(printf '%s\n' "$help" | awk '/^(Commands|commands|COMMANDS)/ { on = 1; next }
        on && /^[^ ]/ { on = 0 } on && /^  [a-z]/ { print $1 }' | sort -u)
    for subcommand in $subcommands; do
        for lang in en vi; do
            help="$help
$(KENG_LANG=$lang "$bin/$program" help "$subcommand" 2>/dev/null ||
                KENG_LANG=$lang "$bin/$program" "$subcommand" --help 2>/dev/null)"
        done
        printf '%s\n' "$text" | grep -qE "^ +.*\\b$subcommand\\b"
        result $? "$page speaks of '$program $subcommand'"
    done
    only_help=$(mktemp) only_page=$(mktemp)
    printf '%s\n' "$help" | options | grep -vxE -e '--(help|version)' >"$only_help"
    printf '%s\n' "$text" | options | grep -vxE -e '--(help|version)' >"$only_page"
    different=$(diff "$only_help" "$only_page" | grep '^[<>]')
    [ -s "$only_page" ] && [ -z "$different" ]
    result $? "$page and $program --help name the same options"
    [ -z "$different" ] ||
        printf '%s\n' "$different" | sed 's/^</# only in --help:/; s/^>/# only in the page:/'
    rm -f "$only_help" "$only_page"
done
texts=build/gen/keng.pot
lacking=$(make -s "$texts" 2>&1 && msgcmp gateway/po/vi.po "$texts" 2>&1)
well=$?
result $well "whatever keng-gateway says is there in Vietnamese"
[ "$well" = 0 ] || printf '%s\n' "$lacking" | sed 's/^/# /'
echo "1..$number"
exit $all_well
