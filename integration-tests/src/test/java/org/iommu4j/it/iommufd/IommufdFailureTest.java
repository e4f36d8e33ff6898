// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.iommufd;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.iommu4j.vfio.VfioDeviceFile;
import org.iommu4j.vfio.iommufd.CompatContainer;
import org.iommu4j.vfio.iommufd.HwptAlloc;
import org.iommu4j.vfio.iommufd.IoasCopy;
import org.iommu4j.vfio.iommufd.IoasMap;
import org.iommu4j.vfio.iommufd.IoasMapFile;
import org.iommu4j.vfio.iommufd.Iommufd;
import org.iommu4j.vfio.iommufd.IommufdAccess;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The n-th call of a port fails, in every operation: what can fail changes nothing then, what can't does its work, and
 * nothing leaks.
 */
class IommufdFailureTest {
    private static final long PAGE = IommufdBench.PAGE;
    private static final long MEMORY = IommufdBench.MEMORY;
    private static final int ALL = IoasMap.FIXED_IOVA | IoasMap.WRITEABLE | IoasMap.READABLE;

    /**
     * An iommufd with two IOAS, a HWPT, and the first device attached to the first IOAS; an access to a third, of which
     * nothing is pinned.
     */
    private static final class Bench implements EveryFailure.Bench {
        final IommufdBench host;
        final Iommufd iommufd;
        final VfioDeviceFile first;
        final VfioDeviceFile second;
        final int a;
        final int b;
        final int c;
        final int hwpt;
        final IommufdAccess access;
        private boolean pinned;
        final int secondId;

        /** The second device's file, another than that which is bound at first; for some operations. */
        VfioDeviceFile other;

        Bench(String machine, String release) {
            host = new IommufdBench(IommufdBench.named(machine), release, 1600);
            iommufd = host.open(host.failures.processMemory(host.process));
            first = host.file(host.first);
            second = host.file(host.second);
            other = second;
            int id = first.bind(iommufd);
            secondId = second.bind(iommufd);
            a = iommufd.ioasAlloc(0);
            b = iommufd.ioasAlloc(0);
            map(a, 0x100000, 4);
            map(b, 0x100000, 600);
            first.attach(a);
            hwpt = iommufd.hwptAlloc(new HwptAlloc(0, id, b));
            c = iommufd.ioasAlloc(0);
            map(c, 0x100000, 300);
            access = iommufd.createAccess(this::unpin, true);
            access.attach(c);
            iommufd.vfioIoasSet(a);
        }

        void map(int ioas, long iova, int pages) {
            iommufd.ioasMap(new IoasMap(ALL, ioas, MEMORY, pages * PAGE, iova));
        }

        private void unpin(long iova, long length) {
            if (pinned) {
                pinned = false;
                access.unpinPages(0x100000 + PAGE, 200 * PAGE, true);
            }
        }

        void pin() {
            access.pinPages(0x100000 + PAGE, 200 * PAGE, true);
            pinned = true;
        }

        @Override
        public IommufdBench host() {
            return host;
        }

        @Override
        public String state() {
            return "pinned " + host.process.pinned() + ", charged " + host.account.charged() + ", objects "
                    + iommufd.objects() + ", first reads " + Long.toHexString(host.read(IommufdBench.FIRST, 0x100000))
                    + ", second reads " + Long.toHexString(host.read(IommufdBench.SECOND, 0x100000));
        }

        @Override
        public void closeAll() {
            EveryFailure.runAll(
                    List.of(first::close, second::close, () -> other.close(), access::close, iommufd::close));
        }
    }

    private static Map<String, EveryFailure.Operation<Bench>> operations() {
        Map<String, EveryFailure.Operation<Bench>> all = new LinkedHashMap<>();
        all.put("map", bench -> bench.map(bench.a, 0x40000000L, 1200));
        all.put(
                "map anywhere",
                bench -> bench.iommufd.ioasMap(new IoasMap(IoasMap.READABLE, bench.a, MEMORY, 700 * PAGE, 0)));
        all.put(
                "copy",
                bench ->
                        bench.iommufd.ioasCopy(new IoasCopy(ALL, bench.a, bench.b, 600 * PAGE, 0x50000000L, 0x100000)));
        all.put(
                "map through VFIO's call",
                bench -> bench.iommufd.vfioContainer().map(0x40000000L, MEMORY, 600 * PAGE, 3));
        all.put(
                "map a file",
                bench -> bench.iommufd.ioasMapFile(new IoasMapFile(
                        ALL,
                        bench.a,
                        bench.host.failures.processMemory(bench.host.process),
                        MEMORY,
                        600 * PAGE,
                        0x60000000L)));
        all.put("pin", Bench::pin);
        all.put("attach", bench -> bench.second.attach(bench.a));
        all.put("attach with a HWPT of its own", bench -> bench.second.attach(bench.b));
        all.put("attach to a HWPT", bench -> bench.second.attach(bench.hwpt));
        all.put("replace", bench -> bench.first.attach(bench.b));
        all.put("replace by a HWPT", bench -> bench.first.attach(bench.hwpt));
        all.put(
                "bind",
                EveryFailure.prepared(
                        bench -> {
                            bench.second.close();
                            bench.other = bench.host.file(bench.host.second);
                        },
                        bench -> bench.other.bind(bench.iommufd)));
        all.put(
                "read and write through an access",
                bench -> bench.access.readWrite(
                        bench.host.machine.memory(0), 0x100000 + PAGE - 8, new long[] {MEMORY + PAGE - 8, 7}, true));
        all.put("move an access", bench -> bench.access.replace(bench.b));
        all.put("allocate", bench -> bench.iommufd.hwptAlloc(new HwptAlloc(0, bench.secondId, bench.b)));
        return all;
    }

    @ParameterizedTest
    @CsvSource({"intel-sc, 6.12", "intel-sc, 7.3", "amd, 7.3"})
    void whatFailsChangesNothing(String machine, String release) {
        Map<String, EveryFailure.Operation<Bench>> all = operations();
        if (release.equals("6.12")) {
            // It has no such call.
            all.remove("map a file");
        }
        all.forEach((name, operation) -> {
            String what = machine + " " + release + ": " + name;
            long places = EveryFailure.changesNothing(what, () -> new Bench(machine, release), operation);
            System.out.printf("%s fails in %d places%n", what, places);
        });
    }

    /** What Linux's callers can't undo: it is done, whatever fails. */
    private static Map<String, EveryFailure.Operation<Bench>> releases() {
        Map<String, EveryFailure.Operation<Bench>> all = new LinkedHashMap<>();
        all.put("unmap", bench -> bench.iommufd.ioasUnmap(bench.b, 0, -1L));
        all.put(
                "unmap below an access",
                EveryFailure.prepared(Bench::pin, bench -> bench.iommufd.ioasUnmap(bench.c, 0, -1L)));
        all.put("unmap through VFIO's call", bench -> {
            CompatContainer.Unmapped unmapped = bench.iommufd.vfioContainer().unmap(0x100000, 4 * PAGE, 0);
            if (unmapped.failure() != null) {
                throw unmapped.failure();
            }
        });
        all.put("detach an access", EveryFailure.prepared(Bench::pin, bench -> bench.access.detach()));
        all.put("close an access", EveryFailure.prepared(Bench::pin, bench -> bench.access.close()));
        all.put("detach", bench -> bench.first.detach());
        all.put("destroy", bench -> bench.iommufd.destroy(bench.hwpt));
        all.put("unbind", bench -> bench.first.close());
        all.put("close", Bench::closeAll);
        return all;
    }

    @ParameterizedTest
    @CsvSource({"intel-sc, 6.12", "intel-sc, 7.3", "amd, 7.3"})
    void whatIsReleasedIsGoneWhateverFails(String machine, String release) {
        releases()
                .forEach((name, operation) -> EveryFailure.goes(
                        machine + " " + release + ": " + name, () -> new Bench(machine, release), operation));
    }
}
