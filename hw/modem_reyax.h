/* modem_reyax.h - drivers "rylr998", "rylr498" and "rylr896": REYAX's modules with AT commands.
 *
 * What the modules do and the drivers rely on is in reyax_hw.h.  Peculiarities:
 *
 * - The manual promises the air to ASCII only.  A frame is written as one number in base 93, the
 *   printable letters without the comma: 196 bytes are 240 letters, where base64 carries 180.
 * - Nothing says when a frame has left the air, nor whether +OK comes before or after it.  The
 *   driver estimates for the later of both; +ERR=17 (not finished) makes it wait, not lose.
 * - +ERR=12 and +ERR=19 tell of unreadable receptions and answer no command.
 * - A module without a listener's manners: the node must spread its frames.
 * - The air is closed: only modules of the same kind, network and settings hear each other.
 *
 * Options   network=N  a group of its own within the frequency; all of a commune the same
 *           address=N  of this module, 0 unless given; frames go to all in any case
 */
#ifndef KENG_HW_MODEM_REYAX_H
#define KENG_HW_MODEM_REYAX_H

#include "hw/modem.h"

extern const struct modem_driver modem_rylr998_driver;
extern const struct modem_driver modem_rylr498_driver;
extern const struct modem_driver modem_rylr896_driver;

#endif
