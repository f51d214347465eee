/*
 * What: twenty places that allocate known amounts through templates that are
 * inlined into them, see sites.h.
 *   sites BYTES     about so many at each place
 *
 * Invariants: as there.
 *
 * Locking: none.
 */
#include <memory>
#include <new>
#include <unistd.h>

#include "sites.h"

namespace
{

template <std::size_t Bytes> struct Block {
    char bytes[Bytes];
};

template <class T> struct Plain {
    static T *make()
    {
        return new T;
    }
};

template <class T> struct Array {
    static T *make()
    {
        return new T[1];
    }
};

template <class T> struct Unique {
    static T *make()
    {
        return std::unique_ptr<T>(new T).release();
    }
};

template <class T> struct Allocated {
    static T *make()
    {
        return std::allocator<T>().allocate(1);
    }
};

template <template <class> class Maker, std::size_t Bytes>
inline __attribute__((always_inline)) void fill(unsigned number)
{
    std::size_t count = sites_count(Bytes);
    for (std::size_t i = 0; i < count; i++) {
        kept[i] = Maker<Block<Bytes>>::make();
    }
    sites_settle(number, count, [](void *p) { ::operator delete(p); });
}

} // namespace

#define SITE(number, bytes)                                                    \
    extern "C" __attribute__((noinline)) void site_##number()                  \
    {                                                                          \
        constexpr unsigned n = 1##number - 100;                                \
        if constexpr (n % 4 == 0) {                                            \
            fill<Plain, bytes>(n);                                             \
        } else if constexpr (n % 4 == 1) {                                     \
            fill<Array, bytes>(n);                                             \
        } else if constexpr (n % 4 == 2) {                                     \
            fill<Unique, bytes>(n);                                            \
        } else {                                                               \
            fill<Allocated, bytes>(n);                                         \
        }                                                                      \
    }

SITES(SITE)

int main(int argc, char **argv)
{
    budget = argc > 1 ? strtoul(argv[1], nullptr, 0) : 65536;
#define CALL(number, bytes) site_##number();
    SITES(CALL)
    return 0;
}
