/* Says of each file named whether the console would take it over as an alert: "good NAME", or
 * "bad NAME: why". */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/cap.h"

int main(int argc, char **argv)
{
    static char xml[CAP_LEN_MAX + 1];
    static struct cap_alert alert;
    char err[CAP_ERR_LEN];
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (!file) {
            perror(argv[i]);
            return EXIT_FAILURE;
        }
        size_t len = fread(xml, 1, sizeof xml, file);
        fclose(file);
        if (cap_parse(xml, len, &alert, err) == 0)
            printf("good %s\n", argv[i]);
        else
            printf("bad %s: %s\n", argv[i], err);
    }
    return EXIT_SUCCESS;
}
