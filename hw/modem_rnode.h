/* modem_rnode.h - driver "rnode": boards with the RNode firmware, 1.52 or later.
 *
 * What the firmware does and the driver relies on is in rnode_hw.h.  Peculiarities:
 *
 * - It says nothing when a frame has left the air.  The driver estimates, and takes the channel
 *   statistics (once a second and after each frame) as proof when its own airtime has grown.
 * - It sends all that it holds after one contention: the driver gives it one frame at a time.
 * - RSSI and SNR come escaped, which other hosts overlook.
 * - Some settings (SF11 at 125 kHz and the like) are sent without the low-rate optimisation
 *   that all other radios use: refused.
 * - A board that was not provisioned answers everything but does not switch its radio on.
 */
#ifndef KENG_HW_MODEM_RNODE_H
#define KENG_HW_MODEM_RNODE_H

#include "hw/modem.h"

extern const struct modem_driver modem_rnode_driver;

#endif
