#include "hw/keng_air.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- the law ---------------------------------------------------------------------- */

static int remember_span(struct keng_air_modem *m, const struct air_event *ev)
{
    if (m->span_count == m->span_cap) {
        size_t cap = m->span_cap > 0 ? 2 * m->span_cap : 64;
        struct keng_air_span *spans = realloc(m->spans, cap * sizeof *spans);
        if (!spans)
            return -1;
        m->spans = spans;
        m->span_cap = cap;
    }
    m->spans[m->span_count++] = (struct keng_air_span){ ev->start_us, ev->at_us };
    return 0;
}

/* Time sent in the window that ends with this frame: no window holds more than the worst of
 * those that end with a frame. */
static uint64_t sent_in_window_us(struct keng_air_modem *m, uint64_t end_us, uint64_t window_us)
{
    uint64_t from_us = end_us > window_us ? end_us - window_us : 0;
    size_t old = 0;
    while (old < m->span_count && m->spans[old].end_us <= from_us)
        old++;
    if (old > 0) {
        m->span_count -= old;
        memmove(m->spans, m->spans + old, m->span_count * sizeof *m->spans);
    }
    uint64_t sum_us = 0;
    for (size_t i = 0; i < m->span_count; i++) {
        uint64_t start_us = m->spans[i].start_us > from_us ? m->spans[i].start_us : from_us;
        sum_us += m->spans[i].end_us - start_us;
    }
    return sum_us;
}

/* The rule that this transmission broke, or NULL. */
static const char *broken_rule(const struct keng_air *ka, struct keng_air_modem *m,
                               const struct air_event *ev)
{
    const struct keng_air_law *law = &ka->config.laws[0];
    if (ka->config.law_count == 0)
        return NULL;
    for (uint32_t i = 1; i < ka->config.law_count; i++)
        if (m->tx_lora.freq_hz >= ka->config.laws[i].freq_lo_hz &&
            m->tx_lora.freq_hz <= ka->config.laws[i].freq_hi_hz)
            law = &ka->config.laws[i];
    double half_hz = m->tx_lora.bw_hz / 2.0;
    if (m->tx_lora.freq_hz - half_hz < law->freq_lo_hz ||
        m->tx_lora.freq_hz + half_hz > law->freq_hi_hz)
        return "band";
    if (m->tx_power_dbm + m->config->antenna_dbi > law->eirp_max_dbm)
        return "power";
    if (!law->has_duty)
        return NULL;
    if (remember_span(m, ev) < 0)
        return "duty unknown: out of memory";
    double fraction = m->config->duty_fraction > 0 ? m->config->duty_fraction : law->duty_fraction;
    uint64_t sent_us = sent_in_window_us(m, ev->at_us, law->duty_window_us);
    return (double)sent_us > fraction * (double)law->duty_window_us ? "duty" : NULL;
}

/* ---- the log ----------------------------------------------------------------------- */

static void log_tx(struct keng_air *ka, const struct keng_air_modem *m, const struct air_event *ev,
                   const char *rule)
{
    FILE *f = ka->log;
    (void)fprintf(f, "{\"t_us\":%" PRIu64 ",\"name\":\"%s\",\"len\":%u,\"airtime_us\":%" PRIu64
                  ",\"freq_hz\":%" PRIu32 ",\"bw_hz\":%" PRIu32 ",\"sf\":%u,\"power_dbm\":%d",
                  ev->start_us, m->config->name, (unsigned)ev->len, ev->at_us - ev->start_us,
                  m->tx_lora.freq_hz, m->tx_lora.bw_hz, (unsigned)m->tx_lora.sf, m->tx_power_dbm);
    if (ev->cut)
        (void)fputs(",\"cut\":true", f);
    if (rule)
        (void)fprintf(f, ",\"violation\":\"%s\"", rule);
    (void)fputs(",\"heard_by\":[", f);
    for (uint32_t i = 0; i < ka->heard_count; i++)
        (void)fprintf(f, "%s\"%s\"", i > 0 ? "," : "",
                      ka->config.modems[ka->heard[i]].name);
    (void)fputs("]}\n", f);
    /* One look serves for all of the above. */
    if ((fflush(f) != 0 || ferror(f)) && !ka->log_failed) {
        ka->log_failed = true;
        perror("keng-air: log");
    }
}

void keng_air_report_tx(struct keng_air *ka, const struct air_event *ev)
{
    struct keng_air_modem *m = &ka->modems[ev->sender];
    const char *rule = broken_rule(ka, m, ev);
    if (rule) {
        if (m->violation_count++ == 0)
            (void)fprintf(stderr, "keng-air: %s breaks the law (%s) at %.3f s\n", m->config->name,
                          rule, (double)ev->start_us / 1e6);
    }
    if (ka->log)
        log_tx(ka, m, ev, rule);
}

uint64_t keng_air_violation_count(const struct keng_air *ka)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < ka->config.modem_count; i++)
        sum += ka->modems[i].violation_count;
    return sum;
}

void keng_air_print_totals(const struct keng_air *ka, FILE *out)
{
    for (uint32_t i = 0; i < ka->config.modem_count; i++) {
        struct air_counts c;
        air_radio_counts(ka->air, i, &c);
        (void)fprintf(out, "%s: sent %" PRIu64 " frames, %" PRIu64 " bytes, %.3f s; heard %" PRIu64
                      "; lost: %" PRIu64 " collided, %" PRIu64 " while sending, %" PRIu64
                      " too weak, %" PRIu64 " not listening, %" PRIu64 " dropped\n",
                      ka->config.modems[i].name, c.tx_frames, c.tx_bytes,
                      (double)c.tx_airtime_us / 1e6, c.rx_frames, c.collided, c.half_duplex_lost,
                      c.below_sensitivity, c.not_listening, c.dropped);
    }
    if (ka->config.law_count > 0)
        (void)fprintf(out, "violations of the law: %" PRIu64 "\n", keng_air_violation_count(ka));
}
