/* ax25.h - the one AX.25 frame that is sent and understood: unnumbered information without layer 3
 * between two call signs, as a KISS TNC takes it, without flags and check sum.
 *
 * Source    "AX.25 Link Access Protocol for Amateur Packet Radio", version 2.2, 1998.
 * Time      Linear in the frame.
 * Memory    The caller's.
 * Errors    Questions; what is no such frame is false.
 */
#ifndef KENG_HW_AX25_H
#define KENG_HW_AX25_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    AX25_ADDRESS_LEN = 7,
    AX25_HEADER_LEN = 2 * AX25_ADDRESS_LEN + 2, /* destination, source, control, protocol */
};

/* Is it a station's, such as XV9ABC or XV9ABC-7, not a word such as KENG? */
bool ax25_is_call_sign(const char *call);
/* Six letters and digits at most, a number up to 15 behind a dash or none; false for others. */
bool ax25_address(const char *call, uint8_t out[AX25_ADDRESS_LEN]);
void ax25_header(const uint8_t to[AX25_ADDRESS_LEN], const uint8_t from[AX25_ADDRESS_LEN],
                 uint8_t out[AX25_HEADER_LEN]);
/* Is it such a frame to that address, by whatever way?  Then where its content begins. */
bool ax25_content(const uint8_t *frame, size_t len, const uint8_t to[AX25_ADDRESS_LEN],
                  size_t *at_out);

#endif
