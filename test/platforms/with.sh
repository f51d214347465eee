# What: for test scripts: how programs of the platform under test are started.
# JE_EMULATOR in the environment holds the words of the emulator of another
# processor; JE_FOREIGN says why the system's own programs cannot run on the
# library (another processor, another C library).
#
# Invariants: none.

# with [VARIABLE=VALUE...] COMMAND...
if [ -n "${JE_EMULATOR:-}" ]; then
    with() {
        local set=()
        while [[ $1 == *=* ]]; do
            set+=(-E "$1")
            shift
        done
        # shellcheck disable=SC2086 # words
        ${JE_EMULATOR} "${set[@]}" "$@"
    }
else
    with() {
        env "$@"
    }
fi
