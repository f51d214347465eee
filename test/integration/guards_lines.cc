/*
 * What: a program with threads that hand blocks over, and one mistake, chosen
 * by the argument: guards.sh compares the lines that a report names with those
 * that carry the comments here.
 *
 * Invariants: the mistake is made with blocks of which some end, and some
 * begin, at a page.
 *
 * Locking: one lock for what is handed over.
 */
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <pthread.h>
#include <string>
#include <thread>
#include <vector>

namespace
{

struct Order {
    char text[64];
};

class Desk
{
  public:
    void put(std::vector<Order *> orders)
    {
        std::lock_guard<std::mutex> hold(lock);
        waiting = std::move(orders);
        changed.notify_all();
    }

    std::vector<Order *> take()
    {
        std::unique_lock<std::mutex> hold(lock);
        changed.wait(hold, [this] { return !waiting.empty(); });
        return std::move(waiting);
    }

  private:
    std::mutex lock;
    std::condition_variable changed;
    std::vector<Order *> waiting;
};

Desk entrance;
Desk archive;

__attribute__((noinline)) Order *make_order()
{
    Order *order = new Order; /* allocates */
    std::memset(order->text, 'x', sizeof(order->text));
    return order;
}

__attribute__((noinline)) void drop_order(Order *order)
{
    delete order; /* frees */
    __asm__ volatile("");
}

__attribute__((noinline)) void overflow(volatile char *text)
{
    text[sizeof(Order)] = 1; /* overflows */
    __asm__ volatile("");
}

__attribute__((noinline)) void underflow(volatile char *text)
{
    text[-1] = 1; /* underflows */
    __asm__ volatile("");
}

__attribute__((noinline)) char use(const volatile char *text)
{
    char byte = text[3]; /* uses */
    __asm__ volatile("");
    return byte;
}

void churn()
{
    std::map<int, std::string> names;
    for (int i = 0; i < 2000; i++) {
        names[i % 50] += std::string(static_cast<size_t>(i % 90), 'a');
        names.erase((i * 7) % 50);
    }
}

void clerk()
{
    pthread_setname_np(pthread_self(), "clerk");
    std::vector<Order *> orders;
    for (int i = 0; i < 8; i++) {
        orders.push_back(make_order());
    }
    entrance.put(orders);
    churn();
}

void porter()
{
    pthread_setname_np(pthread_self(), "porter");
    std::vector<Order *> orders = entrance.take();
    for (Order *order : orders) {
        drop_order(order);
    }
    archive.put(orders);
}

void reader(const std::string &mistake)
{
    pthread_setname_np(pthread_self(), "reader");
    bool late = mistake == "use_after_free";
    for (Order *order : (late ? archive : entrance).take()) {
        if (late) {
            use(order->text);
        } else if (mistake == "overflow") {
            overflow(order->text);
        } else {
            underflow(order->text);
        }
    }
}

} // namespace

int main(int argc, char **argv)
{
    std::string mistake = argc > 1 ? argv[1] : "";
    std::vector<std::thread> threads;
    threads.emplace_back(churn);
    threads.emplace_back(clerk);
    if (mistake == "use_after_free") {
        threads.emplace_back(porter);
    }
    threads.emplace_back(reader, mistake);
    threads.emplace_back(churn);
    for (std::thread &thread : threads) {
        thread.join();
    }
    return 0;
}
