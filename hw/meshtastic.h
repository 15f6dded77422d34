/* meshtastic.h - the serial side of Meshtastic's firmware: the framing of its stream, and the
 * numbers of the few messages and fields that are used of it.
 *
 * A frame is 94 c3, a length of two bytes (big-endian, 512 at most), a protobuf message; there is
 * no checksum.  Until the first frame reaches it the board's console prints plain text on the same
 * line, and again after a restart.
 *
 * Shared by the driver and the emulator.  The names are ours: only numbers are taken over.
 *
 * Source    Observed conversations and meshtastic.org's page on the client API; firmware 2.5 to
 *           2.8: facts only, no text.
 * Time      Pure; bounded by the input.
 * Memory    The decoder is the caller's and holds one message.
 * Errors    None for the stream: what is no frame is a verdict.
 */
#ifndef KENG_HW_MESHTASTIC_H
#define KENG_HW_MESHTASTIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MESHTASTIC_BAUD = 115200,
    MESHTASTIC_START_1 = 0x94,
    MESHTASTIC_START_2 = 0xc3, /* alone it is skipped: many of them end a message cut short */
    MESHTASTIC_FRAMING_LEN = 4,
    MESHTASTIC_LEN_MAX = 512,

    MESHTASTIC_ONLY_CONFIG = 69420, /* asked for by this number, the settings come without nodes */
    MESHTASTIC_TO_ALL = -1,         /* as fixed32 */
    MESHTASTIC_CHANNEL_COUNT = 8,

    /* On the air: a header before the message, which is Data below, enciphered or not. */
    MESHTASTIC_AIR_LEN_MAX = 255,
    MESHTASTIC_AIR_HEADER_LEN = 16,
    MESHTASTIC_PREAMBLE_SYMBOLS = 16,
    MESHTASTIC_SYNC = 0x2b,
    MESHTASTIC_SIGNATURE_LEN = 64, /* of firmware 2.8, where it fits; two more for its tag */
};

/* Host to board. */
enum { TO_RADIO_PACKET = 1, TO_RADIO_WANT_CONFIG = 3, TO_RADIO_HEARTBEAT = 7 };

/* Board to host. */
enum {
    FROM_RADIO_ID = 1,
    FROM_RADIO_PACKET = 2,
    FROM_RADIO_MY_INFO = 3, /* node number 1 */
    FROM_RADIO_NODE = 4,
    FROM_RADIO_CONFIG = 5,
    FROM_RADIO_LOG = 6,
    FROM_RADIO_COMPLETE = 7,
    FROM_RADIO_REBOOTED = 8,
    FROM_RADIO_MODULE = 9,
    FROM_RADIO_CHANNEL = 10,
    FROM_RADIO_QUEUE = 11,
    FROM_RADIO_METADATA = 13, /* version, a text, 1 */
};

enum { QUEUE_RESULT = 1, QUEUE_FREE = 2, QUEUE_SIZE = 3, QUEUE_PACKET = 4 };

enum {
    PACKET_FROM = 1,
    PACKET_TO = 2,
    PACKET_CHANNEL = 3,
    PACKET_DATA = 4,
    PACKET_ENCIPHERED = 5,
    PACKET_ID = 6,
    PACKET_SNR = 8,
    PACKET_HOP_LIMIT = 9,
    PACKET_RSSI = 12,
    PACKET_VIA_MQTT = 14,
};

enum {
    DATA_PORT = 1,
    DATA_PAYLOAD = 2,
    DATA_WANT_RESPONSE = 3,
    DATA_REQUEST = 6,
    DATA_BITS = 9, /* always there on the air */
    DATA_SIGNATURE = 10,
};

enum {
    PORT_TEXT = 1,
    PORT_NODE = 4,
    PORT_ROUTING = 5,
    PORT_ADMIN = 6,
    PORT_TELEMETRY = 67,
    PORT_PRIVATE = 256,
};

enum { TELEMETRY_LOCAL = 6 };  /* the board's own counters, given to who asks with them empty */
enum { LOCAL_SENT_COUNT = 4 }; /* packets since it started */

enum { ROUTING_ERROR = 3 };

/* Why a packet was not taken: in a routing message or as the queue's result. */
enum {
    REFUSED_NO_INTERFACE = 4,
    REFUSED_NO_CHANNEL = 6,
    REFUSED_TOO_LARGE = 7,
    REFUSED_DUTY = 9,
    REFUSED_RATE = 38,
    REFUSED_FULL = 32,
    REFUSED_NO_RADIO = 33,
    REFUSED_DISABLED = 34, /* no region is set, or sending is switched off */
    TAKEN_LOCALLY = 35,    /* for the board itself: no refusal */
};

enum {
    ADMIN_GET_CONFIG = 5,
    ADMIN_CONFIG = 6, /* the answer */
    ADMIN_SET_CHANNEL = 33,
    ADMIN_SET_CONFIG = 34,
    ADMIN_REBOOT_S = 97,
    ADMIN_GET_LORA = 5, /* what ADMIN_GET_CONFIG asks for */
};

enum { CONFIG_DEVICE = 1, CONFIG_LORA = 6, CONFIG_SECURITY = 8 };

enum { DEVICE_ROLE = 1, DEVICE_REPEAT = 6 };
enum { ROLE_CLIENT = 0, ROLE_HIDDEN = 8, REPEAT_LOCAL = 2 };

enum { SECURITY_MANAGED = 4 };

enum {
    LORA_USE_PRESET = 1,
    LORA_PRESET = 2,
    LORA_BANDWIDTH = 3, /* kHz, 31 for 31.25 and 62 for 62.5 */
    LORA_SPREAD = 4,
    LORA_CODING = 5,
    LORA_OFFSET = 6,    /* MHz, float */
    LORA_REGION = 7,
    LORA_HOP_LIMIT = 8, /* of what it sends by itself */
    LORA_TX_ENABLED = 9,
    LORA_TX_POWER = 10, /* dBm; 0: all that the region allows */
    LORA_OVERRIDE_DUTY = 12,
    LORA_FREQUENCY = 14, /* MHz, float; 0: by region and channel */
};

enum { REGION_UNSET = 0, REGION_TH = 12, REGION_MY_433 = 16, REGION_SG_923 = 18 };

enum { CHANNEL_INDEX = 1, CHANNEL_SETTINGS = 2, CHANNEL_ROLE = 3, CHANNEL_PRIMARY = 1 };
enum { CHANNEL_KEY = 2, CHANNEL_NAME = 3 };

enum meshtastic_verdict {
    MESHTASTIC_MORE,  /* within a frame, perhaps */
    MESHTASTIC_FRAME, /* message[0..len) is whole */
    MESHTASTIC_STRAY, /* the byte belongs to no frame */
};

struct meshtastic_decoder {
    uint8_t framing_len; /* bytes of the framing that were seen */
    uint16_t want_len, len;
    uint8_t message[MESHTASTIC_LEN_MAX];
};

void meshtastic_decoder_init(struct meshtastic_decoder *d);
/* Takes one byte.  After MESHTASTIC_FRAME the message stays until the next call. */
enum meshtastic_verdict meshtastic_decode(struct meshtastic_decoder *d, uint8_t byte);
/* The framing that goes before a message of len bytes. */
void meshtastic_framing(uint8_t out[MESHTASTIC_FRAMING_LEN], size_t len);

#endif
