// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainType;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.iommu4j.device.DeviceId;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.PlatformDeviceDescription;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.spi.VendorContext;
import org.jspecify.annotations.Nullable;

/**
 * A machine with its driver opened and two devices probed: what a test of a driver needs.
 *
 * <p>The IOVAs that tests use begin at {@link #iova}; the memory that devices read and write there is {@link #scratch},
 * which no table is in. Calls by these methods are noted for the message of a failure.
 */
public final class Bench extends Account {
    /** Ordinary protection. */
    public static final int READ_WRITE = Prot.READ_WRITE | Prot.CACHE;

    private final Subject subject;
    private final Machine machine;
    private final VendorContext context;
    private final Iommu iommu;
    private final List<DeviceId> ids;
    private @Nullable IommuDevice device;
    private @Nullable IommuDevice second;
    private final Requester requester;
    private final Requester secondRequester;

    /** Builds the machine, opens the one driver that claims it, and probes two devices. */
    public Bench(Subject subject) {
        this(subject, new Account(), true);
    }

    /** Builds the machine and opens the driver; a device is probed when something first asks for it. */
    public static Bench unprobed(Subject subject) {
        return new Bench(subject, new Account(), false);
    }

    private Bench(Subject subject, Account account, boolean probes) {
        super(account);
        this.subject = subject;
        machine = subject.build();
        context = subject.context(machine);
        iommu = subject.claimant().open(context);
        ids = translatedDevices(subject);
        assertThat(ids).as("devices behind units of %s", subject).hasSizeGreaterThan(1);
        if (probes) {
            device = probe(ids.get(0));
            second = probe(ids.get(1));
        }
        requester = Requester.of(machine, ids.get(0));
        secondRequester = Requester.of(machine, ids.get(1));
    }

    /**
     * Returns a bench on a machine of its own, like this one, whose driver gets other ports, made from those that it
     * would get. Its steps and its seed are in this one's account.
     */
    public Bench on(UnaryOperator<VendorContext> ports) {
        return new Bench(subject.withPorts(ports), this, true);
    }

    /**
     * Returns the devices behind units that users can have: the first one, then first one behind another unit if any,
     * then the rest.
     */
    private static List<DeviceId> translatedDevices(Subject subject) {
        List<DeviceId> found = new ArrayList<>();
        List<String> units = new ArrayList<>();
        for (FunctionDescription function : subject.machine().functions()) {
            if (function.unit().isPresent() && Machines.isEndpoint(function)) {
                found.add(function.address());
                units.add(function.unit().get());
            }
        }
        for (PlatformDeviceDescription device : subject.machine().platformDevices()) {
            if (device.unit().isPresent()) {
                found.add(device.id());
                units.add(device.unit().get());
            }
        }
        if (subject.traits().has(Ability.KEEPS_DIRECT_DEVICES)) {
            for (int i = found.size() - 1; i >= 0; i--) {
                if (subject.traits().isDirect(found.get(i))) {
                    found.remove(i);
                    units.remove(i);
                }
            }
        }
        for (int i = 1; i < found.size(); i++) {
            if (!units.get(i).equals(units.get(0))) {
                found.add(1, found.remove(i));
                break;
            }
        }
        return found;
    }

    /** Has the first device, which is on PCI, answer invalidation requests later. */
    public void answerInvalidationsLater() {
        machine.endpoint((PciAddress) ids.get(0)).answerInvalidationsLater(true);
    }

    /** Probes a device of the machine, which a unit translates for. */
    public IommuDevice probe(DeviceId id) {
        return (id instanceof PciAddress address
                        ? iommu.probe(function(address), address.requesterId())
                        : iommu.probe((NamedDevice) id))
                .orElseThrow(() -> new AssertionError("no unit translates for " + id));
    }

    /** Returns a function of the machine. */
    public PciFunction function(PciAddress address) {
        return machine.topology().function(address).orElseThrow();
    }

    /** Returns the unit of the machine that a device's requests pass. */
    public TranslationUnit unitOf(DeviceId id) {
        Optional<String> unit = id instanceof PciAddress address
                ? subject.machine().functions().stream()
                        .filter(each -> each.address().equals(address))
                        .findFirst()
                        .flatMap(FunctionDescription::unit)
                : subject.machine().platformDevices().stream()
                        .filter(each -> each.id().equals(id))
                        .findFirst()
                        .flatMap(PlatformDeviceDescription::unit);
        return machine.unit(unit.orElseThrow(() -> new AssertionError("no unit translates for " + id)));
    }

    /** Returns what is tested. */
    public Subject subject() {
        return subject;
    }

    /** Returns what its vendor says of it. */
    public Traits traits() {
        return subject.traits();
    }

    /** Returns the machine. */
    public Machine machine() {
        return machine;
    }

    /** Returns what the driver was opened with. */
    public VendorContext context() {
        return context;
    }

    /** Returns the opened driver. */
    public Iommu iommu() {
        return iommu;
    }

    /** Returns the ids of all devices behind units that users can have; the bench's two come first. */
    public List<DeviceId> ids() {
        return List.copyOf(ids);
    }

    /** Returns the first device. */
    public IommuDevice device() {
        IommuDevice known = device;
        if (known == null) {
            known = probe(ids.get(0));
            device = known;
        }
        return known;
    }

    /** Returns the second device, which is behind another unit if there is one. */
    public IommuDevice second() {
        IommuDevice known = second;
        if (known == null) {
            known = probe(ids.get(1));
            second = known;
        }
        return known;
    }

    /** Returns the first device's DMA. */
    public Requester requester() {
        return requester;
    }

    /** Returns the second device's DMA. */
    public Requester secondRequester() {
        return secondRequester;
    }

    /** Returns the smallest page, in bytes. */
    public long granule() {
        return traits().granule();
    }

    /**
     * Returns where tests map: aligned to 1 GiB unless the aperture is small, with a quarter of the aperture or 64 GiB
     * behind it.
     */
    public long iova() {
        return traits().addressBits() > 36
                ? 1L << Math.min(38, traits().addressBits() - 1)
                : 1L << (traits().addressBits() - 1);
    }

    /** Returns memory for devices: the second half of the machine's, aligned to the largest power of two in it. */
    public long scratch() {
        return subject.machine().memoryBytes() / 2;
    }

    /** Returns the page sizes of a domain, in bytes, in ascending order. */
    public List<Long> pageSizes(IommuDomain domain) {
        List<Long> sizes = new ArrayList<>();
        for (long left = domain.pageSizes(); left != 0; left &= left - 1) {
            sizes.add(Long.lowestOneBit(left));
        }
        return sizes;
    }

    /** Returns what one table of the last level maps in most formats: a word for each page, in a table of one page. */
    public long tableSpan() {
        return Math.min(granule() / Long.BYTES * granule(), room() / 8);
    }

    /** Returns how many bytes can be mapped from {@link #iova} on, at most 1 TiB: a multiple of the granule. */
    public long room() {
        long most = 1L << 40;
        long rest = traits().lastIova() - iova();
        return rest < 0 || rest >= most ? most : rest + 1;
    }

    // What tests do.

    /** Allocates a domain for the first device and attaches it. */
    public IommuDomain attached() {
        IommuDomain domain = domain();
        attach(domain, device());
        return domain;
    }

    /** Allocates a domain for the first device. */
    public IommuDomain domain() {
        steps().note("allocate(UNMANAGED, %s)", device().id());
        return iommu.allocate(DomainType.UNMANAGED, device());
    }

    /** Attaches, which must succeed. */
    public void attach(IommuDomain domain, IommuDevice attached) {
        steps().note("attach(%s)", attached.id());
        assertThat(domain.attach(attached)).as("attach(%s)", attached.id()).isEqualTo(AttachResult.ATTACHED);
    }

    /** Detaches. */
    public void detach(IommuDomain domain, IommuDevice attached) {
        steps().note("detach(%s)", attached.id());
        domain.detach(attached);
    }

    /** Maps one run and syncs. */
    public void map(IommuDomain domain, long iova, long physicalAddress, long pageSize, long count, int prot) {
        mapOnly(domain, iova, physicalAddress, pageSize, count, prot);
        steps().note("syncMap(0x%x, 0x%x)", iova, pageSize * count);
        domain.syncMap(iova, pageSize * count);
    }

    /** Maps one page of the granule for reading and writing, and syncs. */
    public void map(IommuDomain domain, long iova, long physicalAddress) {
        map(domain, iova, physicalAddress, granule(), 1, READ_WRITE);
    }

    /** Maps one run without a sync. */
    public void mapOnly(IommuDomain domain, long iova, long physicalAddress, long pageSize, long count, int prot) {
        steps().note("map(0x%x, 0x%x, 0x%x x %d, %s)", iova, physicalAddress, pageSize, count, Prot.toString(prot));
        domain.map(iova, physicalAddress, pageSize, count, prot);
    }

    /** Unmaps and syncs; returns the bytes unmapped. */
    public long unmap(IommuDomain domain, long iova, long size) {
        IotlbGather gather = new IotlbGather();
        long unmapped = unmap(domain, iova, size, gather);
        sync(domain, gather);
        return unmapped;
    }

    /** Unmaps and leaves the sync to the caller; returns the bytes unmapped. */
    public long unmap(IommuDomain domain, long iova, long size, IotlbGather gather) {
        long unmapped = domain.unmap(iova, size, gather);
        steps().note("unmap(0x%x, 0x%x) = 0x%x", iova, size, unmapped);
        return unmapped;
    }

    /** Unmaps all of a range without a sync, and returns what waits for one. */
    public IotlbGather unmapOnly(IommuDomain domain, long iova, long size) {
        IotlbGather gather = new IotlbGather();
        assertThat(unmap(domain, iova, size, gather)).as("bytes unmapped").isEqualTo(size);
        return gather;
    }

    /** Syncs. */
    public void sync(IommuDomain domain, IotlbGather gather) {
        steps().note("sync(%s)", gather);
        domain.sync(gather);
    }

    /** Stores a word as CPU 0 does. */
    public void store(long physicalAddress, long value) {
        machine.memory(0).store(physicalAddress, value);
    }

    /** Loads a word as CPU 0 does. */
    public long load(long physicalAddress) {
        return machine.memory(0).load(physicalAddress);
    }

    /** Returns the frames that the driver holds: what a leak would raise. */
    public long framesInUse() {
        return context.frames().inUse();
    }

    // What tests assert.

    /** Asserts that the first device reads and writes a physical word through an IOVA. */
    public void assertReaches(long iova, long physicalAddress) {
        assertReaches(requester, iova, physicalAddress);
    }

    /** Asserts that a device reads and writes a physical word through an IOVA. */
    public void assertReaches(Requester who, long iova, long physicalAddress) {
        long out = ~iova * 31 + physicalAddress;
        store(physicalAddress, out);
        steps().note("device reads at 0x%x", iova);
        assertThat(who.read(iova, false)).as("device reads at 0x%x", iova).isEqualTo(out);
        long in = out * 31 + 7;
        steps().note("device writes at 0x%x", iova);
        assertThat(who.write(iova, in, false)).as("device writes at 0x%x", iova).isTrue();
        assertThat(load(physicalAddress))
                .as("CPU reads at 0x%x", physicalAddress)
                .isEqualTo(in);
    }

    /** Asserts that the first device can neither read nor write at an IOVA. */
    public void assertBlocked(long iova) {
        assertBlocked(requester, iova);
    }

    /** Asserts that a device can neither read nor write at an IOVA. */
    public void assertBlocked(Requester who, long iova) {
        steps().note("device reads and writes at 0x%x", iova);
        who.read(iova, false);
        assertThat(who.status()).as("a read at 0x%x", iova).isEqualTo(RequestStatus.TRANSLATION_FAULT);
        assertThat(who.write(iova, 1, false))
                .as("a write at 0x%x is accepted", iova)
                .isFalse();
        assertThat(who.status()).as("a write at 0x%x", iova).isEqualTo(RequestStatus.TRANSLATION_FAULT);
    }
}
