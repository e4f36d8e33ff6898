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
    private static final long WINDOW = 16L << 20;
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
        for (int step = 0; step < 4000; step++) {
            long size = new long[] {PAGE, PAGE, 16 * PAGE, 512 * PAGE}[random.nextInt(4)];
            long iova = IOVA + (random.nextLong() & (WINDOW - 1) & -size);
            switch (random.nextInt(8)) {
                case 0, 1, 2 -> map(domain, iova, MEMORY + (random.nextLong() & (WINDOW - 1) & -size), size);
                case 3, 4 -> {
                    domain.unmap(iova, size * (1 + random.nextInt(4)), gather);
                    domain.sync(gather);
                }
                case 5 -> {
                    domain = domains[random.nextInt(2)];
                    domain.attach(device);
                }
                default -> {
                    // looked at below
                }
            }
            for (int look = 0; look < 20; look++) {
                long at = IOVA + (random.nextLong() & (WINDOW - 1) & -8);
                long expected = domain.translate(at);
                long value = random.nextLong();
                assertThat(gpu.write(at, value, false))
                        .as("%s, Linux %s, step %d, seed %d: a write at 0x%x", name, release, step, seed, at)
                        .isEqualTo(expected != IommuDomain.UNMAPPED);
                if (expected != IommuDomain.UNMAPPED) {
                    assertThat(machine.memory(0).load(expected))
                            .as("step %d, seed %d", step, seed)
                            .isEqualTo(value);
                    reached++;
                }
            }
            iommu.takeFaults();
        }
        assertThat(reached).as("writes that arrived").isGreaterThan(1000);
        domain.detach(device);
        iommu.close();
        assertThat(machine.frames().inUse()).isZero();
    }

    /** Maps a page, or as many small ones where the release has no such size. */
    private static void map(IommuDomain domain, long iova, long physicalAddress, long size) {
        boolean whole = (domain.pageSizes() & size) != 0;
        try {
            domain.map(
                    iova, physicalAddress, whole ? size : PAGE, whole ? 1 : size / PAGE, Prot.READ_WRITE | Prot.CACHE);
            domain.syncMap(iova, size);
        } catch (IommuException e) {
            assertThat(e.errno()).isEqualTo(Errno.EADDRINUSE);
        }
    }
}
