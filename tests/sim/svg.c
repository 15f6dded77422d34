#include "tests/sim/svg.h"
void svg_draw(const struct measure *m, const uint8_t *links, FILE *out)
{
    (void)m; (void)links; fputs("<svg/>\n", out);
}
