/* modem_ebyte.h - drivers for Ebyte's serial modules: "ebyte-e22", "ebyte-e220", "ebyte-e32".
 *
 * The module is a pipe of bytes; frames go through it as pieces.h says.  Its registers are
 * written and read back through the mode pins after every opening, and read again before every
 * frame, because a brown-out takes it back to another frequency at full power.  That makes it deaf
 * for about a tenth of a second.  It says of no packet that it has left: TX_DONE is estimated, from
 * AUX, which rises when the last packet begins, or without that wire as the latest moment: with
 * an E22 or E220, which may wait for a free channel, two seconds later.
 *
 * The soft mode switch is not used: to a module that has lost its settings its bytes are data,
 * which it sends on the factory's frequency.
 *
 * Options   model=E22-900T22S  as printed on the module: its band and powers.  Needed
 *           rate=2400          air data rate in bit/s; both ends the same
 *           netid=0            0 to 255, E22 only; both ends the same
 *           rssi_half=1        E22 and E220 of early firmware: RSSI in half decibels
 * Settings  lora.freq_hz must be a channel of the module; power_dbm is rounded down to one of its
 *           four steps.  The rest of lora is not to be chosen.
 */
#ifndef KENG_HW_MODEM_EBYTE_H
#define KENG_HW_MODEM_EBYTE_H

#include "hw/modem.h"

extern const struct modem_driver modem_ebyte_e22_driver;
extern const struct modem_driver modem_ebyte_e220_driver;
extern const struct modem_driver modem_ebyte_e32_driver;

#endif
