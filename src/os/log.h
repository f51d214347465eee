/*
 * What: messages to the user, through `malloc_message` where the program set
 * it, else to descriptor 2.
 *
 * Invariants: (I1) one write a message, cut at LOG_MESSAGE_MAX bytes;
 * (I2) allocates nothing, touches no stdio, keeps errno.
 *
 * Locking: none; the application's function may be called from any thread.
 */
#ifndef JE_OS_LOG_H
#define JE_OS_LOG_H

#include "util/common.h"

/* Longest message in bytes, the terminating NUL included. */
#define LOG_MESSAGE_MAX 4096

/* Where api/ keeps the public variable malloc_message; set once at boot. */
typedef void (*log_message_fn_t)(void *opaque, const char *text);
void log_boot(log_message_fn_t *variable);

/* Writes `text` as it is. */
void log_write(const char *text);

/* As log_write, with the opaque pointer the user handed to a printing call. */
void log_write_to(void *opaque, const char *text);

/* Formats as util/format does, then log_write. No prefix is added. */
JE_PRINTF(1, 2) void log_printf(const char *fmt, ...);

#endif
