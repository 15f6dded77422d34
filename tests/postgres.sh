#!/bin/sh
# postgres.sh - a PostgreSQL server of one's own for as long as a command runs.
#
#   tests/postgres.sh run COMMAND...
#
# COMMAND finds the server's directory in KENG_TEST_POSTGRES; it listens on a Unix socket there and
# nowhere else, as user keng, database postgres.  One that is running already is used as it is.
# The server is gone when COMMAND is, however that ended.  PostgreSQL refuses to run as root; then
# it runs as the user that its package made.
set -u
[ "${1:-}" = run ] && [ $# -gt 1 ] || { echo "usage: $0 run COMMAND..." >&2; exit 2; }
shift
[ -n "${KENG_TEST_POSTGRES:-}" ] && exec "$@"

bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
[ -n "$bin" ] || { echo "postgres.sh: PostgreSQL is not installed (make deps)" >&2; exit 2; }
dir=$(mktemp -d) || exit 2
# Should this shell be killed, the server gets the signal that would have come from end().
as='setpriv --pdeathsig INT'
if [ "$(id -u)" = 0 ]; then
    chown postgres "$dir" && chmod 755 "$dir" || exit 2
    as="$as --reuid=postgres --regid=postgres --clear-groups --inh-caps=-all"
fi
server=
end()
{
    # SIGINT ends the sessions too.
    [ -n "$server" ] && kill -INT "$server" 2>/dev/null && wait "$server" 2>/dev/null
    rm -rf "$dir"
}
trap end EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# The tests ask for nothing that a power cut could undo, so nothing waits for the disk.
(cd "$dir" && $as "$bin/initdb" -D "$dir/data" -U keng -A trust -E UTF8 --locale=C.UTF-8 \
    --no-sync --no-instructions >"$dir/initdb.log" 2>&1) || { cat "$dir/initdb.log" >&2; exit 2; }
cd "$dir" || exit 2
$as "$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c logging_collector=off \
    -c fsync="${KENG_TEST_FSYNC:-off}" -c shared_buffers=64MB -c max_connections=40 \
    >"$dir/log" 2>&1 &
server=$!
cd - >/dev/null || exit 2
tries=0
until "$bin/pg_isready" -q -h "$dir" -d postgres -U keng; do
    tries=$((tries + 1))
    if [ $tries -gt 300 ] || ! kill -0 "$server" 2>/dev/null; then
        cat "$dir/log" >&2
        exit 2
    fi
    sleep 0.1
done
KENG_TEST_POSTGRES=$dir
export KENG_TEST_POSTGRES
exec 3<&0 # a command in the background would read nothing
"$@" <&3 &
command=$!
wait "$command"
exit $?
