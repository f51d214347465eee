# What: for test scripts: how programs of the platform under test are started.
# JE_EMULATOR in the environment holds the words of the emulator of another
# processor; JE_FOREIGN says why the system's own programs cannot run on the
# library (another processor, another C library).
#
# Invariants: none.
#
# shellcheck shell=bash

with_limit=()

# with [VARIABLE=VALUE...] COMMAND...
if [ -n "${JE_EMULATOR:-}" ]; then
    with() {
        local set=()
        while [[ $1 == *=* ]]; do
            set+=(-E "$1")
            shift
        done
        # shellcheck disable=SC2086 # words
        "${with_limit[@]}" ${JE_EMULATOR} "${set[@]}" "$@"
    }
else
    with() {
        "${with_limit[@]}" env "$@"
    }
fi

# within SECONDS [VARIABLE=VALUE...] COMMAND...: ends by then, or is killed;
# an emulator gets more time.
within() {
    local emulator=${JE_EMULATOR:-}
    local with_limit=(timeout -s KILL
        $(($1 * (${#emulator} > 0 ? 5 : 1))))
    shift
    with "$@"
}
