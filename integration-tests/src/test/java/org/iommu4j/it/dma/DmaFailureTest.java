// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.dma;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.LinkedHashMap;
import java.util.Map;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.core.DefaultDomainPolicy;
import org.iommu4j.dma.CoherentBuffer;
import org.iommu4j.dma.DmaDevice;
import org.iommu4j.dma.DmaDirection;
import org.iommu4j.dma.DmaParameters;
import org.iommu4j.dma.ScatterList;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The n-th call of a port fails, in every operation of the DMA API: what can fail changes nothing then, and nothing
 * leaks. A flush that does not complete keeps what the device may still reach.
 */
class DmaFailureTest {
    private static final long PAGE = DmaBench.PAGE;

    /** An operation, and how it is taken back. */
    private interface Operation {
        Runnable run(DmaBench bench, DmaDevice device, long buffer);
    }

    private static Map<String, Operation> operations() {
        Map<String, Operation> operations = new LinkedHashMap<>();
        operations.put("map", (bench, device, buffer) -> {
            long iova = device.map(buffer, 5 * PAGE, DmaDirection.BIDIRECTIONAL);
            return () -> device.unmap(iova, 5 * PAGE, DmaDirection.BIDIRECTIONAL);
        });
        operations.put("map of 3 MiB", (bench, device, buffer) -> {
            long iova = device.map(buffer + PAGE, 3 << 20, DmaDirection.TO_DEVICE);
            return () -> device.unmap(iova, 3 << 20, DmaDirection.TO_DEVICE);
        });
        operations.put("bounced map", (bench, device, buffer) -> {
            long iova = device.map(buffer + 0x100, 0x1234, DmaDirection.BIDIRECTIONAL);
            return () -> device.unmap(iova, 0x1234, DmaDirection.BIDIRECTIONAL);
        });
        operations.put("scatter list", (bench, device, buffer) -> {
            ScatterList list = new ScatterList()
                    .add(buffer + 0x1800, 0x800)
                    .add(buffer + 0x10000, 0x3000)
                    .add(buffer + 0x8000, 0x10);
            device.mapScatter(list, DmaDirection.FROM_DEVICE);
            return () -> device.unmapScatter(list, DmaDirection.FROM_DEVICE);
        });
        operations.put("coherent", (bench, device, buffer) -> {
            CoherentBuffer coherent = device.allocateCoherent(5 * PAGE);
            return () -> device.freeCoherent(coherent);
        });
        operations.put("coherent, atomic", (bench, device, buffer) -> {
            CoherentBuffer coherent = device.allocateCoherentAtomic(3 * PAGE);
            return () -> device.freeCoherent(coherent);
        });
        operations.put("bind of a device that is not coherent", (bench, device, buffer) -> {
            DmaDevice other = bench.dma.bind(DmaBench.GPU, DmaParameters.DEFAULT.notCoherent());
            return other::close;
        });
        return operations;
    }

    @ParameterizedTest
    @CsvSource({
        "intel-sc, DMA, false",
        "intel-sc, DMA_FQ, false",
        "intel-sc, DMA, true",
        "amd, DMA, false",
        "amd, DMA_FQ, false",
        "amd, DMA, true",
        "riscv, DMA, false",
        "riscv, DMA_FQ, false",
        "riscv, DMA, true"
    })
    void whatCantBeDoneChangesNothing(String machine, DefaultDomainPolicy policy, boolean outside) {
        operations().forEach((name, operation) -> {
            int fired = 0;
            for (int n = 1; fire(machine, policy, outside, name, operation, n); n++) {
                fired++;
            }
            assertThat(fired).as(name + ": failures injected").isPositive();
        });
    }

    /** Returns whether the operation had an n-th call that could fail. */
    private static boolean fire(
            String machine, DefaultDomainPolicy policy, boolean outside, String name, Operation operation, int n) {
        DmaBench bench = outside ? DmaBench.outside(machine, "7.3", policy) : DmaBench.flat(machine, "7.3", policy);
        String where = name + ", call " + n;
        DmaDevice device = bench.dma.bind(DmaBench.GPU);
        long buffer = bench.buffer(10);
        // Tables that a refused map leaves are the domain's; so only what is beyond them counts.
        long frames = bench.machine.frames().inUse();
        int groups = device.mappings();
        bench.failures.arm(n);
        Errno errno = null;
        Runnable back = null;
        try {
            back = operation.run(bench, device, buffer);
        } catch (IommuException refusal) {
            errno = refusal.errno();
        }
        boolean fired = bench.failures.fired();
        bench.failures.disarm();
        if (back != null) {
            back.run();
        } else {
            assertThat(fired).as(where).isTrue();
            assertThat(errno).as(where).isIn(Errno.ENOMEM, Errno.ETIMEDOUT, Errno.EIO);
        }
        assertThat(device.mappings()).as(where).isEqualTo(groups);
        boolean lost = errno == Errno.ETIMEDOUT || errno == Errno.EIO;
        if (lost) {
            return fired;
        }
        assertThat(bench.dma.bouncePages()).as(where).isZero();
        // The operation works now, at the same address as if nothing had been.
        operation.run(bench, device, buffer).run();
        device.close();
        bench.dma.advance(10);
        assertThat(bench.dma.waitingForFlush()).as(where).isZero();
        bench.dma.close();
        bench.core.close();
        assertThat(bench.machine.frames().inUse()).as(where).isLessThanOrEqualTo(frames);
        bench.iommu.close();
        assertThat(bench.machine.frames().inUse()).as(where).isZero();
        assertThat(bench.iommu.quarantinedFrames()).as(where).isZero();
        return fired;
    }

    /** A unit that does not confirm a flush may still use the address: it and its memory stay out of use. */
    @ParameterizedTest
    @CsvSource({"intel-sc, DMA", "amd, DMA", "riscv, DMA", "intel-sc, DMA_FQ", "amd, DMA_FQ", "riscv, DMA_FQ"})
    void whatAUnitDidNotForgetIsNotUsedAgain(String machine, DefaultDomainPolicy policy) {
        DmaBench bench = DmaBench.flat(machine, "7.3", policy);
        DmaDevice device = bench.dma.bind(DmaBench.GPU);
        long iova = device.mapPage(bench.buffer(0), DmaDirection.TO_DEVICE);
        bench.read(iova);
        bench.failures.arm(1);

        Errno errno = null;
        try {
            device.unmap(iova, PAGE, DmaDirection.TO_DEVICE);
            bench.dma.advance(10);
        } catch (IommuException refusal) {
            errno = refusal.errno();
        }

        assertThat(bench.failures.fired()).isTrue();
        assertThat(errno).isIn(Errno.ETIMEDOUT, Errno.EIO);
        assertThat(device.mappings()).isZero();
        bench.failures.disarm();
        assertThat(newAddress(device, bench)).isNotEqualTo(iova);
    }

    /** Returns an address that is given out, or none where the broken unit refuses to map. */
    private static long newAddress(DmaDevice device, DmaBench bench) {
        try {
            return device.mapPage(bench.buffer(0), DmaDirection.TO_DEVICE);
        } catch (IommuException broken) {
            return -1;
        }
    }
}
