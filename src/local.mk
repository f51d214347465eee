# The library's sources, lowest layer first (see src/LAYERS). Headers need no
# entry: the distribution takes the whole directory.

core_sources = \
	src/util/fail.c src/util/format.c \
	src/os/os_posix.c src/os/os_linux.c src/os/os_cpus.c src/os/log.c \
	src/os/reentry.c src/os/mutex.c src/os/waker.c src/os/file.c src/os/peek.c src/os/stack.c src/os/linkage.c src/os/probe.c src/os/valgrind.c \
	src/os/resident.c src/os/signal.c src/os/fault.c src/os/thread_end.c \
	src/conf/sizeclass.c src/conf/conf_value.c src/conf/conf.c \
	src/conf/conf_say.c src/conf/conf_set.c src/conf/conf_boot.c \
	src/extent/extent_hooks.c src/extent/base.c src/extent/extent.c \
	src/extent/extent_map.c src/extent/extent_set.c src/extent/decay.c \
	src/extent/page_ops.c src/extent/page_runs.c src/extent/page_purge.c \
	src/extent/page_store.c \
	src/arena/ledger.c src/arena/hollow.c src/arena/guarded.c src/arena/seal.c src/arena/slab.c src/arena/bin.c src/arena/large.c src/arena/arena.c \
	src/arena/arena_table.c src/arena/block.c src/arena/totals.c src/arena/background.c \
	src/cache/cache_slots.c src/cache/large_cache.c src/cache/tcache.c src/cache/tcache_steal.c \
	src/cache/tcache_table.c \
	src/prof/prof_sections.c src/prof/prof_module.c src/prof/prof_cfi.c src/prof/prof_stack.c \
	src/prof/prof_pool.c src/prof/prof_rate.c src/prof/prof_table.c \
	src/prof/prof_out.c src/prof/prof_maps.c src/prof/prof_text.c \
	src/prof/prof_pprof.c src/prof/prof_symbols.c src/prof/prof_leak.c \
	src/prof/prof_dump.c src/prof/prof_json.c src/prof/prof_recent.c src/prof/prof_log.c \
	src/prof/prof_stats.c src/prof/prof.c \
	src/thread/sampling.c src/thread/quarantine.c src/thread/tsd.c src/thread/watch.c src/thread/event.c \
	src/stats/snapshot.c src/stats/emit.c \
	src/stats/report_settings.c src/stats/report_table.c \
	src/stats/report_hpa.c src/stats/report_arena.c src/stats/report.c \
	src/stats/rss.c src/stats/report_samples.c src/stats/report_rss.c src/stats/request.c \
	src/ctl/ctl.c src/ctl/ctl_opt.c src/ctl/ctl_thread.c src/ctl/ctl_tcache.c src/ctl/ctl_background.c \
	src/ctl/ctl_arena.c src/ctl/ctl_block.c src/ctl/ctl_prof.c src/ctl/ctl_stats.c \
	src/ctl/ctl_tree.c

# The public symbols; compiled a second time as je_malloc etc. for the tests.
api_sources = \
	src/api/init.c src/api/fork.c src/api/interval.c src/api/foreign.c src/api/checked.c src/api/hardened.c src/api/guard.c src/api/alloc.c src/api/resize.c \
	src/api/malloc.c src/api/allocx.c \
	src/api/mallctl.c

# What only the real library has.
interpose_sources = src/api/glibc.c src/api/intercepted.c
if ENABLE_CXX
interpose_sources += src/api/cxx.c
endif
