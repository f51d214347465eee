/*
 * What: the registers of a stack frame under the numbers of DWARF, how to
 * take those of the caller, and where the kernel saves them for a signal
 * handler.
 *
 * Invariants: (I1) register numbers are those of the processor's psABI;
 * (I2) elsewhere than on x86 and aarch64 FRAME_REGISTERS is 1 and stacks are
 * empty.
 *
 * Locking: none.
 */
#ifndef JE_OS_FRAME_H
#define JE_OS_FRAME_H

#include <string.h>
#include <ucontext.h>

#include "util/common.h"

#if defined(__x86_64__) && defined(__linux__) && UINTPTR_MAX > 0xffffffffU
#    define FRAME_REGISTERS 17
#    define FRAME_FP        6
#    define FRAME_SP        7
#elif defined(__i386__) && defined(__linux__)
#    define FRAME_REGISTERS 9
#    define FRAME_FP        5
#    define FRAME_SP        4
#elif defined(__aarch64__) && defined(__linux__)
#    define FRAME_REGISTERS 32
#    define FRAME_FP        29
#    define FRAME_SP        31
#else
#    define FRAME_REGISTERS 1
#    define FRAME_FP        0
#    define FRAME_SP        0
#endif

typedef struct {
    uintptr_t reg[FRAME_REGISTERS];
    uintptr_t pc;
    uint32_t lost; /* a bit for each register whose value is not known */
} frame_t;

/* Registers that calls preserve, and where the caller is. */
JE_ALWAYS_INLINE void frame_here(frame_t *frame)
{
    memset(frame, 0, sizeof(*frame));
#if FRAME_REGISTERS == 17
    __asm__ volatile("movq %%rbx, 24(%0)\n\t"
                     "movq %%rbp, 48(%0)\n\t"
                     "movq %%rsp, 56(%0)\n\t"
                     "movq %%r12, 96(%0)\n\t"
                     "movq %%r13, 104(%0)\n\t"
                     "movq %%r14, 112(%0)\n\t"
                     "movq %%r15, 120(%0)\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "movq %%rax, %c1(%0)\n"
                     "1:"
                     :
                     : "d"(frame), "i"(offsetof(frame_t, pc))
                     : "rax", "memory");
#elif FRAME_REGISTERS == 9
    __asm__ volatile("movl %%ebx, 12(%0)\n\t"
                     "movl %%esp, 16(%0)\n\t"
                     "movl %%ebp, 20(%0)\n\t"
                     "movl %%esi, 24(%0)\n\t"
                     "movl %%edi, 28(%0)\n\t"
                     "call 1f\n"
                     "1:\n\t"
                     "popl %%eax\n\t"
                     "movl %%eax, %c1(%0)"
                     :
                     : "d"(frame), "i"(offsetof(frame_t, pc))
                     : "eax", "memory");
#elif FRAME_REGISTERS == 32
    __asm__ volatile("stp x19, x20, [%0, #152]\n\t"
                     "stp x21, x22, [%0, #168]\n\t"
                     "stp x23, x24, [%0, #184]\n\t"
                     "stp x25, x26, [%0, #200]\n\t"
                     "stp x27, x28, [%0, #216]\n\t"
                     "stp x29, x30, [%0, #232]\n\t"
                     "mov x9, sp\n\t"
                     "str x9, [%0, #248]\n\t"
                     "adr x9, 1f\n\t"
                     "str x9, [%0, %1]\n"
                     "1:"
                     :
                     : "r"(frame), "i"(offsetof(frame_t, pc))
                     : "x9", "memory");
#endif
}

/* A code address without the signature that the processor may have put in. */
static inline uintptr_t frame_strip(uintptr_t pc)
{
#if FRAME_REGISTERS == 32
    register uintptr_t x30 __asm__("x30") = pc;
    __asm__("hint #7" : "+r"(x30)); /* xpaclri; does nothing before ARMv8.3 */
    return x30;
#else
    return pc;
#endif
}

/* Bytes that tell the return from a signal handler. */
#define FRAME_TRAMPOLINE_BYTES 9

static inline bool frame_is_trampoline(const uint8_t *code)
{
#if FRAME_REGISTERS == 17
    /* mov $rt_sigreturn, %rax; syscall */
    static const uint8_t expected[FRAME_TRAMPOLINE_BYTES] = {
        0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};
    return memcmp(code, expected, sizeof(expected)) == 0;
#elif FRAME_REGISTERS == 32
    /* mov x8, #rt_sigreturn; svc #0 */
    static const uint8_t expected[8] = {
        0x68, 0x11, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4};
    return memcmp(code, expected, sizeof(expected)) == 0;
#else
    /* On 32-bit x86 the tables of the vDSO tell it, in two variants. */
    (void)code;
    return false;
#endif
}

/*
 * Bytes from the stack pointer in the trampoline to where the interrupted
 * value of a register lies; FRAME_REGISTERS stands for the program counter.
 * SIZE_MAX if it is not kept.
 */
static inline size_t frame_signal_slot(unsigned reg)
{
#if FRAME_REGISTERS == 17
    static const uint8_t order[FRAME_REGISTERS + 1] = {REG_RAX, REG_RDX,
        REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8, REG_R9,
        REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP, REG_RIP};
    return offsetof(ucontext_t, uc_mcontext.gregs) +
           order[reg] * sizeof(greg_t);
#elif FRAME_REGISTERS == 32
    size_t context = 128 /* siginfo */ + offsetof(ucontext_t, uc_mcontext);
    return reg == FRAME_SP ? context + offsetof(mcontext_t, sp)
           : reg == FRAME_REGISTERS
               ? context + offsetof(mcontext_t, pc)
               : context + offsetof(mcontext_t, regs) + reg * 8;
#else
    (void)reg;
    return SIZE_MAX;
#endif
}

#endif
