/* A frame's form: what is accepted is written again to the same bytes. */
#include "proto/frame.h"
#include "tests/fuzz/fuzz.h"

static void fuzz_frame(const uint8_t *data, size_t len)
{
    struct frame_view v;
    if (frame_decode(data, len, &v) != FRAME_OK)
        return;
    uint8_t again[FRAME_LEN_MAX];
    struct frame_builder b;
    frame_begin(&b, again, sizeof again, v.sender, v.digest, v.count);
    if (v.room > 0)
        frame_add_room(&b, v.room);
    bool hearsay = v.about != v.sender;
    if (v.flags & FRAME_FLAG_LINKS) {
        struct frame_link links[FRAME_LINK_COUNT_MAX];
        size_t link_count = 0;
        while (frame_next_link(&v, &links[link_count])) {
            FUZZ_CHECK(links[link_count].quality <= FRAME_QUALITY_MAX);
            FUZZ_CHECK(link_count == 0 || links[link_count - 1].node < links[link_count].node);
            if (++link_count == FRAME_LINK_COUNT_MAX)
                break;
        }
        FUZZ_CHECK(hearsay ? frame_begin_hearsay(&b, v.about, v.about_digest, links, link_count)
                           : frame_add_links(&b, links, link_count, sizeof again));
    }
    if ((v.flags & FRAME_FLAG_SUMMARY) && !hearsay)
        frame_begin_summary(&b, v.flags & FRAME_FLAG_WHOLE, v.whole_from, v.whole_to);
    struct frame_entry entry;
    while (frame_next_entry(&v, &entry)) {
        FUZZ_CHECK(entry.log <= FRAME_LOG_MAX && entry.held <= RECORD_SEQ_MAX);
        FUZZ_CHECK(entry.run_count <= FRAME_RUN_COUNT_MAX);
        FUZZ_CHECK(frame_add_entry(&b, &entry));
    }
    if (v.sum_count > 0) {
        struct frame_sum sums[FRAME_SUM_COUNT_MAX];
        size_t sum_count = 0, all = v.sum_count;
        while (sum_count < all && frame_next_sum(&v, &sums[sum_count])) {
            FUZZ_CHECK(sums[sum_count].from <= sums[sum_count].to);
            FUZZ_CHECK(sums[sum_count].to <= FRAME_LOG_MAX);
            FUZZ_CHECK(sum_count == 0 || sums[sum_count].from == sums[sum_count - 1].to + 1);
            sum_count++;
        }
        FUZZ_CHECK(frame_add_sums(&b, sums, sum_count));
    }
    if (v.mix_count > 0)
        FUZZ_CHECK(frame_add_mix(&b, v.mixed, v.mix_count, v.mix));
    const uint8_t *record;
    size_t record_len;
    while (frame_next_record(&v, &record, &record_len))
        FUZZ_CHECK(frame_add_record(&b, record, record_len));
    FUZZ_CHECK(frame_finish(&b) == len);
    memcpy(again + 1, data + 1, FRAME_TAG_LEN);
    FUZZ_CHECK(memcmp(again, data, len) == 0);
}

FUZZ_TARGET(fuzz_frame)
