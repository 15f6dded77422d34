# tidy.awk - house rules for one C file (variable `path`, from the root): includes, calls, functions.

function say(line, what) { print path ":" line ": " what }

# The line without comments and with empty strings; `in_comment` lasts from line to line.
function bare(line,    out, c, two, i, n, quote)
{
    n = length(line)
    for (i = 1; i <= n; i++) {
        two = substr(line, i, 2)
        c = substr(line, i, 1)
        if (in_comment) {
            if (two == "*/") { in_comment = 0; i++ }
        } else if (quote != "") {
            if (c == "\\") i++
            else if (c == quote) { quote = ""; out = out c }
        } else if (two == "//") {
            break
        } else if (two == "/*") {
            in_comment = 1
            i++
        } else {
            if (c == "\"" || c == "'") quote = c
            out = out c
        }
    }
    return out
}

# Which room a path is in: the rooms of the design, the core apart.
function room_of(p)
{
    if (p ~ /^node\/core\//) return "core"
    sub(/\/.*/, "", p)
    return p
}

function own_include_ok(h,    to)
{
    to = room_of(h)
    if (room == "tests") return 1
    if (room == "proto") return to == "proto" || h == "keng.pb-c.h"
    if (room == "core")
        return to == "core" || h ~ /^proto\/(bytes|frame|record|airtime|limits)\.h$/
    if (room == "hw") return to == "hw" || h ~ /^proto\/(bytes|airtime|region)\.h$/
    if (room == "node") return to == "proto" || to == "node" || to == "core" || to == "hw"
    if (room == "gateway")
        return to == "proto" || to == "gateway" || h ~ /^node\/(client|home|keng_text|numbers)\.h$/
    return 0
}

# One file holds each library that is awkward to have everywhere.
function system_include_ok(h)
{
    if (room == "core") return h ~ /^(assert|inttypes|limits|stdbool|stddef|stdint|string)\.h$/
    if (h ~ libc) return 1
    if (h == "cmocka.h") return room == "tests"
    if (h == "sqlite3.h")
        return path == "node/store_sqlite.c" || path == "gateway/db_sqlite.c" || \
               path == "gateway/map.c" || room == "tests"
    if (h == "zstd.h") return path == "gateway/pack.c" || room == "tests"
    if (h == "libpq-fe.h") return path == "gateway/db_postgres.c" || room == "tests"
    if (h == "libserialport.h") return path == "hw/serial.c"
    if (h == "sodium.h") return room != "hw"
    if (h ~ /^protobuf-c\//) return room == "proto" || room == "tests"
    if (h == "utf8proc.h") return room == "proto" || room == "gateway" || room == "tests"
    if (h ~ /^gnutls\//) return path == "proto/cert.c" || room == "gateway" || room == "tests"
    if (h == "jansson.h")
        return room == "node" || room == "gateway" || room == "tests" || path ~ /^hw\/keng[-_]air/
    if (h == "confuse.h") return room == "node" || room == "gateway"
    if (h == "expat.h") return path == "gateway/cap.c"
    if (h == "xlsxwriter.h") return path == "gateway/export_xlsx.c"
    if (h == "microhttpd.h" || h ~ /^curl\//) return room == "gateway" || room == "tests"
    return 0
}

BEGIN {
    room = room_of(path)
    libc = "^((sys|netinet|arpa|net|linux)/[a-z0-9_]+|assert|ctype|dirent|endian|errno|fcntl|fenv|" \
           "float|getopt|glob|grp|inttypes|langinfo|libgen|limits|locale|malloc|math|netdb|poll|pty|pwd|" \
           "sched|setjmp|signal|spawn|stdalign|stdarg|stdbool|stddef|stdint|stdio|stdlib|string|strings|" \
           "termios|threads|time|unistd|wchar)[.]h$"
    banned = "sprintf|vsprintf|strcpy|stpcpy|strcat|strtok|atoi|atol|atof|gets|alloca|rand|srand|" \
             "random|system|tmpnam|mktemp"
    core_banned = "time|clock|clock_gettime|gettimeofday|malloc|calloc|realloc|free|printf|" \
                  "fprintf|snprintf|read|write|open|exit|abort|getenv|sodium_[a-z_]+|randombytes_[a-z]+"
}

/^#[ \t]*include/ {
    header = $0
    sub(/^#[ \t]*include[ \t]*/, "", header)
    is_own = substr(header, 1, 1) == "\""
    sub(/^["<]/, "", header)
    sub(/[">].*/, "", header)
    if (is_own && !own_include_ok(header))
        say(FNR, "include: " room " may not include \"" header "\" (or it is not named from the root)")
    if (!is_own && !system_include_ok(header))
        say(FNR, "include: <" header "> does not belong in " path)
    next
}

{
    line = bare($0)
    spaced = " " line
    if (match(spaced, "[^A-Za-z0-9_.>](" banned ")[ ]*[(]"))
        say(FNR, "banned: " substr(spaced, RSTART + 1, RLENGTH - 2))
    else if (room == "core" && match(spaced, "[^A-Za-z0-9_.>](" core_banned ")[ ]*[(]"))
        say(FNR, "banned: " substr(spaced, RSTART + 1, RLENGTH - 2) " in the core")
    if (line ~ /__attribute__.*packed|#pragma pack/) say(FNR, "banned: packed structs")
    if (line ~ /[ *](timeout|delay|interval|duration|period)[;,)]/ && line ~ /int|long|double/)
        say(FNR, "unit: name the unit of this time")
}

/^{/ { began = FNR }
/^}/ {
    if (began && FNR - began + 1 > 70)
        say(began, "long function: " FNR - began + 1 " lines, 70 at most")
    began = 0
}
