/* modem_rak3172.h - driver "rak3172": RAKwireless modules with RUI3 firmware 4.0.4 or later.
 *
 * Peculiarities:
 *
 * - Firmware before 4.0.4 does not say when a frame has left the air, and falls silent after 48
 *   days: refused, with the advice to update.
 * - At the factory it is a LoRaWAN modem: AT+NWM=0 restarts it as one for plain LoRa.
 * - While it receives in the usual way (65534) it refuses all else; mode 65533 lets it send.
 * - Its factory sync word is LoRaWAN's; the driver sets that of private networks, as all other
 *   modems of plain LoRa have it.
 * - A question is answered by its value, an empty line and a status; only then the next one.
 *
 * Options   header=rnode  see at.h
 */
#ifndef KENG_HW_MODEM_RAK3172_H
#define KENG_HW_MODEM_RAK3172_H

#include "hw/modem.h"

extern const struct modem_driver modem_rak3172_driver;

#endif
