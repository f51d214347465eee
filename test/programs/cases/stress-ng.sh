# What: four workers of stress-ng that allocate, reallocate and free blocks of
# random sizes and verify what they hold.
#
# Exercises: size classes at random, calloc's zeroes, realloc's copies,
# trimming, exhaustion handled by the program.
#
# Answer: stress-ng's own verification, and its exit status.
case_about='random malloc, calloc, realloc, free with verification'
case_sets='quick'
case_tools=stress-ng
case_packages=stress-ng
case_proof=stress-ng

case_run() {
    under stress-ng --malloc 4 --malloc-bytes 256M --verify --metrics-brief \
        --timeout "$(pick 2 10 60)s" --temp-path . >under.out 2>&1 ||
        { cat under.out; fail 'stress-ng is not content'; }
    expect_line under.out 'successful run completed'
    expect_line under.out 'malloc +[1-9][0-9]*'
}
