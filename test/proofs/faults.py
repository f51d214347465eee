"""What: faults to plant: file below src, text there, text instead, harness,
and the proof that must fall. Each proof has one at least.

Invariants: the text occurs once in its file.

Locking: none.
"""

import os


def plant(source, overlay, path, before, after):
    """Writes the file below src, with the fault, below `overlay`."""
    with open(os.path.join(source, 'src', path), encoding='utf-8') as file:
        text = file.read()
    if text.count(before) != 1:
        raise RuntimeError('%s has %d times: %s' %
            (path, text.count(before), before))
    target = os.path.join(overlay, path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, 'w', encoding='utf-8') as out:
        out.write(text.replace(before, after))


BITS, BITMAP = 'util/bits.h', 'util/bitmap.h'
CLASSES, CLASSES_C = 'conf/sizeclass.h', 'conf/sizeclass.c'

FAULTS = (
    (BITS, '__builtin_ctzll(x)', '__builtin_ctzll(x & (x - 1))', 'bits',
        'lowest'),
    (BITS, '63U - (unsigned)', '62U - (unsigned)', 'bits', 'highest'),
    (BITS, 'bits_highest(x - 1) + 1', 'bits_highest(x) + 1', 'bits',
        'lg_ceil'),
    (BITS, '(x >> 4)) & 0x0f', '(x >> 5)) & 0x0f', 'bits', 'count'),
    (BITS, 'x != 0 && (x & (x - 1)) == 0', '(x & (x - 1)) == 0', 'bits',
        'is_pow2'),
    (BITS, '(x + (unit - 1)) & ~', '(x + unit) & ~', 'bits', 'round_up'),
    (BITS, 'return x & ~(unit - 1)', 'return x & ~unit', 'bits',
        'round_down'),
    (BITMAP, '|= 1ULL << (bit % 64)', '|= 1U << (bit % 32)', 'bits',
        'bitmap_set'),
    (BITMAP, '&= ~(1ULL << (bit % 64))', '&= 1ULL << (bit % 64)', 'bits',
        'bitmap_clear'),
    (BITMAP, 'if (nbits >= 64)', 'if (nbits > 64)', 'bits', 'bitmap_fill'),
    (BITMAP, '(~0ULL << (from % 64))', '(~1ULL << (from % 64))', 'bits',
        'bitmap_find'),
    (BITMAP, 'if (i >= nwords) {\n        return BITMAP_NONE;',
        'if (i >= nwords) {\n        return i;', 'bits', 'bitmap_find_beyond'),
    (CLASSES, '(size - 1) >> lg_step', 'size >> lg_step', 'sizes',
        'class_is_smallest'),
    (CLASSES, 'x < 7 ? 4 : x - 3', 'x < 7 ? 4 : x - 4', 'sizes',
        'class_is_monotone'),
    (CLASSES, '(size - 1) >> lg_step', 'size >> lg_step', 'sizes',
        'class_of_sized_free'),
    (CLASSES, '(index - 1) % 4 + 1', 'index % 4 + 1', 'sizes',
        'class_inverse'),
    (CLASSES, '(size_t)1 << (group + 5)', '(size_t)1 << (group + 6)', 'sizes',
        'class_last'),
    (CLASSES, '(group == 0 ? 1 : group) + 3', '(group == 0 ? 1 : group) + 4',
        'sizes', 'class_waste'),
    (CLASSES, '(group == 0 ? 1 : group) + 3', '(group == 0 ? 0 : group) + 3',
        'sizes', 'class_keeps_alignment'),
    (CLASSES, 'if (JE_UNLIKELY(size > SC_MAX))',
        'if (JE_UNLIKELY(size >= SC_MAX))', 'sizes', 'usize'),
    (CLASSES, 'return SC_LARGE_MIN;', 'return 2 * SC_LARGE_MIN;', 'sizes',
        'usize_is_monotone'),
    (CLASSES, 'if (size <= SC_SMALL_MAX)', 'if (size < SC_SMALL_MAX)',
        'sizes', 'usize_of_sized_free'),
    (CLASSES, '? bits_round_up(size, PAGE)', '? bits_round_down(size, PAGE)',
        'sizes', 'usize_large'),
    (CLASSES_C, 'sizeclass_size(sizeclass_index(multiple))',
        'sizeclass_size(sizeclass_index(size))', 'sizes', 'aligned_small'),
    (CLASSES_C, 'if (alignment > SC_MAX)', 'if (alignment > 2 * SC_MAX)',
        'sizes', 'aligned_large'),
    (CLASSES_C, 'if (alignment <= 1)', 'if (alignment == 1)', 'sizes',
        'aligned_zero_is_none'),
    (CLASSES_C, 'sizeclass_size(sizeclass_index(multiple))',
        'sizeclass_size(sizeclass_index(multiple + 1))', 'sizes',
        'aligned_of_sized_free'),
    (CLASSES_C, 'sizeclass_size(sizeclass_index(multiple))',
        'sizeclass_size(sizeclass_index(multiple) ^ 1)', 'sizes',
        'aligned_is_monotone'),
    (CLASSES, '3 + 4 * (lg - 2)', '3 + 2 * (lg - 2)', 'sizes',
        'run_floor'),
    (CLASSES, '== 0 ? floor : floor + 1', '== 0 ? floor : floor', 'sizes',
        'run_ceil'),
    ('api/alloc.h', 'size <= SC_LOOKUP_MAX)\n               ? cache_bins_pop('
        'tsd_door, sizeclass_lookup(size))',
        'size <= SC_LOOKUP_MAX)\n               ? cache_bins_pop('
        'tsd_door, sizeclass_lookup(size - 1))', 'api', 'fast'),
    ('api/alloc.h', 'multiple - 1 < SC_LOOKUP_MAX', 'true', 'api',
        'aligned_fast'),
    ('api/alloc.h', '(size + (alignment - 1)) & ~(alignment - 1)',
        '(size + (alignment - 1))', 'api', 'aligned_fast'),
    ('api/alloc.h', 'CACHE_DOOR_GIVE_SIZED], sizeclass_lookup(size), ptr',
        'CACHE_DOOR_GIVE_SIZED], sizeclass_lookup(size + 1), ptr', 'api',
        'sized_free'),
    ('api/alloc.h', 'size = sizeclass_usize_aligned(size, alignment);',
        'size = sizeclass_usize(size);', 'api', 'sized_aligned_free'),
    ('api/malloc.c', 'JE_LIKELY(!overflow && bytes <= SC_LOOKUP_MAX)',
        'JE_LIKELY(bytes <= SC_LOOKUP_MAX)', 'api', 'calloc'),
    ('api/malloc.c', 'if (rounded < size)', 'if (rounded > size)', 'api',
        'pvalloc'),
    ('api/malloc.c', 'bool valid = alignment >= sizeof(void *) && '
        'bits_is_pow2(alignment);', 'bool valid = bits_is_pow2(alignment);',
        'api', 'posix_memalign'),
    ('api/allocx.c', 'lg < LG_PTR_BITS ? lg : LG_PTR_BITS - 1',
        'lg < LG_PTR_BITS - 1 ? lg : LG_PTR_BITS - 2', 'api',
        'flag_alignment'),
    ('api/allocx.c', '#define FLAG_ARENA_MASK   0xfffU',
        '#define FLAG_ARENA_MASK   0x7ffU', 'api', 'flags'),
    ('api/allocx.c', '#define FLAG_TCACHE_NONE  1',
        '#define FLAG_TCACHE_NONE  2', 'api', 'flags_without'),
    ('extent/extent_map.h', '(addr >> LG_PAGE) & (MAP_LEAF_PAGES - 1)',
        '(addr >> LG_PAGE) & MAP_LEAF_PAGES', 'extents', 'map_address'),
    ('extent/extent_map.h', '#define EXTENT_MAP_LEAF_BYTES (MAP_LEAF_PAGES * '
        '(1 + sizeof(extent_t *)))', '#define EXTENT_MAP_LEAF_BYTES '
        '(MAP_LEAF_PAGES * sizeof(extent_t *))', 'extents', 'map_address'),
    ('conf/limits.h', '#define MAP_ROOT_COUNT ((size_t)1 << MAP_LG_ROOT)',
        '#define MAP_ROOT_COUNT (((size_t)1 << MAP_LG_ROOT) + 1)', 'extents',
        'map_beyond'),
    ('extent/extent.h', '#define EXTENT_STATE_MASK  0x7ULL',
        '#define EXTENT_STATE_MASK  0xfULL', 'extents', 'word_fields'),
    ('extent/extent.h', '#define EXTENT_CLASS_SHIFT 21',
        '#define EXTENT_CLASS_SHIFT 20', 'extents', 'word_layout'),
    ('arena/slab.h', 'bits &= ~free_already;', '', 'extents', 'slab_give'),
    ('arena/slab.h', 'is_one ? bits != 0', 'is_one ? 1', 'extents',
        'slab_give'),
    ('extent/decay.c', '10 * WEIGHT_ONE + 6 *', '10 * WEIGHT_ONE + 3 *',
        'decay', 'weight'),
    ('extent/decay.c', '? 0 : WEIGHT_ONE - s;', '? 0 : WEIGHT_ONE + s;',
        'decay', 'weight'),
    ('extent/decay.c', 'decay->epoch_ns += steps * decay->step_ns;',
        'decay->epoch_ns += (steps - 1) * decay->step_ns;', 'decay', 'clock'),
    ('extent/decay.c', 'if (now_ns < decay->epoch_ns)', 'if (false)', 'decay',
        'clock'),
    ('extent/decay.h', '(int64_t)18446744072000', '(int64_t)184467440737100',
        'decay', 'step'),
    ('extent/decay.c', 'decay->time_ms < 0 ? SIZE_MAX : 0',
        'decay->time_ms < 0 ? 0 : SIZE_MAX', 'decay', 'never_and_at_once'),
)
