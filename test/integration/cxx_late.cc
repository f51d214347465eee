/*
 * What: a C++ module that a C program loads with dlopen, so that its runtime
 * arrives after the allocator. late_run returns 7 when bad_alloc arrived
 * (1), nothrow new gave NULL though the handler threw (2), and the handler's
 * own exception passed plain new (4).
 *
 * Invariants: none.
 *
 * Locking: none.
 */
#include <cstddef>
#include <cstdint>
#include <new>
#include <stdexcept>

static volatile std::size_t impossible = PTRDIFF_MAX;

static void throwing_handler()
{
    throw std::runtime_error("handler");
}

extern "C" int late_run()
{
    int result = 0;
    try {
        ::operator delete(::operator new(impossible));
    } catch (const std::bad_alloc &) {
        result |= 1;
    }
    std::set_new_handler(throwing_handler);
    if (::operator new(impossible, std::nothrow) == nullptr) {
        result |= 2;
    }
    try {
        ::operator delete(::operator new(impossible));
    } catch (const std::runtime_error &) {
        result |= 4;
    }
    std::set_new_handler(nullptr);
    return result;
}
