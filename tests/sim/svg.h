/* svg.h - a picture of a run for whoever plans a network, readable without this program.
 *
 * Left the map: nodes, links, who brought reports to whom.  Right each node's airtime over the
 * hours against what the law allows.  Below what arrived, and when.
 */
#ifndef KENG_TESTS_SIM_SVG_H
#define KENG_TESTS_SIM_SVG_H

#include "tests/sim/measure.h"

/* links: of scenario_links().  Writing errors are left in `out`. */
void svg_draw(const struct measure *m, const uint8_t *links, FILE *out);

#endif
