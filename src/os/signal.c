/*
 * What: see signal.h.
 *
 * Invariants: as there.
 *
 * Locking: as there.
 */
#include "os/signal.h"

#include <errno.h>
#include <signal.h>

static bool has_handler(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) != 0 ||
           (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

os_signal_t os_signal_catch(int number, void (*handler)(int number))
{
    int saved = errno;
    os_signal_t result = OS_SIGNAL_CAUGHT;
    struct sigaction action = {.sa_flags = SA_RESTART};
    struct sigaction old;
    action.sa_handler = handler;
    (void)sigemptyset(&action.sa_mask);
    if (sigaction(number, NULL, &old) != 0) {
        result = OS_SIGNAL_REFUSED;
    } else if (has_handler(&old)) {
        result = OS_SIGNAL_IN_USE;
    } else if (sigaction(number, &action, NULL) != 0) {
        result = OS_SIGNAL_REFUSED;
    }
    errno = saved;
    return result;
}
