# What: a Java program that is asked for statistics by a signal while it runs,
# and prints them again when it ends.
#
# Exercises: stats_signal in a program that handles other signals and has
# threads of its own, stats_print.
#
# Answer: two whole reports; the program's own answer.
case_about='statistics on request and at the end'
case_sets='quick'
case_tools='java javac'
case_packages=default-jdk-headless
case_proof=java

case_run() {
    cat >Wait.java <<'EOF'
public class Wait {
    public static void main(String[] args) throws Exception {
        System.out.println("pid " + ProcessHandle.current().pid());
        long sum = 0;
        for (int i = 0; i < 2000; i++) {
            byte[] block = new byte[100000];
            block[i] = 1;
            sum += block[i];
            if (new java.io.File("go").exists()) {
                break;
            }
            Thread.sleep(20);
        }
        System.out.println(sum > 0 ? "done" : "failed");
    }
}
EOF
    javac Wait.java
    export MALLOC_CONF=stats_print:true,stats_signal:USR1
    serve java.log java -Xmx64m Wait
    unset MALLOC_CONF
    wait_until grep -q '^pid ' java.log
    kill -USR1 "$(sed -n 's/^pid //p' java.log)"
    wait_until grep -q '^--- End jemalloc' java.log
    : >go
    wait "${server_pids[0]}" || fail "java ended with status $?"
    server_pids=()
    expect_line java.log '^done$'
    expect "$(grep -c '^___ Begin jemalloc' java.log)" 2 'reports begun'
    expect "$(grep -c '^--- End jemalloc' java.log)" 2 'reports ended'
}
