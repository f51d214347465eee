# What: the redis case for Debian's redis-server as it is linked: with
# libjemalloc.so.2, for which the library under test stands in.
#
# Exercises: besides what redis.sh does, the control interface that redis
# calls: epoch, stats.allocated, stats.active, stats.resident, arena purge,
# and malloc_stats_print.
#
# Answer: as for redis.sh; and the figures that redis derives from the control
# interface are in the right order.
# shellcheck source=redis.sh
. "${BASH_SOURCE[0]%/*}/redis.sh"
case_about='linked with libjemalloc.so.2: redis, and its use of mallctl'
case_way=linked
case_packages="$case_packages libjemalloc2"

case_ready() {
    linked_with redis-server
}

check_memory() {
    local allocated active resident used
    expect_line <(client info memory) '^mem_allocator:jemalloc'
    allocated=$(memory_field allocator_allocated)
    active=$(memory_field allocator_active)
    resident=$(memory_field allocator_resident)
    used=$(memory_field used_memory)
    echo "allocated $allocated active $active resident $resident used $used"
    [ "$allocated" -gt 1000000 ] || fail "allocator_allocated is $allocated"
    [ "$allocated" -ge $((used * 8 / 10)) ] ||
        fail "allocator_allocated $allocated is below used_memory $used"
    [ "$active" -ge "$allocated" ] || fail "active $active < $allocated"
    [ "$resident" -ge "$active" ] || fail "resident $resident < $active"
    expect "$(client memory purge)" OK 'memory purge'
    client memory malloc-stats >malloc-stats
    expect_line malloc-stats 'Begin jemalloc statistics'
    expect_line malloc-stats '^Allocated: [0-9]+'
    expect_line malloc-stats 'End jemalloc statistics'
}
