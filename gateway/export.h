/* export.h - a quick report in the forms that others take.
 *
 *   xlsx     spreadsheet, numbers as numbers: a sheet of sums, one by village, going on on another
 *            where the format ends; of a province's books also the findings, and one that says
 *            how it was made (ECMA-376)
 *   csv      by village, with the mark of UTF-8, formulas disarmed, no cell that a spreadsheet
 *            would take for a date or whose leading zeros it would drop (RFC 4180)
 *   hxl      the same figures under HXL 1.1 hashtags, for machines of relief organisations
 *   geojson  one feature per village, longitude first; a village whose place is not known has no
 *            geometry (RFC 7946)
 *   txt      a few lines to paste into a chat
 *
 * A figure that was withdrawn since the report before stands where people read, without a value;
 * HXL and GeoJSON leave it out.
 *
 * Time      Linear in the lines.
 * Memory    What is in out, which may have a sink; XLSX goes through unnamed files in /tmp, of
 *           which a kill leaves nothing.
 * Errors    False: memory or disk ran out; out is not to be used.
 */
#ifndef KENG_GATEWAY_EXPORT_H
#define KENG_GATEWAY_EXPORT_H

#include "gateway/lang.h"
#include "gateway/quick.h"

bool export_csv(const struct quick *q, enum language language, struct strbuf *out);
bool export_hxl(const struct quick *q, enum language language, struct strbuf *out);
bool export_geojson(const struct quick *q, enum language language, struct strbuf *out);
bool export_chat(const struct quick *q, enum language language, struct strbuf *out);
bool export_xlsx(const struct quick *q, enum language language, struct strbuf *out);

struct export_format {
    const char *name; /* in links, and the file's ending */
    const char *type;
    bool (*write)(const struct quick *q, enum language language, struct strbuf *out);
    enum lang_text label; /* what it is for */
};
/* Ends with a row without a name. */
extern const struct export_format export_formats[];
/* NULL: there is none of that name. */
const struct export_format *export_find(const char *name);

/* How a sum differs from the report before: "+3", "new", or "" where nothing changed. */
void export_change(const struct quick *q, const struct quick_sum *sum, enum language language,
                   char text_out[static CATALOGUE_VALUE_LEN]);
/* What a sum comes to, in words. */
void export_amount(const struct quick_sum *sum, enum language language,
                   char text_out[static CATALOGUE_VALUE_LEN]);
/* What is not as it should be of roads, power, signal: a line for each village, "- Lũng Cằm:
 * Đường vào thôn – cắt; Điện – mất". */
void export_states(const struct quick *q, enum language language, struct strbuf *out);
/* "Từ 14:59 21/11/2026 đến 14:59 22/11/2026 (giờ Việt Nam, UTC+7)" */
enum { EXPORT_PERIOD_LEN = 128 };
const char *export_period(const struct quick *q, enum language language,
                          char text_out[static EXPORT_PERIOD_LEN]);
/* Where and in which event a line is. */
const char *export_commune(const struct quick *q, const struct quick_line *line);
const char *export_commune_code(const struct quick *q, const struct quick_line *line);
const char *export_village(const struct quick_line *line, enum language language);
uint32_t export_event(const struct quick *q, const struct quick_line *line);
/* What a line is called in that language. */
const char *export_name(const struct quick_line *line, enum language language);
/* The word for a state, or that the figure is withdrawn, else "". */
const char *export_state(const struct quick_line *line, enum language language);
const char *export_unit(const struct quick_line *line, enum language language);
/* "Báo cáo nhanh số 3 · Xã Cao Minh", with the word for a drill or a draft in front. */
void export_title(const struct quick *q, enum language language, struct strbuf *out);

#endif
