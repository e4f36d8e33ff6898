// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.tck;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import org.iommu4j.IommuDomain;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.tck.Promises;
import org.iommu4j.tck.Subject;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** A driver or a port that never returns fails its test by name, and the kit goes on. */
class LoopingVendorTest {
    private static final KitIndex KIT = new KitIndex(Sabotaged.Driver.class);
    /** A promise with few tests, since each takes the whole time. */
    private static final String FEW = "unmap-2";

    private static final String MANY = "map-1";
    private static final String ENDED = "It ended when its thread was interrupted.";
    private static final String RUNS_ON = "It did not end when its thread was interrupted: it runs on";

    private final Subject subject = Subjects.all().findFirst().orElseThrow();
    private final CountDownLatch released = new CountDownLatch(1);
    private final Queue<Thread> loops = new ConcurrentLinkedQueue<>();

    @AfterEach
    void loopsEnd() throws InterruptedException {
        released.countDown();
        for (Thread loop : loops) {
            loop.join();
        }
    }

    @Test
    void aDriverThatCanBeInterruptedIsEnded() {
        List<String> failures = failures(FEW, IommuDomain.class, "unmap", call -> {
            released.await();
            return call.proceed();
        });
        assertThat(failures)
                .isNotEmpty()
                .allSatisfy(message -> assertThat(message)
                        .startsWith("promise broken\n  [" + FEW + "] " + Promises.sentence(FEW) + '\n')
                        .contains(
                                "\nby " + subject + "\nno end within 0.5 s (-Diommu4j.tck.timeout sets this)",
                                "\nthread \"",
                                ENDED)
                        .contains("java.util.concurrent.CountDownLatch.await(", "after these steps:"));
    }

    @Test
    void aDriverThatLoopsForeverIsLeftAndLaterTestsAreRefused() throws InterruptedException {
        List<String> failures = failures(MANY, IommuDomain.class, "map", this::loop);
        assertThat(failures)
                .hasSizeGreaterThan(3)
                .allSatisfy(message -> assertThat(message).contains("promise broken\n  [" + MANY + "] "));
        assertThat(failures.subList(0, 3))
                .allSatisfy(message -> assertThat(message)
                        .contains("is RUNNABLE\n", "LoopingVendorTest.loop(LoopingVendorTest.java:", RUNS_ON));
        assertThat(failures.subList(3, failures.size()))
                .allSatisfy(message -> assertThat(message).contains("not run: 3 tests before it still loop"));

        loopsEnd();
        assertThat(new KitRun(KIT, work -> Sabotaged.over(subject, work)).failures(MANY))
                .as("the kit runs again when the loops ended")
                .isEmpty();
    }

    @Test
    void aDriverThatLoopsInOpenHasATimeOutToo() {
        assertThat(failures(FEW, IommuVendor.class, "open", call -> {
                    released.await();
                    return call.proceed();
                }))
                .isNotEmpty()
                .allSatisfy(message ->
                        assertThat(message).contains("promise broken\n  [" + FEW + "] ", "no end within 0.5 s", ENDED));
    }

    @Test
    void aPortThatLoopsHasATimeOutToo() {
        Interposer.Handler waits = call -> {
            released.await();
            return call.proceed();
        };
        PortSabotage sabotage =
                PortSabotage.of("frames-allocate-1", "never returns", FrameAllocator.class, "allocate", waits);
        assertThat(new KitRun(PortKits.index(), work -> PortKits.with(sabotage, work))
                        .failures("frames-allocate-1", Map.of("iommu4j.tck.timeout", "0.5")))
                .isNotEmpty()
                .allSatisfy(message -> assertThat(message)
                        .startsWith("promise broken\n  [frames-allocate-1] ")
                        .contains("no end within 0.5 s", ENDED));
    }

    @Test
    void aTimeOutThatIsNoNumberIsRefused() {
        assertThat(new KitRun(KIT, work -> Sabotaged.over(subject, work))
                        .failures(FEW, Map.of("iommu4j.tck.timeout", "soon")))
                .isNotEmpty()
                .allSatisfy(message -> assertThat(message)
                        .contains("iommu4j.tck.timeout is 'soon', expected seconds, or 0 for no end"));
    }

    private List<String> failures(String promise, Class<?> type, String method, Interposer.Handler handler) {
        Subject broken = new Interposer(List.of(new Interposer.Change(type, method, handler))).between(subject);
        return new KitRun(KIT, work -> Sabotaged.over(broken, work))
                .failures(promise, Map.of("iommu4j.tck.timeout", "0.5"));
    }

    private Object loop(Interposer.Call call) {
        loops.add(Thread.currentThread());
        while (released.getCount() > 0) {
            Thread.onSpinWait();
        }
        return null;
    }
}
