/* rak3172_hw.h - the AT commands of RAKwireless's RUI3 firmware in P2P mode.
 *
 * Shared by the driver and the emulator.
 *
 * Source    RAKwireless, RUI3 AT command manual and the firmware's list of changes up to 4.2;
 *           facts only.
 */
#ifndef KENG_HW_RAK3172_HW_H
#define KENG_HW_RAK3172_HW_H

enum {
    RAK_BAUD = 115200,
    RAK_AIR_LEN_MAX = 250,        /* AT+PSEND takes 500 digits in every firmware */
    RAK_SYNC_PRIVATE = 0x1424,    /* as the radio's registers have LoRa's 0x12 */
    RAK_SYNC_PUBLIC = 0x3444,     /* at the factory */
    RAK_RECEIVE_ALWAYS = 65533,   /* and sending is allowed */
    RAK_RECEIVE_ONLY = 65534,     /* all else is AT_BUSY_ERROR */
    RAK_RECEIVE_ONE = 65535,
    RAK_POWER_DBM_MIN = 5,
    RAK_POWER_DBM_MAX = 22,
    RAK_FREQ_HZ_MIN = 150000000,  /* the module is made for one half of it */
    RAK_FREQ_HZ_MAX = 960000000,
};

#endif
