/* fuzz.h - what the fuzz targets share.
 *
 * Each fuzz_NAME.c has one function that takes any bytes and ends the process when a promise of the
 * code behind it is broken.  `make fuzz TARGET=NAME` builds it as a libFuzzer program;
 * tests/unit/test_fuzz_corpus.c replays seeds/fuzz/NAME/ through the same function.
 */
#ifndef KENG_TESTS_FUZZ_FUZZ_H
#define KENG_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Unlike assert() never compiled away. */
#define FUZZ_CHECK(promise)                                                         \
    do {                                                                            \
        if (!(promise)) {                                                           \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #promise);   \
            abort();                                                                \
        }                                                                           \
    } while (0)

#ifdef FUZZ_REPLAY
#define FUZZ_TARGET(function)
#else
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
#define FUZZ_TARGET(function)                                   \
    int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) \
    {                                                           \
        function(data, len);                                    \
        return 0;                                               \
    }
#endif

#endif
