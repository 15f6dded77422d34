/* province.h - keng-province as a function: verify what came on a stick or by wire, add it up, say
 * what is missing.
 *
 * Reads the command line, writes to standard output and error.
 * Errors    The exit status: 0 all good, 1 failure, 2 wrong usage, 3 some records were refused.
 */
#ifndef KENG_GATEWAY_PROVINCE_H
#define KENG_GATEWAY_PROVINCE_H

int province_run(int argc, char **argv);

#endif
