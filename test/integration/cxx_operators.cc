/*
 * What: a C++ program that checks the operators new and delete of the
 * library it runs with: results, alignment, the new-handler protocol, and
 * exceptions. Prints what failed and exits with the number of failures; the
 * script cxx.sh builds it in several ways and runs it.
 *
 * Invariants: every failing request is made to fail by its size or by an
 * address-space limit, never by luck.
 *
 * Locking: none; handlers run on the thread that allocates.
 */
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <malloc.h>
#include <new>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <vector>

namespace
{

int failures;

#define CHECK(condition)                                                       \
    do {                                                                       \
        if (!(condition)) {                                                    \
            std::fprintf(                                                      \
                stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);        \
            failures++;                                                        \
        }                                                                      \
    } while (0)

/* Above every size class; volatile so that no compiler reasons about it. */
volatile std::size_t impossible = PTRDIFF_MAX;

int handler_calls;

bool is_aligned(const void *p, std::size_t alignment)
{
    return (reinterpret_cast<std::uintptr_t>(p) & (alignment - 1)) == 0;
}

/* Keeps the pair of new and delete from being optimised away. */
void use(void *p, std::size_t size)
{
    std::memset(p, 0x5c, size);
    __asm__ volatile("" : : "r"(p) : "memory");
}

void check_plain()
{
    for (std::size_t size = 1; size < 100000; size = size * 3 / 2 + 1) {
        void *a = ::operator new(size);
        void *b = ::operator new[](size);
        void *c = ::operator new(size, std::nothrow);
        void *d = ::operator new[](size, std::nothrow);
        CHECK(a && b && c && d && a != b && b != c && c != d);
        CHECK(malloc_usable_size(a) >= size);
        CHECK(malloc_usable_size(d) >= size);
        CHECK(size < 16 || is_aligned(a, 16));
        use(a, size);
        use(b, size);
        use(c, size);
        use(d, size);
        ::operator delete(a);
        ::operator delete[](b);
        ::operator delete(c, std::nothrow);
        ::operator delete[](d, std::nothrow);
        a = ::operator new(size);
        b = ::operator new[](size);
        use(a, size);
        use(b, size);
        ::operator delete(a, size);
        ::operator delete[](b, size);
    }
    void *zero = ::operator new(0);
    void *other = ::operator new(0);
    CHECK(zero != nullptr && zero != other);
    ::operator delete(zero);
    ::operator delete(other);
}

void check_aligned_at(std::size_t size, std::size_t alignment)
{
    std::align_val_t al{alignment};
    void *p[4] = {::operator new(size, al), ::operator new[](size, al),
        ::operator new(size, al, std::nothrow),
        ::operator new[](size, al, std::nothrow)};

    for (void *q : p) {
        CHECK(q != nullptr && is_aligned(q, alignment));
        use(q, size);
    }
    ::operator delete(p[0], al);
    ::operator delete[](p[1], al);
    ::operator delete(p[2], al, std::nothrow);
    ::operator delete[](p[3], al, std::nothrow);
    p[0] = ::operator new(size, al);
    p[1] = ::operator new[](size, al);
    use(p[0], size);
    use(p[1], size);
    ::operator delete(p[0], size, al);
    ::operator delete[](p[1], size, al);
}

void check_aligned()
{
    for (std::size_t alignment = 1; alignment <= 65536; alignment *= 2) {
        for (std::size_t size : {0, 1, 10, 63, 64, 100, 4096, 14336, 70000}) {
            check_aligned_at(size, alignment);
        }
    }
    struct alignas(256) wide {
        char bytes[300];
    };
    auto *one = new wide;
    auto *many = new wide[7];
    CHECK(is_aligned(one, 256) && is_aligned(many, 256));
    use(many, sizeof(wide) * 7);
    delete one;
    delete[] many;
}

void check_null_delete()
{
    void *volatile none = nullptr;
    std::align_val_t al{64};
    for (int i = 0; i < 3; i++) {
        ::operator delete(none);
        ::operator delete[](none);
        ::operator delete(none, std::nothrow);
        ::operator delete[](none, std::nothrow);
        ::operator delete(none, 24);
        ::operator delete[](none, 24);
        ::operator delete(none, al);
        ::operator delete[](none, al);
        ::operator delete(none, al, std::nothrow);
        ::operator delete[](none, al, std::nothrow);
        ::operator delete(none, 24, al);
        ::operator delete[](none, 24, al);
    }
    void *p = ::operator new(24);
    CHECK(p != nullptr);
    ::operator delete(p);
}

/* What a call with the impossible size throws, by name. */
template <typename F> std::string thrown_by(F call)
{
    try {
        void *p = call();
        return p == nullptr ? "null" : "block";
    } catch (const std::bad_alloc &) {
        return "bad_alloc";
    } catch (const std::exception &e) {
        return e.what();
    } catch (int value) {
        return "int " + std::to_string(value);
    } catch (...) {
        return "other";
    }
}

void check_all_fail(const char *plain)
{
    std::align_val_t al{64};
    auto is = [](const std::string &a, const char *b) {
        if (a != b) {
            std::fprintf(stderr, "got '%s', expected '%s'\n", a.c_str(), b);
        }
        return a == b;
    };
    CHECK(is(thrown_by([] { return ::operator new(impossible); }), plain));
    CHECK(is(thrown_by([] { return ::operator new[](impossible); }), plain));
    CHECK(is(thrown_by([=] { return ::operator new(impossible, al); }), plain));
    CHECK(
        is(thrown_by([=] { return ::operator new[](impossible, al); }), plain));
    CHECK(is(thrown_by([] { return ::operator new(impossible, std::nothrow); }),
        "null"));
    CHECK(
        is(thrown_by([] { return ::operator new[](impossible, std::nothrow); }),
            "null"));
    CHECK(is(
        thrown_by([=] { return ::operator new(impossible, al, std::nothrow); }),
        "null"));
    CHECK(is(thrown_by([=] {
        return ::operator new[](impossible, al, std::nothrow);
    }),
        "null"));
}

void check_no_handler()
{
    std::set_new_handler(nullptr);
    check_all_fail("bad_alloc");
    errno = 0;
    CHECK(thrown_by([] { return ::operator new(impossible, std::nothrow); }) ==
          "null");
    CHECK(errno == ENOMEM);
    std::align_val_t odd{24};
    CHECK(thrown_by([=] { return ::operator new(100, odd); }) == "bad_alloc");
    /* Which errno is ours to say only where the operator is ours. */
    CHECK(thrown_by([=] { return ::operator new(100, odd, std::nothrow); }) ==
          "null");
}

void handler_bad_alloc()
{
    handler_calls++;
    throw std::bad_alloc();
}

void handler_runtime_error()
{
    handler_calls++;
    throw std::runtime_error("from the handler");
}

void handler_int()
{
    handler_calls++;
    throw 42;
}

void handler_last()
{
    handler_calls++;
    std::set_new_handler(nullptr);
}

void handler_installs_another()
{
    handler_calls++;
    std::set_new_handler(handler_last);
}

void check_handlers()
{
    handler_calls = 0;
    std::set_new_handler(handler_bad_alloc);
    check_all_fail("bad_alloc");
    CHECK(handler_calls == 8);
    std::set_new_handler(handler_runtime_error);
    check_all_fail("from the handler");
    CHECK(handler_calls == 16);
    std::set_new_handler(handler_int);
    check_all_fail("int 42");
    CHECK(handler_calls == 24);

    handler_calls = 0;
    std::set_new_handler(handler_installs_another);
    CHECK(thrown_by([] { return ::operator new(impossible); }) == "bad_alloc");
    CHECK(handler_calls == 2);
    std::set_new_handler(handler_installs_another);
    CHECK(thrown_by([] { return ::operator new(impossible, std::nothrow); }) ==
          "null");
    CHECK(handler_calls == 4);
    std::set_new_handler(nullptr);
}

/* An object between the throw and the catch must be destroyed. */
struct witness {
    int *count;
    ~witness()
    {
        (*count)++;
    }
};

void throw_through(int depth, int *count)
{
    witness w{count};
    if (depth == 0) {
        use(::operator new(impossible), 1);
        return;
    }
    throw_through(depth - 1, count);
}

void check_frames()
{
    int destroyed = 0;
    try {
        throw_through(9, &destroyed);
        CHECK(!"the exception got lost");
    } catch (const std::bad_alloc &e) {
        CHECK(std::string(e.what()) == "std::bad_alloc");
    }
    CHECK(destroyed == 10);
    /* A caught handler exception must leave no exception behind. */
    std::set_new_handler(handler_runtime_error);
    for (int i = 0; i < 1000; i++) {
        CHECK(::operator new(impossible, std::nothrow) == nullptr);
    }
    CHECK(std::uncaught_exceptions() == 0);
    CHECK(std::current_exception() == nullptr);
    /* While another exception is being handled. */
    try {
        throw std::logic_error("outer");
    } catch (const std::logic_error &outer) {
        CHECK(::operator new(impossible, std::nothrow) == nullptr);
        CHECK(std::string(outer.what()) == "outer");
        try {
            std::rethrow_exception(std::current_exception());
        } catch (const std::logic_error &again) {
            CHECK(std::string(again.what()) == "outer");
        }
    }
    std::set_new_handler(nullptr);
}

const std::size_t block_bytes = 64u << 20;
std::vector<void *> hoard;

void handler_frees()
{
    handler_calls++;
    if (hoard.empty()) {
        throw std::bad_alloc();
    }
    ::operator delete(hoard.back());
    hoard.pop_back();
}

/* Fills a limited address space, then lives on what the handler frees. */
void check_handler_frees(std::size_t alignment)
{
    std::align_val_t al{alignment};
    if (std::getenv("JE_EMULATOR") != nullptr &&
        *std::getenv("JE_EMULATOR") != '\0') {
        return; /* an emulator limits no addresses */
    }
    struct rlimit old, tight = {(rlim_t)3 << 30, (rlim_t)3 << 30};
    getrlimit(RLIMIT_AS, &old);
    tight.rlim_max = old.rlim_max;
    hoard.reserve(256);
    CHECK(setrlimit(RLIMIT_AS, &tight) == 0);
    for (;;) {
        void *p = alignment == 0
                      ? ::operator new(block_bytes, std::nothrow)
                      : ::operator new(block_bytes, al, std::nothrow);
        if (p == nullptr || hoard.size() == hoard.capacity()) {
            break;
        }
        hoard.push_back(p);
    }
    CHECK(hoard.size() > 8 && hoard.size() < hoard.capacity());
    handler_calls = 0;
    std::set_new_handler(handler_frees);
    void *p = alignment == 0 ? ::operator new(block_bytes)
                             : ::operator new(block_bytes, al);
    CHECK(p != nullptr && handler_calls >= 1);
    CHECK(alignment == 0 || is_aligned(p, alignment));
    void *q = alignment == 0 ? ::operator new(block_bytes, std::nothrow)
                             : ::operator new(block_bytes, al, std::nothrow);
    CHECK(q != nullptr && handler_calls >= 2);
    CHECK(alignment == 0 || is_aligned(q, alignment));
    std::set_new_handler(nullptr);
    setrlimit(RLIMIT_AS, &old);
    ::operator delete(p);
    ::operator delete(q);
    for (void *each : hoard) {
        ::operator delete(each);
    }
    hoard.clear();
}

void handler_exits_thread()
{
    pthread_exit(reinterpret_cast<void *>(7));
}

void *nothrow_in_thread(void *)
{
    void *p = ::operator new(impossible, std::nothrow);
    return p == nullptr ? nullptr : p;
}

/* pthread_exit unwinds by force: nothrow new must not take it for an error. */
void check_forced_unwind()
{
    pthread_t thread;
    void *result = nullptr;
    std::set_new_handler(handler_exits_thread);
    CHECK(pthread_create(&thread, nullptr, nothrow_in_thread, nullptr) == 0);
    CHECK(pthread_join(thread, &result) == 0);
    CHECK(result == reinterpret_cast<void *>(7));
    std::set_new_handler(nullptr);
}

} // namespace

int main(int argc, char **argv)
{
    if (argc > 1) {
        /* Modes for the script: fail once, plain or nothrow, and report. */
        std::size_t size = std::strtoull(argv[2], nullptr, 0);
        bool plain = std::string(argv[1]) == "plain";
        impossible = size;
        std::string end = thrown_by([=] {
            return plain ? ::operator new(impossible)
                         : ::operator new(impossible, std::nothrow);
        });
        std::puts(end.c_str());
        return 0;
    }
    check_plain();
    check_aligned();
    check_null_delete();
    check_no_handler();
    check_handlers();
    check_frames();
    if (std::getenv("OPERATORS_OF_RUNTIME") == nullptr) {
        /* Some runtimes' own operators fail this one. */
        check_forced_unwind();
    }
    check_handler_frees(0);
    check_handler_frees(1 << 16);
    return failures > 100 ? 100 : failures;
}
