# What: the shell's own allocations: associative and plain arrays that grow,
# string building, recursion with locals, sub-shells, pattern substitution.
#
# Exercises: very many small blocks, growth by realloc, fork without exec.
#
# Answer: the same text as without the library.
case_about='arrays, strings, recursion, forks of a shell script'
case_sets='check quick'
case_tools=bash
case_packages=bash
case_proof=bash

write_script() {
    cat <<'EOF'
set -eu
limit=$1
declare -A words
declare -a sieve list
state=1
for ((i = 0; i < limit; i++)); do
    state=$(((state * 1103515245 + 12345) & 0x7fffffff))
    words[key$((state % 5000))]+="$((state & 255)),"
    list+=("item-$state-${list[i / 2]:-none}")
    list[i]=${list[i]:0:60}
done
keys=("${!words[@]}")
echo "keys ${#keys[@]} list ${#list[@]} last ${list[-1]}"
for key in "${keys[@]}"; do
    echo "$key ${words[$key]//,/;}"
done | sort | cksum
for ((i = 2; i * i < limit; i++)); do
    for ((j = i * i; j < limit; j += i)); do
        sieve[j]=1
    done
done
count=0
for ((i = 2; i < limit; i++)); do
    [ -n "${sieve[i]:-}" ] || count=$((count + 1))
done
echo "primes below $limit: $count"
ackermann() {
    local m=$1 n=$2 inner
    if ((m == 0)); then
        result=$((n + 1))
    elif ((n == 0)); then
        ackermann $((m - 1)) 1
    else
        ackermann "$m" $((n - 1))
        inner=$result
        ackermann $((m - 1)) "$inner"
    fi
}
ackermann 2 25
echo "ackermann $result"
text=
for ((i = 0; i < 300; i++)); do
    part=$(printf '%s' "${list[i]}" "$i")
    text+=${part^^}
done
echo "${#text} $(printf '%s' "$text" | cksum)"
EOF
}

case_run() {
    write_script >script
    both bash script "$(pick 8000 20000 60000)"
}
