// What: a program that makes no mistake, and uses each way there is to take
// and give back a block, crossed with one another; in several threads, in a
// fork child, with explicit caches, and with arenas that are reset while
// blocks live in them.
//
// Invariants: (I1) memcheck has nothing to say, and nothing lives at the end;
// (I2) all that a block is said to hold is written and read.
//
// Locking: none; threads share nothing.
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>
#include <vector>

#include <jemalloc/jemalloc.h>

#pragma weak mallocx
#pragma weak rallocx
#pragma weak xallocx
#pragma weak sallocx
#pragma weak dallocx
#pragma weak sdallocx
#pragma weak nallocx
#pragma weak mallctl
#pragma weak free_sized
#pragma weak free_aligned_sized

#define NEED(x)                                                               \
    do {                                                                      \
        if (!(x)) {                                                           \
            fprintf(stderr, "clean: line %d: %s\n", __LINE__, #x);            \
            _exit(2);                                                         \
        }                                                                     \
    } while (0)

static char *use(void *p, size_t size)
{
    NEED(p != nullptr);
    memset(p, 0x5c, size);
    NEED(size == 0 || static_cast<char *>(p)[size - 1] == 0x5c);
    return static_cast<char *>(p);
}

static char *zeroed(void *p, size_t from, size_t size)
{
    char *bytes = static_cast<char *>(p);
    NEED(bytes != nullptr);
    for (size_t i = from; i < size; i++) {
        NEED(bytes[i] == 0);
    }
    return bytes;
}

static void libc_family(size_t n)
{
    void *p = malloc(n);
    use(p, malloc_usable_size(p));
    dallocx(p, 0);
    p = zeroed(calloc(1, n), 0, n);
    p = use(realloc(p, 2 * n + 1), 2 * n + 1);
    p = use(realloc(p, n / 2 + 1), n / 2 + 1);
    free(p);
    p = use(aligned_alloc(64, n), n);
    free_aligned_sized(p, 64, n);
    NEED(posix_memalign(&p, 4096, n) == 0);
    use(p, n);
    sdallocx(p, n, MALLOCX_ALIGN(4096));
    free(use(memalign(8192, n), n));
    free(use(valloc(n), n));
    free(use(pvalloc(n), n));
    free_sized(use(malloc(n), n), n);
    free(use(reallocarray(nullptr, n + 1, 3), 3 * n + 3));
}

static void extended_family(size_t n)
{
    size_t usable = nallocx(n, 0);
    void *p = use(mallocx(n, 0), usable);
    NEED(sallocx(p, 0) == usable);
    free(p);
    p = zeroed(mallocx(n, MALLOCX_ZERO | MALLOCX_ALIGN(256)), 0, n);
    NEED((reinterpret_cast<uintptr_t>(p) & 255) == 0);
    p = zeroed(rallocx(p, 3 * n, MALLOCX_ZERO), usable, 3 * n);
    usable = xallocx(p, 2 * n, n, 0);
    use(p, usable);
    usable = xallocx(p, 4 * n, 0, MALLOCX_ZERO);
    use(p, usable);
    sdallocx(p, usable, 0);
    p = use(mallocx(n, MALLOCX_TCACHE_NONE), n);
    dallocx(p, MALLOCX_TCACHE_NONE);
    p = use(rallocx(malloc(n), n + 50, MALLOCX_ALIGN(128)), n + 50);
    dallocx(use(realloc(p, n + 10), n + 10), 0);
}

static void explicit_caches()
{
    unsigned cache;
    size_t size = sizeof(cache);
    void *blocks[100];
    NEED(mallctl("tcache.create", &cache, &size, nullptr, 0) == 0);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 100; i++) {
            size_t n = 30 * i + 1;
            blocks[i] = use(mallocx(n, MALLOCX_TCACHE(cache)), n);
        }
        for (void *p : blocks) {
            dallocx(p, MALLOCX_TCACHE(cache));
        }
        NEED(mallctl("tcache.flush", nullptr, nullptr, &cache, size) == 0);
    }
    NEED(mallctl("tcache.destroy", nullptr, nullptr, &cache, size) == 0);
    NEED(mallctl("thread.tcache.flush", nullptr, nullptr, nullptr, 0) == 0);
}

// Some blocks end before the arena does, in all ways there are.
static void fill_arena(int flags)
{
    for (size_t i = 0; i < 60; i++) {
        size_t n = 500 * i + 1;
        void *small = use(mallocx(n, flags), n);
        void *large = use(mallocx(n, flags | MALLOCX_ALIGN(8192)), n);
        switch (i % 5) {
        case 0:
            dallocx(small, flags);
            break;
        case 1:
            free(small);
            break;
        case 2:
            use(rallocx(large, 40000, flags), 40000);
            break;
        case 3:
            use(rallocx(mallocx(50, flags), 51, MALLOCX_TCACHE_NONE), 51);
            break;
        default:
            free(realloc(small, n + 5000));
        }
    }
}

static void arenas()
{
    unsigned arena;
    size_t size = sizeof(arena);
    char name[64];
    NEED(mallctl("arenas.create", &arena, &size, nullptr, 0) == 0);
    int flags = MALLOCX_ARENA(arena) | MALLOCX_TCACHE_NONE;
    for (int round = 0; round < 2; round++) {
        fill_arena(flags);
        NEED(mallctl("thread.tcache.flush", nullptr, nullptr, nullptr, 0) == 0);
        snprintf(name, sizeof(name), "arena.%u.reset", arena);
        NEED(mallctl(name, nullptr, nullptr, nullptr, 0) == 0);
    }
    use(mallocx(100, flags), 100);
    snprintf(name, sizeof(name), "arena.%u.destroy", arena);
    NEED(mallctl(name, nullptr, nullptr, nullptr, 0) == 0);
}

struct alignas(128) wide {
    char bytes[300];
};

static void operators()
{
    delete new int(5);
    delete new wide;
    delete[] new wide[3];
    delete[] new char[100];
    const std::align_val_t line{64};
    ::operator delete(use(::operator new(33), 33), size_t(33));
    ::operator delete(use(::operator new(33, line), 33), size_t(33), line);
    ::operator delete[](use(::operator new[](33, line), 33), line);
    void *p = use(::operator new(33, std::nothrow), 33);
    ::operator delete(p, std::nothrow);
    p = use(::operator new[](33, std::nothrow), 33);
    ::operator delete[](p, size_t(33));
    std::vector<int> numbers;
    for (int i = 0; i < 2000; i++) {
        numbers.push_back(i);
    }
}

static void everything()
{
    for (size_t n = 1; n < 40000; n = 2 * n + 3) {
        libc_family(n);
        extended_family(n);
    }
    libc_family(0);
    void *p = use(realloc(malloc(100000), 3 << 20), 3 << 20);
    free(realloc(p, 100));
    free(nullptr);
    dallocx(strdup("from the C library"), 0);
    explicit_caches();
    operators();
}

int main()
{
    everything();
    arenas();
    {
        std::thread threads[2] = {
            std::thread(everything), std::thread(everything)};
        for (std::thread &t : threads) {
            t.join();
        }
    }
    pid_t child = fork();
    if (child == 0) {
        everything();
        arenas();
        return 0;
    }
    int status = 1;
    NEED(waitpid(child, &status, 0) == child && status == 0);
    NEED(malloc_trim(0) >= 0);
    return 0;
}
