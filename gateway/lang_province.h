/* lang_province.h - what keng-province says, in the manner of lang.h: English is the source, {1},
 * {2}, ... stand for names and numbers.
 *
 * Included by lang.h, hence no contract of its own.  F_X_LINE stands behind its heading F_X.
 */
#ifndef KENG_GATEWAY_LANG_PROVINCE_H
#define KENG_GATEWAY_LANG_PROVINCE_H

#define LANG_PROVINCE_TEXTS(X)                                                                     \
    /* help */                                                                                     \
    X(P_ARGUMENT_FILE, "FILE")                                                                     \
    X(P_ARGUMENT_FILES, "FILE...")                                                                 \
    X(P_ARGUMENT_COMMUNES, "COMMUNE.keng...")                                                      \
    X(P_ARGUMENT_PROVINCE, "PROVINCE.keng")                                                        \
    X(P_ARGUMENT_UNITS, "UNITS.csv")                                                               \
    X(P_ARGUMENT_LANG, "vi|en")                                                                    \
    X(P_ARGUMENT_TIME, "TIME")                                                                     \
    X(P_ARGUMENT_DIR, "DIR")                                                                       \
    X(P_ARGUMENT_NAME, "NAME")                                                                     \
    X(P_ARGUMENT_NUMBER, "N")                                                                      \
    X(P_ARGUMENT_INDICATOR, "KIND:CODE")                                                           \
    X(P_ARGUMENT_ADDRESS, "ADDRESS")                                                               \
    X(P_USAGE, "usage: keng-province [OPTION]... COMMAND [ARGUMENT]...")                           \
    X(P_EXIT_STATUS,                                                                               \
      "exit status: 0 all good, 1 failure, 2 wrong usage, 3 some records were refused")            \
    X(P_COMMAND_TRUST, "accept these communes' records")                                           \
    X(P_COMMAND_IMPORT, "verify and take in batch files")                                          \
    X(P_COMMAND_VERIFY, "the same without a ledger: nothing is kept")                              \
    X(P_COMMAND_REPORT, "totals, contradictions, what is missing")                                 \
    X(P_COMMAND_EXPORT, "the totals as .xlsx, .csv, .hxl.csv, .geojson or .txt")                   \
    X(P_COMMAND_SERVE, "the books as pages for this machine's browser")                            \
    X(P_COMMAND_ROOT, "trust the roots that this one names, and so far as it says")                \
    X(P_COMMAND_ROOTS, "every root that is believed, and how far")                                 \
    X(P_COMMAND_SIGN, "at the province's desk: name the communes' roots")                          \
    X(P_OPTION_DB, "the ledger: a file (default: province.db) or postgresql://...")                \
    X(P_OPTION_CSV, "report: also write the table as CSV for spreadsheets")                        \
    X(P_OPTION_SVG, "report: also draw the course of the event")                                   \
    X(P_OPTION_AS_OF, "report, export: of what was here then: 2026-11-22T03:30 or a day")          \
    X(P_OPTION_JSON, "report: JSON instead of a table")                                            \
    X(P_OPTION_LANG, "language (default: vi when the environment says so, else en)")               \
    X(P_OPTION_DATA, "data files (default: $KENG_DATA, ./seeds, /usr/share/keng)")                 \
    X(P_OPTION_VILLAGES, "village names, when the ledger holds one commune")                       \
    X(P_OPTION_COMMUNE, "report, export: of this commune only, by name or code")                   \
    X(P_OPTION_VILLAGE, "report, export: of this village only")                                    \
    X(P_OPTION_EVENT, "report, export: of this event only")                                        \
    X(P_OPTION_INDICATOR, "report, export: of this indicator only, such as damage:1")              \
    X(P_OPTION_DESK, "sign: the province's key desk (default: desk)")                              \
    X(P_OPTION_LISTEN, "serve: where (default: 127.0.0.1:8090)")                                   \
    X(P_OPTION_TRUST, "verify: a commune.keng whose root is believed; may be repeated")            \
    X(P_OPTION_VERDICTS, "import, verify: also append every refusal to this file")                 \
    X(P_OPTION_THREADS, "import, verify: threads that verify (default: all processors)")           \
    X(P_OPTION_HELP, "this list")                                                                  \
    /* wrong use */                                                                                \
    X(P_NAME_A_COMMAND, "name a command; see keng-province --help")                                \
    X(P_NO_COMMAND, "{1}: no such command; see keng-province --help")                              \
    X(P_NO_OPTION,                                                                                 \
      "{1}: no such option, or its value is missing; see keng-province --help")                    \
    X(P_WANTS_TRUST, "trust needs at least one commune.keng")                                      \
    X(P_WANTS_FILE, "name at least one batch file")                                                \
    X(P_WANTS_ROOT, "root needs the commune.keng of the province's own desk")                      \
    X(P_WANTS_LIST, "sign needs one list of units")                                                \
    X(P_WANTS_TRUSTED, "verify needs --trust COMMUNE.keng")                                        \
    X(P_WANTS_EXPORT, "name at least one file to write")                                           \
    X(P_WANTS_NONE, "{1} takes no argument: {2}")                                                  \
    X(P_WANTS_FORMAT,                                                                              \
      "{1}: expected a name that ends in .xlsx, .csv, .hxl.csv, .geojson or .txt")                 \
    X(P_WANTS_MOMENT, "--as-of {1}: expected 2026-11-22 or 2026-11-22T03:30, with Z at its end "   \
      "for UTC")                                                                                   \
    X(P_WANTS_NUMBER, "--{1} {2}: expected a number from 1 to {3}")                                \
    X(P_WANTS_INDICATOR, "--indicator {1}: expected KIND:CODE, such as damage:1")                  \
    X(P_WANTS_LANG, "--lang {1}: expected vi or en")                                               \
    X(P_TOO_MANY_TRUSTS, "--trust: {1} files at most")                                             \
    X(P_NO_SUCH_COMMUNE,                                                                           \
      "--commune {1}: no commune of that name or code is known here; see keng-province roots")     \
    /* what went wrong */                                                                          \
    X(P_NOT_STORED, "{1}: not stored")                                                             \
    X(P_NOT_WRITTEN, "the output cannot be written")                                               \
    X(P_NO_LEDGER, "--db {1}: there is no ledger; trust and root begin one")                       \
    X(P_NO_ROOM, "not enough memory, or no room in /tmp where an .xlsx is prepared")               \
    X(P_NO_CATALOGUE,                                                                              \
      "no catalogue found: indicators are shown as numbers; name it with --data")                  \
    X(P_NO_MEMORY, "out of memory")                                                                \
    X(P_NO_SODIUM, "libsodium cannot start")                                                       \
    X(P_FILE_ERROR, "{1}: {2}")                                                                    \
    X(P_FILE_LONG, "{1}: longer than {2} MB, this is no batch file")                               \
    X(P_EXPECTED_COMMUNE, "{1}: {2}; expected a commune.keng as keng init writes it")              \
    X(P_NOT_STORED_WHY, "{1}: cannot be stored: {2}")                                              \
    X(P_NOT_TRUSTED,                                                                               \
      "{1}: its commune is not trusted here; trust it with: keng-province trust COMMUNE.keng")     \
    X(P_ONLY_HERE,                                                                                 \
      "--listen {1}: everybody there could read the books; only this machine may")                 \
    /* roots */                                                                                    \
    X(P_NAMES_ROOTS, "{1}: {2}; names {3} roots")                                                  \
    X(P_NAMES_OTHERS, "; names the others")                                                        \
    X(P_CODE, "; code {1}")                                                                        \
    X(P_FROM, " from {1}")                                                                         \
    X(P_UNTIL, " until {1}")                                                                       \
    X(P_ROOT_BOUND, "; its root counts up to number {1}")                                          \
    X(P_PART_OF, "; now part of {1}")                                                              \
    /* import */                                                                                   \
    X(P_BAR, "{1} records  {2}/s  {3} left")                                                       \
    X(P_COUNTS, "{1}: {2} new, {3} duplicate, {4} superseded")                                     \
    X(P_COMPLETE, "; complete up to its checkpoint over {1} records")                              \
    X(P_REST_UNREADABLE, "; the rest of the file cannot be read")                                  \
    X(P_FILE_SIGNATURE, "; the file's own signature does not hold")                                \
    X(P_RECORD, "record {1}: {2}")                                                                 \
    X(P_MORE_VERDICTS, "... and {1} more; --verdicts FILE lists all")                              \
    X(P_NOTE, "note: ")                                                                            \
    X(P_VERDICT_NEW, "new")                                                                        \
    X(P_VERDICT_DUPLICATE, "duplicate")                                                            \
    X(P_VERDICT_SUPERSEDED, "superseded")                                                          \
    X(P_VERDICT_BAD_BODY, "bad-body")                                                              \
    X(P_VERDICT_FORK, "fork")                                                                      \
    X(P_VERDICT_UNKNOWN_AUTHOR, "unknown-author")                                                  \
    X(P_VERDICT_BAD_SIGNATURE, "bad-signature")                                                    \
    X(P_VERDICT_MALFORMED, "malformed")                                                            \
    X(P_VERDICT_REVOKED, "revoked")                                                                \
    X(P_VERDICT_BAD_ROLE, "bad-role")                                                              \
    X(P_BATCH_FORM, "this is not a whole batch file")                                              \
    X(P_BATCH_ROOT, "its network id is not that of its root key")                                  \
    X(P_BATCH_TRUST, "its commune is not trusted here")                                            \
    X(P_BATCH_SOURCE, "its source is not in the commune's roster")                                 \
    X(P_BATCH_SIG, "its signature is not its source's")                                            \
    X(P_AT_CANNOT_READ, "byte {1}: cannot be read: {2}")                                           \
    X(P_AT_DAMAGED, "byte {1}: {2} bytes are no whole section: changed or cut")                    \
    X(P_AT_DAMAGED_END,                                                                            \
      "byte {1}: {2} bytes are no whole section, up to the end: changed or cut")                   \
    X(P_AT_RECORD, "byte {1}: record {2}-{3}: {4}")                                                \
    X(P_AT_BLOCK, "byte {1}: block {2}: {3}")                                                      \
    X(P_AT_BLOCK_SIG, "byte {1}: block {2}: its signature is not that of author {3}; its records " \
      "are judged one by one")                                                                     \
    X(P_AT_BLOCK_CUT, "byte {1}: block {2}: not all of its records can be read")                   \
    X(P_AT_BLOCK_SHORT, "byte {1}: block {2}: {3} records are too short to be any")                \
    X(P_AT_LATER, "byte {1}: a section of a later version (type {2})")                             \
    X(P_AT_MISSING, "byte {1}: records {2} to {3} of the file are missing before this block")      \
    X(P_AT_PLACE, "byte {1}: block out of its place: begins with record {2}, {3} was expected")    \
    X(P_AT_CHECKPOINT, "byte {1}: checkpoint: {2}")                                                \
    X(P_CHECKPOINT_UNREADABLE, "cannot be read")                                                   \
    X(P_CHECKPOINT_COMMUNE, "its commune is not trusted")                                          \
    X(P_CHECKPOINT_AUTHOR, "its author is not in the roster")                                      \
    X(P_CHECKPOINT_SIG, "its signature does not hold")                                             \
    X(P_REWRITTEN, "rewritten: the first {1} records of author {2} are not those of his "          \
      "checkpoint taken in before")                                                                \
    X(P_NOT_COVERED, "checkpoint of author {1} over {2} records is not covered: {3} of them were " \
      "seen in their place; {4}")                                                                  \
    X(P_CONTINUES_NOT, "nothing proves that it continues the ones before")                         \
    X(P_CONTINUES, "what was taken in before is in it unchanged")                                  \
    X(P_CONTINUES_OTHER,                                                                           \
      "REWRITTEN: its own proof does not hold for what was taken in before")                       \
    X(P_FORK, "FORK: author {1} signed two different checkpoints over {2} records")                \
    X(P_OLDER, "an older checkpoint: over {1} records of author {2}, {3} are known")               \
    X(P_OTHER_RECORDS,                                                                             \
      "the records are not those that author {1} signed his checkpoint over")                      \
    X(P_END_MISSING, "records {1} to {2} of the file are missing at its end")                      \
    X(P_NO_CHECKPOINT, "no checkpoint at the end: whether something is missing behind record {1} " \
      "of author {2} cannot be told")                                                              \
    /* the key desk */                                                                             \
    X(P_SIGNED, "{1}: {2} units, {3} newly signed")                                                \
    X(P_LINE, "{1}:{2}: {3}")                                                                      \
    X(P_LINE_UNIT, "{1}")                                                                          \
    X(P_LINE_MANY, "more than {1} units")                                                          \
    X(P_LINE_LONG, "a code or name is too long")                                                   \
    X(P_LINE_DAY, "a day is written 2026-07-01")                                                   \
    X(P_LINE_ENDED, "the unit ended before there was any record")                                  \
    X(P_LINE_LAST_GOOD, "last_good is the number of a record")                                     \
    X(P_LINE_SAME_ROOT, "the same root as in line {1}")                                            \
    X(P_LINE_SAME_CODE, "code {1} stands in line {2} at the same time; give the older one its "    \
      "last day, or its root's last_good number")                                                  \
    X(P_LINE_INTO,                                                                                 \
      "a unit that went into another needs its last day, and {1} must stand on it")                \
    X(P_NO_COLUMN, "{1}: there is no column '{2}'")                                                \
    X(P_NO_UNIT, "{1}: names no unit")                                                             \
    X(P_OTHER_KEY, "{1}: root.key is not that of commune.keng")                                    \
    /* what a report found */                                                                      \
    X(F_ALL_WELL, "Nothing is missing here and nothing contradicts itself.")                       \
    X(F_NO_COMMUNE, "No commune is trusted here, so nothing is known.")                            \
    X(F_LOOK_AT, "TO LOOK AT: ")                                                                   \
    X(F_COUNT_DIFFER, "figures on which reports differ: {1}")                                      \
    X(F_COUNT_FORKS, "numbers used twice: {1}")                                                    \
    X(F_COUNT_MISSING, "records missing: {1}")                                                     \
    X(F_COUNT_SILENT, "silent villages: {1}")                                                      \
    X(F_COUNT_EMPTY, "communes of which nothing has come: {1}")                                    \
    X(F_COUNT_OPEN, "sources not complete up to what they signed: {1}")                            \
    X(F_COUNT_REFUSED, "records refused: {1}")                                                     \
    X(F_DIFFER, "Reports differ; the one that came last counts:")                                  \
    X(F_DIFFER_LINE, "{1}, {2}, {3}: {4} counts; {7} authors say {5} to {6}")                      \
    X(F_DIFFER_KIND, "Reports differ")                                                             \
    X(F_FORKS, "Two different records under one number, signed with one key; both are kept, ask "  \
      "the author:")                                                                               \
    X(F_FORKS_LINE, "{1}, author {2}: number {3}")                                                 \
    X(F_FORKS_KIND, "Number used twice")                                                           \
    X(F_MISSING, "Missing numbers; these were written and did not come:")                          \
    X(F_MISSING_LINE, "{1}, author {2}: {3}")                                                      \
    X(F_MISSING_KIND, "Records missing")                                                           \
    X(F_SILENT, "No figures from these villages, where somebody could report:")                    \
    X(F_SILENT_LINE, "{1}: {2}")                                                                   \
    X(F_SILENT_KIND, "Village silent")                                                             \
    X(F_EMPTY, "Nothing at all has come from:")                                                    \
    X(F_EMPTY_LINE, "{1}")                                                                         \
    X(F_EMPTY_KIND, "Commune silent")                                                              \
    X(F_OPEN, "Not complete up to what the source signed:")                                        \
    X(F_OPEN_LINE, "{1}, author {2}: signed over {3} records, of which {4} are proved here")       \
    X(F_OPEN_KIND, "Source not complete")                                                          \
    X(F_CHECKPOINT_FORKS,                                                                          \
      "Two different checkpoints signed over as many records; the source is not to be believed:")  \
    X(F_CHECKPOINT_FORKS_LINE, "{1}, author {2}: over {3} records")                                \
    X(F_CHECKPOINT_FORKS_KIND, "Two checkpoints")                                                  \
    X(F_COVERED, "Complete up to the newest signed checkpoint: {1} of {2} sources.")               \
    X(F_UNPROVED, "No checkpoint yet, so nothing proves that all is here:")                        \
    X(F_UNPROVED_LINE, "{1}")                                                                      \
    X(F_UNPROVED_KIND, "No checkpoint")                                                            \
    X(F_REFUSED, "Refused on arrival, not counted:")                                               \
    X(F_REFUSED_LINE, "{1}: {2}, {3} times, last {4}")                                             \
    X(F_REFUSED_KIND, "Refused on arrival")                                                        \
    X(F_UNKNOWN_COMMUNE, "a commune not known here")                                               \
    X(F_MORE, "... and {1} more")                                                                  \
    /* pages */                                                                                    \
    X(P_VILLAGE_NUMBER, "Village (number)")                                                        \
    X(P_FACT_PROGRAM, "Program")                                                                   \
    X(P_FACT_PROGRAM_IS, "keng-province, protocol {1}, ledger version {2}")                        \
    X(P_FACT_DATABASE, "Database")                                                                 \
    X(P_FACT_NO_CATALOGUE, "none was found: indicators are shown as numbers")                      \
    X(P_FACT_ASKED, "Asked for")                                                                   \
    X(P_FACT_ALL, "all communes, villages, events and indicators")                                 \
    X(P_FACT_COMMUNES, "Communes believed")                                                        \
    X(P_FACT_LINES, "Figures")                                                                     \
    X(P_FACT_RULE, "How figures come about")                                                       \
    X(P_FACT_RULE_IS, "Running totals: the newest report of an author replaces his older ones. "   \
      "Where authors differ, the one that came last counts, and the lowest and highest stand "     \
      "beside it. Drills and rejected reports do not count.")                                      \
    X(P_PAGE_FIRST,                                                                                \
      "Only the first {1} of {2} figures stand here. Choose a commune; the files hold all of "     \
      "them.")                                                                                     \
    X(P_SERVE_BACK, "To the first page")                                                           \
    X(P_SERVE_HOST, "This is not the name of this machine. Open by 127.0.0.1 or localhost.")       \
    X(P_SERVE_METHOD, "These pages are only read.")                                                \
    X(P_SERVE_QUESTION,                                                                            \
      "The question cannot be read: village and event are numbers, a time is 2026-11-22T14:05.")

#endif
