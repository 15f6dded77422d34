#include "node/keng_cli.h"

#include <stdlib.h>
#include <string.h>

#define BIT(option) KENG_BIT(option)

static const struct {
    const char *name;
    const char *word;     /* Vietnamese, "": has none */
    const char *argument; /* NULL: takes none */
    enum keng_text_id help;
} options[OPT_COUNT] = {
    [OPT_LANG] = { "lang", "", "vi|en", TEXT_OPT_LANG },
    [OPT_HOME] = { "home", "", "DIR", TEXT_OPT_HOME },
    [OPT_SOCKET] = { "socket", "", "PATH", TEXT_OPT_SOCKET },
    [OPT_DATA] = { "data", "", "DIR", TEXT_OPT_DATA },
    [OPT_JSON] = { "json", "", NULL, TEXT_OPT_JSON },
    [OPT_HELP] = { "help", "", NULL, TEXT_OPT_HELP },
    [OPT_TEXT] = { "text", "loi", "TEXT|-", TEXT_OPT_TEXT },
    [OPT_LINES] = { "lines", "dong", "FILE|-", TEXT_OPT_LINES },
    [OPT_VILLAGE] = { "village", "thon", "VILLAGE", TEXT_OPT_VILLAGE },
    [OPT_EVENT] = { "event", "dot", "N", TEXT_OPT_EVENT },
    [OPT_HAZARD] = { "hazard", "thien-tai", "NAME", TEXT_OPT_HAZARD },
    [OPT_AT] = { "at", "toa-do", "LAT,LON", TEXT_OPT_AT },
    [OPT_PRIORITY] = { "priority", "muc", "WORD", TEXT_OPT_PRIORITY },
    [OPT_AS] = { "as", "nguoi-gui", "N", TEXT_OPT_AS },
    [OPT_DRILL] = { "drill", "dien-tap", NULL, TEXT_OPT_DRILL },
    [OPT_DRY_RUN] = { "dry-run", "thu", NULL, TEXT_OPT_DRY_RUN },
    [OPT_ALL] = { "all", "tat-ca", NULL, TEXT_OPT_ALL },
    [OPT_DIR] = { "dir", "", "DESK", TEXT_OPT_DIR },
    [OPT_NAME] = { "name", "", "NAME", TEXT_OPT_NAME },
    [OPT_CODE] = { "code", "", "DIGITS", TEXT_OPT_CODE },
    [OPT_REGION] = { "region", "", "REGION", TEXT_OPT_REGION },
    [OPT_FREQ] = { "freq", "", "MHZ", TEXT_OPT_FREQ },
    [OPT_BW] = { "bw", "", "KHZ", TEXT_OPT_BW },
    [OPT_SF] = { "sf", "", "N", TEXT_OPT_SF },
    [OPT_CR] = { "cr", "", "N", TEXT_OPT_CR },
    [OPT_PREAMBLE] = { "preamble", "", "N", TEXT_OPT_PREAMBLE },
    [OPT_EIRP] = { "eirp", "", "DBM", TEXT_OPT_EIRP },
    [OPT_NUMBER] = { "number", "", "N", TEXT_OPT_NUMBER },
    [OPT_ROLE] = { "role", "", "ROLE", TEXT_OPT_ROLE },
    [OPT_OUT] = { "out", "", "DIR", TEXT_OPT_OUT },
    [OPT_AFTER] = { "after", "", "SEQ", TEXT_OPT_AFTER },
    [OPT_ASK] = { "ask", "hoi", NULL, TEXT_OPT_ASK },
    [OPT_WIRES] = { "wires", "day", "WORDS", TEXT_OPT_WIRES },
    [OPT_RANGE] = { "range", "tam-xa", "KM", TEXT_OPT_RANGE },
    [OPT_MARGIN] = { "margin", "du-phong", "DB", TEXT_OPT_MARGIN },
    [OPT_PORT] = { "port", "cong", "PATH", TEXT_OPT_PORT },
    [OPT_DRIVER] = { "driver", "trinh-dieu-khien", "NAME", TEXT_OPT_DRIVER },
    [OPT_SETTINGS] = { "settings", "thong-so", "WORDS", TEXT_OPT_SETTINGS },
    [OPT_AMATEUR] = { "amateur", "nghiep-du", "CALL", TEXT_OPT_AMATEUR },
    [OPT_GAIN] = { "gain", "do-loi", "DBI", TEXT_OPT_GAIN },
    [OPT_LOSS] = { "loss", "suy-hao", "DB", TEXT_OPT_LOSS },
    [OPT_WRITE] = { "write", "ghi", NULL, TEXT_OPT_WRITE },
    [OPT_FRAMES] = { "frames", "so-khung", "N", TEXT_OPT_FRAMES },
    [OPT_SECONDS] = { "seconds", "giay", "N", TEXT_OPT_SECONDS },
};

static const uint64_t options_common = BIT(OPT_LANG) | BIT(OPT_HOME) | BIT(OPT_SOCKET) |
                                       BIT(OPT_DATA) | BIT(OPT_JSON) | BIT(OPT_HELP);

static const struct keng_command commands[] = {
    { "report", "bao bao-cao gui", "", /* its operands are TEXT_REPORT_OPERANDS */
      BIT(OPT_TEXT) | BIT(OPT_LINES) | BIT(OPT_VILLAGE) | BIT(OPT_EVENT) | BIT(OPT_HAZARD) |
      BIT(OPT_AT) | BIT(OPT_PRIORITY) | BIT(OPT_AS) | BIT(OPT_DRILL) | BIT(OPT_DRY_RUN), 0, true,
      TEXT_CMD_REPORT, keng_run_report },
    { "status", "tin tinh-trang", "", BIT(OPT_ALL), 0, false, TEXT_CMD_STATUS,
      keng_run_status },
    { "inbox", "den hop-thu", "", BIT(OPT_ALL), 0, false, TEXT_CMD_INBOX,
      keng_run_inbox },
    { "confirm", "da-doc xac-nhan", "[NUMBER ...]", BIT(OPT_AS), 0, true, TEXT_CMD_CONFIRM,
      keng_run_confirm },
    { "watch", "theo-doi", "", 0, 0, false, TEXT_CMD_WATCH, keng_run_watch },
    { "roster", "danh-sach", "", 0, 0, false, TEXT_CMD_ROSTER, keng_run_roster },
    { "node", "may", "", 0, 0, false, TEXT_CMD_NODE, keng_run_node },
    { "import", "nap", "FILE...", 0, 0, true, TEXT_CMD_IMPORT, keng_run_import },
    { "init", "lap", "",
      BIT(OPT_DIR) | BIT(OPT_NAME) | BIT(OPT_CODE) | BIT(OPT_REGION) | BIT(OPT_FREQ) |
      BIT(OPT_BW) | BIT(OPT_SF) | BIT(OPT_CR) | BIT(OPT_PREAMBLE) | BIT(OPT_EIRP),
      BIT(OPT_NAME) | BIT(OPT_CODE), false, TEXT_CMD_INIT, keng_run_init },
    { "profile", "thong-so-xa", "",
      BIT(OPT_DIR) | BIT(OPT_NAME) | BIT(OPT_CODE) | BIT(OPT_REGION) | BIT(OPT_FREQ) |
      BIT(OPT_BW) | BIT(OPT_SF) | BIT(OPT_CR) | BIT(OPT_PREAMBLE) | BIT(OPT_EIRP) |
      BIT(OPT_DRY_RUN), BIT(OPT_DIR), false, TEXT_CMD_PROFILE, keng_run_profile },
    { "enroll", "cap-so", "",
      BIT(OPT_DIR) | BIT(OPT_NUMBER) | BIT(OPT_NAME) | BIT(OPT_ROLE) | BIT(OPT_VILLAGE) |
      BIT(OPT_OUT), BIT(OPT_DIR) | BIT(OPT_NUMBER) | BIT(OPT_NAME) | BIT(OPT_ROLE), false,
      TEXT_CMD_ENROLL, keng_run_enroll },
    { "revoke", "thu-hoi", "", BIT(OPT_DIR) | BIT(OPT_NUMBER) | BIT(OPT_AFTER),
      BIT(OPT_DIR) | BIT(OPT_NUMBER) | BIT(OPT_AFTER), false, TEXT_CMD_REVOKE, keng_run_revoke },
    { "cert", "chung-thu", "NAME [IP|NAME ...]", BIT(OPT_DIR) | BIT(OPT_OUT),
      BIT(OPT_DIR) | BIT(OPT_OUT), true, TEXT_CMD_CERT, keng_run_cert },
    { "modem", "bo-dam", "list | probe PORT | show | set-up [NAME] | test NODE | monitor",
      BIT(OPT_ASK) | BIT(OPT_WIRES) | BIT(OPT_RANGE) | BIT(OPT_MARGIN) | BIT(OPT_PORT) |
      BIT(OPT_DRIVER) | BIT(OPT_SETTINGS) | BIT(OPT_AMATEUR) | BIT(OPT_GAIN) | BIT(OPT_LOSS) |
      BIT(OPT_WRITE) |
      BIT(OPT_FRAMES) | BIT(OPT_SECONDS), 0, true, TEXT_CMD_MODEM, keng_run_modem },
    { "help", "giup huong-dan", "[COMMAND | KIND]", 0, 0, true, TEXT_CMD_HELP,
      keng_run_help },
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0], WORD_LEN_MAX = 64 };

bool keng_word_in(const char *words, const char *text)
{
    char word[CATALOGUE_FOLDED_LEN];

    if (!catalogue_fold(text, word) || word[0] == '\0')
        return false;
    for (char *p = word; *p != '\0'; p++) {
        if (*p == '_') /* also what was typed as ' ' */
            *p = '-';
    }
    size_t len = strlen(word);
    for (const char *p = words; *p != '\0'; p += strcspn(p, " "), p += strspn(p, " ")) {
        if (strncmp(p, word, len) == 0 && (p[len] == ' ' || p[len] == '\0'))
            return true;
    }
    return false;
}

static const struct { uint8_t kind; const char *en, *vi, *more; } kinds[] = {
    { RECORD_RESCUE, "rescue", "cuu-nan", "cuu-ho" },
    { RECORD_EVACUATION, "evacuation", "so-tan", "di-doi" },
    { RECORD_DAMAGE, "damage", "thiet-hai", "" },
    { RECORD_NEEDS, "needs", "nhu-cau", "can" },
    { RECORD_ACCESS, "access", "duong", "co-lap" },
    { RECORD_SAFE, "safe", "an-toan", "" },
    { RECORD_NOTE, "note", "ghi-chu", "" },
};

enum { KIND_COUNT = sizeof kinds / sizeof kinds[0] };

uint8_t keng_kind_find(const char *word)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (keng_word_in(kinds[i].en, word) || keng_word_in(kinds[i].vi, word) ||
            keng_word_in(kinds[i].more, word))
            return kinds[i].kind;
    }
    return 0;
}

const char *keng_kind_word(enum keng_lang lang, uint8_t kind)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (kinds[i].kind == kind)
            return lang == KENG_VI ? kinds[i].vi : kinds[i].en;
    }
    return "";
}

void keng_kind_words(enum keng_lang lang, char *buf, size_t cap)
{
    size_t len = 0;

    for (size_t i = 0; i < KIND_COUNT && len < cap; i++)
        len += (size_t)snprintf(buf + len, cap - len, "%s%s", i > 0 ? " " : "",
                                lang == KENG_VI ? kinds[i].vi : kinds[i].en);
}

const struct keng_command *keng_command_find(const char *word)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (keng_word_in(commands[i].name, word) || keng_word_in(commands[i].words, word))
            return &commands[i];
    }
    return NULL;
}

const char *keng_option_name(enum keng_option option)
{
    return options[option].name;
}

bool keng_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value_out)
{
    uint64_t value = 0;
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > 18 || text[digits] != '\0')
        return false;
    for (size_t i = 0; i < digits; i++)
        value = value * 10 + (uint64_t)(text[i] - '0');
    if (value < min || value > max)
        return false;
    *value_out = value;
    return true;
}

bool keng_parse_decimal(const char *text, unsigned decimals, int64_t *value_out)
{
    bool negative = text[0] == '-';
    const char *p = text + negative;
    size_t whole = strspn(p, "0123456789"), fraction = 0;
    int64_t value = 0;

    if (p[whole] == '.' || p[whole] == ',') {
        fraction = strspn(p + whole + 1, "0123456789");
        if (fraction == 0 || p[whole + 1 + fraction] != '\0')
            return false;
    } else if (p[whole] != '\0') {
        return false;
    }
    if (whole == 0 || whole + decimals > 17 || fraction > decimals)
        return false;
    for (size_t i = 0; i < whole; i++)
        value = value * 10 + (p[i] - '0');
    for (size_t i = 0; i < decimals; i++)
        value = value * 10 + (i < fraction ? p[whole + 1 + i] - '0' : 0);
    *value_out = negative ? -value : value;
    return true;
}

int keng_number_option(const struct keng *k, enum keng_option option, uint64_t min, uint64_t max,
                       uint64_t *value_out)
{
    const char *text = k->option[option];

    if (text == NULL || keng_parse_number(text, min, max, value_out))
        return KENG_OK;
    return keng_wrong(k, TEXT_WRONG_NUMBER, KENG_ARGS(options[option].name,
                      keng_num((int64_t)min).s, keng_num((int64_t)max).s, text));
}

static bool is_name(const char *name, const char *typed, size_t len)
{
    return len > 0 && strlen(name) == len && strncmp(name, typed, len) == 0;
}

/* Takes one option at argv[*at], with its value.  Its name is checked against the command later,
 * because options may stand before it. */
static int take_option(struct keng *k, int argc, char **argv, int *at)
{
    const char *name = argv[*at] + 2;
    size_t name_len = strcspn(name, "=");
    const char *value = name[name_len] == '=' ? name + name_len + 1 : NULL;

    for (size_t i = 0; i < OPT_COUNT; i++) {
        if (!is_name(options[i].name, name, name_len) && !is_name(options[i].word, name, name_len))
            continue;
        if (k->option[i] != NULL)
            return keng_wrong(k, TEXT_WRONG_OPTION_TWICE, KENG_ARGS(options[i].name));
        if (options[i].argument == NULL) {
            k->option[i] = "";
            if (value == NULL)
                return KENG_OK;
            return keng_wrong(k, TEXT_WRONG_OPTION_FLAG, KENG_ARGS(options[i].name));
        }
        if (value == NULL && *at + 1 < argc)
            value = argv[++*at];
        if (value == NULL)
            return keng_wrong(k, TEXT_WRONG_OPTION_VALUE, KENG_ARGS(options[i].name));
        k->option[i] = value;
        return KENG_OK;
    }
    return keng_wrong(k, TEXT_WRONG_OPTION,
                      KENG_ARGS(argv[*at], k->command == NULL ? "keng" : k->command->name));
}

static int check_options(const struct keng *k)
{
    for (size_t i = 0; i < OPT_COUNT; i++) {
        if (k->option[i] != NULL && !((k->command->options | options_common) & BIT(i))) {
            char typed[WORD_LEN_MAX];
            snprintf(typed, sizeof typed, "--%s", options[i].name);
            return keng_wrong(k, TEXT_WRONG_OPTION, KENG_ARGS(typed, k->command->name));
        }
        if (k->option[i] == NULL && (k->command->required & BIT(i)))
            return keng_wrong(k, TEXT_WRONG_OPTION_MISSING,
                              KENG_ARGS(options[i].name, k->command->name));
    }
    if (k->operand_count > 0 && !k->command->takes_operands)
        return keng_wrong(k, TEXT_WRONG_OPERAND, KENG_ARGS(k->operands[0], k->command->name));
    return KENG_OK;
}

/* The language must be known before the first complaint. */
static int find_language(struct keng *k, int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *value = NULL;
        if (strcmp(argv[i], "--lang") == 0 && i + 1 < argc)
            value = argv[i + 1];
        else if (strncmp(argv[i], "--lang=", 7) == 0)
            value = argv[i] + 7;
        if (value == NULL)
            continue;
        if (strcmp(value, "vi") != 0 && strcmp(value, "en") != 0)
            return keng_wrong(k, TEXT_WRONG_LANG, KENG_ARGS(value));
        k->lang = strcmp(value, "vi") == 0 ? KENG_VI : KENG_EN;
    }
    return KENG_OK;
}

/* The command at argv[*at]; people leave a blank in a word of two syllables ("tinh trang"). */
static int take_command(struct keng *k, int argc, char **argv, int *at)
{
    const char *word = argv[*at];
    char two[CATALOGUE_FOLDED_LEN];

    if (*at + 1 < argc && argv[*at + 1][0] != '-' &&
        snprintf(two, sizeof two, "%s %s", word, argv[*at + 1]) < (int)sizeof two) {
        k->command = keng_command_find(two);
        *at += k->command != NULL;
    }
    if (k->command == NULL)
        k->command = keng_command_find(word);
    if (k->command != NULL)
        return KENG_OK;
    return keng_wrong(k, keng_kind_find(word) != 0 ? TEXT_WRONG_COMMAND_KIND : TEXT_WRONG_COMMAND,
                      KENG_ARGS(word));
}

int keng_parse(struct keng *k, int argc, char **argv)
{
    bool only_operands = false;
    int status = find_language(k, argc, argv);

    k->operands = calloc((size_t)argc + 1, sizeof k->operands[0]);
    if (k->operands == NULL)
        return keng_failed(k, TEXT_FAILED_MEMORY, NULL);
    for (int i = 1; i < argc && status == KENG_OK; i++) {
        if (!only_operands && strcmp(argv[i], "--") == 0) {
            only_operands = true;
        } else if (!only_operands && strcmp(argv[i], "-h") == 0) {
            k->option[OPT_HELP] = "";
        } else if (!only_operands && strncmp(argv[i], "--", 2) == 0) {
            status = take_option(k, argc, argv, &i);
        } else if (!only_operands && argv[i][0] == '-' && argv[i][1] != '\0') {
            status = keng_wrong(k, TEXT_WRONG_OPTION,
                                KENG_ARGS(argv[i], k->command == NULL ? "keng" : k->command->name));
        } else if (k->command == NULL) {
            status = take_command(k, argc, argv, &i);
        } else {
            k->operands[k->operand_count++] = argv[i];
        }
    }
    if (status != KENG_OK || k->option[OPT_HELP] != NULL)
        return status;
    if (k->command == NULL)
        return keng_wrong(k, TEXT_WRONG_NO_COMMAND, NULL);
    return check_options(k);
}

/* Two columns; width is counted in characters. */
static void print_row(const char *left, const char *right)
{
    enum { LEFT_WIDTH = 26 };
    int width = 0;

    for (const char *p = left; *p != '\0'; p++)
        width += ((unsigned char)*p & 0xc0) != 0x80;
    printf("  %s%*s %s\n", left, width < LEFT_WIDTH ? LEFT_WIDTH - width : 0, "", right);
}

static void print_options(const struct keng *k, uint64_t set)
{
    printf("\n%s\n", text_get(k->lang, TEXT_OPTIONS));
    for (size_t i = 0; i < OPT_COUNT; i++) {
        if (!(set & BIT(i)))
            continue;
        bool vi = k->lang == KENG_VI && options[i].word[0] != '\0';
        const char *argument = options[i].argument;
        char left[WORD_LEN_MAX];
        snprintf(left, sizeof left, "%s%s%s--%s%s%s", vi ? "--" : "", vi ? options[i].word : "",
                 vi ? ", " : "", options[i].name, argument == NULL ? "" : " ",
                 argument == NULL ? "" : argument);
        print_row(left, text_get(k->lang, options[i].help));
    }
}

static void print_examples(const struct keng *k)
{
    putchar('\n');
    for (enum keng_text_id id = TEXT_EXAMPLES; id <= TEXT_EXAMPLE_RULE; id++)
        keng_say(k, stdout, id, NULL);
}

static int help_commands(const struct keng *k)
{
    printf("%s\n\n%s: keng %s\n\n%s\n", text_get(k->lang, TEXT_ABOUT),
           text_get(k->lang, TEXT_USAGE), text_get(k->lang, TEXT_USAGE_WORDS),
           text_get(k->lang, TEXT_COMMANDS));
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        char left[WORD_LEN_MAX];
        snprintf(left, sizeof left, "%s", commands[i].name);
        if (k->lang == KENG_VI)
            snprintf(left, sizeof left, "%.*s, %s", (int)strcspn(commands[i].words, " "),
                     commands[i].words, commands[i].name);
        print_row(left, text_get(k->lang, commands[i].summary));
    }
    print_options(k, options_common);
    print_examples(k);
    printf("\n%s\n", text_get(k->lang, TEXT_MORE_HELP));
    return KENG_OK;
}

int keng_help(struct keng *k)
{
    char words[KENG_WORDS_LEN];

    if (k->command == NULL)
        return help_commands(k);
    bool is_report = k->command->run == keng_run_report;
    const char *operands = is_report ? text_get(k->lang, TEXT_REPORT_OPERANDS)
                                     : k->command->operands;
    printf("keng %s: %s\n\n%s: keng %s", k->command->name, text_get(k->lang, k->command->summary),
           text_get(k->lang, TEXT_USAGE), k->command->name);
    for (size_t i = 0; i < OPT_COUNT; i++) {
        if (k->command->required & BIT(i))
            printf(" --%s %s", options[i].name, options[i].argument);
    }
    printf("%s%s %s\n", operands[0] == '\0' ? "" : " ", operands,
           text_get(k->lang, TEXT_OPTIONS_WORD));
    if (is_report) {
        keng_kind_words(k->lang, words, sizeof words);
        putchar('\n');
        keng_say(k, stdout, TEXT_REPORT_KINDS, KENG_ARGS(words));
        keng_say(k, stdout, TEXT_REPORT_NAMES, NULL);
        print_examples(k);
    }
    if (k->command->run == keng_run_modem) {
        putchar('\n');
        for (enum keng_text_id id = TEXT_MODEM_PART_LIST; id <= TEXT_MODEM_PART_MONITOR; id++)
            keng_say(k, stdout, id, NULL);
    }
    print_options(k, k->command->options | options_common);
    return KENG_OK;
}
