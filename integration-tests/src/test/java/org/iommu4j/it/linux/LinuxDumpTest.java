// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.linux;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.iommu4j.it.linux.LinuxDump.Expected;
import org.iommu4j.it.linux.LinuxDump.Mapping;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.spi.Fabric;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitProvider;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Our silicon, with the registers that Linux programmed and the memory that Linux filled, translates as the hardware
 * below that Linux did.
 */
class LinuxDumpTest {
    private static final String INTEL = "intel-sc1";
    private static final String SCALABLE = "intel-sm-slts";
    private static final String AMD = "amd";
    private static final long K4 = 4096;

    // VT-d 11.4: offsets, and the bits of GCMD in the order in which software sets them.
    private static final int GCMD = 0x18;
    private static final int GSTS = 0x1c;
    private static final int RTADDR = 0x20;
    private static final int IQA = 0x90;
    private static final int IRTA = 0xb8;
    private static final int FRCD = 0x220;
    private static final int SRTP = 1 << 30;
    private static final int SIRTP = 1 << 24;
    private static final int QIE = 1 << 26;
    private static final int IRE = 1 << 25;
    private static final int TE = 1 << 31;

    // 48882 chapter 3.
    private static final int DEV_TAB_BAR = 0x00;
    private static final int CONTROL = 0x18;
    private static final int STATUS = 0x2020;
    private static final int PPR_LOG_EN = 1 << 13;
    private static final int PPR_LOG_RUN = 1 << 7;
    private static final int[] AMD_WRITTEN_BEFORE_CONTROL = {
        DEV_TAB_BAR, 0x08, 0x10, 0x20, 0x28, 0x2000, 0x2008, 0x2010, 0x2018
    };

    private static TranslationUnitProvider provider(String name) {
        for (TranslationUnitProvider provider : MachineFactory.load().providers()) {
            if (provider.name().equals(name)) {
                return provider;
            }
        }
        throw new AssertionError("no provider of units is called " + name);
    }

    /** Makes the unit of a dump and programs it as Linux had. */
    private static TranslationUnit unit(LinuxDump dump) {
        return dump.name().equals(AMD) ? amdUnit(dump) : intelUnit(dump);
    }

    private static TranslationUnit intelUnit(LinuxDump dump) {
        Fabric fabric = new DumpFabric(dump);
        Map<String, Long> readOnly =
                Map.of("VER", dump.register(0) & 0xffffffffL, "CAP", dump.register(8), "ECAP", dump.register(0x10));
        TranslationUnit unit = provider("vtd")
                .create(
                        new TranslationUnitSpec(
                                "vtd", "dmar0", 0, dump.registers().registerBase(), 0x1000, readOnly),
                        fabric);
        for (int offset : new int[] {RTADDR, IRTA, IQA}) {
            unit.writeRegister64(offset, dump.register(offset));
        }
        int on = 0;
        for (int bit : new int[] {SRTP, SIRTP, QIE, IRE, TE}) {
            unit.writeRegister32(GCMD, on | bit);
            assertThat(unit.step()).isTrue();
            on |= bit == SRTP || bit == SIRTP ? 0 : bit;
        }
        assertThat(unit.readRegister32(GSTS)).as("GSTS").isEqualTo((int) (dump.register(GCMD) >>> 32));
        assertThat(unit.step()).as("nothing is queued").isFalse();
        return unit;
    }

    private static TranslationUnit amdUnit(LinuxDump dump) {
        Fabric fabric = new DumpFabric(dump);
        Map<String, Long> readOnly = Map.of("EFR", dump.register(0x30));
        TranslationUnit unit = provider("amdvi")
                .create(
                        new TranslationUnitSpec(
                                "amdvi", "ivhd0", 0, dump.registers().registerBase(), 0x4000, readOnly),
                        fabric);
        for (int offset : AMD_WRITTEN_BEFORE_CONTROL) {
            unit.writeRegister64(offset, dump.register(offset));
        }
        unit.writeRegister64(CONTROL, dump.register(CONTROL));
        // Linux turned the log of page requests on; QEMU, which the dump is of, has none and never says that it runs.
        assertThat(dump.register(CONTROL) & PPR_LOG_EN).isNotZero();
        assertThat(unit.readRegister64(STATUS)).as("status").isEqualTo(dump.register(STATUS) | PPR_LOG_RUN);
        assertThat(unit.step()).as("the command buffer is empty").isFalse();
        return unit;
    }

    private static long translate(TranslationUnit unit, PciAddress device, long address, boolean write) {
        return unit.translate(device.requesterId(), TranslationUnit.NO_PASID, address, RequestFlags.readOrWrite(write));
    }

    private static TableFormat format(LinuxDump dump) {
        return dump.name().equals(AMD) ? TableFormat.AMD : TableFormat.VTD;
    }

    private static long tableRegister(LinuxDump dump) {
        return dump.register(dump.name().equals(AMD) ? DEV_TAB_BAR : RTADDR);
    }

    @ParameterizedTest
    @ValueSource(strings = {INTEL, SCALABLE, AMD})
    void everyTranslationThatSomebodyElseSawComesOutTheSame(String name) {
        LinuxDump dump = LinuxDump.read(name);
        TranslationUnit unit = unit(dump);
        dump.checkExpected((row, write) -> grants(unit, row, write));
    }

    /**
     * Translates a page's first and last byte, which go the same way and to the page expected when they don't fault.
     */
    private static boolean grants(TranslationUnit unit, Expected row, boolean write) {
        long first = translate(unit, row.device(), row.iova(), write);
        long last = translate(unit, row.device(), row.iova() + K4 - 1, write);
        assertThat(Translation.isFault(last)).as("%s", row).isEqualTo(Translation.isFault(first));
        if (Translation.isFault(first)) {
            return false;
        }
        assertThat(Translation.address(first)).as("%s", row).isEqualTo(row.physicalAddress());
        assertThat(Translation.address(last)).as("%s", row).isEqualTo(row.physicalAddress() + K4 - 1);
        if (row.askedOfVfio()) {
            assertThat(Translation.snoopForced(first)).as("%s", row).isTrue();
        }
        return true;
    }

    @ParameterizedTest
    @ValueSource(strings = {INTEL, SCALABLE, AMD})
    void theFirstAndTheLastByteOfEveryLeafTranslate(String name) {
        LinuxDump dump = LinuxDump.read(name);
        TranslationUnit unit = unit(dump);
        int translations = 0;
        for (Mapping row : dump.mappings()) {
            for (boolean write : new boolean[] {false, true}) {
                for (long offset : new long[] {0, row.size() - 1}) {
                    long translation = translate(unit, row.device(), row.iova() + offset, write);
                    long permitted = Translation.to(
                            row.physicalAddress() + offset, format(dump).forcesSnoop(row.entry()));
                    assertThat(row.permits(write) ? translation == permitted : Translation.isFault(translation))
                            .as("%s + 0x%x, write %s: %s", row, offset, write, Translation.toString(translation))
                            .isTrue();
                    translations++;
                }
            }
        }
        System.out.printf(
                "%s: %d leaves of mappings.tsv, %d translations compared%n",
                name, dump.mappings().size(), translations);
        assertThat(dump.mappings()).hasSizeGreaterThanOrEqualTo(name.equals(AMD) ? 468 : 12775);
    }

    /** So that the test before leaves nothing out, and the next one knows where nothing is mapped. */
    @ParameterizedTest
    @ValueSource(strings = {INTEL, AMD})
    void aPlainReaderFindsExactlyTheLeavesListed(String name) {
        LinuxDump dump = LinuxDump.read(name);
        List<Mapping> found = new ArrayList<>();
        for (int requesterId = 0; requesterId < 0x10000; requesterId++) {
            PciAddress device = PciAddress.of(0, requesterId);
            format(dump)
                    .root(dump::load, tableRegister(dump), requesterId)
                    .map(root -> Tables.read(format(dump), dump::load, root))
                    .ifPresent(tables -> {
                        for (Tables.Page page : tables.pages()) {
                            String permission = (page.read() ? "r" : "") + (page.write() ? "w" : "");
                            found.add(new Mapping(
                                    device,
                                    page.iova(),
                                    page.physicalAddress(),
                                    page.size(),
                                    permission,
                                    page.entry(),
                                    page.level()));
                        }
                    });
        }
        assertThat(found).containsExactlyInAnyOrderElementsOf(dump.mappings());
    }

    @ParameterizedTest
    @ValueSource(strings = {INTEL, AMD})
    void thePagesBesideAMappingFault(String name) {
        LinuxDump dump = LinuxDump.read(name);
        TranslationUnit unit = unit(dump);
        Map<PciAddress, Set<Long>> mapped = new HashMap<>();
        for (Mapping row : dump.mappings()) {
            for (long page = row.iova(); page < row.iova() + row.size(); page += K4) {
                mapped.computeIfAbsent(row.device(), unused -> new HashSet<>()).add(page);
            }
        }
        int faults = 0;
        for (Mapping row : dump.mappings()) {
            for (long page : new long[] {row.iova() - K4, row.iova() + row.size()}) {
                if (mapped.get(row.device()).contains(page)) {
                    continue;
                }
                for (long offset : new long[] {0, K4 - 1}) {
                    for (boolean write : new boolean[] {false, true}) {
                        long translation = translate(unit, row.device(), page + offset, write);
                        assertThat(translation)
                                .as("0x%x beside %s, write %s: %s", page, row, write, Translation.toString(translation))
                                .isEqualTo(Translation.fault(reason(dump, page, write)));
                        faults++;
                    }
                }
            }
        }
        System.out.printf("%s: %d requests beside mappings fault%n", name, faults);
        assertThat(faults).isGreaterThan(1000);
    }

    /**
     * VT-d 7.1.3: 4 beyond the address width, which is 39 bits, 5 no write permission, 6 no read permission; 48882:
     * IO_PAGE_FAULT.
     */
    private static int reason(LinuxDump dump, long address, boolean write) {
        if (dump.name().equals(AMD)) {
            return 2;
        }
        return address >>> 39 != 0 ? 4 : write ? 5 : 6;
    }

    /**
     * On AMD, Linux makes the entries of all requesters valid up to the last one that firmware names; those behind it
     * in the device table's last page have V=0, and hardware passes their requests.
     */
    @ParameterizedTest
    @ValueSource(strings = {INTEL, AMD})
    void requestersWithoutMappingsReachNothing(String name) {
        LinuxDump dump = LinuxDump.read(name);
        TranslationUnit unit = unit(dump);
        Set<Integer> withMappings = new HashSet<>();
        dump.mappings().forEach(row -> withMappings.add(row.device().requesterId()));
        List<Integer> passing = new ArrayList<>();
        for (int requesterId = 0; requesterId < 0x10000; requesterId++) {
            PciAddress device = PciAddress.of(0, requesterId);
            if (withMappings.contains(requesterId)) {
                continue;
            }
            for (long address : new long[] {0, 0x2e560000, 0xfffff000L}) {
                for (boolean write : new boolean[] {false, true}) {
                    long translation = translate(unit, device, address, write);
                    if (!Translation.isFault(translation)) {
                        assertThat(Translation.address(translation)).isEqualTo(address);
                        if (!passing.contains(requesterId)) {
                            passing.add(requesterId);
                        }
                    }
                }
            }
        }
        assertThat(passing).isEqualTo(name.equals(AMD) ? List.of(0xfc, 0xfd, 0xfe, 0xff) : List.of());
    }

    /** The dump's fault-recording register still has what QEMU recorded of a stray read, its F cleared by Linux. */
    @Test
    void theFaultThatQemuRecordedIsRecordedHereToo() {
        LinuxDump dump = LinuxDump.read(INTEL);
        long address = dump.register(FRCD);
        long record = dump.register(FRCD + 8);
        int source = (int) record & 0xffff;
        int reason = (int) (record >>> 32) & 0xff;
        boolean write = (record >>> 62 & 1) == 0;
        assertThat(address).isNotZero();
        TranslationUnit unit = unit(dump);

        long translation = translate(unit, PciAddress.of(0, source), address + 8, write);

        assertThat(Translation.isFault(translation)).isTrue();
        assertThat(Translation.faultCode(translation)).isEqualTo(reason);
        assertThat(unit.readRegister64(FRCD)).isEqualTo(address);
        // Not compared: F, and bits 63:40 otherwise, where QEMU puts ones for the PASID that there is none of.
        long same = 1L << 62 | 0xff_0000_ffffL;
        assertThat(unit.readRegister64(FRCD + 8) & same).isEqualTo(record & same);
    }
}
