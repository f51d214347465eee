# What: g++ on a generated file full of templates and standard containers,
# and the program it makes.
#
# Exercises: a compiler's deep trees; then operator new and delete, sized and
# aligned ones, exceptions, and threads of the program itself.
#
# Answer: the object file equals that of the run without the library; the
# program's output equals that of the run without.
case_about='generated templates; equal object; new and delete in the program'
case_sets='quick'
case_tools='g++ perl'
case_packages='g++ libc6-dev perl'
case_proof='@(cc1plus|program)'

write_source() {
    perl -e '
        my $count = shift;
        print "#include <$_>\n" for qw(algorithm cstdio map memory new string
            thread unordered_map variant vector);
        print "struct alignas(128) wide { long v[16]; };\n",
            "template <int N> struct node {\n",
            "    std::map<std::string, std::vector<int>> m;\n",
            "    std::unordered_map<int, std::shared_ptr<std::string>> u;\n",
            "    std::variant<int, std::string, double> v;\n",
            "    long work(int n) {\n        long t = N;\n",
            "        for (int i = 0; i < n; i++) {\n",
            "            auto &l = m[std::to_string(i % (N + 3))];\n",
            "            l.push_back(i * N);\n",
            "            u[i] = std::make_shared<std::string>(i % 90, 0x41);\n",
            "            if (i % 3) { u.erase(i / 2); }\n",
            "            v = std::string(i % 60, 0x42);\n",
            "            std::unique_ptr<wide> w(new wide{});\n",
            "            w->v[3] = i;\n",
            "            t += w->v[3] + (long)((unsigned long)w.get() % 128);\n",
            "        }\n",
            "        for (auto &e : m) {\n",
            "            std::sort(e.second.begin(), e.second.end(),\n",
            "                [](int a, int b) { return a % (N + 7) < b % (N + 7)\n",
            "                    || (a % (N + 7) == b % (N + 7) && a < b); });\n",
            "            t = (t * 31 + e.second.front()) % 1000003;\n",
            "        }\n",
            "        try { throw std::string(N, 0x43); }\n",
            "        catch (const std::string &s) { t += s.size(); }\n",
            "        return t + u.size() + node<N - 1>().work(n / 2);\n",
            "    }\n};\n",
            "template <> struct node<0> { long work(int) { return 0; } };\n",
            "int main(int, char **argv)\n{\n",
            "    long r[4];\n    std::vector<std::thread> ts;\n",
            "    int n = std::stoi(argv[1]);\n",
            "    for (int i = 0; i < 4; i++) { ts.emplace_back([&r, i, n] {\n",
            "        r[i] = node<$count>().work(n + i); }); }\n",
            "    for (auto &t : ts) { t.join(); }\n",
            "    try { volatile size_t huge = ~0UL / 4;\n",
            "        r[0] += (long)::operator new(huge); }\n",
            "    catch (const std::bad_alloc &) { std::puts(\"refused\"); }\n",
            "    std::printf(\"%ld %ld %ld %ld\\n\", r[0], r[1], r[2], r[3]);\n",
            "}\n";
    ' "$1"
}

case_run() {
    write_source "$(pick 10 25 150)" >large.cc
    plain g++ -std=c++17 -O1 -c -o plain.o large.cc
    under g++ -std=c++17 -O1 -c -o under.o large.cc
    same plain.o under.o
    plain g++ -pthread -o program under.o
    both ./program "$(pick 10000 100000 500000)"
}
