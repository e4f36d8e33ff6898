// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.linux;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.LongUnaryOperator;
import org.iommu4j.DomainType;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.core.IommuMapper;
import org.iommu4j.it.linux.LinuxDump.Expected;
import org.iommu4j.it.linux.Tables.Page;
import org.iommu4j.it.linux.Tables.Slot;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.amdvi.AmdViUnitProvider;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.ConfigSpaceBuilder;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.vtd.VtdUnitProvider;
import org.iommu4j.spi.IommuVendors;
import org.junit.jupiter.api.Test;

/**
 * Our drivers, opened as Linux 6.1 and told to map what a real Linux 6.1 had mapped, on units with the same
 * capabilities, write the entries that it wrote. Page sizes are chosen by our core, as they were by Linux's.
 *
 * <p>Each entry is compared in full but for addresses of tables and ids of domains, which only have to be consistent.
 * What differs on purpose:
 *
 * <ul>
 *   <li>Intel, entries that point to tables, bit 10, which hardware ignores: where the unit doesn't snoop its walks our
 *       driver notes there that the entry was written back, as 7.1 does and 6.1 does not.
 *   <li>Tables that are empty are not compared: 6.1 leaves them behind when it unmaps.
 * </ul>
 *
 * <p>No leaf of the dumps has accessed or dirty bits.
 */
class SameEntriesTest {
    private static final int RTADDR = 0x20;
    private static final int DEV_TAB_BAR = 0;

    /** The domain id of a PASID entry. */
    private static final long DID = 0xffff;

    private static final LinuxRelease RELEASE = LinuxRelease.named("6.1");

    /** What one side has for every device of a dump. */
    private final Map<PciAddress, Tables> linux = new LinkedHashMap<>();

    private final Map<PciAddress, Tables> ours = new HashMap<>();

    @Test
    void theIntelDriverWritesWhatLinuxWrote() {
        LinuxDump dump = LinuxDump.read("intel-sc1");
        compareIntel(dump, TableFormat.VTD, 12775);
        for (PciAddress device : linux.keySet()) {
            assertThat(ours.get(device).root().word1() & 7)
                    .as("AW of %s", device)
                    .isEqualTo(linux.get(device).root().word1() & 7);
        }
    }

    @Test
    void theIntelDriverWritesWhatLinuxWroteInScalableMode() {
        LinuxDump dump = LinuxDump.read("intel-sm-slts");
        compareIntel(dump, TableFormat.VTD_SCALABLE, 12776);
        for (PciAddress device : linux.keySet()) {
            assertThat(hex(ours.get(device).root().word1() & ~DID))
                    .as("PASID entry of %s", device)
                    .isEqualTo(hex(linux.get(device).root().word1() & ~DID));
        }
    }

    private void compareIntel(LinuxDump dump, TableFormat format, int leaves) {
        MachineDescription description =
                withDevices(VtdUnitProvider.machine("linux", dump.register(8), dump.register(0x10)), dump, "dmar0");
        // With caches, and read past them: what the driver forgets to write back is missing.
        Machine machine = MachineFactory.load().create(description);
        Map<Slot, Integer> requested = drive("intel", format, dump, machine);
        readLinux(format, dump, dump.register(RTADDR));
        readOurs(format, machine::peekDram, machine.unit("dmar0").readRegister64(RTADDR));

        int compared = 0;
        int writeOnly = 0;
        for (PciAddress device : linux.keySet()) {
            SortedMap<Slot, Long> expected = linux.get(device).leaves();
            SortedMap<Slot, Long> written = ours.get(device).leaves();
            assertThat(hex(written)).as("leaves of %s", device).isEqualTo(hex(expected));
            boolean vfio = isVfio(dump, device);
            for (Map.Entry<Slot, Long> leaf : expected.entrySet()) {
                long theirs = leaf.getValue();
                assertThat(theirs >>> 8 & 3).as("A and D of %s", leaf).isZero();
                assertThat(theirs >>> 11 & 1).as("SNP of %s", leaf).isEqualTo(vfio ? 1 : 0);
                if (vfio && requested.get(leaf.getKey()) == Prot.WRITE) {
                    assertThat(theirs & 3).as("write-only %s", leaf.getKey()).isEqualTo(3);
                    writeOnly++;
                }
                compared++;
            }
            compareDirectories(device, 1 << 10);
            assertThat(hex(ours.get(device).root().word0() & ~TableFormat.ADDRESS))
                    .as("entry of %s", device)
                    .isEqualTo(hex(linux.get(device).root().word0() & ~TableFormat.ADDRESS));
        }
        System.out.printf(
                "%s: %d leaf entries compared, all bit-equal, %d of them asked to be write-only%n",
                format, compared, writeOnly);
        assertThat(compared).isEqualTo(leaves);
        assertThat(writeOnly).isEqualTo(67);
    }

    @Test
    void theAmdDriverWritesWhatLinuxWrote() {
        LinuxDump dump = LinuxDump.read("amd");
        MachineDescription description =
                withDevices(AmdViUnitProvider.machine("linux", dump.register(0x30), 0), dump, "ivhd0");
        Machine machine = MachineFactory.load().create(description);
        drive("amd", TableFormat.AMD, dump, machine);
        readLinux(TableFormat.AMD, dump, dump.register(DEV_TAB_BAR));
        readOurs(TableFormat.AMD, machine.memory(0)::load, machine.unit("ivhd0").readRegister64(DEV_TAB_BAR));

        int slots = 0;
        int pages = 0;
        for (PciAddress device : linux.keySet()) {
            SortedMap<Slot, Long> expected = linux.get(device).leaves();
            assertThat(hex(ours.get(device).leaves()))
                    .as("leaves of %s", device)
                    .isEqualTo(hex(expected));
            slots += expected.size();
            pages += linux.get(device).pages().size();
            compareDirectories(device, 0);
            TableFormat.Root root = linux.get(device).root();
            TableFormat.Root mine = ours.get(device).root();
            assertThat(Long.toHexString(mine.word0() & ~TableFormat.ADDRESS))
                    .as("device table entry of %s", device)
                    .isEqualTo(Long.toHexString(root.word0() & ~TableFormat.ADDRESS));
            assertThat(mine.word1() >>> 16)
                    .as("device table entry of %s", device)
                    .isEqualTo(root.word1() >>> 16);
        }
        System.out.printf("amd: %d leaf entries of %d pages compared, all bit-equal%n", slots, pages);
        assertThat(pages).isEqualTo(468);
        assertThat(slots).isGreaterThan(468 + 15 + 3 + 1);
    }

    /** Adds a function for every requester of a dump that the machine lacks. */
    private static MachineDescription withDevices(MachineDescription machine, LinuxDump dump, String unit) {
        SortedMap<PciAddress, FunctionDescription> functions = new TreeMap<>();
        machine.functions().forEach(function -> functions.put(function.address(), function));
        byte[] config = ConfigSpaceBuilder.endpoint(0x1b36, 1, ConfigSpaceBuilder.CLASS_ETHERNET)
                .multiFunction()
                .build();
        for (PciAddress device : devices(dump)) {
            functions.putIfAbsent(
                    device, new FunctionDescription(device, Optional.empty(), config, Optional.of(unit), false));
        }
        return machine.withFunctions(List.copyOf(functions.values()));
    }

    private static Set<PciAddress> devices(LinuxDump dump) {
        Set<PciAddress> devices = new TreeSet<>();
        dump.mappings().forEach(row -> devices.add(row.device()));
        return devices;
    }

    private static boolean isVfio(LinuxDump dump, PciAddress device) {
        return dump.expected().stream()
                .anyMatch(row -> row.askedOfVfio() && row.device().equals(device));
    }

    /**
     * Has a driver map what a dump maps; devices that share tables share a domain.
     *
     * @return what was asked for, by the leaf's place in the tables of the one device that VFIO had
     */
    private static Map<Slot, Integer> drive(String vendor, TableFormat format, LinuxDump dump, Machine machine) {
        long register = dump.register(vendor.equals("amd") ? DEV_TAB_BAR : RTADDR);
        Iommu iommu = IommuVendors.load().named(vendor).open(machine.vendorContext(RELEASE));
        Map<Long, IommuDomain> domains = new HashMap<>();
        Map<Slot, Integer> requested = new HashMap<>();
        for (PciAddress address : devices(dump)) {
            IommuDevice device = iommu.probe(
                            machine.topology().function(address).orElseThrow(), address.requesterId())
                    .orElseThrow();
            TableFormat.Root root =
                    format.root(dump::load, register, address.requesterId()).orElseThrow();
            boolean vfio = isVfio(dump, address);
            IommuDomain known = domains.get(root.table());
            IommuDomain domain =
                    known != null ? known : iommu.allocate(vfio ? DomainType.UNMANAGED : DomainType.DMA, device);
            domains.put(root.table(), domain);
            assertThat(domain.attach(device).attached()).isTrue();
            if (known != null) {
                continue;
            }
            if (vfio) {
                assertThat(domain.cacheCoherencyEnforcement().orElseThrow().enforce())
                        .isTrue();
            }
            List<Page> pages = Tables.read(format, dump::load, root).pages();
            Map<Long, Integer> asked = asked(dump, address);
            for (Page page : pages) {
                int prot = (page.read() ? Prot.READ : 0) | (page.write() ? Prot.WRITE : 0);
                if (vfio) {
                    prot = prot(asked, page);
                    requested.put(new Slot(page.iova(), page.level()), prot);
                }
                IommuMapper.map(domain, page.iova(), page.physicalAddress(), page.size(), prot | Prot.CACHE);
            }
        }
        return requested;
    }

    /** What the guest's program asked VFIO for, by page. */
    private static Map<Long, Integer> asked(LinuxDump dump, PciAddress device) {
        Map<Long, Integer> asked = new HashMap<>();
        for (Expected row : dump.expected()) {
            if (row.askedOfVfio() && row.device().equals(device)) {
                int prot = (row.permission().contains("r") ? Prot.READ : 0)
                        | (row.permission().contains("w") ? Prot.WRITE : 0);
                asked.put(row.iova(), prot);
            }
        }
        return asked;
    }

    /** Of a large page, any of its rows tells. */
    private static int prot(Map<Long, Integer> asked, Page page) {
        for (long iova = page.iova(); iova < page.iova() + page.size(); iova += 4096) {
            Integer prot = asked.get(iova);
            if (prot != null) {
                return prot;
            }
        }
        throw new AssertionError(page + " of VFIO has no row in expected.tsv");
    }

    private void readLinux(TableFormat format, LinuxDump dump, long register) {
        for (PciAddress device : devices(dump)) {
            TableFormat.Root root =
                    format.root(dump::load, register, device.requesterId()).orElseThrow();
            linux.put(device, Tables.read(format, dump::load, root));
        }
    }

    private void readOurs(TableFormat format, LongUnaryOperator memory, long register) {
        for (PciAddress device : linux.keySet()) {
            TableFormat.Root root = format.root(memory, register, device.requesterId())
                    .orElseThrow(() -> new AssertionError(device + " has no tables"));
            ours.put(device, Tables.read(format, memory, root));
        }
    }

    /** Compares entries that point to tables, but for where those are, and but for empty tables. */
    private void compareDirectories(PciAddress device, long ignored) {
        Tables theirs = linux.get(device);
        Tables mine = ours.get(device);
        SortedMap<Slot, Long> expected = new TreeMap<>();
        theirs.directories().forEach((slot, entry) -> {
            long end = slot.iova() + (1L << TableFormat.shift(slot.level()));
            if (theirs.leaves().keySet().stream().anyMatch(leaf -> leaf.iova() >= slot.iova() && leaf.iova() < end)) {
                expected.put(slot, entry & ~(TableFormat.ADDRESS | ignored));
            }
        });
        SortedMap<Slot, Long> written = new TreeMap<>();
        mine.directories().forEach((slot, entry) -> written.put(slot, entry & ~(TableFormat.ADDRESS | ignored)));
        assertThat(hex(written)).as("directories of %s", device).isEqualTo(hex(expected));
    }

    private static String hex(long word) {
        return Long.toHexString(word);
    }

    private static Map<Slot, String> hex(SortedMap<Slot, Long> entries) {
        Map<Slot, String> hex = new TreeMap<>();
        entries.forEach((slot, entry) -> hex.put(slot, Long.toHexString(entry)));
        return hex;
    }
}
