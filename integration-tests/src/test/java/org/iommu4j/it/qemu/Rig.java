// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.qemu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.iommu4j.DomainType;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.capability.CacheCoherencyEnforcement;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.VendorContext;

/**
 * A machine with its driver opened and its devices probed.
 *
 * <p>Nobody but the device can look into a device's buffer, so each domain gets a mailbox: a page through which the
 * device hands out what it read. What it writes comes from the first half of its buffer, filled while nothing was
 * translated yet.
 */
final class Rig {
    /** Words of the buffer that hold what devices write; what they read goes behind. */
    static final int PATTERN_WORDS = 256;

    /** Memory that tests let devices reach, a multiple of 2 MiB. */
    static final long TARGET = 128L << 20;

    /** Where each domain has its mailbox. */
    static final long MAILBOX_IOVA = 0x3ffff000L;

    private static final long MAILBOX = 240L << 20;
    private static final long PATTERN = MAILBOX + 4096;
    private static final int READ_WRITE = Prot.READ_WRITE | Prot.CACHE;

    private final DmaMachine machine;
    private final VendorContext context;
    private final Iommu iommu;
    private final Map<PciAddress, IommuDevice> devices = new TreeMap<>();
    private final Map<PciAddress, IommuDomain> attached = new HashMap<>();
    private final List<IommuDomain> domains = new ArrayList<>();
    private final Set<IommuDomain> withMailbox = new HashSet<>();

    /** Opens the one driver that claims the machine. */
    Rig(DmaMachine machine, LinuxRelease release) {
        this.machine = machine;
        this.context = machine.vendorContext(release);
        for (PciAddress address : List.of(Hardware.FIRST, Hardware.SECOND, Hardware.BELOW)) {
            memory().storeRun(PATTERN, pattern(address, 0), 1, PATTERN_WORDS);
            machine.device(address).read(PATTERN, 0, PATTERN_WORDS);
        }
        List<IommuVendor> claiming = IommuVendors.load().claiming(context.firmware());
        assertThat(claiming).as("vendors that claim the machine").hasSize(1);
        iommu = claiming.get(0).open(context);
        for (PciAddress address : List.of(Hardware.FIRST, Hardware.SECOND, Hardware.BELOW)) {
            devices.put(
                    address,
                    iommu.probe(context.topology().function(address).orElseThrow(), address.requesterId())
                            .orElseThrow());
        }
    }

    /** Returns the word that a device writes from a slot of its buffer. */
    static long pattern(PciAddress device, int slot) {
        return 0x7a00_0000_0000_0000L | (long) device.requesterId() << 32 | slot;
    }

    DmaMachine machine() {
        return machine;
    }

    SystemMemory memory() {
        return machine.memory();
    }

    Iommu iommu() {
        return iommu;
    }

    IommuDevice device(PciAddress address) {
        return devices.get(address);
    }

    IommuDomain domain(int index) {
        return domains.get(index);
    }

    /** Fills target frames so that each word tells its own address. */
    void code(long physicalAddress, int frames) {
        for (int i = 0; i < frames; i++) {
            long frame = physicalAddress + i * 4096L;
            memory().storeRun(frame, coded(frame), 8, SystemMemory.FRAME_WORDS);
        }
    }

    /** Returns what {@link #code} leaves at an address. */
    static long coded(long physicalAddress) {
        return 0x5a00_0000_0000_0000L | physicalAddress;
    }

    // Domains

    /** Makes a paging domain. */
    void newDomain(PciAddress device) {
        newDomain(DomainType.UNMANAGED, device);
    }

    /** Asks a domain to block no-snoop: no control, refused or granted. */
    Optional<Boolean> enforce(int domain) {
        return domain(domain).cacheCoherencyEnforcement().map(CacheCoherencyEnforcement::enforce);
    }

    /** Makes a domain. */
    void newDomain(DomainType type, PciAddress device) {
        domains.add(iommu.allocate(type, device(device)));
    }

    boolean attach(int domain, PciAddress device) {
        if (!domain(domain).attach(device(device)).attached()) {
            return false;
        }
        attached.put(device, domain(domain));
        return true;
    }

    /**
     * Maps a domain's mailbox: not before it is needed, since a domain with mappings can't be asked to block no-snoop.
     */
    private void openMailbox(IommuDomain domain) {
        if (domain.type().isPaging() && withMailbox.add(domain)) {
            domain.map(MAILBOX_IOVA, MAILBOX, 4096, 1, READ_WRITE);
            domain.syncMap(MAILBOX_IOVA, 4096);
        }
    }

    boolean detach(PciAddress device) {
        IommuDomain domain = attached.remove(device);
        if (domain == null) {
            return false;
        }
        domain.detach(device(device));
        return true;
    }

    void map(int domain, long iova, long physicalAddress, long pageSize, long count, int prot) {
        openMailbox(domain(domain));
        domain(domain).map(iova, physicalAddress, pageSize, count, prot | Prot.CACHE);
        domain(domain).syncMap(iova, pageSize * count);
    }

    long unmap(int domain, long iova, long size) {
        IotlbGather gather = new IotlbGather();
        long unmapped = domain(domain).unmap(iova, size, gather);
        domain(domain).sync(gather);
        return unmapped;
    }

    /** Returns what the driver says that a device's IOVA leads to, or {@link IommuDomain#UNMAPPED}. */
    long translate(PciAddress device, long iova) {
        IommuDomain domain = attached.get(device);
        return domain == null ? IommuDomain.UNMAPPED : domain.translate(iova);
    }

    // DMA

    /**
     * Has a device read, and hand out what it got if its domain has a mailbox.
     *
     * @return the words, zeros where it was refused; empty when nothing can be handed out
     */
    Outcome read(PciAddress device, long iova, int words) {
        DmaDevice dma = machine.device(device);
        dma.read(iova, PATTERN_WORDS, words);
        List<Fault> faults = takeFaults();
        List<Long> got = new ArrayList<>();
        IommuDomain domain = attached.get(device);
        if (domain != null && domain.type() != DomainType.BLOCKED) {
            openMailbox(domain);
            boolean identity = domain.type() == DomainType.IDENTITY;
            dma.write(PATTERN_WORDS, identity ? MAILBOX : MAILBOX_IOVA, words);
            for (long word : machine.words(MAILBOX, words)) {
                got.add(word);
            }
        }
        return new Outcome(got, faults);
    }

    /**
     * Has a device write its patterns.
     *
     * @param looked frames' words to look at afterwards: where it may have arrived
     * @return what is then in each of these places, as many words as were written
     */
    Outcome write(PciAddress device, int slot, long iova, int words, List<Long> looked) {
        machine.device(device).write(slot, iova, words);
        List<Fault> faults = takeFaults();
        List<Long> found = new ArrayList<>();
        for (long physicalAddress : looked) {
            for (long word : machine.words(physicalAddress, Math.min(words, wordsLeft(physicalAddress)))) {
                found.add(word);
            }
        }
        return new Outcome(found, faults);
    }

    private static int wordsLeft(long physicalAddress) {
        return (int) (4096 - physicalAddress % 4096) / 8;
    }

    /** Takes out the refusals since the last call, as the driver reports them. */
    List<Fault> takeFaults() {
        return iommu.takeFaults().stream().map(Fault::of).toList();
    }

    /**
     * What came of a step.
     *
     * @param words what memory or the device then held
     * @param faults what was refused
     */
    record Outcome(List<Long> words, List<Fault> faults) {
        @Override
        public String toString() {
            StringBuilder text = new StringBuilder();
            for (long word : words) {
                text.append(text.length() == 0 ? "" : " ").append(Long.toHexString(word));
            }
            return "[" + text + "] " + faults;
        }
    }
}
