/* keng_help.c - `keng help`: of commands by their table, of indicators by the catalogue. */
#include "node/keng_cli.h"

#include <string.h>

int keng_help_kind(struct keng *k, uint8_t kind)
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
        if (item->row.kind != kind || !catalogue_holds(&item->row, keng_now_ms()))
            continue;
        if (shown++ == 0)
            keng_say(k, stdout, TEXT_INDICATORS,
                     KENG_ARGS(keng_kind_word(k->lang, kind), k->catalogue->version));
        printf("  %-24s %s", name, vi ? item->name_vi : item->name_en);
        for (size_t s = 0; s < item->state_count; s++)
            printf("%s%s", s > 0 ? " | " : " [", vi ? item->states[s].vi : item->states[s].en);
        const char *unit = item->state_count > 0 ? "" : vi ? item->unit : item->unit_en;
        printf("%s%s%s\n", unit[0] != '\0' ? " [" : "", unit,
               unit[0] != '\0' || item->state_count > 0 ? "]" : "");
    }
    if (shown == 0)
        keng_say(k, stdout, TEXT_NO_INDICATORS, KENG_ARGS(keng_kind_word(k->lang, kind)));
    printf("\n%s\n", text_get(k->lang, TEXT_HAZARDS));
    /* In one paragraph: the indicators above must stay on a small screen. */
    shown = 0;
    for (size_t i = 0; i < k->catalogue->hazard_count; i++) {
        const struct catalogue_hazard *h = &k->catalogue->hazards[i];
        if (!catalogue_holds(&h->row, keng_now_ms()))
            continue;
        printf("%s%s%s%s%s", shown == 0 ? "  " : shown % (vi ? 6 : 3) == 0 ? ",\n  " : ", ",
               h->alias_vi, vi ? "" : " (", vi ? "" : h->name_en, vi ? "" : ")");
        shown++;
    }
    if (shown > 0)
        putchar('\n');
    return KENG_OK;
}

int keng_run_help(struct keng *k)
{
    const char *word = k->operand_count == 0 ? NULL : k->operands[0];
    char words[KENG_WORDS_LEN], two[CATALOGUE_FOLDED_LEN];

    k->command = NULL;
    if (word == NULL)
        return keng_help(k);
    k->command = keng_command_find(word);
    if (k->command != NULL && k->operand_count == 1)
        return keng_help(k);
    /* `help KIND`, `help report KIND`, either with a kind of two words */
    size_t at = k->command != NULL && k->command->run == keng_run_report ? 1 : 0;
    uint8_t kind = k->command != NULL && at == 0 ? 0 : keng_kind_find(k->operands[at]);
    if (kind == 0 && at + 2 == k->operand_count &&
        snprintf(two, sizeof two, "%s %s", k->operands[at], k->operands[at + 1]) < (int)sizeof two)
        kind = keng_kind_find(two);
    else if (kind != 0 && at + 1 < k->operand_count)
        kind = 0;
    if (kind != 0)
        return keng_help_kind(k, kind);
    keng_kind_words(k->lang, words, sizeof words);
    if (k->command == NULL)
        return keng_wrong(k, TEXT_WRONG_COMMAND, KENG_ARGS(word));
    if (at == 1)
        return keng_wrong(k, TEXT_WRONG_KIND, KENG_ARGS(k->operands[1], words));
    return keng_wrong(k, TEXT_WRONG_OPERAND, KENG_ARGS(k->operands[k->operand_count - 1], "help"));
}
