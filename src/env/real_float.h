/* Chooses float for the rules headers included next. A rules header writes REAL for its number type and RULES(name) for each function, and
 * may be included once after real_float.h and once after real_double.h: training uses float, parity with the reference implementations is
 * shown in double. No guard on purpose: the last one included is in force. C11 and C++17, host and device. */
#include <math.h>

#include "env/float_math.h"

#undef REAL
#undef RULES
#undef RULES_DOUBLE
#undef REAL_SQRT
#undef REAL_EXP
#undef REAL_LOG1P
#undef REAL_ABS

#define REAL         float
#define RULES(name)  name##_float
#define RULES_DOUBLE 0
#define REAL_SQRT    sqrtf
#define REAL_EXP     float_exp
#define REAL_LOG1P   float_log1p
#define REAL_ABS     fabsf
