/*
 * What: see fault.h. Linux reports pages without rights as SIGSEGV; SIGBUS is
 * for files that ended.
 *
 * Invariants: as there. (I3) The handler is installed with the mask and the
 * flags of the one before it, so that this one runs as if alone.
 *
 * Locking: as there.
 */
#ifndef _GNU_SOURCE
#    define _GNU_SOURCE
#endif
#include "os/fault.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
    fault_look_t *look;
    struct sigaction former;
} fault_state;

static bool has_handler(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) != 0 ||
           (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

static fault_kind_t kind_of(const ucontext_t *context)
{
#if defined(__x86_64__) || defined(__i386__)
    const greg_t written = 2;
    return (context->uc_mcontext.gregs[REG_ERR] & written) != 0 ? FAULT_WRITE
                                                                : FAULT_READ;
#elif defined(__aarch64__)
    /* Records that say their kind and size; one holds the syndrome. */
    const uint32_t esr_kind = 0x45535201;
    const uint64_t written = 1 << 6;
    const char *at = (const char *)context->uc_mcontext.__reserved;
    const char *end = at + sizeof(context->uc_mcontext.__reserved);
    while (end - at >= 16) {
        struct {
            uint32_t kind;
            uint32_t size;
            uint64_t value;
        } record;
        memcpy(&record, at, sizeof(record));
        if (record.kind == esr_kind) {
            return (record.value & written) != 0 ? FAULT_WRITE : FAULT_READ;
        }
        if (record.kind == 0 || record.size < 8) {
            break;
        }
        at += record.size;
    }
    return FAULT_ACCESS;
#else
    (void)context;
    return FAULT_ACCESS;
#endif
}

/* Registers at the access; frame_signal_slot counts from before the context. */
static void read_frame(const ucontext_t *context, frame_t *frame)
{
    frame->pc = 0;
    frame->lost = 0;
    if (frame_signal_slot(FRAME_SP) == SIZE_MAX) {
        return;
    }
    const char *base =
        (const char *)context - (FRAME_REGISTERS == 32 ? 128 : 0);
    for (unsigned i = 0; i < FRAME_REGISTERS; i++) {
        memcpy(&frame->reg[i], base + frame_signal_slot(i), sizeof(uintptr_t));
    }
    memcpy(&frame->pc, base + frame_signal_slot(FRAME_REGISTERS),
        sizeof(uintptr_t));
}

/* By the instruction, which is tried again, or by the same signal again. */
static void die(int number, siginfo_t *info)
{
    struct sigaction action = {.sa_flags = 0};
    action.sa_handler = SIG_DFL;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(number, &action, NULL);
    if (info->si_code <= 0) {
        (void)syscall(SYS_rt_tgsigqueueinfo, getpid(),
            (pid_t)syscall(SYS_gettid), number, info);
    }
}

static void pass_on(int number, siginfo_t *info, void *context)
{
    const struct sigaction *former = &fault_state.former;
    if (!has_handler(former)) {
        /* Ignoring is for what was sent: a fault would only come again. */
        if (former->sa_handler == SIG_DFL || info->si_code > 0) {
            die(number, info);
        }
        return;
    }
    if ((former->sa_flags & SA_RESETHAND) != 0) {
        struct sigaction action = {.sa_flags = 0};
        action.sa_handler = SIG_DFL;
        (void)sigemptyset(&action.sa_mask);
        (void)sigaction(number, &action, NULL);
    }
    if ((former->sa_flags & SA_SIGINFO) != 0) {
        former->sa_sigaction(number, info, context);
    } else {
        former->sa_handler(number);
    }
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    bool again = false;
    int saved = errno;
    if (info->si_code > 0) {
        fault_t fault = {
            .addr = (uintptr_t)info->si_addr, .kind = kind_of(context)};
        read_frame(context, &fault.frame);
        again = fault_state.look(&fault);
    }
    errno = saved;
    if (!again) {
        pass_on(number, info, context);
    }
}

bool fault_boot(fault_look_t *look)
{
    int saved = errno;
    struct sigaction *former = &fault_state.former;
    bool done = sigaction(SIGSEGV, NULL, former) == 0;
    if (done) {
        struct sigaction action = *former;
        if (!has_handler(former)) {
            action.sa_flags = SA_ONSTACK;
            (void)sigemptyset(&action.sa_mask);
        }
        action.sa_flags = (action.sa_flags & ~SA_RESETHAND) | SA_SIGINFO;
        action.sa_sigaction = on_signal;
        fault_state.look = look;
        done = sigaction(SIGSEGV, &action, NULL) == 0;
    }
    errno = saved;
    return done;
}
