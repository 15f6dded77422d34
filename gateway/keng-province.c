/* keng-province: see province.h and the manual. */
#include "gateway/province.h"

int main(int argc, char **argv)
{
    return province_run(argc, argv);
}
