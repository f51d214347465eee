# What: cargo builds a generated crate of several modules without network and
# dependencies, and the program it makes runs.
#
# Exercises: rustc and LLVM with their threads, the linker; then the program's
# own vectors, maps, boxes and channels. Debian's rustc, because others carry
# an allocator inside.
#
# Answer: the program's output equals that of the build without the library.
case_about='build of a generated crate, and the program it makes'
case_sets='quick'
case_tools='/usr/bin/cargo /usr/bin/rustc cc perl'
case_packages='cargo rustc gcc libc6-dev perl'
case_proof='@(rustc|load)'

write_crate() {
    mkdir -p crate/src
    cat >crate/Cargo.toml <<'EOF'
[package]
name = "load"
version = "0.1.0"
edition = "2021"
[profile.release]
codegen-units = 4
EOF
    perl -e '
        my $count = shift;
        my ($main, $calls) = ("", "");
        for my $i (1 .. $count) {
            open my $file, ">", "crate/src/m$i.rs" or die;
            print $file "use std::collections::{BTreeMap, HashMap};\n",
                "#[derive(Clone, Debug)]\n",
                "pub enum Tree { Leaf(String), Node(Vec<Box<Tree>>) }\n",
                "pub fn grow(n: usize) -> Tree {\n",
                "    if n < 2 { Tree::Leaf(\"$i\".repeat(n + $i)) } else {\n",
                "        Tree::Node((0..3).map(|k| Box::new(\n",
                "            grow(n / (k + 2)))).collect()) }\n}\n",
                "pub fn weigh(t: &Tree) -> usize { match t {\n",
                "    Tree::Leaf(s) => s.len(),\n",
                "    Tree::Node(v) => v.iter().map(|b| weigh(b)).sum() } }\n",
                "pub fn run(n: usize) -> usize {\n",
                "    let mut m: BTreeMap<String, Vec<usize>> =\n",
                "        BTreeMap::new();\n",
                "    let mut h = HashMap::new();\n",
                "    for i in 0..n {\n",
                "        m.entry(format!(\"{}\", i % 97)).or_default()\n",
                "            .push(i * $i);\n",
                "        h.insert(i, vec![0u8; i % 700]);\n",
                "        if i > 50 { h.remove(&(i - 50)); }\n    }\n",
                "    m.values().map(|v| v.len() * v[0]).sum::<usize>()\n",
                "        + h.values().map(|v| v.len()).sum::<usize>()\n",
                "        + weigh(&grow(n / 10).clone())\n}\n";
            $main .= "mod m$i;\n";
            $calls .= "    jobs.push((m$i\::run as fn(usize) -> usize, $i));\n";
        }
        open my $file, ">", "crate/src/main.rs" or die;
        print $file $main, "use std::sync::mpsc;\nuse std::thread;\n",
            "fn main() {\n    let n: usize = std::env::args().nth(1)\n",
            "        .unwrap().parse().unwrap();\n",
            "    let mut jobs = Vec::new();\n", $calls,
            "    let (tx, rx) = mpsc::channel();\n",
            "    for (job, i) in jobs { let tx = tx.clone();\n",
            "        thread::spawn(move || tx.send((i, job(n))).unwrap()); }\n",
            "    drop(tx);\n    let mut all: Vec<_> = rx.iter().collect();\n",
            "    all.sort();\n    println!(\"{:?}\", all);\n}\n";
    ' "$1"
}

# build MODE TARGET
build() {
    "$1" /usr/bin/cargo build -q --offline --release --jobs 2 \
        --manifest-path crate/Cargo.toml --target-dir "$2"
}

case_run() {
    write_crate "$(pick 2 6 40)"
    export CARGO_HOME=$PWD/home RUSTC=/usr/bin/rustc
    unset RUSTUP_TOOLCHAIN RUSTFLAGS CARGO_TARGET_DIR RUSTC_WRAPPER
    build plain target-plain
    build under target-under
    # Not byte for byte: the path of the target directory is inside.
    plain target-plain/release/load 20000 >plain.out
    under target-under/release/load 20000 >under.out
    same plain.out under.out
}
