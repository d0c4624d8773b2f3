/* The faults that plugin_of_rules.c has on request (env.fault=NAME), as in planted_faults.h: messages name what its author wrote. */
FAULT(exits_in_configure, "ended the process in its rover_configure() or rover_describe() with exit code 0")
FAULT(crashes_in_describe, "crashed in its rover_configure() or rover_describe() (SIGSEGV")
FAULT(reads_absent_text, "rover_describe() (SIGSEGV, memory that is not its own): is a text looked at that is NULL?")
FAULT(reads_beyond_options, "reads or writes behind the end of the configuration, or its options, in its rover_configure()")
FAULT(
    infos_beyond_table,
    "crashed in its rover_describe() (SIGSEGV, memory that is not its own): is a table of its spec shorter than its count says (info than")
FAULT(prints_in_describe, "rover_configure() or rover_describe() prints (\"a word\")")
FAULT(wrong_bounds, "group \"rover\", observation head 0 has a lower bound above its upper one")
FAULT(shares_global, "keep all of it in struct rover")
FAULT(clears_generator, "or rng was overwritten: reset() and step() must leave it alone")
FAULT(
    draws_elsewhere,
    "neither seed nor stream is in the key; rng is started once for each copy, of seed, stream and index: reset() and step() draw from it")
FAULT(sound_refuses,
      "refuses a snapshot that was just taken (environment 7): the snapshot holds a state that is impossible, says rover_sound()")
FAULT(sound_crashes, "crashed in its rover_sound()")
/* what leads to much else, and is said once */
FAULT(mask_forgotten, "act_mask of group \"rover\" is not written")
FAULT(no_flag_mask, "act_mask of group \"rover\" is written although its flag (MAPPO_HAS_MASK) is not set")
FAULT(many_actions, "act_mask of group \"rover\" is not written")
FAULT(two_heads, "act_mask of group \"rover\" is not written")
FAULT(many_agents, "obs of group \"rover\" is not written")
FAULT(few_numbers, "behind the end of obs of group \"rover\"")
FAULT(few_agents, "behind the end of act_mask of group \"rover\"")
