/* keng.c - the command line of Kẻng: for the member in the village and the commune's technician.
 *
 * Exit status: 0 done; 1 could not be done; 2 wrong input, nothing stored.
 */
#include "node/keng_cli.h"

#include <locale.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
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

/* The short names of a kind, for `keng help report KIND`. */
static int help_kind(struct keng *k, uint8_t kind)
{
    size_t shown = 0;
    bool vi = k->lang == KENG_VI;
    int status = keng_load_catalogue(k);

    if (status != KENG_OK)
        return status;
    for (size_t i = 0; i < k->catalogue->item_count; i++) {
        const struct catalogue_item *item = &k->catalogue->items[i];
        const char *name = vi && item->alias_vi[0] != '\0' ? item->alias_vi
                           : item->alias_en[0] != '\0' ? item->alias_en
                           : item->alias_vi[0] != '\0' ? item->alias_vi : item->code;
        if (item->kind != kind)
            continue;
        if (shown++ == 0)
            keng_say(k, stdout, TEXT_INDICATORS,
                     KENG_ARGS(record_kind_name(kind), k->catalogue->version));
        printf("  %-24s %s [", name, vi ? item->name_vi : item->name_en);
        for (size_t s = 0; s < item->state_count; s++)
            printf("%s%s", s > 0 ? " | " : "", vi ? item->states[s].vi : item->states[s].en);
        printf("%s]\n", item->state_count > 0 ? "" : item->unit);
    }
    if (shown == 0)
        keng_say(k, stdout, TEXT_NO_INDICATORS, KENG_ARGS(record_kind_name(kind)));
    printf("\n%s\n", text_get(k->lang, TEXT_HAZARDS));
    for (size_t i = 0; i < k->catalogue->hazard_count; i++) {
        const struct catalogue_hazard *h = &k->catalogue->hazards[i];
        printf("  %-24s %s\n", h->alias_vi, vi ? h->name_vi : h->name_en);
    }
    return KENG_OK;
}

int keng_run_help(struct keng *k)
{
    k->command = NULL;
    if (k->operand_count == 0)
        return keng_help(k);
    k->command = keng_command_find(k->operands[0]);
    if (k->command == NULL)
        return keng_wrong(k, TEXT_WRONG_COMMAND, KENG_ARGS(k->operands[0]));
    if (k->operand_count == 1)
        return keng_help(k);
    uint8_t kind = keng_kind_find(k->operands[1]);
    if (k->operand_count > 2 || strcmp(k->command->name, "report") != 0)
        return keng_wrong(k, TEXT_WRONG_OPERAND,
                          KENG_ARGS(k->operands[k->operand_count - 1], "help"));
    if (kind == 0)
        return keng_wrong(k, TEXT_WRONG_KIND,
                          KENG_ARGS(k->operands[1],
                                    "damage needs evacuation rescue access safe note"));
    return help_kind(k, kind);
}

int main(int argc, char **argv)
{
    struct keng k = { .lang = text_lang_find(lookup_env, NULL), .client = { .fd = -1 } };

    setlocale(LC_CTYPE, "");
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is seen as a failed write below */
    if (sodium_init() < 0)
        return keng_failed(&k, TEXT_FAILED, KENG_ARGS("no source of randomness"));
    int status = keng_parse(&k, argc, argv);
    if (status == KENG_OK) {
        find_places(&k);
        status = k.option[OPT_HELP] != NULL ? keng_help(&k) : k.command->run(&k);
    }
    keng_free(&k);
    if (fflush(stdout) != 0 && status == KENG_OK)
        status = KENG_FAILED;
    return status;
}
