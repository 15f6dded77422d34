/* keng_help.c - `keng help`: of commands by their table, of indicators by the catalogue. */
#include "node/keng_cli.h"

#include <string.h>

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
