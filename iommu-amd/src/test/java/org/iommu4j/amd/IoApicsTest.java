// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.amd.TestPlatform.BASE;
import static org.iommu4j.amd.TestPlatform.entry8;
import static org.iommu4j.amd.TestPlatform.ivhd10;
import static org.iommu4j.amd.TestPlatform.range;
import static org.iommu4j.amd.TestPlatform.table;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.iommu4j.IommuDevice;
import org.iommu4j.LinuxRelease;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.BootOptions;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.RegisterValues;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Which I/O APICs IVRS has to have that interrupts are remapped; tables by hand. */
class IoApicsTest {
    private static final int SOUTH_BRIDGE = 0xa0;

    /** The unit's own function, which has no class here. */
    private static final int OTHER = 0x02;

    private final TestPlatform platform = new TestPlatform();

    /** Has IVRS name I/O APICs, each a number and the id that it sends as. */
    private void ivrs(int... apics) {
        List<byte[]> entries = new ArrayList<>();
        entries.add(range(8, 0x1ff));
        for (int i = 0; i < apics.length; i += 2) {
            entries.add(entry8(0x48, 0, 0, apics[i], apics[i + 1], 1));
        }
        platform.ivrs = table(2, ivhd10(BASE, 2, entries.toArray(byte[][]::new)));
    }

    /** Has the MADT list I/O APICs, each a number and its first interrupt, between entries of other kinds. */
    private void madt(int... apics) {
        ByteArrayOutputStream entries = new ByteArrayOutputStream();
        entries.writeBytes(new byte[] {0, 8, 0, 0, 1, 0, 0, 0}); // a CPU
        for (int i = 0; i < apics.length; i += 2) {
            byte[] entry = {1, 12, (byte) apics[i], 0, 0, 0, (byte) 0xc0, (byte) 0xfe, (byte) apics[i + 1], 0, 0, 0};
            entries.writeBytes(entry);
        }
        entries.writeBytes(new byte[] {4, 6, (byte) 0xff, 0, 0, 1}); // an NMI
        platform.madt = madt(entries.toByteArray());
    }

    private static byte[] madt(byte[] entries) {
        ByteBuffer table = ByteBuffer.allocate(44 + entries.length).order(ByteOrder.LITTLE_ENDIAN);
        table.put("APIC".getBytes(StandardCharsets.US_ASCII)).putInt(table.capacity());
        table.put(44, entries);
        return table.array();
    }

    private boolean remaps(String release) {
        platform.release = LinuxRelease.of(release);
        AmdIommu iommu = platform.open();
        IommuDevice device = iommu.probe(platform.function(0, 1, 0, 0)).orElseThrow();
        boolean remaps = device.isolatedMsi();
        iommu.close();
        assertThat(described(List.of(platform.function(0, 0, 0, 2), platform.southBridge())))
                .as("known without opening")
                .isIn(Answer.UNKNOWN, Answer.of(remaps));
        return remaps;
    }

    private HostDescription describe(List<PciFunction> functions) {
        HostFacts facts = HostFacts.of(platform::firmware, () -> functions, RegisterValues.UNKNOWN);
        return AmdDescription.describe(
                new HostFacts(
                        facts.firmware(),
                        facts.topology(),
                        facts.registers(),
                        facts.shownUnits(),
                        facts.unitLinks(),
                        facts.groups(),
                        platform.bootOptions,
                        facts.stated()),
                platform.release);
    }

    private Answer described(List<PciFunction> functions) {
        return describe(functions).units().get(0).abilities().interruptRemapping();
    }

    /**
     * Until 7.1 an I/O APIC without an entry mattered only behind that of the south bridge, and any at 00:14.0 was
     * taken for that; then the one with interrupt 0 was, and all had to be there; and since 7.3 the function's class
     * counts, not its place.
     */
    @ParameterizedTest(name = "{0}: listed after {1}, lacking before {2}, behind {3}, elsewhere {4}, no class {5}")
    @CsvSource({
        "5.15, true, true, false, false, true",
        "6.1.187, true, true, false, false, true",
        "6.1.188, false, false, false, false, true",
        "6.12.109, true, true, false, false, true",
        "6.12.110, false, false, false, false, true",
        "6.13, true, true, false, false, true",
        "7.2, true, true, false, false, true",
        "7.2.12, false, false, false, false, true",
        "7.3, false, false, false, true, false"
    })
    void whichIoApicMustBeTheSouthBridges(
            String release, boolean notFirst, boolean lackingBefore, boolean lackingBehind, boolean at, boolean lost) {
        ivrs(4, OTHER, 5, SOUTH_BRIDGE);
        madt(4, 0, 5, 24);
        assertThat(remaps(release)).as("at 00:14.0, but not of interrupt 0").isEqualTo(notFirst);
        ivrs(5, SOUTH_BRIDGE);
        madt(4, 24, 5, 0);
        assertThat(remaps(release)).as("another is not in IVRS").isEqualTo(lackingBefore);
        madt(5, 0, 4, 24);
        assertThat(remaps(release)).as("another, listed later, is not in IVRS").isEqualTo(lackingBehind);
        ivrs(4, SOUTH_BRIDGE + 3);
        madt(4, 0);
        platform.southBridgeFunction = 3;
        platform.southBridgeClass = 0x0601;
        assertThat(remaps(release)).as("at another function, an ISA bridge").isEqualTo(at);
        ivrs(4, SOUTH_BRIDGE);
        platform.southBridgeFunction = 0;
        platform.southBridgeClass = 0x0101;
        assertThat(remaps(release)).as("at 00:14.0, an IDE controller").isEqualTo(lost);
        platform.southBridgeClass = 0x0c05;
        assertThat(remaps(release)).as("as it should be").isTrue();
        ivrs(4, OTHER);
        assertThat(remaps(release)).as("nowhere near").isFalse();
        madt();
        assertThat(remaps(release)).as("no I/O APIC at all").isFalse();
    }

    @ParameterizedTest
    @CsvSource({"7.1, YES", "7.3, UNKNOWN"})
    void whatIsNotKnownIsNotGuessed(String release, Answer withoutFunction) {
        platform.release = LinuxRelease.of(release);
        ivrs(4, SOUTH_BRIDGE);
        assertThat(described(List.of())).isEqualTo(withoutFunction);
        platform.southBridgeClass = 0;
        assertThat(described(List.of(platform.southBridge()))).isEqualTo(withoutFunction);
        ivrs();
        assertThat(described(List.of())).isEqualTo(Answer.NO);
        ivrs(4, SOUTH_BRIDGE);
        platform.southBridgeClass = 0x0c05;
        assertThat(described(List.of(platform.southBridge()))).isEqualTo(Answer.YES);
    }

    @Test
    void theReasonIsTold() {
        ivrs(4, SOUTH_BRIDGE);
        madt(4, 0, 9, 24);
        assertThat(describe(List.of(platform.southBridge())).warnings())
                .containsExactly("I/O APIC 9 is not in IVRS: Linux leaves interrupt remapping off");
        madt(4, 0);
        platform.release = LinuxRelease.of("7.1");
        ivrs(4, OTHER);
        assertThat(describe(List.of()).warnings())
                .containsExactly("no I/O APIC entry for 00:14.0: Linux leaves interrupt remapping off");
        platform.release = LinuxRelease.of("7.3");
        ivrs(4, SOUTH_BRIDGE);
        platform.southBridgeClass = 0x0300;
        assertThat(describe(List.of(platform.southBridge())).warnings())
                .containsExactly("no I/O APIC is at a function that is an SMBus controller or ISA bridge: Linux leaves"
                        + " interrupt remapping off");
    }

    /** As of many laptops, whose IVRS is wrong. */
    @ParameterizedTest
    @CsvSource({
        "ivrs_ioapic[4]=00:14.0, true",
        "ivrs_ioapic=4@0000:00:14.0, true",
        "ivrs_ioapic[4]=0000:00:14.0, true",
        "quiet ivrs_ioapic[5]=00:00.2 ivrs_ioapic[4]=00:14.0, true",
        "ivrs_ioapic[4]=00:14.1, false",
        "ivrs_ioapic[3]=00:14.0, false",
        "ivrs_hpet[4]=00:14.0, false"
    })
    void theCommandLineTakesPrecedenceOverIvrs(String commandLine, boolean remaps) {
        ivrs(4, 0x5a);
        madt(4, 0);
        platform.bootOptions = new BootOptions(commandLine);
        assertThat(remaps("6.12")).isEqualTo(remaps);
    }

    @Test
    void aTableOfIoApicsThatCantBeReadIsAsNone() {
        ivrs(4, SOUTH_BRIDGE);
        platform.madt = madt(new byte[] {1, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0});
        assertThat(remaps("7.3")).isTrue();
        assertThat(describe(List.of(platform.southBridge())).warnings())
                .containsExactly("APIC at offset 0x2c: an entry has 11 bytes, expected 12 to the 12 left: its I/O APICs"
                        + " are not known");
        platform.madt = madt(new byte[] {7});
        assertThat(remaps("7.3")).isTrue();
        platform.madt = madt(new byte[] {0, 9, 0, 0});
        assertThat(remaps("7.3")).isTrue();
        platform.madt = madt(new byte[] {5, 0});
        assertThat(remaps("7.3")).isTrue();
    }
}
