/*
 * What: prof_module.cc for builds without C++: allocates, and leaves a
 * function by a jump, from code that is gone a moment later.
 *
 * Invariants: (I1) leans on the C library only.
 *
 * Locking: none.
 */
#include <setjmp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT void *module_make(size_t size);
EXPORT int module_throw(void);

void *module_make(size_t size)
{
    char *text = malloc(size + 1);
    if (text == NULL) {
        return NULL;
    }
    memset(text, 'x', size);
    void *p = malloc(size);
    free(text);
    return p;
}

__attribute__((noinline, noreturn)) static void leave(jmp_buf to, char **text)
{
    *text = malloc(100);
    longjmp(to, 1);
}

int module_throw(void)
{
    jmp_buf here;
    static __thread char *text;
    if (setjmp(here) == 0) {
        leave(here, &text);
    }
    int made = text != NULL ? 7 : 1;
    free(text);
    return made;
}
