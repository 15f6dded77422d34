/* keng.c - the command line of Kẻng: for the member in the village and the commune's technician.
 *
 * Exit status: 0 done; 1 could not be done; 2 wrong input, nothing stored.
 */
#include "node/keng_cli.h"

#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define DEFAULT_HOME "/var/lib/keng"
#define INSTALLED_DATA "/usr/share/keng"

static const char *lookup_env(void *ctx, const char *name)
{
    (void)ctx;
    return getenv(name);
}

/* An option, then the environment, then what is usual.  An empty variable counts as none. */
static const char *choose(const char *option, const char *variable, const char *usual)
{
    const char *from_env = variable == NULL ? NULL : getenv(variable);

    if (option != NULL)
        return option;
    return from_env != NULL && from_env[0] != '\0' ? from_env : usual;
}

static void find_places(struct keng *k)
{
    char usual[KENG_PATH_LEN_MAX];
    const char *data = access("./seeds/catalogue", R_OK) == 0 ? "./seeds" : INSTALLED_DATA;

    snprintf(k->home, sizeof k->home, "%s", choose(k->option[OPT_HOME], "KENG_HOME", DEFAULT_HOME));
    snprintf(usual, sizeof usual, "%.*s/kengd.sock", KENG_PATH_LEN_MAX - 16, k->home);
    snprintf(k->socket, sizeof k->socket, "%s", choose(k->option[OPT_SOCKET], NULL, usual));
    snprintf(k->data, sizeof k->data, "%s", choose(k->option[OPT_DATA], "KENG_DATA", data));
}

/* --help after a kind of report is about that kind. */
static int show_help(struct keng *k)
{
    uint8_t kind = k->command != NULL && k->command->run == keng_run_report && k->operand_count > 0
                   ? keng_kind_find(k->operands[0]) : 0;

    return kind != 0 ? keng_help_kind(k, kind) : keng_help(k);
}

int main(int argc, char **argv)
{
    struct keng k = { .lang = text_lang_find(lookup_env, NULL), .client = { .fd = -1 } };

    setlocale(LC_CTYPE, "");
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is seen as a failed write below */
    if (sodium_init() < 0)
        return keng_failed(&k, TEXT_FAILED, KENG_ARGS("no source of randomness"));
    /* `init` and `enroll` have the root's key in memory: it must not end in a core dump. */
    if (setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }) < 0)
        return keng_failed(&k, TEXT_FAILED, KENG_ARGS("core dumps cannot be switched off"));
    int status = keng_parse(&k, argc, argv);
    if (status == KENG_OK) {
        find_places(&k);
        status = k.option[OPT_HELP] != NULL ? show_help(&k) : k.command->run(&k);
    }
    keng_free(&k);
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == KENG_OK)
        status = keng_failed(&k, TEXT_FAILED_WRITE, KENG_ARGS("stdout", strerror(errno)));
    return status;
}
