/* modem_meshtastic.h - driver "meshtastic": boards with Meshtastic's firmware, 2.5 or later, left
 * as they are, on USB; our frames travel as packets of its port 256.
 *
 * The firmware's messages are in meshtastic.h.  Peculiarities:
 *
 * - It is a mesh of its own.  Our frames go out with a hop limit of 0, so that no other board
 *   repeats them, without a wish for an acknowledgement, on a primary channel "keng" without
 *   cipher.  The board's role becomes "hidden client": the one that does not report by itself.
 * - Settings live in its flash.  They are read when the port opens, and written only where one of
 *   ours differs; then the board is restarted, to be sure of it, and they are read back, the
 *   radio's part again before every frame.  A setting which is not ours stays as its owner left it.
 * - There is no Vietnamese region: the neighbour's which holds the frequency is set, with our own
 *   frequency and power in place of its own.  Option region=N says another, by its number there.
 * - Its float holds a frequency to some 60 Hz; what it will really be is what modem_air says.
 * - It says when its queue has taken a frame and, asked, when the queue is empty: then the frame is
 *   on the air.  The end is reckoned from there.
 * - It introduces itself to boards that it meets for the first time, and nothing can forbid it.  It
 *   is asked how many packets it sent; those which are not ours are a MODEM_EV_SPENT.
 * - Each frame costs 16 bytes of header and 7 or 8 around it, which are charged.  Firmware 2.8
 *   signs by itself what leaves room for 66 bytes more: these are charged too.
 * - It keeps a share of time of its own (10 % where Thailand's region is set) and says so when it
 *   refuses a frame for it.
 */
#ifndef KENG_HW_MODEM_MESHTASTIC_H
#define KENG_HW_MODEM_MESHTASTIC_H

#include "hw/modem.h"

extern const struct modem_driver modem_meshtastic_driver;

#endif
