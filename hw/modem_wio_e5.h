/* modem_wio_e5.h - driver "wio-e5": Seeed's Wio-E5 (LoRa-E5) modules with their AT firmware.
 *
 * Peculiarities:
 *
 * - Plain LoRa is its test mode, which it leaves at every restart; RFCFG writes all settings and
 *   answers with what is in force: the driver writes them before every frame.
 * - Sending ends receiving: the driver switches the receiver on again after every frame.
 * - Coding rate is 4/5.  What it does about the low-rate optimisation (SF11 and SF12 at 125 kHz)
 *   is not documented: airtime is charged as if it were on, which is the longer.
 * - 9600 baud: a frame of 100 bytes takes 0.45 s to write and to be echoed, and it is deaf then.
 *
 * Options   header=rnode  see at.h
 */
#ifndef KENG_HW_MODEM_WIO_E5_H
#define KENG_HW_MODEM_WIO_E5_H

#include "hw/modem.h"

extern const struct modem_driver modem_wio_e5_driver;

#endif
