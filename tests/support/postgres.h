/* postgres.h - a real PostgreSQL server for the tests, started by tests/postgres.sh.
 *
 * The server is the one that KENG_TEST_POSTGRES names, or one of this program's own that ends with
 * it.  Each database a test opens is a schema there.
 *
 * Errors    The tests cannot go on without it: one line on standard error and exit status 2.
 */
#ifndef KENG_TESTS_SUPPORT_POSTGRES_H
#define KENG_TESTS_SUPPORT_POSTGRES_H

enum { POSTGRES_URL_LEN = 512 };

/* A connection string for the schema of that name (letters, digits, underscores), made at need. */
void postgres_url(const char *schema, char url_out[POSTGRES_URL_LEN]);
/* Runs statements in the schema behind the tested program's back. */
void postgres_run(const char *schema, const char *sql);

#endif
