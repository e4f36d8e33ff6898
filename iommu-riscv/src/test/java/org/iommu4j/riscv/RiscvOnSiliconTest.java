// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.Endpoint;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The invalidations of each release are enough for silicon that remembers all that it may. Releases that are not known
 * yet have no vendor, so the kit can't ask for them.
 */
class RiscvOnSiliconTest {
    private static final long PAGE = 4096;
    private static final long IOVA = 1L << 30;
    private static final long WINDOW = 8L << 20;
    private static final long MEMORY = 64L << 20;

    private final MachineFactory machines = MachineFactory.load();

    @ParameterizedTest
    @CsvSource({"riscv, 6.18", "riscv, 7.1", "riscv, 7.2", "riscv-small, 7.0", "riscv-small, 7.2"})
    void aDeviceReachesAfterEachSyncWhatIsMappedAndNothingElse(String name, String release) {
        long seed = Long.getLong("iommu4j.seed", 20261130L);
        Random random = new Random(seed);
        Machine machine = machines.createFlat(machines.named(name));
        RiscvIommu iommu =
                RiscvIommu.open(machine.vendorContext(LinuxRelease.NEWEST), RiscvRules.of(LinuxRelease.of(release)));
        IommuDevice device = iommu.probe(
                        machine.topology().function(BuiltInTopology.GPU).orElseThrow(),
                        BuiltInTopology.GPU.requesterId())
                .orElseThrow();
        Endpoint gpu = machine.endpoint(BuiltInTopology.GPU);
        IommuDomain[] domains = {
            iommu.allocate(DomainType.UNMANAGED, device), iommu.allocate(DomainType.UNMANAGED, device)
        };
        IommuDomain domain = domains[0];
        domain.attach(device);
        IotlbGather gather = new IotlbGather();
        int reached = 0;
        long[] looks = new long[64];
        for (int step = 0; step < 3000; step++) {
            long size = new long[] {PAGE, PAGE, 16 * PAGE, 512 * PAGE}[random.nextInt(4)];
            long iova = IOVA + (random.nextLong() & (WINDOW - 1) & -size);
            long length = size * (1 + random.nextInt(4));
            // The same addresses before and after: the unit remembers them.
            for (int i = 0; i < looks.length; i++) {
                looks[i] = i % 4 == 0
                        ? IOVA + (random.nextLong() & (WINDOW - 1) & -8)
                        : iova + (random.nextLong() >>> 1) % length / 8 * 8;
            }
            String when = name + ", Linux " + release + ", step " + step + ", seed " + seed;
            reached += look(machine, gpu, domain, looks, when + ", before");
            int kind = random.nextInt(16);
            if (kind < 6) {
                long memory = MEMORY + (random.nextLong() & (WINDOW - 1) & -size);
                map(domain, iova, memory, size, random.nextBoolean() ? size : PAGE);
            } else if (kind < 12) {
                unmap(domain, iova, Math.min(iova + length, IOVA + WINDOW), gather);
                domain.sync(gather);
            } else if (kind == 12) {
                domain = domains[random.nextInt(2)];
                domain.attach(device);
            }
            reached += look(machine, gpu, domain, looks, when);
            iommu.takeFaults();
        }
        assertThat(reached).as("writes that arrived").isGreaterThan(1000);
        domain.detach(device);
        iommu.close();
        assertThat(machine.frames().inUse()).isZero();
    }

    /** Has a device write where a domain maps memory and where it does not; returns how many writes arrived. */
    private static int look(Machine machine, Endpoint device, IommuDomain domain, long[] addresses, String when) {
        int reached = 0;
        for (long at : addresses) {
            long expected = domain.translate(at);
            assertThat(device.write(at, at ^ expected, false))
                    .as("%s: a write at 0x%x", when, at)
                    .isEqualTo(expected != IommuDomain.UNMAPPED);
            if (expected != IommuDomain.UNMAPPED) {
                assertThat(machine.memory(0).load(expected)).as(when).isEqualTo(at ^ expected);
                reached++;
            }
        }
        return reached;
    }

    /** Unmaps all of a range, holes or not. */
    private static void unmap(IommuDomain domain, long first, long end, IotlbGather gather) {
        for (long at = first; at < end; ) {
            long unmapped = domain.unmap(at, end - at, gather);
            at += unmapped == 0 ? PAGE : unmapped;
        }
    }

    /** Maps one page, or as many small ones where that is asked for, or the release has no such size. */
    private static void map(IommuDomain domain, long iova, long physicalAddress, long size, long pageSize) {
        long its = (domain.pageSizes() & pageSize) == 0 ? PAGE : pageSize;
        try {
            domain.map(iova, physicalAddress, its, size / its, Prot.READ_WRITE | Prot.CACHE);
            domain.syncMap(iova, size);
        } catch (IommuException e) {
            assertThat(e.errno()).isEqualTo(Errno.EADDRINUSE);
        }
    }
}
