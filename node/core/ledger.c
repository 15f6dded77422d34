/* The airtime ledger: what was spent in each minute of the window, booked before it is sent.
 *
 * The window counts whole minutes and two more: the running one, and one because a modem may wait
 * for a free channel before it sends what was booked in the minute before.  So the sum over the
 * buckets is never less than the airtime of any sliding window. */
#include "node/core/core_internal.h"

static uint32_t window_buckets(const struct mesh *m)
{
    return m->cfg.duty_window_ms / MS_PER_MINUTE + MESH_LEDGER_SLACK_MINUTES;
}

void ledger_turn(struct mesh *m)
{
    uint64_t minute = m->now_ms / MS_PER_MINUTE;
    if (minute - m->ledger_minute >= LEDGER_COUNT) {
        memset(m->ledger_us, 0, sizeof m->ledger_us);
        m->ledger_minute = minute;
    }
    while (m->ledger_minute < minute)
        m->ledger_us[++m->ledger_minute % LEDGER_COUNT] = 0;
}

static uint64_t spent_us(const struct mesh *m)
{
    uint64_t sum_us = 0;
    for (uint32_t age = 0; age < window_buckets(m) && age <= m->ledger_minute; age++)
        sum_us += m->ledger_us[(m->ledger_minute - age) % LEDGER_COUNT];
    return sum_us;
}

uint32_t ledger_spent_ms(const struct mesh *m)
{
    return (uint32_t)((spent_us(m) + 999) / 1000);
}

bool ledger_allows(const struct mesh *m, uint32_t airtime_us, uint32_t parts)
{
    uint64_t budget_us = (uint64_t)m->cfg.duty_budget_ms * 1000 * parts / 100;
    return spent_us(m) + airtime_us <= budget_us;
}

uint64_t ledger_next_relief_ms(const struct mesh *m)
{
    uint32_t count = window_buckets(m);
    for (uint32_t age = count; age-- > 0;)
        if (age <= m->ledger_minute && m->ledger_us[(m->ledger_minute - age) % LEDGER_COUNT] > 0)
            return (m->ledger_minute - age + count) * MS_PER_MINUTE;
    return MESH_NEVER;
}

/* More than a minute can hold is not forgotten by counting over: it stays the most there is. */
static void add_us(uint32_t *bucket, uint32_t airtime_us)
{
    *bucket = airtime_us > UINT32_MAX - *bucket ? UINT32_MAX : *bucket + airtime_us;
}

void ledger_book(struct mesh *m, uint32_t airtime_us)
{
    add_us(&m->ledger_us[m->ledger_minute % LEDGER_COUNT], airtime_us);
}

void ledger_refund(struct mesh *m, uint64_t minute, uint32_t airtime_us)
{
    if (m->ledger_minute - minute >= LEDGER_COUNT)
        return;
    uint32_t *bucket = &m->ledger_us[minute % LEDGER_COUNT];
    assert(*bucket >= airtime_us);
    if (*bucket < UINT32_MAX)
        *bucket -= airtime_us;
}

uint32_t mesh_minute_airtime_us(const struct mesh *m, uint64_t at_ms)
{
    uint64_t minute = at_ms / MS_PER_MINUTE;
    bool counts = minute <= m->ledger_minute && m->ledger_minute - minute < LEDGER_COUNT;
    return counts ? m->ledger_us[minute % LEDGER_COUNT] : 0;
}

void mesh_restore_airtime(struct mesh *m, uint64_t now_ms, uint64_t age_ms, uint32_t airtime_us)
{
    assert(now_ms >= m->now_ms);
    m->now_ms = now_ms;
    ledger_turn(m);
    uint64_t age_minutes = age_ms / MS_PER_MINUTE;
    if (age_minutes >= LEDGER_COUNT)
        return;
    /* A clock that began at this start cannot name an earlier minute: book it at the first. */
    if (age_minutes > m->ledger_minute)
        age_minutes = m->ledger_minute;
    add_us(&m->ledger_us[(m->ledger_minute - age_minutes) % LEDGER_COUNT], airtime_us);
}
