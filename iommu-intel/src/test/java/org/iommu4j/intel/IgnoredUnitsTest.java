// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.iommu4j.intel.acpi.DeviceScope;
import org.iommu4j.intel.acpi.RemappingStructure.Drhd;
import org.iommu4j.intel.acpi.ScopeResolver;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.spi.BootOptions;
import org.iommu4j.spi.Reason;
import org.junit.jupiter.api.Test;

class IgnoredUnitsTest {
    private static final BootOptions GRAPHICS_OFF = new BootOptions("quiet intel_iommu=on,igfx_off");
    private static final PciFunction GRAPHICS = new Function("00:02.0", 0x03_0000, 64);
    private static final PciFunction CARD = new Function("00:03.0", 0x02_0000, 64);

    /** A function on the root bus of which only the class is known, or nothing. */
    private record Function(PciAddress address, int classCode, int known) implements PciFunction {
        Function(String address, int classCode, int known) {
            this(PciAddress.parse(address), classCode, known);
        }

        @Override
        public Optional<PciAddress> upstreamBridge() {
            return Optional.empty();
        }

        @Override
        public ConfigSpace config() {
            return new ConfigSpace() {
                @Override
                public int size() {
                    return known;
                }

                @Override
                public int read(int offset, int bytes) {
                    return known == 0 ? -1 : offset == 8 ? classCode << 8 : 0;
                }

                @Override
                public void write(int offset, int bytes, int value) {
                    throw new UnsupportedOperationException();
                }
            };
        }
    }

    private static DeviceScope scope(int type, int... devices) {
        List<DeviceScope.Hop> path = Arrays.stream(devices)
                .mapToObj(device -> new DeviceScope.Hop(device, 0))
                .toList();
        return new DeviceScope(0, 8, type, 0, 0, 0, path);
    }

    private static Drhd unit(boolean includeAll, DeviceScope... scopes) {
        return new Drhd(48, 24, includeAll ? 1 : 0, 0, 0, 0xfed9_0000L, List.of(scopes));
    }

    private static Optional<String> why(BootOptions options, boolean whole, Drhd unit, PciFunction... functions) {
        ScopeResolver scopes = new ScopeResolver(() -> List.of(functions));
        return new IgnoredUnits(false, scopes, options, whole).why(unit).map(Reason::text);
    }

    @Test
    void aUnitIsIgnoredWhenNoneOfItsDevicesExists() {
        Drhd unit = unit(false, scope(DeviceScope.ENDPOINT, 2), scope(DeviceScope.IOAPIC, 3));

        assertThat(why(BootOptions.DEFAULT, true, unit, CARD)).contains("no device of its scope exists");
        assertThat(why(BootOptions.DEFAULT, true, unit, GRAPHICS)).isEmpty();
        assertThat(why(BootOptions.DEFAULT, false, unit, CARD))
                .as("its device may be among those not listed")
                .isEmpty();
        assertThat(why(BootOptions.DEFAULT, true, unit(true), CARD)).isEmpty();
        assertThat(why(BootOptions.DEFAULT, true, unit(false, scope(DeviceScope.NAMESPACE, 9)), CARD))
                .as("no listing has ACPI devices")
                .isEmpty();
    }

    @Test
    void aPathThatCantBeFollowedMayLeadToADevice() {
        Drhd unit = unit(false, scope(DeviceScope.ENDPOINT, 3, 0));

        assertThat(why(BootOptions.DEFAULT, true, unit, new Function("00:03.0", 0, 0)))
                .isEmpty();
        assertThat(why(BootOptions.DEFAULT, true, unit, CARD)).contains("no device of its scope exists");
    }

    @Test
    void aUnitOfGraphicsAloneIsIgnoredWhenTheCommandLineSaysSo() {
        Drhd alone = unit(false, scope(DeviceScope.ENDPOINT, 2), scope(DeviceScope.ENDPOINT, 9));
        Drhd shared = unit(false, scope(DeviceScope.ENDPOINT, 2), scope(DeviceScope.ENDPOINT, 3));
        Drhd named = unit(false, scope(DeviceScope.ENDPOINT, 2), scope(DeviceScope.NAMESPACE, 9));

        assertThat(why(GRAPHICS_OFF, true, alone, GRAPHICS, CARD))
                .hasValueSatisfying(text -> assertThat(text).contains("intel_iommu=igfx_off"));
        assertThat(why(BootOptions.DEFAULT, true, alone, GRAPHICS, CARD)).isEmpty();
        assertThat(why(GRAPHICS_OFF, true, shared, GRAPHICS, CARD)).isEmpty();
        assertThat(why(GRAPHICS_OFF, true, named, GRAPHICS, CARD)).isEmpty();
        assertThat(why(GRAPHICS_OFF, false, alone, GRAPHICS, CARD))
                .as("what its other scope names may be listed nowhere")
                .isEmpty();
    }
}
