/* Chooses double for the rules headers included next: see real_float.h. No guard on purpose. */
#include <math.h>

#undef REAL
#undef RULES
#undef RULES_DOUBLE
#undef REAL_SQRT
#undef REAL_EXP
#undef REAL_LOG1P
#undef REAL_ABS

#define REAL         double
#define RULES(name)  name##_double
#define RULES_DOUBLE 1
#define REAL_SQRT    sqrt
#define REAL_EXP     exp
#define REAL_LOG1P   log1p
#define REAL_ABS     fabs
