# What: gcc on one large generated C file, with and without optimisation.
#
# Exercises: obstacks and zones of a compiler, big hash tables, mremap-like
# growth, exit without freeing.
#
# Answer: the assembler text equals that of the run without the library, and
# the compiled program prints a known sum.
case_about='a large generated C file; equal assembler text'
case_sets='quick'
case_tools='gcc perl'
case_packages='gcc libc6-dev perl'
case_proof=cc1

write_source() {
    perl -e '
        my $count = shift;
        print "struct s { int a[8]; struct s *next; };\n";
        for my $i (0 .. $count - 1) {
            my $k = $i % 37 + 2;
            print "int f$i(struct s *p, int n)\n{\n    int t = $i;\n",
                "    for (int i = 0; i < n; i++) {\n",
                "        switch ((t + i) % $k) {\n";
            print "        case $_: t += p->a[(i + $_) & 7] * ${\($_ + $i)};",
                " break;\n" for 0 .. $k / 2;
            print "        default: t ^= n << (i & 7);\n        }\n",
                "        p->a[i & 7] = t;\n    }\n    return t;\n}\n";
        }
        print "#include <stdio.h>\nint main(void)\n{\n",
            "    struct s x = {{1, 2, 3, 4, 5, 6, 7, 8}, 0};\n",
            "    unsigned t = 0;\n";
        print "    t += (unsigned)f$_(&x, 9);\n" for 0 .. $count - 1;
        print "    printf(\"%u\\n\", t);\n    return 0;\n}\n";
    ' "$1"
}

case_run() {
    local options
    write_source "$(pick 100 250 1500)" >large.c
    for options in -O2 -g; do
        plain gcc -w -fwrapv "$options" -S -o plain.s large.c
        under gcc -w -fwrapv "$options" -S -o under.s large.c
        same plain.s under.s
    done
    under gcc -w -fwrapv -O1 -o program large.c
    plain gcc -w -fwrapv -O0 -o reference large.c
    expect "$(./program)" "$(./reference)" 'sum of the compiled program'
}
