/*
 * What: valid programs in C++: all forms of new and delete that fit
 * together, and what the language makes of them. No level may stop them.
 *
 * Invariants: as in scene.h.
 *
 * Locking: none.
 */
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "scene.h"

extern "C" const misuse_kind_t misuse_valid_cxx;

namespace
{

const char *const fine = "nothing was wrong";

void must(bool holds, const char *what)
{
    misuse_harm_if(!holds, what);
}

void plain(size_t size, size_t)
{
    ::operator delete(::operator new(opaque_size(size)));
    ::operator delete[](::operator new[](opaque_size(size)));
    ::operator delete(::operator new(opaque_size(size)), size);
    ::operator delete[](::operator new[](opaque_size(size)), size);
    ::operator delete(
        ::operator new(opaque_size(size), std::nothrow), std::nothrow);
    ::operator delete(opaque(nullptr));
    ::operator delete[](opaque(nullptr), size);
    go_on(size);
}

void aligned(size_t size, size_t alignment)
{
    auto a = static_cast<std::align_val_t>(alignment);
    row_make(size);
    for (int i = 0; i < 16; i++) {
        void *p = ::operator new(opaque_size(size), a);
        must(reinterpret_cast<uintptr_t>(p) % alignment == 0,
            "a misaligned block");
        std::memset(p, SCENE_WRONG, size);
        rows_check();
        if (i % 2 == 0) {
            ::operator delete(p, size, a);
        } else {
            ::operator delete(p, a);
        }
    }
    ::operator delete[](::operator new[](opaque_size(size), a), size, a);
    finish();
}

struct base {
    virtual ~base() = default;
    char bytes[40];
};

struct alignas(128) derived : base {
    char more[200];
};

struct big : base {
    char more[30000];
};

/* The size that reaches the operator is the derived object's. */
void by_base(size_t, size_t)
{
    for (int i = 0; i < 64; i++) {
        base *p = new derived;
        must(reinterpret_cast<uintptr_t>(p) % 128 == 0, "a misaligned object");
        delete static_cast<base *>(opaque(p));
        delete static_cast<base *>(opaque(new big));
    }
    go_on(sizeof(derived));
}

struct counted {
    static int live;
    char bytes[24];
    counted()
    {
        live++;
    }
    ~counted()
    {
        live--;
    }
};

int counted::live;

void arrays(size_t size, size_t)
{
    auto *things = new counted[size];
    delete[] static_cast<counted *>(opaque(things));
    delete[] new counted[opaque_size(0)];
    must(counted::live == 0, "objects are left over");
    go_on(size);
}

void containers(size_t size, size_t)
{
    std::vector<std::string> words;
    std::map<std::string, std::vector<char>> all;
    for (int i = 0; i < 100; i++) {
        words.emplace_back(size % 1000, static_cast<char>('a' + i % 26));
        all[words.back()].assign(size, 'x');
    }
    words.erase(words.begin() + 10, words.end() - 10);
    words.shrink_to_fit();
    std::string moved = std::move(words.front());
    must(moved == std::string(size % 1000, 'a'), "a string changed");
    all.erase(all.begin());
    go_on(size);
}

void shared_between_threads(size_t size, size_t)
{
    auto data = std::make_shared<std::vector<char>>(size, 'x');
    std::thread other([copy = data] { copy->resize(copy->size() * 2); });
    data.reset();
    other.join();
    go_on(size);
}

void exceptions(size_t, size_t)
{
    int caught = 0;
    for (int i = 0; i < 100; i++) {
        try {
            std::vector<char> v(100, 'x');
            throw std::runtime_error(std::string(i * 10, 'x'));
        } catch (const std::exception &) {
            caught++;
        }
    }
    try {
        ::operator delete(::operator new(opaque_size(SIZE_MAX)));
    } catch (const std::bad_alloc &) {
        caught++;
    }
    must(caught == 101, "an exception was lost");
    go_on(64);
}

/* Objects of the program that free when it ends. */
void static_objects(size_t size, size_t)
{
    static std::vector<char> at_exit(size, 'x');
    static thread_local std::string at_end(size, 'y');
    std::thread([size] { at_end.assign(size + 1, 'z'); }).join();
    must(at_exit[0] == 'x' && at_end[0] == 'y', "a static object changed");
    go_on(size);
}

void no_bytes(size_t, size_t)
{
    for (int i = 0; i < 64; i++) {
        void *p = ::operator new(opaque_size(0));
        must(p != nullptr, "new of no bytes is NULL");
        ::operator delete(p, opaque_size(0));
    }
    go_on(8);
}

const misuse_case_t cases[] = {
    {"valid_cxx_new", plain, 0, SIZES_ALL, fine},
    {"valid_cxx_aligned_32", aligned, 32, SIZES_ALL, fine},
    {"valid_cxx_aligned_4096", aligned, 4096, SIZES_ALL, fine},
    {"valid_cxx_by_base", by_base, 0, SIZES_ONE, fine},
    {"valid_cxx_arrays", arrays, 0, SIZES_SMALL, fine},
    {"valid_cxx_containers", containers, 0, SIZES_SMALL, fine},
    {"valid_cxx_threads", shared_between_threads, 0, SIZES_ALL, fine},
    {"valid_cxx_exceptions", exceptions, 0, SIZES_ONE, fine},
    {"valid_cxx_static_objects", static_objects, 0, SIZES_ALL, fine},
    {"valid_cxx_no_bytes", no_bytes, 0, SIZES_ONE, fine},
};

} // namespace

extern "C" {
const misuse_kind_t misuse_valid_cxx = {"valid_cxx", "valid programs in C++",
    cases, sizeof(cases) / sizeof(cases[0])};
}
