# What: ruby strings, arrays, hashes, fibers, threads, and its collector with
# compaction.
#
# Exercises: the interpreter's heap pages by posix_memalign, buffers that are
# freed by the collector in bulk, malloc_usable_size.
#
# Answer: the same text as without the library.
case_about='strings, hashes, threads, fibers, compacting collector'
case_sets='quick'
case_tools=ruby
case_packages=ruby
case_proof='ruby*'

write_script() {
    cat <<'EOF'
limit = ARGV[0].to_i
GC.stress = true
puts 200.times.map { |i| [i.to_s * 3, { i => "x" }] }.flatten.size
GC.stress = false
state = 11
draw = -> { state = (state * 1103515245 + 12345) & 0x7fffffff }
table = Hash.new { |hash, key| hash[key] = [] }
limit.times do |i|
  table["k#{draw.call % 20000}"] << "v" * (draw.call % 120) + i.to_s
  table.delete("k#{draw.call % 20000}") if i % 5 == 0
end
puts table.size, table.values.flatten.map(&:size).sum
puts table.sort.map { |key, list| key.hash; list.join.sum }.sum
text = +""
limit.times { |i| text << (i % 7 == 0 ? "line\n" : "word ") }
puts text.lines.group_by(&:size).map { |size, lines| [size, lines.size] }
  .sort.inspect
queue = Queue.new
workers = 4.times.map do |n|
  Thread.new do
    (limit / 20).times { |i| queue << ("#{n}:" * (i % 90)) }
  end
end
total = 0
(4 * (limit / 20)).times { total += queue.pop.size }
workers.each(&:join)
puts total
fibers = 500.times.map do |n|
  Fiber.new { 3.times { |i| Fiber.yield(("f" * n) + i.to_s) }; "end" }
end
puts fibers.map { |f| 4.times.map { f.resume }.join.size }.sum
GC.start
GC.compact if GC.respond_to?(:compact)
big = Array.new(limit) { |i| i * 2.5 }
big.concat(big.map(&:to_s))
puts big.size, big.last
puts (2**20_000).to_s.sum
EOF
}

case_run() {
    write_script >script.rb
    both ruby script.rb "$(pick 50000 200000 1000000)"
}
