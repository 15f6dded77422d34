/* db_ops.h - every operation on the database: its name and its SQL, and nothing else.
 *
 * Included by whoever defines OP() and OP2(); hence no include guard.
 *
 *   OP(NAME, sql)               both engines take the same text
 *   OP2(NAME, sqlite, postgres) where they differ, side by side
 *
 * Parameters are ?1, ?2, ... for both and are bound in that order; the PostgreSQL engine writes $1
 * instead, so a question mark may stand for nothing else.  Portable habits: columns of the row that
 * stands in the way of an insert are named with their table, a new id comes back by RETURNING,
 * bool is never added up, and lists have an ORDER BY that leaves no two rows equal.
 * How to add one: DESIGN.md, "Database".
 */

#define REVIEW_JOIN                                                                               \
    " LEFT JOIN review v ON v.commune = r.commune AND v.author = r.author AND v.lane = r.lane"    \
    " AND v.seq = r.seq "
/* What its writer signed past his revocation is none. */
#define NOT_REVOKED                                                                               \
    " AND NOT EXISTS (SELECT 1 FROM revoked x WHERE x.commune = r.commune AND x.author = r.author" \
    " AND r.seq >= x.from_seq)"
/* SQLite asks that for each row, unless it sees first that nobody is revoked. */
#define NOT_REVOKED_IF_ANY                                                                        \
    " AND (NOT EXISTS (SELECT 1 FROM revoked WHERE commune = ?1) OR (1 = 1" NOT_REVOKED "))"
/* Column order of read_record() in db.c. */
#define RECORD_SELECT                                                                             \
    "SELECT r.arrival, r.commune, r.author, r.lane, r.seq, r.variant, r.kind, r.priority,"        \
    " r.created_min, r.clock_set, r.received_ms, r.village, r.own_village, r.event, r.drill,"     \
    " r.readable, r.bytes, v.state, v.reviewer, v.text, r.position, r.via, r.rank, r.moved_from"   \
    " FROM record r"                                                                              \
    REVIEW_JOIN
#define OF_RECORD(table)                                                                          \
    " FROM " table " v WHERE v.commune = record.commune AND v.author = record.author"             \
    " AND v.lane = record.lane AND v.seq = record.seq "
#define ANSWERED_VILLAGE "(SELECT v.village" OF_RECORD("review") "AND v.village != 0)"
#define SAID_VILLAGE "CASE WHEN moved_from < 0 THEN village ELSE moved_from END"
/* What nobody answered stands before what is seen or asked about, and that before what is settled;
 * within each the urgent first.  States are those of enum review_state.  What was signed past a
 * revocation waits for nobody. */
#define JUDGE                                                                                     \
    "UPDATE record SET village = coalesce(" ANSWERED_VILLAGE ", " SAID_VILLAGE "),"               \
    " moved_from = CASE WHEN " ANSWERED_VILLAGE " IS NULL THEN -1 ELSE " SAID_VILLAGE " END,"     \
    " rank = CASE WHEN kind NOT BETWEEN 1 AND 7 THEN 0"                                           \
    " WHEN EXISTS (SELECT 1 FROM revoked x WHERE x.commune = record.commune"                      \
    " AND x.author = record.author AND record.seq >= x.from_seq) THEN 0"                          \
    " ELSE CASE coalesce((SELECT v.state" OF_RECORD("review") "), 0)"                             \
    " WHEN 0 THEN 8 + priority WHEN 1 THEN 4 + priority WHEN 2 THEN 4 + priority ELSE 0 END END "
#define RECORD_COLUMNS                                                                            \
    "commune, author, lane, seq, variant, kind, priority, created_min, clock_set, received_ms,"   \
    " village, own_village, event, drill, readable, bytes, position, rank, via, words"
#define RECORD_PARAMETERS                                                                         \
    "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20"
/* All but the words stands in the index record_board: rows that do not match are not touched. */
#define LIST_WHERE(find)                                                                          \
    "WHERE r.kind BETWEEN 1 AND 7 AND (?1 = 0 OR r.commune = ?1) AND (?2 < 0 OR r.village = ?2)"  \
    " AND (?3 = 0 OR r.kind = ?3) AND (?4 < 0 OR r.priority = ?4) AND r.received_ms >= ?5"        \
    " AND (?6 = '' OR " find "(r.words, ?6) > 0) "
#define LIST_SQL(find)                                                                            \
    RECORD_SELECT LIST_WHERE(find) "AND (?7 <= 0 OR v.state = ?7) AND r.rank >= ?8"               \
    " AND r.rank <= ?9 AND (r.rank, r.arrival) < (?10, ?11)"                                      \
    " ORDER BY r.rank DESC, r.arrival DESC LIMIT ?12"
#define COUNT_SQL(find)                                                                           \
    "SELECT count(*), sum(CASE WHEN c.rank >= 8 THEN 1 ELSE 0 END) FROM (SELECT r.rank"           \
    " FROM record r " LIST_WHERE(find) "LIMIT ?7) c"
/* Adds to what is known of a log. */
#define HEARD_MERGE                                                                               \
    " ON CONFLICT (commune, author) DO UPDATE SET count = heard.count + excluded.count,"          \
    " seq = CASE WHEN heard.seq < excluded.seq THEN excluded.seq ELSE heard.seq END,"             \
    " received_ms = CASE WHEN heard.received_ms < excluded.received_ms"                           \
    " THEN excluded.received_ms ELSE heard.received_ms END"
/* ?2: a list of [author, count, lowest, highest number] as JSON, of records just stored.  A
 * CROSS JOIN lets SQLite go through what stands on the left, here as elsewhere the shorter. */
#define HEARD_ADD_MANY_SQL(list, number)                                                          \
    "INSERT INTO heard (commune, author, received_ms, seq, count) SELECT ?1, " number(0) ", ?3, " \
    number(3) ", " number(1) " FROM " list " j WHERE true" HEARD_MERGE
#define JUDGE_MANY_SQL(list, number)                                                              \
    JUDGE "WHERE commune = ?1 AND (author, lane, seq) IN (SELECT w.author, w.lane, w.seq FROM "   \
    list " j CROSS JOIN review w WHERE w.commune = ?1 AND w.author = " number(0)                  \
    " AND w.lane = 0 AND w.seq BETWEEN " number(2) " AND " number(3) ")"
#define SQLITE_NUMBER(index) "json_extract(j.value, '$[" #index "]')"
#define POSTGRES_NUMBER(index) "(j.value->>" #index ")::bigint"
#define UNANSWERED                                                                                \
    "NOT EXISTS (SELECT 1 FROM answer a WHERE a.target = t.id AND a.arrival = r.arrival) "
#define REFUSED_BY_ROSTER                                                                         \
    "reason IN ('revoked', 'bad-role', 'bad-signature') AND EXISTS (SELECT 1 FROM record r"       \
    " WHERE r.arrival = answer.arrival AND r.commune = ?1 AND r.author = ?2)"

OP(COMMUNE_PUT,
   "INSERT INTO commune (network_id, root_key) VALUES (?1, ?2)"
   " ON CONFLICT (network_id) DO NOTHING")
OP(COMMUNE_RENAME,
   "UPDATE commune SET name = ?2 WHERE id = ?1")
OP(COMMUNE_FIND,
   "SELECT id, network_id, root_key, name FROM commune WHERE network_id = ?1")
OP(COMMUNE_LIST,
   "SELECT id, network_id, root_key, name FROM commune ORDER BY id")
OP(UNIT_PUT,
   "INSERT INTO unit (commune, code, name, into_code, from_day, until_day, revoked_after)"
   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (commune) DO UPDATE SET code = ?2,"
   " name = ?3, into_code = ?4, from_day = ?5, until_day = ?6, revoked_after = ?7")
OP(UNIT_LIST,
   "SELECT commune, code, name, into_code, from_day, until_day, revoked_after FROM unit"
   " ORDER BY commune")
/* Partitions cannot hold a number unique over all events.  The writer's lock makes the question
 * and the answer one step. */
OP2(RECORD_INSERT,
    "INSERT INTO record (" RECORD_COLUMNS ") VALUES (" RECORD_PARAMETERS ")"
    " ON CONFLICT DO NOTHING RETURNING arrival",
    "INSERT INTO record (" RECORD_COLUMNS ") SELECT " RECORD_PARAMETERS
    " WHERE NOT EXISTS (SELECT 1 FROM record WHERE commune = ?1 AND author = ?2 AND lane = ?3"
    " AND seq = ?4 AND variant = ?5) RETURNING arrival")
/* The next free place in the commune's tree. */
OP(POSITION_GET,
   "SELECT position_next FROM commune WHERE id = ?1")
OP(POSITION_SET,
   "UPDATE commune SET position_next = ?2 WHERE id = ?1")
/* As a batch file has them: in the order of the tree. */
OP(RECORD_ALL,
   RECORD_SELECT "WHERE r.commune = ?1 ORDER BY r.arrival")
/* One of many by SQLite's db_record_bulk(): RETURNING would cost as much again. */
OP(RECORD_ADD,
   "INSERT INTO record (" RECORD_COLUMNS ") VALUES (" RECORD_PARAMETERS ")"
   " ON CONFLICT DO NOTHING")
OP(RECORD_SUPERSEDE,
   "DELETE FROM record WHERE commune = ?1 AND author = ?2 AND lane = ?3"
   " AND seq < ?4 AND NOT EXISTS (SELECT 1 FROM record o WHERE"
   " o.commune = ?1 AND o.author = ?2 AND o.lane = ?3"
   " AND o.seq = record.seq AND o.variant = 1)")
OP(RECORD_VARIANTS,
   RECORD_SELECT "WHERE r.commune = ?1 AND r.author = ?2 AND r.lane = ?3"
   " AND r.seq = ?4 ORDER BY r.variant")
OP(RECORD_KIN,
   RECORD_SELECT "WHERE r.commune = ?1 AND r.author = ?2 AND r.lane = 0 AND r.variant = 0"
   " AND r.kind = ?3 AND r.event = ?4 AND r.readable = 1" NOT_REVOKED
   " ORDER BY r.seq DESC LIMIT ?5")
OP(RECORD_NEWEST,
   "SELECT max(seq) FROM record WHERE commune = ?1 AND author = ?2"
   " AND lane = ?3")
OP(RECORD_ROOT_LOG,
   RECORD_SELECT "WHERE r.commune = ?1 AND r.author = 0 AND r.lane = 0"
   " ORDER BY r.seq, r.variant")
OP(RECORD_NUMBERS,
   "SELECT arrival, commune, author, lane, seq FROM record WHERE commune = ?1 AND lane = 0"
   " AND variant = 0 AND received_ms <= ?2 ORDER BY author, seq")
OP(RECORD_NUMBERS_OF,
   "SELECT arrival, commune, author, lane, seq FROM record WHERE commune = ?1 AND author = ?2"
   " AND lane = 0 AND variant = 0 ORDER BY seq")
OP(RECORD_REPORTS,
   RECORD_SELECT "WHERE r.commune = ?1 AND r.kind BETWEEN 1 AND 7"
   " AND r.variant = 0 AND r.readable = 1" NOT_REVOKED " ORDER BY r.author, r.seq")
/* Reports for totals, no more than these need, in no order: what the signed bytes say stands there.
 * The first walks the table, which a ledger of one commune is; the plus signs keep SQLite from a
 * walk down an index with a look at the table for each row.  The second walks the numbers of one
 * commune among many.  The third finds what is in a village in the index record_board, and what an
 * answer moved, which is elsewhere now but may have been there; if asked (?6) all that was
 * answered, since an answer that holds no more may have moved it there. */
#define CLAIMS(which, not_revoked)                                                                \
    "SELECT r.arrival, r.commune, r.received_ms, r.village, r.event, r.drill, r.moved_from,"      \
    " r.bytes FROM record r WHERE " which " AND r.variant = 0 AND r.readable = 1"                 \
    " AND (?2 = 0 OR r.received_ms <= ?2) AND (?3 < 0 OR r.event = ?3)" not_revoked
#define WHOLE_TABLE "+r.commune = ?1 AND +r.kind BETWEEN 1 AND 7"
OP2(CLAIMS_OF_ALL, CLAIMS(WHOLE_TABLE, NOT_REVOKED_IF_ANY), CLAIMS(WHOLE_TABLE, NOT_REVOKED))
OP(CLAIMS_OF_ONE, CLAIMS("r.commune = ?1 AND r.kind BETWEEN 1 AND 7", NOT_REVOKED))
OP(CLAIMS_OF_VILLAGE,
   CLAIMS("r.arrival IN (SELECT b.arrival FROM record b WHERE b.kind BETWEEN 1 AND 7"
          " AND +b.commune = ?1 AND b.village = ?4 AND (?5 = 0 OR b.kind = ?5)"
          " UNION SELECT m.arrival FROM review v CROSS JOIN record m WHERE m.commune = v.commune"
          " AND m.author = v.author AND m.lane = v.lane AND m.seq = v.seq AND v.commune = ?1"
          " AND (v.village != 0 OR ?6 = 1)) AND +r.kind BETWEEN 1 AND 7", NOT_REVOKED))
OP(COMMUNE_COUNT,
   "SELECT count(*) FROM commune")
/* Answers of those who might answer then, in order of arrival.  SQLite would walk the commune, and
 * by the kind all communes; PostgreSQL puts both indexes together. */
#define REVIEWS_SQL(which)                                                                        \
    RECORD_SELECT "WHERE " which " AND r.variant = 0 AND r.readable = 1" NOT_REVOKED               \
    " ORDER BY r.arrival"
OP2(RECORD_REVIEWS,
    REVIEWS_SQL("r.arrival IN (SELECT l.arrival FROM review_log l WHERE l.commune = ?1)"),
    REVIEWS_SQL("r.commune = ?1 AND r.kind = 17"))
#define FORKS_SQL(index)                                                                          \
    RECORD_SELECT "WHERE (r.commune, r.author, r.lane, r.seq) IN (SELECT o.commune, o.author,"    \
    " o.lane, o.seq FROM record o " index "WHERE o.variant = 1 AND o.commune = ?1)"               \
    " ORDER BY r.author, r.lane, r.seq, r.variant"
/* SQLite would rather walk all numbers than the few forks. */
OP2(RECORD_FORKS, FORKS_SQL("INDEXED BY record_fork "), FORKS_SQL(""))
/* Calls for help that nobody has answered, drills apart: the index holds these and no others. */
#define CALLS_SQL(index)                                                                          \
    "SELECT count(*), min(r.arrival), min(r.received_ms) FROM record r " index                    \
    "WHERE r.kind BETWEEN 1 AND 7 AND r.rank >= 8 AND (r.kind = 4 OR r.priority = 3)"             \
    " AND r.drill = 0"
OP2(RESCUE_WAITING, CALLS_SQL("INDEXED BY record_call "), CALLS_SQL(""))
OP(RECORD_REHOME,
   "UPDATE record SET village = CASE WHEN moved_from < 0 THEN ?3 ELSE village END,"
   " moved_from = CASE WHEN moved_from < 0 THEN -1 ELSE ?3 END WHERE commune = ?1 AND author = ?2"
   " AND own_village = 1 AND " SAID_VILLAGE " != ?3")
OP(RECORD_GET,
   RECORD_SELECT "WHERE r.arrival = ?1")
OP(RECORD_LAST,
   "SELECT max(arrival) FROM record")
OP2(RECORD_LIST, LIST_SQL("instr"), LIST_SQL("strpos"))
OP2(RECORD_COUNT, COUNT_SQL("instr"), COUNT_SQL("strpos"))
OP(RECORD_NOTE,
   "UPDATE record SET words = ?2 WHERE arrival = ?1")
/* An answer may be here before its report. */
OP(JUDGE_NEW,
   JUDGE "WHERE arrival > ?1 AND EXISTS (SELECT 1" OF_RECORD("review") ")")
OP(JUDGE_AUTHOR,
   JUDGE "WHERE commune = ?1 AND author = ?2")
OP(JUDGE_RECORD,
   JUDGE "WHERE commune = ?1 AND author = ?2 AND lane = ?3 AND seq = ?4")
/* The plus signs keep SQLite from walking all records in the order of their numbers. */
OP(HEARD_ADD,
   "INSERT INTO heard (commune, author, received_ms, seq, count)"
   " SELECT +commune, +author, max(received_ms), max(seq), count(*) FROM record"
   " WHERE arrival > ?1 AND lane = 0 AND variant = 0 GROUP BY +commune, +author" HEARD_MERGE)
OP2(HEARD_ADD_MANY,
    HEARD_ADD_MANY_SQL("json_each(?2)", SQLITE_NUMBER),
    HEARD_ADD_MANY_SQL("json_array_elements(?2::json)", POSTGRES_NUMBER))
OP2(JUDGE_MANY,
    JUDGE_MANY_SQL("json_each(?2)", SQLITE_NUMBER),
    JUDGE_MANY_SQL("json_array_elements(?2::json)", POSTGRES_NUMBER))
OP(HEARD_LIST,
   "SELECT author, received_ms, seq, count FROM heard WHERE commune = ?1 ORDER BY author")
/* That the kind is no report's lets SQLite use the index record_other. */
OP(RECORD_OF_KIND,
   RECORD_SELECT "WHERE r.kind = ?1 AND r.kind >= 16 AND r.variant = 0 AND r.readable = 1"
   " AND r.arrival > ?2 ORDER BY r.arrival")
OP(RECORD_NEWEST_OF_KIND,
   RECORD_SELECT "WHERE +r.commune = ?1 AND r.kind = ?2 AND r.kind >= 16 AND r.variant = 0"
   " AND r.readable = 1 ORDER BY r.arrival DESC LIMIT ?3")
OP(REVIEW_LOG_PUT,
   "INSERT INTO review_log (commune, author, lane, seq, arrival) VALUES (?1, ?2, ?3, ?4, ?5)"
   " ON CONFLICT DO NOTHING")
OP(REVIEW_KNOWN,
   "SELECT count(*) + (SELECT count(*) FROM review_log l WHERE l.commune = ?1 AND l.author = ?2"
   " AND l.lane = ?3 AND l.seq = ?4), max(id) FROM outgoing WHERE kind = 17 AND commune = ?1"
   " AND author = ?2 AND lane = ?3 AND seq = ?4")
OP(REVIEW_LOG,
   RECORD_SELECT "JOIN review_log l ON l.arrival = r.arrival WHERE l.commune = ?1 AND l.author = ?2"
   " AND l.lane = ?3 AND l.seq = ?4 ORDER BY r.arrival")
OP(REVIEW_VALID,
   RECORD_SELECT "JOIN review_log l ON l.arrival = r.arrival WHERE l.commune = ?1 AND l.author = ?2"
   " AND l.lane = ?3 AND l.seq = ?4" NOT_REVOKED " ORDER BY r.author, r.seq DESC")
OP(REVIEWED_BY,
   "SELECT l.author, l.lane, l.seq FROM review_log l JOIN record r ON r.arrival = l.arrival"
   " WHERE l.commune = ?1 AND r.author = ?2 GROUP BY l.author, l.lane, l.seq"
   " ORDER BY l.author, l.lane, l.seq")
OP(REVIEW_PUT,
   "INSERT INTO review (commune, author, lane, seq, state, reviewer, review_seq, text, village)"
   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (commune, author, lane, seq)"
   " DO UPDATE SET state = ?5, reviewer = ?6, review_seq = ?7, text = ?8, village = ?9")
OP(REVIEW_DROP,
   "DELETE FROM review WHERE commune = ?1 AND author = ?2 AND lane = ?3 AND seq = ?4")
OP(PENDING_COUNT,
   "SELECT count(*) FROM pending WHERE commune = ?1")
OP(PENDING_PUT,
   "INSERT INTO pending (commune, author, received_ms, bytes, via)"
   " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING")
OP(PENDING_DROP,
   "DELETE FROM pending WHERE id = (SELECT min(id) FROM pending WHERE commune = ?1"
   " GROUP BY author ORDER BY count(*) DESC, min(id) LIMIT 1)")
OP(PENDING_OF,
   "SELECT id, received_ms, bytes, via FROM pending WHERE commune = ?1"
   " AND author = ?2 ORDER BY id")
OP(PENDING_DELETE,
   "DELETE FROM pending WHERE id = ?1")
OP(PENDING_AUTHORS,
   "SELECT DISTINCT commune, author FROM pending")
OP(REVOKED_GET,
   "SELECT from_seq FROM revoked WHERE commune = ?1 AND author = ?2")
OP(REVOKED_SET,
   "INSERT INTO revoked (commune, author, from_seq) VALUES (?1, ?2, ?3)"
   " ON CONFLICT (commune, author) DO UPDATE SET from_seq = ?3")
OP(REVOKED_CLEAR,
   "DELETE FROM revoked WHERE commune = ?1 AND author = ?2")
OP(REFUSED_ADD,
   "INSERT INTO refused (commune, reason, count, last_ms, sample) VALUES (?1, ?2, 1, ?3, ?4)"
   " ON CONFLICT (commune, reason) DO UPDATE SET count = refused.count + 1, last_ms = ?3,"
   " sample = ?4")
OP(REFUSED_LIST,
   "SELECT commune, reason, count, last_ms FROM refused"
   " ORDER BY commune, reason")
OP(META_GET,
   "SELECT value FROM meta WHERE key = ?1")
OP(META_SET,
   "INSERT INTO meta (key, value) VALUES (?1, ?2)"
   " ON CONFLICT (key) DO UPDATE SET value = ?2")
OP(TARGET_ADD,
   "INSERT INTO target (url, commune) VALUES (?1, ?2) ON CONFLICT DO NOTHING")
OP(TARGET_FIND,
   "SELECT id FROM target WHERE url = ?1 AND commune = ?2")
OP(OUTBOX_WAITING,
   RECORD_SELECT "JOIN target t ON t.id = ?1 WHERE r.commune = t.commune"
   " AND r.arrival > t.cursor AND " UNANSWERED
   "ORDER BY r.author = 0 DESC, r.priority DESC, r.arrival")
OP(OUTBOX_COUNT,
   "SELECT count(*) FROM record r JOIN target t ON t.id = ?1"
   " WHERE r.commune = t.commune AND r.arrival > t.cursor AND " UNANSWERED)
OP(OUTBOX_STANDS, /* enum db_outbox_state */
   "SELECT max(CASE WHEN a.reason IS NOT NULL THEN 2"
   " WHEN a.arrival IS NOT NULL OR t.cursor >= ?2 THEN 1 ELSE 0 END) FROM target t"
   " LEFT JOIN answer a ON a.target = t.id AND a.arrival = ?2 WHERE t.id = ?1")
OP(OUTBOX_ANSWERED,
   "INSERT INTO answer (target, arrival, reason) VALUES (?1, ?2, ?3)"
   " ON CONFLICT (target, arrival) DO UPDATE SET reason = ?3")
OP(OUTBOX_SETTLE,
   "UPDATE target AS t SET cursor = coalesce((SELECT min(r.arrival) - 1 FROM record r"
   " WHERE r.commune = t.commune AND r.arrival > t.cursor AND " UNANSWERED "),"
   " (SELECT max(arrival) FROM record), t.cursor) WHERE t.id = ?1")
OP(OUTBOX_FORGET,
   "DELETE FROM answer WHERE target = ?1 AND reason IS NULL"
   " AND arrival <= (SELECT cursor FROM target WHERE id = ?1)")
OP(OUTBOX_REWIND,
   "UPDATE target SET cursor = CASE WHEN cursor < ?2 THEN cursor ELSE ?2 - 1 END WHERE id = ?1")
OP(OUTBOX_REOPEN,
   "DELETE FROM answer WHERE target = ?1 AND arrival >= ?2"
   " AND reason IS NULL")
/* What another entry in the roster may change: where the first of an author's that was refused so
 * is; then what stands as held only by the cursor is noted row by row, his are open again, and the
 * cursor stands before the first of them. */
OP(OUTBOX_REFUSED_FIRST,
   "SELECT min(arrival) FROM answer WHERE " REFUSED_BY_ROSTER)
OP(OUTBOX_NOTE_HELD,
   "INSERT INTO answer (target, arrival) SELECT t.id, r.arrival FROM target t JOIN record r"
   " ON r.commune = t.commune AND r.arrival <= t.cursor WHERE t.commune = ?1 AND r.arrival >= ?2"
   " ON CONFLICT DO NOTHING")
OP(OUTBOX_UNREFUSE,
   "DELETE FROM answer WHERE " REFUSED_BY_ROSTER)
OP(OUTBOX_REWIND_ALL,
   "UPDATE target SET cursor = ?2 - 1 WHERE commune = ?1 AND cursor >= ?2")
OP(OUTBOX_HELD,
   "SELECT r.arrival, r.commune, r.author, r.lane, r.seq FROM record r"
   " JOIN target t ON t.id = ?1 LEFT JOIN answer a ON a.target = t.id"
   " AND a.arrival = r.arrival WHERE r.commune = t.commune AND r.lane = 0 AND r.variant = 0"
   " AND a.reason IS NULL AND (r.arrival <= t.cursor OR a.arrival IS NOT NULL)"
   " ORDER BY r.author, r.seq")
OP(OUTBOX_REFUSED,
   "SELECT r.arrival, r.commune, r.author, r.lane, r.seq, a.reason FROM answer a"
   " JOIN record r ON r.arrival = a.arrival WHERE a.target = ?1 AND a.reason IS NOT NULL"
   " ORDER BY r.arrival")
/* What goes down: all but reports, and not to whoever brought it.  The list of kinds and the plus
 * are for SQLite, which then finds what came after a place without a walk over the commune. */
OP(DOWN_LIST,
   RECORD_SELECT "WHERE +r.commune = ?1 AND r.variant = 0 AND r.kind >= 16 AND r.kind IN (16, 17,"
   " 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31) AND r.arrival > ?2 AND NOT EXISTS"
   " (SELECT 1 FROM brought b WHERE b.arrival = r.arrival AND b.source = ?3) ORDER BY r.arrival")
OP(DOWN_GET,
   "SELECT down FROM target WHERE id = ?1")
OP(DOWN_SET,
   "UPDATE target SET down = ?2 WHERE id = ?1")
/* What came down from there is held there. */
OP(DOWN_MARK,
   "INSERT INTO answer (target, arrival) SELECT ?1, b.arrival FROM brought b"
   " WHERE b.source = ?2 AND b.arrival > ?3 ON CONFLICT DO NOTHING")
OP(BROUGHT_PUT,
   "INSERT INTO brought (arrival, source) VALUES (?1, ?2) ON CONFLICT DO NOTHING")
/* What came by wire or file, for the node. */
OP(RECORD_FOR_NODE,
   RECORD_SELECT "WHERE +r.commune = ?1 AND r.variant = 0 AND r.arrival > ?2 AND r.via IN (2, 3)"
   " ORDER BY r.arrival LIMIT ?3")
OP(OUTGOING_ADD,
   "INSERT INTO outgoing (commune, author, lane, seq, state, text, kind, priority, body)"
   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) RETURNING id")
#define OUTGOING_SELECT                                                                           \
    "SELECT id, commune, author, lane, seq, state, text, error, kind, priority, body FROM outgoing"
OP(OUTGOING_LIST,
   OUTGOING_SELECT " ORDER BY id")
OP(OUTGOING_REVIEWS,
   OUTGOING_SELECT " WHERE kind = 17 AND commune = ?1 AND author = ?2 AND lane = ?3 AND seq = ?4"
   " ORDER BY id")
OP(OUTGOING_ERROR,
   "UPDATE outgoing SET error = ?2 WHERE id = ?1")
OP(OUTGOING_DELETE,
   "DELETE FROM outgoing WHERE id = ?1")
OP(BLOCK_PUT,
   "INSERT INTO block (hash) VALUES (?1) ON CONFLICT DO NOTHING")
OP(BLOCK_HAS,
   "SELECT count(*) FROM block WHERE hash = ?1")
OP(CHECKPOINT_PUT,
   "INSERT INTO checkpoint (commune, source, size, root, created_min, received_ms, covered, edge)"
   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (commune, source, size, root)"
   " DO UPDATE SET covered = ?7, edge = ?8 WHERE checkpoint.covered < ?7")
OP(CHECKPOINT_LIST,
   "SELECT commune, source, size, root, created_min, received_ms, covered, edge FROM checkpoint"
   " WHERE commune = ?1 ORDER BY source, size, root")
OP(QUICK_ADD,
   "INSERT INTO quick (commune, event, drill, number, until_ms, doc)"
   " VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id")
/* What was signed off never changes again. */
OP(QUICK_CHANGE,
   "UPDATE quick SET commune = ?2, event = ?3, drill = ?4, number = ?5, until_ms = ?6, doc = ?7"
   " WHERE id = ?1 AND number = 0 RETURNING id")
OP(QUICK_GET,
   "SELECT id, commune, event, drill, number, until_ms, doc FROM quick WHERE id = ?1")
OP(QUICK_LIST,
   "SELECT id, commune, event, drill, number, until_ms, '' FROM quick WHERE commune = ?1"
   " ORDER BY id DESC LIMIT ?2")
OP(QUICK_BEFORE,
   "SELECT id, commune, event, drill, number, until_ms, doc FROM quick WHERE commune = ?1"
   " AND event = ?2 AND drill = ?3 AND number > 0 AND until_ms <= ?4"
   " ORDER BY until_ms DESC, number DESC LIMIT 1")
OP(QUICK_LAST_NUMBER,
   "SELECT coalesce(max(number), 0) FROM quick WHERE commune = ?1 AND event = ?2 AND drill = ?3")
