# What: a Java program of four threads with direct byte buffers, hot loops for
# the compiler threads, deflate, and a class loaded many times over.
#
# Exercises: large and small native blocks from many threads, the arenas of
# the just-in-time compiler, thread creation and death, trimming.
#
# Answer: the same text as without the library, and assertions inside.
case_about='direct buffers from four threads, JIT, native deflate'
case_sets='quick'
case_tools='java javac'
case_packages=default-jdk-headless
case_proof=java

write_source() {
    cat <<'EOF'
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.zip.CRC32;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

public class Load {
    static long churn(int seed, int rounds) {
        ByteBuffer[] ring = new ByteBuffer[64];
        long state = seed, sum = 0;
        for (int i = 0; i < rounds; i++) {
            state = (state * 1103515245L + 12345) & 0x7fffffff;
            int size = (int) (state % 60000) + 8;
            int slot = (int) (state >> 8) % ring.length;
            ByteBuffer old = ring[slot];
            if (old != null) {
                if (old.getInt(old.capacity() - 4) != old.capacity()) {
                    throw new IllegalStateException("a buffer changed");
                }
                sum = (sum * 31 + old.capacity()) % 1000003;
            }
            ring[slot] = ByteBuffer.allocateDirect(size);
            ring[slot].putInt(size - 4, size);
        }
        return sum;
    }

    static long squeeze(int seed, int rounds) throws Exception {
        byte[] text = new byte[20000], packed = new byte[30000];
        byte[] back = new byte[20000];
        CRC32 sum = new CRC32();
        for (int i = 0; i < rounds; i++) {
            for (int j = 0; j < text.length; j++) {
                text[j] = (byte) (j * seed % (i % 50 + 3));
            }
            Deflater deflater = new Deflater(i % 9 + 1);
            deflater.setInput(text);
            deflater.finish();
            int size = deflater.deflate(packed);
            deflater.end();
            Inflater inflater = new Inflater();
            inflater.setInput(packed, 0, size);
            if (inflater.inflate(back) != text.length) {
                throw new IllegalStateException("short inflate");
            }
            inflater.end();
            sum.update(back);
        }
        return sum.getValue();
    }

    public static void main(String[] arguments) throws Exception {
        int rounds = Integer.parseInt(arguments[0]);
        for (int wave = 0; wave < 3; wave++) {
            ExecutorService pool = Executors.newFixedThreadPool(4);
            List<Future<Long>> results = new ArrayList<>();
            for (int i = 1; i <= 4; i++) {
                int seed = i;
                Callable<Long> first = () -> churn(seed, rounds);
                Callable<Long> second = () -> squeeze(seed, rounds / 50);
                results.add(pool.submit(first));
                results.add(pool.submit(second));
            }
            for (Future<Long> result : results) {
                System.out.println(wave + " " + result.get());
            }
            pool.shutdown();
            System.gc();
        }
        for (int i = 0; i < 500; i++) {
            Thread thread = new Thread(() -> { churn(3, 5); });
            thread.start();
            thread.join();
        }
        System.out.println("end");
    }
}
EOF
}

case_run() {
    write_source >Load.java
    plain javac -d plain Load.java
    under javac -d under Load.java
    same plain/Load.class under/Load.class
    both java -Xmx300m -XX:MaxDirectMemorySize=600m -cp under Load \
        "$(pick 1000 4000 30000)"
}
