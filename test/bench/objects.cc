/*
 * What: C++ with its containers: an index of words over generated texts, as
 * maps, lists, vectors and strings, objects behind shared pointers, and
 * virtual classes; all through operator new and the deletes that compilers
 * choose.
 *
 * Invariants: (I1) the index holds each word's places as often as the text
 * does.
 *
 * Locking: none, one thread.
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace
{

std::uint64_t state = 1;

std::uint32_t below(std::uint32_t limit)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::uint32_t>(((state >> 32) * limit) >> 32);
}

void require(bool condition, const char *what)
{
    if (!condition) {
        std::fprintf(stderr, "benchmark: %s\n", what);
        std::exit(1);
    }
}

std::string some_word()
{
    std::string word = "w";

    for (std::uint32_t i = 2 + below(3); i-- > 0;) {
        word += static_cast<char>('a' + below(6));
    }
    return below(5) == 0 ? word + "-and-a-longer-ending-of-it" : word;
}

struct text {
    std::string name;
    std::vector<std::string> words;
};

struct shape {
    virtual ~shape() = default;
    virtual std::uint64_t size() const = 0;
};

struct leaf final : shape {
    std::uint64_t value = below(100);
    std::uint64_t size() const override
    {
        return value;
    }
};

struct group final : shape {
    std::vector<std::unique_ptr<shape>> parts;
    std::string label = some_word();
    std::uint64_t size() const override
    {
        std::uint64_t sum = label.size();

        for (const auto &part : parts) {
            sum += part->size();
        }
        return sum;
    }
};

std::unique_ptr<shape> make_shape(int depth)
{
    if (depth == 0) {
        return std::make_unique<leaf>();
    }
    auto made = std::make_unique<group>();

    for (std::uint32_t i = 1 + below(5); i-- > 0;) {
        made->parts.push_back(make_shape(depth - 1));
    }
    return made;
}

using index = std::map<std::string, std::list<std::shared_ptr<text>>>;

std::uint64_t round_of(std::uint32_t texts)
{
    std::unordered_map<std::string, std::uint64_t> counts;
    std::uint64_t words = 0, found = 0;
    index all;

    for (std::uint32_t i = 0; i < texts; i++) {
        auto one = std::make_shared<text>();

        one->name = "text number " + std::to_string(i);
        for (std::uint32_t j = below(60); j-- > 0;) {
            one->words.push_back(some_word());
            counts[one->words.back()]++;
            all[one->words.back()].push_back(one);
            words++;
        }
    }
    for (const auto &[word, places] : all) {
        require(counts[word] == places.size(), "the index lost a place");
        found += places.size();
    }
    require(found == words, "the index lost a word");
    std::vector<std::function<std::uint64_t()>> later;
    for (int i = 0; i < 50; i++) {
        std::shared_ptr<shape> whole = make_shape(5);

        later.emplace_back([whole, i] { return whole->size() + i; });
    }
    for (const auto &call : later) {
        found += call();
    }
    return found;
}

} /* namespace */

int main(int argc, char **argv)
{
    std::uint64_t rounds = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 40;
    std::uint64_t sum = 0;

    require(rounds != 0, "argument is no number above 0");
    for (std::uint64_t i = 0; i < rounds; i++) {
        sum += round_of(500);
    }
    std::printf("operations %llu sum %llu\n",
        static_cast<unsigned long long>(rounds),
        static_cast<unsigned long long>(sum));
    return 0;
}
