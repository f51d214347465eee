/*
 * What: slots for guarded blocks: where a block lies, what around it can be
 * touched while it lives and afterwards, which slot is next, whose an address
 * is, what is found to have been written.
 *
 * Invariants: each case has a pool of its own.
 *
 * Locking: none.
 */
#include "arena/guarded.h"

#include <string.h>

#include "harness.h"
#include "os/mutex.h"
#include "os/os.h"
#include "os/peek.h"

static size_t page;

static void begin(unsigned slots)
{
    guarded_range = (struct guarded_range){0, 0};
    guarded_boot(slots);
    REQUIRE(guarded_is_on());
    page = os_page_size();
}

static guarded_t *take(size_t size, size_t alignment)
{
    return guarded_take(size, size, alignment);
}

static void end(guarded_t *block)
{
    EXPECT(guarded_claim(block, (void *)block->ptr));
    guarded_give(block);
}

static bool is_open(uintptr_t addr)
{
    char byte;
    return os_peek(&byte, addr, 1) == 1;
}

/* Even slots end at a guard, odd ones begin at one. */
static void expect_place(const guarded_t *block, size_t alignment, bool at_end)
{
    uintptr_t behind = block->pages + block->bytes;
    size_t slack = behind - block->ptr - block->size;
    EXPECT_EQ_U64(block->ptr % alignment, 0);
    if (at_end) {
        EXPECT_LT_U64(slack, alignment);
    } else {
        EXPECT_EQ_U64(block->ptr % page, 0);
    }
    EXPECT(!is_open(block->pages - 1));
    EXPECT(!is_open(behind));
    EXPECT(is_open(block->pages));
    EXPECT(is_open(behind - 1));
    EXPECT_LT_U64(block->bytes - block->size, page);
}

TEST(blocks_lie_at_guards)
{
    if (test_is_emulated()) {
        test_skip("the emulator's pages are not the system's");
    }
    static const size_t sizes[] = {1, 7, 8, 9, 15, 16, 17, 100, 4095, 4096,
        4097, 8192, 14336, 32767, 32768};
    begin(0);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t least = sizes[i] < 16 ? 8 : 16;
        for (size_t a = 1; a <= page; a *= 2) {
            size_t alignment = a > least ? a : least;
            guarded_t *first = take(sizes[i], a);
            guarded_t *second = take(sizes[i], a);
            REQUIRE(first != NULL && second != NULL);
            expect_place(first, alignment, true);
            expect_place(second, alignment, false);
            memset((void *)first->ptr, 1, sizes[i]);
            memset((void *)second->ptr, 1, sizes[i]);
            EXPECT_EQ_U64(guarded_touched(first), 0);
            EXPECT_EQ_U64(guarded_touched(second), 0);
            uintptr_t last = first->ptr + sizes[i] - 1;
            end(first);
            end(second);
            EXPECT(!is_open(last));
            EXPECT(!is_open(second->ptr));
        }
    }
    EXPECT_EQ_PTR(take(GUARDED_SIZE_MAX + 1, 0), NULL);
    EXPECT_EQ_PTR(take(64, 2 * page), NULL);
}

TEST(blocks_without_bytes_cannot_be_touched)
{
    if (test_is_emulated()) {
        test_skip("the emulator's pages are not the system's");
    }
    begin(2);
    for (int i = 0; i < 2; i++) {
        guarded_t *block = take(0, 0);
        REQUIRE(block != NULL);
        EXPECT(!is_open(block->ptr));
        EXPECT_EQ_U64(guarded_touched(block), 0);
        EXPECT_EQ_PTR(guarded_at(block->ptr), block);
        end(block);
        EXPECT_EQ_PTR(guarded_at(block->ptr), block);
    }
}

TEST(writes_around_a_block_are_found)
{
    static const ptrdiff_t places[] = {-200, -16, -1, 100, 101, 111, 300};
    begin(2);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        guarded_t *block = take(100, 0);
        char *p = (char *)block->ptr + places[i];
        bool has_room = (uintptr_t)p - block->pages < block->bytes;
        if (has_room) {
            *p ^= 1;
            EXPECT_EQ_U64(guarded_touched(block), (uintptr_t)p);
        }
        /* One slot has room behind, the other one before the block. */
        EXPECT(has_room == ((uintptr_t)p / page == block->ptr / page));
        end(block);
    }
}

TEST(the_oldest_is_next)
{
    guarded_t *block[5];
    begin(4);
    for (int i = 0; i < 4; i++) {
        block[i] = take(10, 0);
        REQUIRE(block[i] != NULL);
    }
    EXPECT_EQ_PTR(take(10, 0), NULL);
    end(block[2]);
    end(block[0]);
    EXPECT_EQ_PTR(take(10, 0), block[2]);
    end(block[2]);
    EXPECT_EQ_PTR(take(10, 0), block[0]);
    EXPECT_EQ_PTR(take(10, 0), block[2]);
    EXPECT_EQ_PTR(take(10, 0), NULL);
}

/* What is not used for the first time is used last. */
TEST(fresh_slots_come_first)
{
    begin(3);
    guarded_t *first = take(1, 0);
    end(first);
    guarded_t *second = take(1, 0);
    EXPECT_NE_PTR(second, first);
    EXPECT_NE_PTR(take(1, 0), first);
    EXPECT_EQ_PTR(take(1, 0), first);
}

TEST(on_hold_nobody_takes)
{
    begin(2);
    guarded_t *block = take(10, 0);
    guarded_hold(true);
    end(block);
    EXPECT_EQ_PTR(take(10, 0), NULL);
    guarded_hold(false);
    EXPECT(take(10, 0) != NULL);
}

TEST(live_bytes_are_bounded)
{
    begin(0);
    size_t taken = 0;
    guarded_t *last = NULL;
    for (guarded_t *block; (block = take(GUARDED_SIZE_MAX, 0)) != NULL;) {
        taken += block->bytes;
        last = block;
    }
    EXPECT_EQ_U64(taken, GUARDED_LIVE_BYTES);
    EXPECT_EQ_PTR(take(1, 0), NULL);
    end(last);
    EXPECT(take(1, 0) != NULL);
}

TEST(a_block_ends_once)
{
    begin(2);
    guarded_t *block = take(40, 0);
    char *p = (char *)block->ptr;
    EXPECT(!guarded_claim(block, p + 1));
    EXPECT(guarded_claim(block, p));
    EXPECT(!guarded_claim(block, p));
    guarded_give(block);
    EXPECT(!guarded_claim(block, p));
}

TEST(addresses_have_owners)
{
    begin(4);
    EXPECT_EQ_PTR(guarded_at(guarded_range.start), NULL);
    guarded_t *block[4];
    for (int i = 0; i < 4; i++) {
        block[i] = take(64, 0);
        EXPECT(guarded_has((void *)block[i]->ptr));
        EXPECT_EQ_PTR(guarded_at(block[i]->ptr), block[i]);
        EXPECT_EQ_PTR(guarded_at(block[i]->ptr + 63), block[i]);
    }
    /* Between 0, which ends at the guard, and 1, which begins there. */
    EXPECT_EQ_PTR(guarded_at(block[0]->ptr + 64), block[0]);
    EXPECT_EQ_PTR(guarded_at(block[0]->ptr + 64 + page / 4), block[0]);
    EXPECT_EQ_PTR(guarded_at(block[1]->ptr - 1), block[1]);
    EXPECT_EQ_PTR(guarded_at(block[1]->ptr - page / 4), block[1]);
    EXPECT_EQ_PTR(guarded_at(block[1]->ptr + page), block[1]);
    end(block[1]);
    EXPECT_EQ_PTR(guarded_at(block[1]->ptr - 1), block[1]);
    uintptr_t behind = guarded_range.start + guarded_range.bytes;
    EXPECT_EQ_PTR(guarded_at(guarded_range.start), block[0]);
    EXPECT_EQ_PTR(guarded_at(behind - 1), block[3]);
    EXPECT(!guarded_has((void *)behind));
    EXPECT(!guarded_has((void *)(guarded_range.start - 1)));
    EXPECT(!guarded_has(NULL));
}

TEST(a_page_can_be_opened)
{
    if (test_is_emulated()) {
        test_skip("the emulator's pages are not the system's");
    }
    begin(2);
    guarded_t *block = take(64, 0);
    uintptr_t behind = block->ptr + 64;
    EXPECT(!is_open(behind));
    EXPECT(guarded_open(behind + 5));
    EXPECT(is_open(behind));
    end(block);
    EXPECT(!is_open(block->ptr));
}

int main(void)
{
    if (!os_boot()) {
        return 1;
    }
    mutex_boot(0);
    return test_run(TEST_CASE(blocks_lie_at_guards),
        TEST_CASE(blocks_without_bytes_cannot_be_touched),
        TEST_CASE(writes_around_a_block_are_found),
        TEST_CASE(the_oldest_is_next), TEST_CASE(fresh_slots_come_first),
        TEST_CASE(on_hold_nobody_takes), TEST_CASE(live_bytes_are_bounded),
        TEST_CASE(a_block_ends_once), TEST_CASE(addresses_have_owners),
        TEST_CASE(a_page_can_be_opened), NULL);
}
