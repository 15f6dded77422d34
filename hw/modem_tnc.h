/* modem_tnc.h - driver "kiss-tnc": a LoRa TNC of radio amateurs that speaks plain KISS, and nothing
 * but data frames.
 *
 * For licensed amateurs only: without settings.amateur_call modem_init refuses, and without the
 * option contents=open, by which they say that nothing in their network is hidden.  Frames go out
 * as AX.25 from that call sign to KENG-0, so that everybody can tell who sends.
 *
 * - KISS tells a host nothing of the radio: frequency, width, SF and power are set on the TNC by
 *   its owner and can't be read back.  What the settings here say is held against the law and
 *   charged; that the TNC is set so is its owner's word.
 * - No RSSI, no SNR, no end of sending: that is reckoned from the time on air.
 * - The TNC listens before it talks if it is a good one.  Nothing shows whether it does, so that
 *   the node spreads its frames.  The KISS parameters go before every frame, since a TNC that
 *   restarted has lost them.
 * - baud=N: the speed of its line, 115200 at first.
 */
#ifndef KENG_HW_MODEM_TNC_H
#define KENG_HW_MODEM_TNC_H

#include "hw/modem.h"

extern const struct modem_driver modem_tnc_driver;

#endif
