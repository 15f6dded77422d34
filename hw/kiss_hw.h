/* kiss_hw.h - the bytes of the MeshCore KISS modem's SetHardware frames.
 *
 * Shared by the driver and the emulator.  All integers are little-endian.
 *
 * Source    meshcore-dev/MeshCore, docs/kiss_modem_protocol.md and examples/kiss_modem at
 *           d9296435 (2026-08-14); firmware version byte 1.
 */
#ifndef KENG_HW_KISS_HW_H
#define KENG_HW_KISS_HW_H

#include <stdint.h>

enum {
    KISS_HW_BAUD = 115200,
    KISS_HW_PACKET_LEN_MAX = 255,

    /* Host to modem: first payload byte of a SetHardware frame. */
    KISS_HW_GET_IDENTITY = 0x01,
    KISS_HW_GET_RANDOM = 0x02,
    KISS_HW_VERIFY_SIGNATURE = 0x03,
    KISS_HW_SIGN_DATA = 0x04,
    KISS_HW_ENCRYPT_DATA = 0x05,
    KISS_HW_DECRYPT_DATA = 0x06,
    KISS_HW_KEY_EXCHANGE = 0x07,
    KISS_HW_HASH = 0x08,
    KISS_HW_SET_RADIO = 0x09, /* freq 4, bw 4, sf 1, cr 1 */
    KISS_HW_SET_TX_POWER = 0x0a,
    KISS_HW_GET_RADIO = 0x0b,
    KISS_HW_GET_TX_POWER = 0x0c,
    KISS_HW_GET_RSSI = 0x0d,
    KISS_HW_IS_BUSY = 0x0e,
    KISS_HW_GET_AIRTIME = 0x0f, /* length 1; answer: ms 4 */
    KISS_HW_GET_NOISE_FLOOR = 0x10,
    KISS_HW_GET_VERSION = 0x11,
    KISS_HW_GET_STATS = 0x12,
    KISS_HW_GET_BATTERY = 0x13,
    KISS_HW_GET_MCU_TEMP = 0x14,
    KISS_HW_GET_SENSORS = 0x15,
    KISS_HW_GET_NAME = 0x16,
    KISS_HW_PING = 0x17,
    KISS_HW_REBOOT = 0x18,
    KISS_HW_SET_SIGNAL_REPORT = 0x19,
    KISS_HW_GET_SIGNAL_REPORT = 0x1a,

    /* Modem to host. */
    KISS_HW_REPLY = 0x80, /* or-ed to the command */
    KISS_HW_OK = 0xf0,
    KISS_HW_ERROR = 0xf1,
    KISS_HW_TX_DONE = 0xf8, /* 1 = sent, 0 = failed */
    KISS_HW_RX_META = 0xf9, /* snr_db_x4 1, rssi_dbm 1; right after its data frame */

    /* Codes of KISS_HW_ERROR. */
    KISS_HW_ERR_LENGTH = 0x01,
    KISS_HW_ERR_PARAM = 0x02,
    KISS_HW_ERR_NO_CALLBACK = 0x03,
    KISS_HW_ERR_MAC = 0x04,
    KISS_HW_ERR_UNKNOWN = 0x05,
    KISS_HW_ERR_ENCRYPT = 0x06,
    KISS_HW_ERR_BUSY = 0x07,

    KISS_HW_RADIO_LEN = 10,
    KISS_HW_AIRTIME_LEN = 4,
    KISS_HW_META_LEN = 2,
};

/* The firmware chooses the preamble itself. */
static inline uint16_t kiss_hw_preamble_symbols(uint8_t sf)
{
    return sf <= 8 ? 32 : 16;
}

static inline void kiss_hw_store32(uint8_t b[4], uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        b[i] = (uint8_t)(v >> (8 * i));
}

static inline uint32_t kiss_hw_load32(const uint8_t b[4])
{
    return (uint32_t)b[3] << 24 | (uint32_t)b[2] << 16 | (uint32_t)b[1] << 8 | b[0];
}

#endif
