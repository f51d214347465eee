/*
 * What: what is said about pairs of key and value that are wrong or have no
 * effect. The first line of each is fixed, because scripts match on it; what
 * would be right follows on a second one.
 *
 * Invariants: (I1) nothing here changes an option.
 *
 * Locking: none.
 */
#ifndef JE_CONF_CONF_SAY_H
#define JE_CONF_CONF_SAY_H

#include "conf/conf.h"
#include "conf/conf_value.h"

typedef struct {
    conf_slice_t key;
    conf_slice_t value;
} conf_pair_t;

/* NULL if a value was stored, else the message that says why not. */
typedef const char *conf_problem_t;

extern const char conf_invalid_value[];
extern const char conf_out_of_range[];
extern const char conf_bad_ranges[];
extern const char conf_bad_dss[];
extern const char conf_no_thp[];

/* "<jemalloc>: what: key:value". */
void conf_say_pair(const char *what, const conf_pair_t *pair);

/* No row has this key. True if that is no error. */
bool conf_say_unknown(const conf_pair_t *pair);

/* The value does not suit the option: says so, and what would. */
void conf_say_problem(conf_problem_t problem, const conf_option_t *option,
    const conf_pair_t *pair);

/* The value is fine, but has no effect; nothing is said if it has one. */
void conf_say_ignored(const conf_option_t *option);

/* The option's value in the end, and who set it: which preset of a source. */
void conf_say_in_force(const conf_option_t *option, conf_profile_t profile,
    unsigned number, const char *source);

/* Where no pair can be seen: the piece of text in question. */
void conf_say_format(const char *what, const char *text, const char *end);

/* Experiments come and go, so one that is missing stops nobody. */
bool conf_is_experimental(conf_slice_t key);

#endif
