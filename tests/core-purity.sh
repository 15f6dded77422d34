#!/bin/sh
# core-purity.sh ALLOWED OBJECT... - fails if the objects need a symbol that is not allowed.
# The pure parts of proto/ that the core stands on are judged with it: give their objects too.
set -eu
allowed=$1
shift
if [ $# = 0 ]; then
    echo 'core-purity: no core objects to look at' >&2
    exit 1
fi
defined=$(nm --defined-only -g -A "$@" | awk '{ print $NF }' | sort -u)
needed=$(nm -u -A "$@" | awk '{ print $NF }' | sort -u)
status=0
for symbol in $needed; do
    printf '%s\n' "$defined" | grep -qxF "$symbol" && continue
    grep -v '^#' "$allowed" | grep -qxF "$symbol" && continue
    echo "core-purity: the core calls $symbol" >&2
    nm -u -A "$@" | awk -v s="$symbol" '$NF == s { sub(/:.*/, "", $1); print "    in " $1 }' >&2
    status=1
done
[ $status = 0 ] && echo "core-purity: $# objects call nothing but what $allowed allows"
exit $status
