/*
 * What: misuse that C++ knows: operators new and delete that do not fit
 * together, and containers, iterators and smart pointers that outlive what
 * they point to. Harm is as with the same misuse in C.
 *
 * Invariants: as in scene.h. The operators are called by their names, as
 * what a compiler may leave out is only the expression.
 *
 * Locking: none.
 */
#include <cstdlib>
#include <cstring>
#include <list>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "scene.h"

extern "C" const misuse_kind_t misuse_cxx_operators;

namespace
{

const char *const not_twice = "the block was not given to two owners";
const char *const nobodys = "only bytes that no live block owns changed";
const char *const no_stale = "nothing of what was freed was there any more";
const char *const not_reused =
    "the block was not given to anybody else meanwhile";
const char *const fits =
    "whoever got the block next found room for all that was asked";
const char *const ignored =
    "the call changed nothing that malloc returns later";
const char *const same_heap = "both functions serve the same heap";

void *by_new(size_t size)
{
    return ::operator new(opaque_size(size));
}

void *by_new_array(size_t size)
{
    return ::operator new[](opaque_size(size));
}

void *by_aligned_new(size_t size)
{
    return ::operator new(opaque_size(size), std::align_val_t(64));
}

/* Ends a case in which a size, or an alignment, was named. */
void end_with(size_t named)
{
    row_more(named < 8 ? 8 : named, named <= 4096 ? 64 : 8);
    finish();
}

/* The program uses both sizes. */
row_t *row_beside(size_t size, size_t named, row_alloc_t alloc)
{
    row_t *row = row_make_by(size, alloc);
    others_come_and_go(named < 8 ? 8 : named, 8);
    return row;
}

/* ---- overflows ---- */

void overflow_new(size_t size, size_t n)
{
    row_t *row = row_make_by(size, by_new);
    wrong_write(row_victim(row) + size, n);
    finish();
}

void overflow_array(size_t size, size_t n)
{
    row_t *row = row_make_by(size, by_new_array);
    wrong_write(row_victim(row) - n, n);
    finish();
}

/* v[v.size()] = x, between others of its size. */
void overflow_vector(size_t size, size_t past)
{
    row_make_by(size, by_new);
    std::vector<char> v(size);
    row_more(size, 16);
    wrong_write(static_cast<char *>(opaque(v.data())) + size + past, 8);
    rows_check();
}

void overflow_string(size_t size, size_t past)
{
    row_make_by(size + 1, by_new);
    std::string s(size, 'x');
    row_more(size + 1, 16);
    wrong_write(static_cast<char *>(opaque(s.data())) + size + 1 + past, 16);
    rows_check();
}

/* ---- deleted twice ---- */

void delete_twice(size_t size, size_t)
{
    row_t *row = row_make_by(size, by_new);
    ::operator delete(row_drop(row));
    ::operator delete(opaque(row_victim(row)));
    finish();
}

void delete_array_twice(size_t size, size_t)
{
    row_t *row = row_make_by(size, by_new_array);
    ::operator delete[](row_drop(row));
    ::operator delete[](opaque(row_victim(row)));
    finish();
}

void delete_sized_twice(size_t size, size_t)
{
    row_t *row = row_make_by(size, by_new);
    ::operator delete(row_drop(row), size);
    ::operator delete(opaque(row_victim(row)), size);
    finish();
}

void delete_then_free(size_t size, size_t)
{
    row_t *row = row_make_by(size, by_new);
    ::operator delete(row_drop(row));
    give(row_victim(row));
    finish();
}

void free_then_delete(size_t size, size_t)
{
    row_t *row = row_make_by(size, by_new);
    ::operator delete(row_give(row), size);
    finish();
}

void delete_aligned_twice(size_t size, size_t)
{
    row_t *row = row_make_by(size, by_aligned_new);
    ::operator delete(row_drop(row), std::align_val_t(64));
    ::operator delete(opaque(row_victim(row)), std::align_val_t(64));
    finish();
}

/* Two owners made of one pointer. */
void two_shared_owners(size_t, size_t)
{
    struct thing {
        char bytes[64];
    };
    row_make_by(sizeof(thing), by_new);
    auto *raw = static_cast<thing *>(opaque(new thing));
    {
        std::shared_ptr<thing> first(raw);
        std::shared_ptr<thing> second(static_cast<thing *>(opaque(raw)));
    }
    go_on(sizeof(thing));
    finish();
}

void get_and_delete(size_t, size_t)
{
    struct thing {
        char bytes[100];
    };
    row_make_by(sizeof(thing), by_new);
    {
        std::unique_ptr<thing> owner(new thing);
        delete static_cast<thing *>(opaque(owner.get()));
    }
    go_on(sizeof(thing));
    finish();
}

/* A class that copies its pointer, and not what it points to. */
void copied_owner(size_t size, size_t)
{
    struct buffer {
        char *data;
        explicit buffer(size_t n) : data(static_cast<char *>(by_new_array(n)))
        {
        }
        ~buffer()
        {
            ::operator delete[](opaque(data));
        }
    };
    row_make_by(size, by_new);
    {
        buffer one(size);
        alignas(buffer) unsigned char copy[sizeof(buffer)];
        std::memcpy(copy, &one, sizeof(buffer));
        reinterpret_cast<buffer *>(copy)->~buffer();
    }
    finish();
}

/* ---- not what new gave ---- */

void delete_interior(size_t size, size_t offset)
{
    row_t *row = row_make_by(size, by_new);
    ::operator delete(opaque(row_victim(row) + offset));
    row_more(size, 64);
    rows_check();
    finish();
}

/* The array of objects with a destructor begins behind its count. */
void delete_of_array(size_t, size_t)
{
    struct thing {
        char bytes[24];
        ~thing()
        {
            bytes[0] = 0;
        }
    };
    row_make_by(8 + 4 * sizeof(thing), by_new);
    thing *things = new thing[4];
    ::operator delete(opaque(things));
    row_more(8 + 4 * sizeof(thing), 32);
    rows_check();
    finish();
}

/* The count in front of it is the end of another block. */
void delete_array_of_one(size_t size, size_t)
{
    row_t *row = row_make_by(size, by_new);
    ::operator delete[](opaque(row_victim(row) - sizeof(size_t)));
    row_more(size, 64);
    rows_check();
    finish();
}

void delete_stack(size_t, size_t)
{
    unsigned char object[64];
    std::memset(object, SCENE_WRONG, sizeof(object));
    ::operator delete(opaque(object));
    go_on(64);
}

void delete_member(size_t, size_t)
{
    struct outer {
        char first[32];
        char second[32];
    };
    row_make_by(sizeof(outer), by_new);
    auto *whole = new outer;
    ::operator delete(opaque(whole->second), sizeof(whole->second));
    row_more(sizeof(whole->second), 64);
    misuse_harm_if(rows_touch(whole, sizeof(outer)), "two live blocks overlap");
    finish();
}

/* The second base of an object, without a virtual destructor. */
void delete_second_base(size_t, size_t)
{
    struct first {
        char bytes[48];
    };
    struct second {
        char bytes[48];
    };
    struct both : first, second {
    };
    row_make_by(sizeof(both), by_new);
    auto *whole = new both;
    second *part = whole;
    delete static_cast<second *>(opaque(part));
    row_more(sizeof(second), 64);
    misuse_harm_if(rows_touch(whole, sizeof(both)), "two live blocks overlap");
    finish();
}

/* ---- wrong sizes and alignments ---- */

void sized_as(size_t size, size_t named)
{
    row_t *row = row_beside(size, named, by_new);
    ::operator delete(row_drop(row), opaque_size(named));
    end_with(named);
}

void sized_twice(size_t size, size_t factor)
{
    sized_as(size, size * factor);
}

void sized_half(size_t size, size_t divisor)
{
    sized_as(size, size / divisor);
}

void sized_array(size_t size, size_t factor)
{
    row_t *row = row_beside(size, size * factor, by_new_array);
    ::operator delete[](row_drop(row), opaque_size(size * factor));
    end_with(size * factor);
}

/* A derived object by its base, which has no virtual destructor. */
void sized_base(size_t, size_t)
{
    struct base {
        char bytes[40];
    };
    struct derived : base {
        char more[200];
    };
    row_beside(sizeof(derived), sizeof(base), by_new);
    base *p = new derived;
    delete static_cast<base *>(opaque(p));
    end_with(sizeof(base));
}

void aligned_delete_of_plain(size_t size, size_t alignment)
{
    row_t *row = row_make_by(size, by_new);
    ::operator delete(::operator new(size, std::align_val_t(alignment)),
        std::align_val_t(alignment));
    ::operator delete(row_drop(row), size, std::align_val_t(alignment));
    row_more(size, 32);
    for (int i = 0; i < 16; i++) {
        void *p = ::operator new(size, std::align_val_t(alignment));
        misuse_harm_if(reinterpret_cast<uintptr_t>(p) % alignment != 0,
            "aligned new returned a misaligned block");
        misuse_harm_if(rows_touch(p, size), "two live blocks overlap");
    }
    finish();
}

void plain_delete_of_aligned(size_t size, size_t alignment)
{
    row_beside(size, size, by_new);
    void *p = ::operator new(opaque_size(size), std::align_val_t(alignment));
    ::operator delete(opaque(p), size);
    end_with(size);
}

void delete_of_malloc(size_t size, size_t)
{
    row_t *row = row_make(size);
    ::operator delete(row_drop(row));
    finish();
}

void free_of_new(size_t size, size_t)
{
    row_t *row = row_make_by(size, by_new);
    give(row_drop(row));
    finish();
}

/* ---- what outlives its object ---- */

void dangling_vector_pointer(size_t size, size_t n)
{
    std::vector<char> v(size);
    char *old = static_cast<char *>(opaque(v.data()));
    v.resize(v.capacity() * 2 + n);
    unsigned char *owner = take_again(old, size, 256);
    wrong_write(old, 8);
    if (owner != nullptr) {
        check_taken(owner, size);
    }
}

void dangling_vector_iterator(size_t size, size_t n)
{
    std::vector<char> v(size, static_cast<char>(SCENE_SECRET));
    const char *old = static_cast<char *>(opaque(v.data()));
    v.resize(v.capacity() * 2 + n);
    misuse_expect_fault(old, size);
    misuse_harm_if(
        secret_in(old, size), "the freed block still held what it held");
    misuse_expect_fault(nullptr, 0);
    go_on(size);
}

void dangling_string_view(size_t size, size_t n)
{
    std::string s(size + n, static_cast<char>(SCENE_SECRET));
    std::string_view view = s;
    const char *data = static_cast<char *>(opaque(view.data()));
    s = std::string();
    s.shrink_to_fit();
    misuse_expect_fault(data, size);
    misuse_harm_if(
        secret_in(data, size), "the freed block still held what it held");
    misuse_expect_fault(nullptr, 0);
    go_on(size);
}

struct record {
    unsigned char bytes[56];
    record()
    {
        secret_fill(bytes, sizeof(bytes));
    }
};

void erased_map_iterator(size_t, size_t)
{
    std::map<int, record> m;
    for (int i = 0; i < 64; i++) {
        m[i];
    }
    void *node = opaque(m.find(31)->second.bytes);
    m.erase(31);
    misuse_expect_fault(node, sizeof(record));
    misuse_harm_if(secret_in(node, sizeof(record)),
        "the erased node still held what it held");
    misuse_expect_fault(nullptr, 0);
}

/* for (it : list) list.erase(it), and the next one is read from it. */
void erased_while_walking(size_t, size_t)
{
    std::list<record> l(64);
    size_t reached = 0;
    for (auto it = l.begin(); reached < 64; reached++) {
        misuse_expect_fault(&*it, sizeof(record));
        void *node = opaque(&*it);
        l.erase(it);
        if (!secret_in(node, sizeof(record))) {
            break;
        }
        it = l.begin();
    }
    misuse_expect_fault(nullptr, 0);
    misuse_harm_if(reached == 64, "erased nodes still held what they held");
}

void captured_by_reference(size_t size, size_t)
{
    auto held = std::make_unique<std::vector<char>>(
        size, static_cast<char>(SCENE_SECRET));
    char *data = static_cast<char *>(opaque(held->data()));
    auto later = [data, size] { return secret_in(data, size); };
    held.reset();
    misuse_expect_fault(data, size);
    misuse_harm_if(later(), "the freed block still held what it held");
    misuse_expect_fault(nullptr, 0);
    go_on(size);
}

struct animal {
    virtual ~animal() = default;
    virtual int legs() const
    {
        return 4;
    }
    char bytes[48];
};

struct bird : animal {
    int legs() const override
    {
        return 2;
    }
};

/* Where an object's functions are found is its first word. */
uintptr_t table_of(const animal *one)
{
    uintptr_t table;
    std::memcpy(&table, opaque(one), sizeof(table));
    return table;
}

void virtual_call_after_delete(size_t, size_t)
{
    auto *one = static_cast<animal *>(opaque(new bird));
    uintptr_t before = table_of(one);
    delete static_cast<animal *>(opaque(one));
    misuse_expect_fault(one, sizeof(animal));
    /* The destructor leaves the base's table there. */
    uintptr_t after = table_of(one);
    misuse_expect_fault(nullptr, 0);
    misuse_harm_if(after - before + 4096 < 8192,
        "a virtual function of a freed object would still be called");
    go_on(sizeof(animal));
}

/* ---- secrets and impossible requests ---- */

void uninitialised_new(size_t size, size_t)
{
    row_t *row = row_make_by(size, by_new);
    for (unsigned i = 0; i < row->count; i++) {
        secret_fill(row->p[i], size);
        row->state[i] = ROW_GONE;
        ::operator delete(row->p[i]);
    }
    for (int i = 0; i < 256; i++) {
        misuse_harm_if(secret_in(by_new(size), size),
            "a secret of an earlier owner was read");
    }
    finish();
}

void huge_new(size_t, size_t bytes)
{
    try {
        misuse_harm_if(opaque(::operator new(opaque_size(bytes))) != nullptr,
            "memory for an impossible request");
    } catch (const std::bad_alloc &) {
        misuse_refused();
    }
    go_on(64);
}

void huge_nothrow_new(size_t, size_t bytes)
{
    if (opaque(::operator new(opaque_size(bytes), std::nothrow)) != nullptr) {
        misuse_harm("memory for an impossible request");
    } else {
        misuse_refused();
    }
    go_on(64);
}

void huge_aligned_new(size_t, size_t bytes)
{
    try {
        void *p = ::operator new(opaque_size(bytes), std::align_val_t(4096));
        misuse_harm_if(p != nullptr, "memory for an impossible request");
    } catch (const std::bad_alloc &) {
        misuse_refused();
    }
    go_on(64);
}

const misuse_case_t cases[] = {
    {"cxx_overflow_1", overflow_new, 1, SIZES_ALL, nobodys},
    {"cxx_overflow_64", overflow_new, 64, SIZES_ALL, nobodys},
    {"cxx_underflow_array_8", overflow_array, 8, SIZES_ALL, nobodys},
    {"cxx_vector_end", overflow_vector, 0, SIZES_ALL, nobodys},
    {"cxx_vector_behind_end", overflow_vector, 16, SIZES_ALL, nobodys},
    {"cxx_string_end", overflow_string, 0, SIZES_16, nobodys},
    {"cxx_delete_twice", delete_twice, 0, SIZES_ALL, not_twice},
    {"cxx_delete_array_twice", delete_array_twice, 0, SIZES_ALL, not_twice},
    {"cxx_delete_sized_twice", delete_sized_twice, 0, SIZES_ALL, not_twice},
    {"cxx_delete_then_free", delete_then_free, 0, SIZES_ALL, not_twice},
    {"cxx_free_then_delete", free_then_delete, 0, SIZES_ALL, not_twice},
    {"cxx_delete_aligned_twice", delete_aligned_twice, 0, SIZES_ALL, not_twice},
    {"cxx_two_shared_owners", two_shared_owners, 0, SIZES_ONE, not_twice},
    {"cxx_get_and_delete", get_and_delete, 0, SIZES_ONE, not_twice},
    {"cxx_copied_owner", copied_owner, 0, SIZES_ALL, not_twice},
    {"cxx_delete_interior_8", delete_interior, 8, SIZES_16, ignored},
    {"cxx_delete_of_array", delete_of_array, 0, SIZES_ONE, ignored},
    {"cxx_delete_array_of_one", delete_array_of_one, 0, SIZES_16, ignored},
    {"cxx_delete_stack", delete_stack, 0, SIZES_ONE, ignored},
    {"cxx_delete_member", delete_member, 0, SIZES_ONE, ignored},
    {"cxx_delete_second_base", delete_second_base, 0, SIZES_ONE, ignored},
    {"cxx_sized_twice", sized_twice, 2, SIZES_ALL, fits},
    {"cxx_sized_half", sized_half, 2, SIZES_16, fits},
    {"cxx_sized_1", sized_as, 1, SIZES_ALL, fits},
    {"cxx_sized_array", sized_array, 3, SIZES_ALL, fits},
    {"cxx_sized_base", sized_base, 0, SIZES_ONE, fits},
    {"cxx_aligned_of_plain_512", aligned_delete_of_plain, 512, SIZES_ALL, fits},
    {"cxx_plain_of_aligned_512", plain_delete_of_aligned, 512, SIZES_ALL, fits},
    {"cxx_delete_of_malloc", delete_of_malloc, 0, SIZES_FEW, same_heap},
    {"cxx_free_of_new", free_of_new, 0, SIZES_FEW, same_heap},
    {"cxx_vector_pointer", dangling_vector_pointer, 1, SIZES_ALL, not_reused},
    {"cxx_vector_iterator", dangling_vector_iterator, 1, SIZES_ALL, no_stale},
    {"cxx_string_view", dangling_string_view, 32, SIZES_ALL, no_stale},
    {"cxx_map_iterator", erased_map_iterator, 0, SIZES_ONE, no_stale},
    {"cxx_list_iterator", erased_while_walking, 0, SIZES_ONE, no_stale},
    {"cxx_capture", captured_by_reference, 0, SIZES_ALL, no_stale},
    {"cxx_virtual_call", virtual_call_after_delete, 0, SIZES_ONE, no_stale},
    {"cxx_uninitialised", uninitialised_new, 0, SIZES_ALL,
        "nothing that an earlier owner wrote was found"},
    {"cxx_huge_new_max", huge_new, SIZE_MAX, SIZES_ONE, "there is no such end"},
    {"cxx_huge_new_half", huge_new, SIZE_MAX / 2 + 1, SIZES_ONE,
        "there is no such end"},
    {"cxx_huge_nothrow", huge_nothrow_new, SIZE_MAX - 63, SIZES_ONE,
        "there is no such end"},
    {"cxx_huge_aligned", huge_aligned_new, SIZE_MAX - 4095, SIZES_ONE,
        "there is no such end"},
};

} // namespace

extern "C" {
const misuse_kind_t misuse_cxx_operators = {
    "cxx", "misuse from C++", cases, sizeof(cases) / sizeof(cases[0])};
}
