/*
 * What: the library that test/stress/prof loads and unloads: allocates and
 * throws from code that is gone a moment later.
 *
 * Invariants: (I1) leans on the C++ runtime and on malloc only.
 *
 * Locking: none.
 */
#include <cstdlib>
#include <stdexcept>
#include <string>

extern "C" __attribute__((visibility("default"))) void *module_make(
    std::size_t size);
extern "C" __attribute__((visibility("default"))) int module_throw();

void *module_make(std::size_t size)
{
    std::string text(size, 'x'); /* through operator new, sized delete */
    void *p = std::malloc(size);
    return text.size() == size ? p : nullptr;
}

int module_throw()
{
    try {
        throw std::runtime_error(std::string(100, 'e'));
    } catch (const std::exception &e) {
        return e.what()[0] == 'e' ? 7 : 1;
    }
}
