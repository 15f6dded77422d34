/* frame.h - what one transmission carries: what I hold, and records.
 *
 *   version and flags  1   bits 5-7 version 1; bits 0-1 what the sender holds: 0 not said, 1 a
 *                          summary, 3 one that is a piece of the whole, 2 sums or hearsay;
 *                          bit 2 links, bit 3 a mix, bit 4 full
 *   tag                4   keyed hash of all the rest under the network key (sign.h)
 *   sender             2   node number
 *   digest             3   of everything the sender holds: equal digests, equal holdings
 *   count              1   frames the sender has sent, modulo 256: gaps are frames not heard
 *   room               1   if bit 4: 1 + the least class the sender has room for
 *   links              -   if bit 2: the nodes the sender hears, and how well
 *   summary            -   if bit 0: entry count, [if bit 1: from, to], entries
 *   sums               -   if bits 0-1 are 2: of all the sender holds in ranges of logs
 *   hearsay            -   instead of sums: whom another node hears, and what it lacks
 *   mix                -   if bit 3: several records in the room of one
 *   records            -   to the end: length 1, record
 *
 * Links are a count and for each node, by rising number, 4 times the step from the one before (the
 * first absolute) plus a quality from 0 (now and then) to 3 (nearly always).  Nodes that are not
 * listed are not heard.
 *
 * A summary entry is a log number (author x 8 + lane; the first absolute, then the difference
 * from the one before), held x 2 + more, and if `more` is set a count of runs, each run the
 * length of a gap and the length of what is held behind it.  Bit 1 says that logs numbered from
 * `from` to `to` that are not listed are empty at the sender.
 *
 * Sums are a count, the log number at which the first range begins, and for each range how many
 * numbers follow its first one and the sum of what is held in it (8 bytes, PROTOCOL.md 5.2).  Each
 * range begins behind the one before.
 *
 * Hearsay begins with a zero where sums have their count, then node 2 and digest 3 of whom it is
 * about, his links, and entries of the logs of which he lacks something.  Bit 2 is then zero.
 *
 * A mix is a count, for each record its log number, number and length, and then as many bytes as
 * the longest has: all of them, each filled up with zeros, added by exclusive or.  Who holds all
 * but one of them gets that one (Ahlswede et al. 2000; Katti et al. 2006).
 *
 * Pure functions over the caller's buffers.  frame_decode() walks the whole frame before it says
 * yes, so the iterators afterwards cannot fail.
 */
#ifndef KENG_PROTO_FRAME_H
#define KENG_PROTO_FRAME_H

#include "proto/bytes.h"
#include "proto/limits.h"

enum {
    FRAME_FLAG_SUMMARY = 0x01,
    FRAME_FLAG_WHOLE = 0x02, /* without FRAME_FLAG_SUMMARY on air: sums or hearsay */
    FRAME_FLAG_LINKS = 0x04,
    FRAME_FLAG_MIX = 0x08,
    FRAME_FLAG_FULL = 0x10,
    FRAME_MIX_COUNT_MAX = 4,
    FRAME_MIX_ENTRY_LEN_MAX = 3 + RECORD_SEQ_LEN_MAX + 1, /* log number, number, length */
    FRAME_ROOM_MIN = 2, /* all but routine */
    FRAME_ROOM_MAX = 5, /* nothing */
    FRAME_LINK_COUNT_MAX = 48,
    FRAME_QUALITY_MAX = 3,
    FRAME_RUN_COUNT_MAX = 8,
    FRAME_ENTRY_COUNT_MAX = 127,
    FRAME_SUM_COUNT_MAX = 16,
    FRAME_LOG_MAX = 65536 * LANE_COUNT - 1,
};

enum frame_err {
    FRAME_OK = 0,
    FRAME_EFORM = -1,    /* cannot be read */
    FRAME_EVERSION = -2, /* a version we do not speak */
};

struct frame_run {
    uint32_t gap;  /* numbers missing, at least 1 */
    uint32_t held; /* numbers held behind them, at least 1 */
};

struct frame_entry {
    uint32_t log;  /* author x LANE_COUNT + lane */
    uint32_t held; /* all numbers up to this; in a superseding lane the newest */
    uint8_t run_count;
    struct frame_run runs[FRAME_RUN_COUNT_MAX];
};

struct frame_link {
    uint16_t node;
    uint8_t quality; /* 0..FRAME_QUALITY_MAX */
};

struct frame_sum {
    uint32_t from, to; /* log numbers, both included */
    uint64_t sum;
};

struct frame_mixed {
    uint32_t log, seq;
    uint8_t len;
};

struct frame_view {
    uint8_t flags, count;
    uint16_t sender;
    uint8_t room;    /* 0: for everything */
    uint32_t digest; /* 24 bits */
    uint16_t about;  /* whose links and summary these are: the sender's, or with hearsay */
    uint32_t about_digest; /* another's, with his digest; flags then are those of his own frame */
    const uint8_t *tag;
    const uint8_t *signed_part; /* what follows the tag */
    size_t signed_len;
    size_t link_count;
    struct bytes_reader links;     /* iterate with frame_next_link() */
    uint32_t link_node;            /* iterator's memory */
    size_t entry_count;
    uint32_t whole_from, whole_to; /* with FRAME_FLAG_WHOLE */
    struct bytes_reader entries;   /* iterate with frame_next_entry() */
    uint32_t entry_log;            /* iterator's memory */
    size_t sum_count;              /* 0: a frame without sums */
    struct bytes_reader sums;      /* iterate with frame_next_sum() */
    uint32_t sum_from;             /* iterator's memory */
    uint8_t mix_count;             /* 0 or at least 2 */
    struct frame_mixed mixed[FRAME_MIX_COUNT_MAX];
    const uint8_t *mix;            /* as long as the longest of them */
    struct bytes_reader records;   /* iterate with frame_next_record() */
};

int frame_decode(const uint8_t *buf, size_t len, struct frame_view *view_out);
bool frame_next_link(struct frame_view *v, struct frame_link *link_out);
bool frame_next_entry(struct frame_view *v, struct frame_entry *entry_out);
bool frame_next_sum(struct frame_view *v, struct frame_sum *sum_out);
bool frame_next_record(struct frame_view *v, const uint8_t **record_out, size_t *len_out);

/* Builder: begin, [room], [links], [summary or sums] or [hearsay], [mix], records, finish; the
 * caller then puts the tag at buf + 1. */
struct frame_builder {
    struct bytes_writer w;
    uint8_t *flags, *entry_count;
    uint32_t entry_log;
};

void frame_begin(struct frame_builder *b, uint8_t *buf, size_t cap, uint16_t sender,
                 uint32_t digest, uint8_t count);
/* Room for classes from room - 1 up alone; FRAME_ROOM_MIN to FRAME_ROOM_MAX. */
void frame_add_room(struct frame_builder *b, uint8_t room);
/* All links, by rising node number, at most once and before the summary.  False, and nothing
 * written, if they do not fit into room_len bytes. */
bool frame_add_links(struct frame_builder *b, const struct frame_link *links, size_t link_count,
                     size_t room_len);
/* Starts the summary, at most once and before any record.  whole: bit 1 with the range. */
void frame_begin_summary(struct frame_builder *b, bool whole, uint32_t from, uint32_t to);
/* Appends an entry (rising log numbers).  False, and nothing written, if it does not fit. */
bool frame_add_entry(struct frame_builder *b, const struct frame_entry *entry);
/* All sums, at least one, their ranges adjacent and rising, at most once and instead of a summary.
 * False, and nothing written, if they do not fit. */
bool frame_add_sums(struct frame_builder *b, const struct frame_sum *sums, size_t sum_count);
/* Starts hearsay with his links, at most once, instead of links and summary; entries follow.
 * False, and nothing written, if it does not fit. */
bool frame_begin_hearsay(struct frame_builder *b, uint16_t about, uint32_t digest,
                         const struct frame_link *links, size_t link_count);
/* Appends the sum of `count` records, `bytes` as long as the longest, before any record.  False,
 * and nothing written, if it does not fit. */
bool frame_add_mix(struct frame_builder *b, const struct frame_mixed *mixed, uint8_t count,
                   const uint8_t *bytes);
/* Appends a record.  False, and nothing written, if it does not fit. */
bool frame_add_record(struct frame_builder *b, const uint8_t *record, size_t len);
size_t frame_finish(struct frame_builder *b);

#endif
