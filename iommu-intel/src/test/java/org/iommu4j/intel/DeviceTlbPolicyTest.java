// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.iommu4j.intel.acpi.DmarBytes;
import org.iommu4j.intel.acpi.DmarParser;
import org.iommu4j.intel.acpi.ScopeResolver;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.pci.PciTopology;
import org.junit.jupiter.api.Test;

/** Which functions may have translation caches, by tables and topologies that are written out. */
class DeviceTlbPolicyTest {
    /** An ATSR that names the root port 00:01.0. */
    private static final int[] PORT = {2, 0, 16, 0, 0, 0, 0, 0, 2, 8, 0, 0, 0, 0, 1, 0};

    private static final PciFunction ROOT_PORT = new Function("00:01.0", null, null, 4);
    private static final PciFunction OTHER_PORT = new Function("00:03.0", null, null, 4);

    /** A function with a PCI Express capability of a port type. */
    private record Function(PciAddress address, PciAddress bridge, PciAddress physical, int type)
            implements PciFunction {
        Function(String address, String bridge, String physical, int type) {
            this(PciAddress.parse(address), parse(bridge), parse(physical), type);
        }

        private static PciAddress parse(String address) {
            return address == null ? null : PciAddress.parse(address);
        }

        @Override
        public Optional<PciAddress> upstreamBridge() {
            return Optional.ofNullable(bridge);
        }

        @Override
        public Optional<PciAddress> physicalFunction() {
            return Optional.ofNullable(physical);
        }

        @Override
        public ConfigSpace config() {
            return new ConfigSpace() {
                @Override
                public int size() {
                    return 256;
                }

                @Override
                public int read(int offset, int bytes) {
                    return switch (offset) {
                        case 0x06 -> 0x10;
                        case 0x34 -> 0x40;
                        case 0x40 -> 0x10;
                        case 0x42 -> type << 4 | 2;
                        default -> 0;
                    };
                }

                @Override
                public void write(int offset, int bytes, int value) {
                    throw new UnsupportedOperationException();
                }
            };
        }
    }

    private static boolean mayCache(int[] structure, boolean scalable, PciFunction asked, PciFunction... others) {
        PciTopology topology = () -> Arrays.asList(others);
        byte[] dmar = new DmarBytes(48, 0).raw(structure).bytes();
        return new DeviceTlbPolicy(DmarParser.parse(dmar), new ScopeResolver(topology), topology)
                .mayCache(asked, scalable);
    }

    @Test
    void aFunctionBelowARootPortThatIsListedMayCache() {
        assertThat(mayCache(PORT, true, new Function("01:00.0", "00:01.0", null, 0), ROOT_PORT, OTHER_PORT))
                .isTrue();
        assertThat(mayCache(PORT, true, new Function("01:00.0", "00:03.0", null, 0), ROOT_PORT, OTHER_PORT))
                .isFalse();
    }

    @Test
    void aVirtualFunctionIsWhereItsPhysicalOneIs() {
        // Buses that only virtual functions are on have no bridge of their own.
        PciFunction virtual = new Function("02:00.0", null, "01:00.0", 0);

        assertThat(mayCache(PORT, true, virtual, new Function("01:00.0", "00:01.0", null, 0), ROOT_PORT, OTHER_PORT))
                .isTrue();
        assertThat(mayCache(PORT, true, virtual, new Function("01:00.0", "00:03.0", null, 0), ROOT_PORT, OTHER_PORT))
                .isFalse();
        assertThat(mayCache(PORT, true, virtual, ROOT_PORT))
                .as("a physical one that is not listed can't be asked")
                .isTrue();
    }

    @Test
    void aVirtualFunctionIsIntegratedAsItsPhysicalOneIs() {
        // An SATC that names 00:05.0, which needs ATS.
        int[] satc = {5, 0, 16, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0, 5, 0};
        List<PciFunction> both =
                List.of(new Function("00:05.0", null, null, 9), new Function("00:05.1", null, "00:05.0", 9));
        for (PciFunction function : both) {
            assertThat(mayCache(satc, true, function, both.toArray(PciFunction[]::new)))
                    .isTrue();
            assertThat(mayCache(satc, false, function, both.toArray(PciFunction[]::new)))
                    .as("hardware does in legacy mode")
                    .isFalse();
        }
    }
}
