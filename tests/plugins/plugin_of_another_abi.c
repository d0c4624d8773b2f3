/* Says that it was built for another ABI; what it calls a descriptor must then not be looked at. */
#include <stdint.h>

const uint32_t mappo_env_abi = 99;
const char *const mappo_env_plugin = "not a descriptor";
