/* mpe/simple_crypto: its rules are in simple_crypto.h. */
#include "envs/mpe/simple_crypto.h"
#include "envs/mpe/suite.h"

static const struct mappo_option crypto_options[] = {MPE_OPTIONS, MPE_NO_OPTION};
static const struct mappo_info crypto_infos[CRYPTO_INFOS] = {{"bob_error", NULL, "squared error of Bob's guess: 0 or 2 for choices", 0},
                                                             {"eve_error", NULL, "squared error of Eve's guess", 0}};
static const char *const crypto_teams[] = {"agents", "adversaries"}, *const crypto_codes[] = {"code 0", "code 1", "code 2", "code 3"};
static const struct mpe_cast crypto_cast = {{"eve", "bob", "alice"},
                                            {"landmark"},
                                            {1, 0, 0},
                                            {1, 1, 1},
                                            {MPE_RED, MPE_BLUE, MPE_GREEN},
                                            crypto_teams,
                                            crypto_codes,
                                            "sum over the episode of Eve's squared error minus Bob's; of Eve: minus her error",
                                            NULL,
                                            1};
static const char *const crypto_names[] = {MPE_NAMES("simple_crypto", "simple_crypto_v3")};

/* Alice says the sum of message and key, modulo 2; Bob, who hears it one step later, subtracts the key; Eve repeats what she hears. */
static void crypto_script(const struct mpe *w, const struct mpe_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    const rule_real *alice = mpe_utterance(w, rules) + CRYPTO_ALICE * rules->words;
    const int heard = alice[1] > alice[0], secret = w->goal[0] ^ w->goal[1];
    mpe_script_agent(w, rules, CRYPTO_EVE, NULL, heard, act_int, act_real);
    mpe_script_agent(w, rules, CRYPTO_BOB, NULL, heard ^ w->goal[1], act_int, act_real);
    mpe_script_agent(w, rules, CRYPTO_ALICE, NULL, secret, act_int, act_real);
}

MPE_TASK(mpe_simple_crypto, crypto, CRYPTO_COUNTS, CRYPTO_INFOS, 3, .id = "mpe/simple_crypto",
         .summary = "Alice and Bob share a key; Eve hears them", .source = "Lowe et al. 2017; mpe2 1.1 (simple_crypto_v3)", .version = 1);
