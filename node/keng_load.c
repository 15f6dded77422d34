#include "node/keng_cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE_LEN = 2048 };

void keng_say(const struct keng *k, FILE *to, enum keng_text_id id, const char *const *args)
{
    char line[MESSAGE_LEN];

    text_fill(text_get(k->lang, id), args, line, sizeof line);
    fprintf(to, "%s\n", line);
}

/* Whatever a person typed may stand in a complaint, but a complaint is one line. */
static void complain(const struct keng *k, enum keng_text_id id, const char *const *args)
{
    char line[MESSAGE_LEN];

    text_fill(text_get(k->lang, id), args, line, sizeof line);
    for (char *p = line; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    }
    fflush(stdout);
    fprintf(stderr, "keng: %s\n", line);
}

int keng_wrong(const struct keng *k, enum keng_text_id id, const char *const *args)
{
    complain(k, id, args);
    return KENG_WRONG;
}

int keng_failed(const struct keng *k, enum keng_text_id id, const char *const *args)
{
    complain(k, id, args);
    return KENG_FAILED;
}

void keng_print_json(json_t *value)
{
    json_dumpf(value, stdout, JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(value);
}

void keng_free(struct keng *k)
{
    catalogue_free(k->catalogue);
    villages_free(k->villages);
    json_decref(k->roster);
    client_close(&k->client);
    free(k->operands);
    k->catalogue = NULL;
    k->villages = NULL;
    k->roster = NULL;
    k->operands = NULL;
}

int keng_load_catalogue(struct keng *k)
{
    char dir[KENG_PATH_LEN_MAX + 16], err[CATALOGUE_ERR_LEN];

    if (k->catalogue != NULL)
        return KENG_OK;
    snprintf(dir, sizeof dir, "%s/catalogue", k->data);
    if (catalogue_load(dir, &k->catalogue, err, sizeof err) == CATALOGUE_OK)
        return KENG_OK;
    k->catalogue = NULL;
    return keng_failed(k, TEXT_FAILED_DATA, KENG_ARGS(err));
}

int keng_load_villages(struct keng *k, const char *dir)
{
    char path[KENG_PATH_LEN_MAX + 32], err[CATALOGUE_ERR_LEN];

    if (k->villages != NULL)
        return KENG_OK;
    snprintf(path, sizeof path, "%s/villages.csv", dir);
    if (access(path, F_OK) != 0)
        snprintf(path, sizeof path, "%s/demo/villages.csv", k->data);
    if (access(path, F_OK) != 0)
        return KENG_OK;
    if (villages_load(path, &k->villages, err, sizeof err) == CATALOGUE_OK)
        return KENG_OK;
    k->villages = NULL;
    return keng_failed(k, TEXT_FAILED_DATA, KENG_ARGS(err));
}

int keng_connect(struct keng *k)
{
    if (k->client.fd >= 0)
        return KENG_OK;
    if (client_open(&k->client, k->socket) == 0)
        return KENG_OK;
    return keng_failed(k, TEXT_FAILED_CONNECT, KENG_ARGS(k->socket, strerror(errno)));
}

int keng_call(struct keng *k, json_t *request, json_t **answer_out)
{
    int status = keng_connect(k);

    if (status != KENG_OK) {
        json_decref(request);
        return status;
    }
    if (client_call(&k->client, request, KENG_CALL_TIMEOUT_MS, answer_out) == 0)
        return KENG_OK;
    json_decref(*answer_out);
    *answer_out = NULL;
    return keng_failed(k, TEXT_FAILED, KENG_ARGS(k->client.err));
}

int keng_load_roster(struct keng *k)
{
    if (k->roster != NULL)
        return KENG_OK;
    return keng_call(k, json_pack("{s:s}", "do", "roster"), &k->roster);
}

int64_t keng_now_ms(void)
{
    int64_t now_s = (int64_t)time(NULL);
    return now_s < KENG_EPOCH_UNIX_S ? CATALOGUE_LATEST : now_s * 1000;
}

int keng_wrong_span(const struct keng *k, const char *name, const struct catalogue_row *row)
{
    char day[32];
    bool ended = row->until_ms < keng_now_ms();

    keng_day((ended ? row->until_ms : row->from_ms) / 1000, day, sizeof day);
    return keng_wrong(k, ended ? TEXT_WRONG_ENDED : TEXT_WRONG_NOT_YET, KENG_ARGS(name, day));
}

int keng_village(struct keng *k, const char *text, const char *dir, uint32_t *number_out)
{
    const struct village *near[CATALOGUE_SUGGESTION_COUNT_MAX];
    char words[KENG_WORDS_LEN] = "";
    uint64_t number;
    int status = keng_load_villages(k, dir);

    if (status != KENG_OK)
        return status;
    const struct village *village =
        k->villages == NULL ? NULL : villages_find(k->villages, text, keng_now_ms());
    if (village != NULL && catalogue_holds(&village->row, keng_now_ms())) {
        *number_out = village->row.number;
        return KENG_OK;
    }
    /* A number is taken as it is: the list at hand may be older than the commune's. */
    if (keng_parse_number(text, 0, UINT16_MAX, &number)) {
        *number_out = (uint32_t)number;
        return KENG_OK;
    }
    if (village != NULL)
        return keng_wrong_span(k, text, &village->row);
    size_t count = k->villages == NULL ? 0
                   : villages_suggest(k->villages, text, keng_now_ms(), near,
                                      CATALOGUE_SUGGESTION_COUNT_MAX);
    for (size_t i = 0, len = 0; i < count && len < sizeof words; i++)
        len += (size_t)snprintf(words + len, sizeof words - len, "%s%s", i > 0 ? ", " : "",
                                near[i]->name);
    if (count == 0)
        return keng_wrong(k, TEXT_WRONG_VILLAGE, KENG_ARGS(text));
    return keng_wrong(k, TEXT_WRONG_VILLAGE_NEAR, KENG_ARGS(text, words));
}

char *keng_read_all(const struct keng *k, const char *path, size_t len_max, size_t *len_out)
{
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0, cap = 4096;
    char *buf = malloc(cap);

    while (fd >= 0 && buf != NULL) {
        ssize_t n = read(fd, buf + len, cap - 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            if (n == 0)
                break;
            goto failed;
        }
        len += (size_t)n;
        if (len > len_max) {
            errno = EFBIG;
            goto failed;
        }
        if (len + 1 == cap) {
            char *more = realloc(buf, cap * 2);
            if (more == NULL)
                goto failed;
            buf = more;
            cap *= 2;
        }
    }
    if (fd < 0 || buf == NULL)
        goto failed;
    if (!is_stdin)
        close(fd);
    buf[len] = '\0';
    *len_out = len;
    return buf;
failed:
    keng_failed(k, TEXT_FAILED_READ, KENG_ARGS(path, strerror(errno)));
    if (fd >= 0 && !is_stdin)
        close(fd);
    free(buf);
    return NULL;
}
