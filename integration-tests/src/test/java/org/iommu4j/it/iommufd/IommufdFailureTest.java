// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.iommufd;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.LinkedHashMap;
import java.util.Map;
import org.iommu4j.IommuException;
import org.iommu4j.vfio.VfioDeviceFile;
import org.iommu4j.vfio.iommufd.HwptAlloc;
import org.iommu4j.vfio.iommufd.IoasCopy;
import org.iommu4j.vfio.iommufd.IoasMap;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The n-th call of a port fails, in every operation: what fails changes nothing, and nothing leaks. */
class IommufdFailureTest {
    private static final long PAGE = IommufdBench.PAGE;
    private static final long MEMORY = IommufdBench.MEMORY;
    private static final int ALL = IoasMap.FIXED_IOVA | IoasMap.WRITEABLE | IoasMap.READABLE;

    /** An iommufd with two IOAS, a HWPT, and the first device attached to the first IOAS. */
    private static final class Bench {
        final IommufdBench host;
        final Iommufd iommufd;
        final VfioDeviceFile first;
        final VfioDeviceFile second;
        final int a;
        final int b;
        final int hwpt;
        final int secondId;

        Bench(String machine, String release) {
            host = new IommufdBench(IommufdBench.named(machine), release, 1600);
            iommufd = host.open(host.failures.processMemory(host.process));
            first = host.file(host.first);
            second = host.file(host.second);
            int id = first.bind(iommufd);
            secondId = second.bind(iommufd);
            a = iommufd.ioasAlloc(0);
            b = iommufd.ioasAlloc(0);
            map(a, 0x100000, 4);
            map(b, 0x100000, 600);
            first.attach(a);
            hwpt = iommufd.hwptAlloc(new HwptAlloc(0, id, b));
        }

        void map(int ioas, long iova, int pages) {
            iommufd.ioasMap(new IoasMap(ALL, ioas, MEMORY, pages * PAGE, iova));
        }

        long frames() {
            return host.machine.frames().inUse();
        }

        String state() {
            return "pinned " + host.process.pinned() + ", charged " + host.account.charged() + ", objects "
                    + iommufd.objects() + ", first reads " + Long.toHexString(host.read(IommufdBench.FIRST, 0x100000))
                    + ", second reads " + Long.toHexString(host.read(IommufdBench.SECOND, 0x100000));
        }

        void closeAll() {
            first.close();
            second.close();
            iommufd.close();
        }
    }

    private interface Operation {
        void run(Bench bench);
    }

    private static Map<String, Operation> operations() {
        Map<String, Operation> all = new LinkedHashMap<>();
        all.put("map", bench -> bench.map(bench.a, 0x40000000L, 1200));
        all.put(
                "map anywhere",
                bench -> bench.iommufd.ioasMap(new IoasMap(IoasMap.READABLE, bench.a, MEMORY, 700 * PAGE, 0)));
        all.put(
                "copy",
                bench ->
                        bench.iommufd.ioasCopy(new IoasCopy(ALL, bench.a, bench.b, 600 * PAGE, 0x50000000L, 0x100000)));
        all.put("attach", bench -> bench.second.attach(bench.a));
        all.put("attach with a HWPT of its own", bench -> bench.second.attach(bench.b));
        all.put("attach to a HWPT", bench -> bench.second.attach(bench.hwpt));
        all.put("replace", bench -> bench.first.attach(bench.b));
        all.put("replace by a HWPT", bench -> bench.first.attach(bench.hwpt));
        all.put("allocate", bench -> bench.iommufd.hwptAlloc(new HwptAlloc(0, bench.secondId, bench.b)));
        return all;
    }

    @ParameterizedTest
    @CsvSource({"intel-sc, 6.12", "intel-sc, 7.3", "amd, 7.3"})
    void whatFailsChangesNothing(String machine, String release) {
        operations().forEach((name, operation) -> {
            long n = 1;
            boolean fired = true;
            for (; fired; n++) {
                assertThat(n).as(name).isLessThan(5000);
                Bench bench = new Bench(machine, release);
                long frames = bench.frames();
                String before = bench.state();
                bench.host.failures.arm(n);
                RuntimeException failure = null;
                try {
                    operation.run(bench);
                } catch (IommuException thrown) {
                    failure = thrown;
                }
                fired = bench.host.failures.fired();
                bench.host.failures.disarm();
                String when = machine + " " + release + ", " + name + ", failure " + n;
                if (!fired) {
                    assertThat(failure).as(when).isNull();
                    bench.closeAll();
                    assertThat(bench.host.process.pinned()).as(when).isZero();
                    assertThat(bench.host.account.charged()).as(when).isZero();
                } else if (failure != null && !isLost(failure)) {
                    assertThat(bench.state()).as(when).isEqualTo(before);
                    // Empty tables may stay until their domain is closed.
                    operation.run(bench);
                    bench.closeAll();
                    assertThat(bench.host.process.pinned()).as(when).isZero();
                    assertThat(bench.host.account.charged()).as(when).isZero();
                    assertThat(bench.frames()).as(when).isLessThan(frames);
                }
            }
            System.out.printf("%s %s: %s fails in %d places%n", machine, release, name, n - 2);
        });
    }

    /** A unit that did not answer is broken; then pages stay pinned. */
    private static boolean isLost(Throwable failure) {
        if (failure instanceof IommuException refusal) {
            switch (refusal.errno()) {
                case ETIMEDOUT, EIO:
                    return true;
                default:
                    break;
            }
        }
        for (Throwable second : failure.getSuppressed()) {
            if (isLost(second)) {
                return true;
            }
        }
        return false;
    }
}
