/* modem_kiss.h - driver "meshcore-kiss": boards with MeshCore's KISS modem firmware.
 *
 * What the firmware does and the driver relies on is in kiss_hw.h.  Peculiarities:
 *
 * - The firmware's read-back repeats what was written, zeros after a restart; whether the
 *   radio chip took it is only seen in the time on air it computes for a frame.  Both are
 *   compared before READY, and the preamble is inferred from the latter.
 * - It restarts into 869.618 MHz and full power.  Therefore frequency and power are read
 *   back before every single frame, not only after opening: about 5 ms at 115200 baud.
 * - "Busy" (F1 07) means either that it holds a frame already or that its output was
 *   full.  It is taken as a refusal only when an older frame may be pending.
 */
#ifndef KENG_HW_MODEM_KISS_H
#define KENG_HW_MODEM_KISS_H

#include "hw/modem.h"

extern const struct modem_driver modem_kiss_driver;

#endif
