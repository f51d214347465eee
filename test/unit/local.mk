# Unit tests: one program per module, named like it.
#   check_PROGRAMS += test/unit/conf
#   TESTS += test/unit/conf
#   test_unit_conf_SOURCES = test/unit/conf.c
#   test_unit_conf_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/format
TESTS += test/unit/format
test_unit_format_SOURCES = test/unit/format.c
test_unit_format_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/fail
TESTS += test/unit/fail
test_unit_fail_SOURCES = test/unit/fail.c
test_unit_fail_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/log
TESTS += test/unit/log
test_unit_log_SOURCES = test/unit/log.c
test_unit_log_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/conf
TESTS += test/unit/conf
test_unit_conf_SOURCES = test/unit/conf.c
test_unit_conf_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/ctl
TESTS += test/unit/ctl
test_unit_ctl_SOURCES = test/unit/ctl.c
test_unit_ctl_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/ctl_thread
TESTS += test/unit/ctl_thread
test_unit_ctl_thread_SOURCES = test/unit/ctl_thread.c
test_unit_ctl_thread_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/ctl_nodes
TESTS += test/unit/ctl_nodes
test_unit_ctl_nodes_SOURCES = test/unit/ctl_nodes.c
test_unit_ctl_nodes_LDADD = $(LIBJE_TEST)
EXTRA_DIST += test/unit/ctl_nodes.list

check_PROGRAMS += test/unit/report
TESTS += test/unit/report
test_unit_report_SOURCES = test/unit/report.c
test_unit_report_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/extent_hooks
TESTS += test/unit/extent_hooks
test_unit_extent_hooks_SOURCES = test/unit/extent_hooks.c
test_unit_extent_hooks_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/page_store
TESTS += test/unit/page_store
test_unit_page_store_SOURCES = test/unit/page_store.c
test_unit_page_store_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/decay
TESTS += test/unit/decay
test_unit_decay_SOURCES = test/unit/decay.c
test_unit_decay_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/extent_set
TESTS += test/unit/extent_set
test_unit_extent_set_SOURCES = test/unit/extent_set.c
test_unit_extent_set_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/sizeclass
TESTS += test/unit/sizeclass
test_unit_sizeclass_SOURCES = test/unit/sizeclass.c
test_unit_sizeclass_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/slab
TESTS += test/unit/slab
test_unit_slab_SOURCES = test/unit/slab.c
test_unit_slab_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/bin
TESTS += test/unit/bin
test_unit_bin_SOURCES = test/unit/bin.c
test_unit_bin_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/large
TESTS += test/unit/large
test_unit_large_SOURCES = test/unit/large.c
test_unit_large_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/tcache
TESTS += test/unit/tcache
test_unit_tcache_SOURCES = test/unit/tcache.c
test_unit_tcache_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/cache_bin
TESTS += test/unit/cache_bin
test_unit_cache_bin_SOURCES = test/unit/cache_bin.c
test_unit_cache_bin_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/cache_slots
TESTS += test/unit/cache_slots
test_unit_cache_slots_SOURCES = test/unit/cache_slots.c
test_unit_cache_slots_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/ledger
TESTS += test/unit/ledger
test_unit_ledger_SOURCES = test/unit/ledger.c
test_unit_ledger_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/large_cache
TESTS += test/unit/large_cache
test_unit_large_cache_SOURCES = test/unit/large_cache.c
test_unit_large_cache_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/tcache_table
TESTS += test/unit/tcache_table
test_unit_tcache_table_SOURCES = test/unit/tcache_table.c
test_unit_tcache_table_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/arena_table
TESTS += test/unit/arena_table
test_unit_arena_table_SOURCES = test/unit/arena_table.c
test_unit_arena_table_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/block
TESTS += test/unit/block
test_unit_block_SOURCES = test/unit/block.c
test_unit_block_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/os
TESTS += test/unit/os
test_unit_os_SOURCES = test/unit/os.c
test_unit_os_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/os_cpus
TESTS += test/unit/os_cpus
test_unit_os_cpus_SOURCES = test/unit/os_cpus.c
test_unit_os_cpus_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/mutex
TESTS += test/unit/mutex
test_unit_mutex_SOURCES = test/unit/mutex.c
test_unit_mutex_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/heap
TESTS += test/unit/heap
test_unit_heap_SOURCES = test/unit/heap.c
test_unit_heap_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/list
TESTS += test/unit/list
test_unit_list_SOURCES = test/unit/list.c
test_unit_list_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/bitmap
TESTS += test/unit/bitmap
test_unit_bitmap_SOURCES = test/unit/bitmap.c
test_unit_bitmap_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/bits
TESTS += test/unit/bits
test_unit_bits_SOURCES = test/unit/bits.c
test_unit_bits_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/extent_map
TESTS += test/unit/extent_map
test_unit_extent_map_SOURCES = test/unit/extent_map.c
test_unit_extent_map_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/base
TESTS += test/unit/base
test_unit_base_SOURCES = test/unit/base.c
test_unit_base_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/tsd
TESTS += test/unit/tsd
test_unit_tsd_SOURCES = test/unit/tsd.c
test_unit_tsd_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/event
TESTS += test/unit/event
test_unit_event_SOURCES = test/unit/event.c
test_unit_event_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/tcache_steal
TESTS += test/unit/tcache_steal
test_unit_tcache_steal_SOURCES = test/unit/tcache_steal.c
test_unit_tcache_steal_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/linkage
TESTS += test/unit/linkage
test_unit_linkage_SOURCES = test/unit/linkage.c
test_unit_linkage_LDADD = $(LIBJE_TEST) -ldl

check_PROGRAMS += test/unit/stack
TESTS += test/unit/stack
test_unit_stack_SOURCES = test/unit/stack.c
test_unit_stack_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/prof_cfi
TESTS += test/unit/prof_cfi
test_unit_prof_cfi_SOURCES = test/unit/prof_cfi.c
test_unit_prof_cfi_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/prof_walk
TESTS += test/unit/prof_walk
test_unit_prof_walk_SOURCES = test/unit/prof_walk.c
test_unit_prof_walk_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/prof_files
TESTS += test/unit/prof_files
test_unit_prof_files_SOURCES = test/unit/prof_files.c
test_unit_prof_files_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/prof_stack
TESTS += test/unit/prof_stack
test_unit_prof_stack_SOURCES = test/unit/prof_stack.c
test_unit_prof_stack_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/background
TESTS += test/unit/background
test_unit_background_SOURCES = test/unit/background.c
test_unit_background_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/fault
TESTS += test/unit/fault
test_unit_fault_SOURCES = test/unit/fault.c
test_unit_fault_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/guarded
TESTS += test/unit/guarded
test_unit_guarded_SOURCES = test/unit/guarded.c
test_unit_guarded_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/signal
TESTS += test/unit/signal
test_unit_signal_SOURCES = test/unit/signal.c
test_unit_signal_LDADD = $(LIBJE_TEST)

check_PROGRAMS += test/unit/prof
TESTS += test/unit/prof
test_unit_prof_SOURCES = test/unit/prof.c
test_unit_prof_LDADD = $(LIBJE_TEST)

# Linked without .eh_frame_hdr, the table that unwinders search in.
check_PROGRAMS += test/unit/prof_sections
TESTS += test/unit/prof_sections
test_unit_prof_sections_SOURCES = test/unit/prof_sections.c
test_unit_prof_sections_LDADD = $(LIBJE_TEST)
test_unit_prof_sections_LDFLAGS = $(AM_LDFLAGS) -Wl,--no-eh-frame-hdr
