#include "tests/support/postgres.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Noreturn void give_up(const char *what, const char *why)
{
    fprintf(stderr, "postgres: %s: %s\n", what, why);
    exit(2);
}

/* The script ends the server when `cat` sees our end of its input closed: at our exit, however. */
static void start_server(void)
{
    static char dir[256];
    int to_child[2], from_child[2];
    if (pipe(to_child) != 0 || pipe(from_child) != 0)
        give_up("pipe", "failed");
    pid_t child = fork();
    if (child < 0)
        give_up("fork", "failed");
    if (child == 0) {
        dup2(to_child[0], STDIN_FILENO);
        dup2(from_child[1], STDOUT_FILENO);
        close(to_child[0]);
        close(to_child[1]);
        close(from_child[0]);
        close(from_child[1]);
        execl("/bin/sh", "sh", "tests/postgres.sh", "run", "sh", "-c",
              "echo \"$KENG_TEST_POSTGRES\"; exec >/dev/null; cat", (char *)NULL);
        _exit(127);
    }
    close(to_child[0]);
    close(from_child[1]);
    FILE *answer = fdopen(from_child[0], "re");
    if (!answer || !fgets(dir, sizeof dir, answer))
        give_up("tests/postgres.sh", "no server");
    fclose(answer);
    dir[strcspn(dir, "\n")] = '\0';
    if (setenv("KENG_TEST_POSTGRES", dir, 1) != 0)
        give_up("setenv", "failed");
}

static void make_url(const char *schema, char url_out[POSTGRES_URL_LEN])
{
    if (!getenv("KENG_TEST_POSTGRES"))
        start_server();
    snprintf(url_out, POSTGRES_URL_LEN, "postgresql://keng@/postgres?host=%s&options="
             "-csearch_path%%3D%s", getenv("KENG_TEST_POSTGRES"), schema);
}

void postgres_run(const char *schema, const char *sql)
{
    char url[POSTGRES_URL_LEN];
    make_url(schema, url);
    PGconn *conn = PQconnectdb(url);
    PQclear(PQexec(conn, "SET client_min_messages = error"));
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        give_up(sql, PQerrorMessage(conn));
    PQclear(result);
    PQfinish(conn);
}

void postgres_url(const char *schema, char url_out[POSTGRES_URL_LEN])
{
    char sql[128];
    snprintf(sql, sizeof sql, "CREATE SCHEMA IF NOT EXISTS %s", schema);
    postgres_run(schema, sql);
    make_url(schema, url_out);
}
