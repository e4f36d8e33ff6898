// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.function.LongUnaryOperator;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainType;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.platform.FrameAllocator;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.IommuVendors;
import org.iommu4j.spi.VendorContext;

/**
 * A machine with its driver opened and two devices probed: what a test of domains needs.
 */
public class Bench {
    /** The first device. */
    public static final PciAddress DEVICE = BuiltInTopology.GPU;

    /** The second device, in a group of its own. */
    public static final PciAddress SECOND = BuiltInTopology.SECOND_GPU;

    /** Where tests map, unless they say else: inside every table, aligned to all but the very largest pages. */
    public static final long IOVA = 1L << 31;

    /** Memory that nobody allocates from in these tests, aligned to its size of 128 MiB. */
    public static final long SCRATCH = 128L << 20;

    /** Ordinary protection. */
    public static final int READ_WRITE = Prot.READ_WRITE | Prot.CACHE;

    private final Configuration configuration;
    private final Machine machine;
    private final FrameAllocator frames;
    private final Iommu iommu;
    private final IommuDevice device;
    private final IommuDevice second;

    /** Builds the machine and opens the one driver that claims it. */
    public Bench(Configuration configuration) {
        this(configuration, wrap -> wrap);
    }

    /** What stands between the driver and the machine. */
    @FunctionalInterface
    public interface Wrapping {
        /** Returns what the driver gets in place of the machine's own ports. */
        VendorContext wrap(VendorContext context);
    }

    /** Builds the machine and opens the driver of a release. */
    public Bench(Configuration configuration, LinuxRelease release) {
        this(configuration, release, wrap -> wrap);
    }

    /** Builds the machine and opens the driver on wrapped ports. */
    public Bench(Configuration configuration, Wrapping wrapping) {
        this(configuration, LinuxRelease.NEWEST, wrapping);
    }

    private Bench(Configuration configuration, LinuxRelease release, Wrapping wrapping) {
        this.configuration = configuration;
        MachineFactory factory = MachineFactory.load();
        machine = configuration.caches()
                ? factory.create(configuration.machine())
                : factory.createFlat(configuration.machine());
        List<IommuVendor> claiming = IommuVendors.load().claiming(machine.firmware());
        assertThat(claiming).as("vendors that claim %s", configuration).hasSize(1);
        VendorContext context = machine.vendorContext(release);
        frames = context.frames();
        iommu = claiming.get(0).open(wrapping.wrap(context));
        device = probe(DEVICE);
        second = probe(SECOND);
    }

    private IommuDevice probe(PciAddress address) {
        return iommu.probe(machine.topology().function(address).orElseThrow(), address.requesterId())
                .orElseThrow();
    }

    public Machine machine() {
        return machine;
    }

    public Iommu iommu() {
        return iommu;
    }

    public IommuDevice device() {
        return device;
    }

    public IommuDevice second() {
        return second;
    }

    /** Allocates a domain for the first device and attaches it. */
    public IommuDomain attached() {
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        attach(domain, device);
        return domain;
    }

    /** Attaches, which must succeed. */
    public void attach(IommuDomain domain, IommuDevice attached) {
        assertThat(domain.attach(attached)).isEqualTo(AttachResult.ATTACHED);
    }

    /** Maps one run and lets the hardware know. */
    public void map(IommuDomain domain, long iova, long physicalAddress, long pageSize, long count, int prot) {
        domain.map(iova, physicalAddress, pageSize, count, prot);
        domain.syncMap(iova, pageSize * count);
    }

    /** Maps one page of the smallest size and lets the hardware know. */
    public void map(IommuDomain domain, long iova, long physicalAddress) {
        map(domain, iova, physicalAddress, smallestPage(domain), 1, READ_WRITE);
    }

    /** Returns the smallest page that a domain maps: 4 KiB with every real vendor. */
    private static long smallestPage(IommuDomain domain) {
        return Long.lowestOneBit(domain.pageSizes());
    }

    /** Unmaps and lets the hardware know. */
    public long unmap(IommuDomain domain, long iova, long size) {
        IotlbGather gather = new IotlbGather();
        long unmapped = domain.unmap(iova, size, gather);
        domain.sync(gather);
        return unmapped;
    }

    /** Walks the first device's tables as hardware would. */
    public LeafFormat.Leaf walk(long iova) {
        return configuration.leaves().walk(machine.registers(), hardwareView(), DEVICE, iova);
    }

    /** Returns how the unit loads a word of its tables: what is in DRAM, if it does not snoop. */
    private LongUnaryOperator hardwareView() {
        return configuration.coherentWalk() ? machine.memory(0)::load : machine::peekDram;
    }

    public Endpoint endpoint() {
        return machine.endpoint(DEVICE);
    }

    public Endpoint secondEndpoint() {
        return machine.endpoint(SECOND);
    }

    /** Stores a word as CPU 0 does. */
    public void store(long physicalAddress, long value) {
        machine.memory(0).store(physicalAddress, value);
    }

    /** Loads a word as CPU 0 does. */
    public long load(long physicalAddress) {
        return machine.memory(0).load(physicalAddress);
    }

    /** Asserts that the first device reads and writes a physical word through an IOVA. */
    public void assertReaches(long iova, long physicalAddress) {
        assertReaches(endpoint(), iova, physicalAddress);
    }

    /** Asserts that a device reads and writes a physical word through an IOVA. */
    public void assertReaches(Endpoint endpoint, long iova, long physicalAddress) {
        long out = ~iova * 31 + physicalAddress;
        store(physicalAddress, out);
        assertThat(endpoint.read(iova, false)).as("device reads at 0x%x", iova).isEqualTo(out);
        long in = out * 31 + 7;
        assertThat(endpoint.write(iova, in, false))
                .as("device writes at 0x%x", iova)
                .isTrue();
        assertThat(load(physicalAddress))
                .as("CPU reads at 0x%x", physicalAddress)
                .isEqualTo(in);
    }

    /** Asserts that the first device can neither read nor write at an IOVA. */
    public void assertRefused(long iova) {
        assertRefused(endpoint(), iova);
    }

    /** Asserts that a device can neither read nor write at an IOVA. */
    public void assertRefused(Endpoint endpoint, long iova) {
        endpoint.read(iova, false);
        assertThat(endpoint.lastStatus()).as("read at 0x%x", iova).isEqualTo(RequestStatus.TRANSLATION_FAULT);
        assertThat(endpoint.write(iova, 1, false)).as("write at 0x%x", iova).isFalse();
        assertThat(endpoint.lastStatus()).as("write at 0x%x", iova).isEqualTo(RequestStatus.TRANSLATION_FAULT);
    }

    /** Returns whether a no-snoop write meets the line that CPU 0 has dirty; if not, it leaves that line stale. */
    public boolean isSnooped(Endpoint endpoint, long iova, long physicalAddress) {
        store(physicalAddress, 1);
        assertThat(endpoint.write(iova, 2, true)).as("no-snoop write").isTrue();
        long seen = load(physicalAddress);
        assertThat(seen).isIn(1L, 2L);
        // Nothing stale is left for the next look.
        machine.drainCaches();
        return seen == 2;
    }

    /** Returns the frames that are out: what a leak would raise. */
    public long framesInUse() {
        return frames.inUse();
    }
}
