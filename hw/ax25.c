#include "hw/ax25.h"

#include <string.h>

enum {
    CALL_LEN_MIN = 3,
    CALL_LEN_MAX = 6,
    SSID_MAX = 15,
    SSID_AT = 6,
    SSID_MASK = 0x1e,
    RESERVED = 0x60, /* both bits are ones where nobody uses them */
    COMMAND = 0x80,
    LAST = 0x01,     /* no address follows */
    ADDRESS_COUNT_MAX = 10,
    UI = 0x03,
    POLL = 0x10,     /* of no meaning here */
    NO_LAYER_3 = 0xf0,
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return c >= 'A' && c <= 'Z';
}

/* The number behind the dash; negative where it is none. */
static int ssid_of(const char *text)
{
    size_t len = strlen(text);
    int v = 0;
    if (len == 0)
        return 0;
    if (text[0] != '-' || len < 2 || len > 3 || (len == 3 && text[1] == '0'))
        return -1;
    for (size_t i = 1; i < len; i++) {
        if (!is_digit(text[i]))
            return -1;
        v = v * 10 + (text[i] - '0');
    }
    return v <= SSID_MAX ? v : -1;
}

bool ax25_is_call_sign(const char *call)
{
    uint8_t address[AX25_ADDRESS_LEN];
    size_t len = strcspn(call, "-"), digits = 0;
    for (size_t i = 0; i < len; i++)
        digits += is_digit(call[i]);
    return ax25_address(call, address) && len >= CALL_LEN_MIN && digits > 0 && digits < len;
}

bool ax25_address(const char *call, uint8_t out[AX25_ADDRESS_LEN])
{
    size_t len = strcspn(call, "-");
    int ssid = ssid_of(call + len);
    if (len == 0 || len > CALL_LEN_MAX || ssid < 0)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_digit(call[i]) && !is_letter(call[i]))
            return false;
    }
    for (size_t i = 0; i < CALL_LEN_MAX; i++)
        out[i] = (uint8_t)((i < len ? call[i] : ' ') << 1);
    out[SSID_AT] = (uint8_t)(RESERVED | ssid << 1);
    return true;
}

void ax25_header(const uint8_t to[AX25_ADDRESS_LEN], const uint8_t from[AX25_ADDRESS_LEN],
                 uint8_t out[AX25_HEADER_LEN])
{
    memcpy(out, to, AX25_ADDRESS_LEN);
    out[SSID_AT] |= COMMAND;
    memcpy(out + AX25_ADDRESS_LEN, from, AX25_ADDRESS_LEN);
    out[AX25_ADDRESS_LEN + SSID_AT] |= LAST;
    out[2 * AX25_ADDRESS_LEN] = UI;
    out[2 * AX25_ADDRESS_LEN + 1] = NO_LAYER_3;
}

bool ax25_content(const uint8_t *frame, size_t len, const uint8_t to[AX25_ADDRESS_LEN],
                  size_t *at_out)
{
    size_t count = 1;
    while (count < ADDRESS_COUNT_MAX && count * AX25_ADDRESS_LEN <= len &&
           !(frame[count * AX25_ADDRESS_LEN - 1] & LAST))
        count++;
    size_t at = count * AX25_ADDRESS_LEN;
    if (count < 2 || len < at + 2 || !(frame[at - 1] & LAST))
        return false;
    if (memcmp(frame, to, SSID_AT) != 0 || ((frame[SSID_AT] ^ to[SSID_AT]) & SSID_MASK) != 0)
        return false;
    if ((frame[at] & ~POLL) != UI || frame[at + 1] != NO_LAYER_3)
        return false;
    *at_out = at + 2;
    return true;
}
