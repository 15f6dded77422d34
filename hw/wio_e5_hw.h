/* wio_e5_hw.h - the AT commands of Seeed's Wio-E5 (LoRa-E5) in its test mode.
 *
 * Shared by the driver and the emulator.
 *
 * Source    Seeed, LoRa-E5 AT command specification V1.0; conversations that users published;
 *           facts only.
 */
#ifndef KENG_HW_WIO_E5_HW_H
#define KENG_HW_WIO_E5_HW_H

enum {
    WIO_BAUD = 9600,
    WIO_LINE_LEN_MAX = 528,  /* of a command */
    WIO_AIR_LEN_MAX = 250,   /* 500 digits; "AT+TEST=TXLRPKT," and quotes beside them */
    WIO_SF_MIN = 7,
    WIO_SF_MAX = 12,
    WIO_CR = 5,              /* cannot be set */
    WIO_POWER_DBM_MAX = 22,
    WIO_ERR_PARAMETER = -1,
    WIO_ERR_UNKNOWN = -10,
    WIO_ERR_MODE = -12,      /* not in test mode */
    WIO_ERR_TOO_LONG = -20,
};

#endif
