/* The messages that a host writes to a Meshtastic board and reads from it: their bytes, that a
 * board's other settings survive ours, and what is not as wanted, field by field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hw/meshtastic_host.h"

enum { OTHER_FIELD = 13, NODE = 0x11223344 };

static const struct meshtastic_wanted want = {
    .lora = { .freq_hz = 434000000, .bw_hz = 62500, .sf = 9, .cr = 6 },
    .power_dbm = 14,
    .region = REGION_MY_433,
};

/* Lets the board say it: one message of the answer to the greeting. */
static void say(struct meshtastic_board *b, uint32_t number, const uint8_t *bytes, size_t len)
{
    uint8_t buf[MESHTASTIC_LEN_MAX];
    struct pb_writer w = pb_write(buf, sizeof buf);
    struct pb_field said;
    pb_put_bytes(&w, number, bytes, len);
    assert_false(w.overflow);
    assert_true(meshtastic_read(w.bytes, w.len, &said));
    assert_true(meshtastic_board_take(b, &said));
}

static void say_config(struct meshtastic_board *b, uint32_t number, const uint8_t *bytes,
                       size_t len)
{
    uint8_t buf[MESHTASTIC_LEN_MAX];
    struct pb_writer w = pb_write(buf, sizeof buf);
    pb_put_bytes(&w, number, bytes, len);
    say(b, FROM_RADIO_CONFIG, w.bytes, w.len);
}

/* What an order sets, said back by the board. */
static void obey(struct meshtastic_board *b, const struct pb_writer *order)
{
    struct pb_field set;
    if (pb_find(order->bytes, order->len, ADMIN_SET_CHANNEL, &set)) {
        say(b, FROM_RADIO_CHANNEL, set.bytes, set.len);
    } else {
        assert_true(pb_find(order->bytes, order->len, ADMIN_SET_CONFIG, &set));
        say(b, FROM_RADIO_CONFIG, set.bytes, set.len);
    }
}

/* A board from the factory, with something of no concern in each part. */
static struct meshtastic_board factory_board(void)
{
    uint8_t buf[32], text_buf[32];
    struct pb_writer w = pb_write(buf, sizeof buf), text = pb_write(text_buf, sizeof text_buf);
    struct meshtastic_board b = { .node = 0 };
    pb_put_varint(&w, 1, NODE);
    say(&b, FROM_RADIO_MY_INFO, w.bytes, w.len);
    pb_put_bytes(&text, 1, "2.7.15.abcdef0", 14);
    say(&b, FROM_RADIO_METADATA, text.bytes, text.len);
    w = pb_write(buf, sizeof buf);
    pb_put_varint(&w, OTHER_FIELD, 1);
    say_config(&b, CONFIG_DEVICE, w.bytes, w.len);
    pb_put_varint(&w, LORA_USE_PRESET, 1);
    say_config(&b, CONFIG_LORA, w.bytes, w.len);
    assert_false(meshtastic_board_known(&b)); /* no channel yet */
    w = pb_write(buf, sizeof buf);
    pb_put_varint(&w, CHANNEL_ROLE, CHANNEL_PRIMARY);
    say(&b, FROM_RADIO_CHANNEL, w.bytes, w.len);
    assert_true(meshtastic_board_known(&b));
    assert_int_equal(b.node, NODE);
    assert_int_equal(b.version, 0x207);
    return b;
}

static void set_all(struct meshtastic_board *b)
{
    uint8_t buf[MESHTASTIC_HOST_LEN_MAX];
    for (unsigned i = 0; i < 3; i++) {
        struct pb_writer order = pb_write(buf, sizeof buf);
        assert_false(meshtastic_board_right(b, &want));
        if (i == 0)
            meshtastic_put_device(&order, b);
        else if (i == 1)
            meshtastic_put_channel(&order);
        else
            meshtastic_put_lora(&order, b, &want);
        obey(b, &order);
    }
}

static void test_meshtastic_host_writes_what_the_official_schema_writes(void **state)
{
    static const uint8_t bytes[] = {
        0x0a, 0x15, 0x15, 0xff, 0xff, 0xff, 0xff, 0x22, 0x09, 0x08, 0x80, 0x02,
        0x12, 0x04, 0xde, 0xad, 0xbe, 0xef, 0x35, 0x67, 0x45, 0x23, 0x01,
    };
    static const uint8_t frame[] = { 0xde, 0xad, 0xbe, 0xef };
    uint8_t buf[MESHTASTIC_HOST_LEN_MAX];
    struct pb_writer w = pb_write(buf, sizeof buf);
    (void)state;
    meshtastic_put_frame(&w, 0x01234567, frame, sizeof frame);
    assert_int_equal(w.len, sizeof bytes);
    assert_memory_equal(w.bytes, bytes, sizeof bytes);
}

static void test_meshtastic_host_sets_a_board_and_leaves_the_rest(void **state)
{
    struct meshtastic_board b = factory_board();
    struct pb_field f;
    (void)state;
    set_all(&b);
    assert_true(meshtastic_board_right(&b, &want));
    assert_true(pb_find(b.lora.bytes, b.lora.len, OTHER_FIELD, &f) && f.value == 1);
    assert_true(pb_find(b.device.bytes, b.device.len, OTHER_FIELD, &f) && f.value == 1);
    assert_false(pb_find(b.lora.bytes, b.lora.len, LORA_USE_PRESET, &f));
}

static void test_meshtastic_host_sees_every_field_that_is_another(void **state)
{
    static const uint32_t numbers[] = {
        LORA_USE_PRESET, LORA_BANDWIDTH, LORA_SPREAD, LORA_CODING, LORA_OFFSET, LORA_REGION,
        LORA_HOP_LIMIT, LORA_TX_ENABLED, LORA_TX_POWER, LORA_OVERRIDE_DUTY, LORA_FREQUENCY,
    };
    struct meshtastic_board right = factory_board();
    (void)state;
    set_all(&right);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct meshtastic_board b = right;
        char text[160] = "";
        struct pb_writer w = { .bytes = b.lora.bytes, .cap = sizeof b.lora.bytes,
                               .len = b.lora.len };
        if (numbers[i] == LORA_OFFSET || numbers[i] == LORA_FREQUENCY)
            pb_put_float(&w, numbers[i], 433.5f);
        else
            pb_put_varint(&w, numbers[i], 77); /* the last of a number counts */
        b.lora.len = (uint16_t)w.len;
        assert_false(meshtastic_board_right(&b, &want));
        meshtastic_board_tell(&b, &want, text, sizeof text);
        assert_non_null(strstr(text, "the board reads back region "));
    }
}

static void test_meshtastic_host_does_not_understand_settings_too_long(void **state)
{
    uint8_t bytes[MESHTASTIC_PART_LEN_MAX + 1] = { 0 };
    struct meshtastic_board b = { .node = 0 };
    (void)state;
    say_config(&b, CONFIG_LORA, bytes, sizeof bytes);
    assert_false(b.lora.known);
    say_config(&b, CONFIG_LORA, bytes, sizeof bytes - 1);
    assert_true(b.lora.known);
    assert_false(meshtastic_lora_right(&b.lora, &want)); /* nor is it well-formed */
}

static void test_meshtastic_host_takes_no_packet_cut_short(void **state)
{
    static const uint8_t frame[] = { 1, 2, 3 };
    uint8_t buf[MESHTASTIC_HOST_LEN_MAX];
    struct pb_writer w = pb_write(buf, sizeof buf);
    struct meshtastic_packet p;
    struct pb_field said, inner;
    (void)state;
    meshtastic_put_frame(&w, 5, frame, sizeof frame);
    assert_true(meshtastic_read(w.bytes, w.len, &said));
    for (size_t len = 1; len < w.len; len++)
        assert_false(meshtastic_read(w.bytes, len, &inner));
    assert_true(pb_find(w.bytes, w.len, TO_RADIO_PACKET, &said));
    assert_true(meshtastic_read_packet(&said, &p));
    assert_int_equal(p.port, PORT_PRIVATE);
    assert_int_equal(p.payload_len, sizeof frame);
    assert_memory_equal(p.payload, frame, sizeof frame);
    said.len--; /* within the packet's number */
    assert_false(meshtastic_read_packet(&said, &p));
    said.type = PB_VARINT;
    assert_false(meshtastic_read_packet(&said, &p));
}

static void test_meshtastic_host_reads_a_refusal_and_nothing_else_as_one(void **state)
{
    uint8_t buf[16];
    struct pb_writer w = pb_write(buf, sizeof buf);
    uint64_t code = 0;
    (void)state;
    pb_put_varint(&w, ROUTING_ERROR, 0); /* an acknowledgement */
    struct meshtastic_packet p = { .payload = buf, .payload_len = w.len };
    assert_false(meshtastic_read_refusal(&p, &code));
    w = pb_write(buf, sizeof buf);
    pb_put_varint(&w, ROUTING_ERROR, REFUSED_DUTY);
    p.payload_len = w.len;
    assert_true(meshtastic_read_refusal(&p, &code));
    assert_int_equal(code, REFUSED_DUTY);
    assert_string_not_equal(meshtastic_refusal(code), meshtastic_refusal(999));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meshtastic_host_writes_what_the_official_schema_writes),
        cmocka_unit_test(test_meshtastic_host_sets_a_board_and_leaves_the_rest),
        cmocka_unit_test(test_meshtastic_host_sees_every_field_that_is_another),
        cmocka_unit_test(test_meshtastic_host_does_not_understand_settings_too_long),
        cmocka_unit_test(test_meshtastic_host_takes_no_packet_cut_short),
        cmocka_unit_test(test_meshtastic_host_reads_a_refusal_and_nothing_else_as_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
