/* CSV: what is read and written again is read as the same cells. */
#include "proto/csv.h"
#include "tests/fuzz/fuzz.h"

enum { CSV_AGAIN_LEN = 3 * CSV_ROW_LEN_MAX + 64 };

static void write_again(const struct csv_row *row)
{
    static char text[CSV_AGAIN_LEN];
    static struct csv_row again;
    struct csv_writer w = csv_writer(text, sizeof text);
    bool grows = row->count == 1 && row->cells[0][0] == '\0'; /* would be an empty line */
    for (size_t i = 0; i < row->count; i++) {
        const char *cell = row->cells[i];
        FUZZ_CHECK(cell >= row->text && cell < row->text + sizeof row->text);
        grows = grows || (cell[0] && memchr("=+-@\t\r", cell[0], 6) != NULL);
        csv_write_text(&w, cell, strlen(cell));
    }
    csv_write_end_row(&w);
    FUZZ_CHECK(!w.failed);
    if (grows) /* disarmed on purpose: not the same cells any more */
        return;
    struct csv_reader r = csv_reader(text, w.len);
    if (w.len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        return; /* a first cell that begins with a byte-order mark */
    FUZZ_CHECK(csv_read_row(&r, &again) == 1 && again.count == row->count);
    for (size_t i = 0; i < row->count; i++)
        FUZZ_CHECK(strcmp(again.cells[i], row->cells[i]) == 0);
    FUZZ_CHECK(csv_read_row(&r, &again) == 0);
}

static void fuzz_csv(const uint8_t *data, size_t len)
{
    static struct csv_row row;
    struct csv_reader r = csv_reader((const char *)data, len);
    while (csv_read_row(&r, &row) == 1) {
        FUZZ_CHECK(row.count >= 1 && row.count <= CSV_CELL_COUNT_MAX);
        write_again(&row);
    }
}

FUZZ_TARGET(fuzz_csv)
