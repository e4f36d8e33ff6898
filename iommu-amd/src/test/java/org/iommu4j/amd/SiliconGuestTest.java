// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.iommu4j.DmaFault;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.LinuxRelease;
import org.iommu4j.PageRequestGroup;
import org.iommu4j.Prot;
import org.iommu4j.capability.PageRequests;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.pci.PriCapability;
import org.iommu4j.sim.amdvi.AmdViUnitProvider;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.MachineFactory;
import org.iommu4j.sim.pcie.BuiltInTopology;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.pcie.RequestStatus;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.spi.VendorContext;
import org.iommu4j.tck.Machines;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Guest tables on the simulated unit, which was written apart from the driver. */
class SiliconGuestTest {
    private static final long K4 = 4096;
    private static final long IOVA = 0x1234_5000L;
    private static final long VALUE = 0x1122_3344_5566_7788L;

    private static final int PASID = 5;

    /** Of the log of page requests that the driver makes, less the one that stays free. */
    private static final int LOG_ENTRIES = 511;

    /** Status of the Page Request Interface: Stopped. */
    private static final int STOPPED = 1 << 8;

    /** HATS 2, HESup and IASup of the built-in unit; PPRSup, GTSup, GLXSup 2, PASmax 15, GIoSup. */
    private static final long EFR = AmdViUnitProvider.EFR_6_LEVEL | 1 << 1 | 1 << 4 | 2 << 14 | 15L << 32 | 1L << 48;

    private Machine machine;
    private InterposedMemory memory;
    private AmdIommu iommu;
    private IommuDevice device;
    private Endpoint endpoint;
    private long target;

    private void open(long efr, LinuxRelease release) {
        open(Machines.withPasids(AmdViUnitProvider.machine("amd-guest", efr, 0), false), release);
    }

    private void open(MachineDescription description, LinuxRelease release) {
        machine = MachineFactory.load().create(description);
        VendorContext context = machine.vendorContext(release);
        memory = new InterposedMemory(context.memory());
        iommu = (AmdIommu) new AmdVendor()
                .open(context.withMemory(memory)
                        .withBootOptions(context.bootOptions().and("iommu4j.amd=pasids")));
        PciFunction function = machine.topology().function(BuiltInTopology.GPU).orElseThrow();
        function.config().write(4, 2, 6);
        device = iommu.probe(function).orElseThrow();
        endpoint = machine.endpoint(function.address());
        target = machine.userFrames().allocate(0);
    }

    private IommuDomain guest() {
        return iommu.allocate(DomainType.UNMANAGED, device, Set.of(DomainFlag.PASID));
    }

    private void attachPasid(IommuDomain domain) {
        assertThat(domain.pasidAttachment().orElseThrow().attach(device, PASID).attached())
                .isTrue();
    }

    private Endpoint withPasid() {
        Endpoint tagged = endpoint.fork();
        tagged.usePasid(PASID);
        return tagged;
    }

    /** What 6.17 gave the top bit up for: with a PASID it is a sign, without one it is an address bit. */
    @ParameterizedTest
    @ValueSource(ints = {4, 5})
    void until616TheTopHalfOfTheApertureIsReachedWithoutAPasidOnly(int levels) {
        open(EFR | (levels - 4L) << 12, new LinuxRelease(6, 16));
        IommuDomain domain = guest();
        domain.attach(device);
        long top = 1L << (levels == 4 ? 47 : 56);
        assertThat(domain.apertureEnd()).isEqualTo(2 * top - 1);
        machine.memory(0).store(target, VALUE);
        attachPasid(domain);
        Endpoint tagged = withPasid();
        for (long iova : new long[] {top - K4, top, 2 * top - K4}) {
            domain.map(iova, target, K4, 1, Prot.READ);
            assertThat(endpoint.read(iova, false)).as("iova 0x%x", iova).isEqualTo(VALUE);
            assertThat(tagged.read(iova, false) == VALUE)
                    .as("iova 0x%x with a PASID", iova)
                    .isEqualTo(iova < top);
        }
    }

    @Test
    void refusedRequestsAreReportedWithTheirPasidAndThoseWithoutAsOfPasid0() {
        open(EFR, LinuxRelease.NEWEST);
        IommuDomain domain = guest();
        domain.attach(device);
        attachPasid(domain);
        assertThat(iommu.takeFaults()).isEmpty();

        withPasid().write(IOVA, 1, false);
        // GIOV: what comes without PASID goes through the table of PASID 0.
        endpoint.read(IOVA + K4, false);

        assertThat(iommu.takeFaults())
                .extracting(DmaFault::requester, DmaFault::pasid, DmaFault::address, DmaFault::write)
                .containsExactly(tuple(device.id(), PASID, IOVA, true), tuple(device.id(), 0, IOVA + K4, false));
    }

    /** Whatever comes between the stores of a device table entry and what follows them. */
    @ParameterizedTest
    @EnumSource(
            value = DomainType.class,
            names = {"UNMANAGED", "IDENTITY", "BLOCKED"})
    void aPageOfGuestTablesThatIsGivenUpWhileItsDeviceMovesAwayIsGoneAfterSync(DomainType next) {
        open(EFR, LinuxRelease.NEWEST);
        IommuDomain old = guest();
        old.attach(device);
        old.map(IOVA, target, K4, 1, Prot.READ_WRITE);
        old.syncMap(IOVA, K4);
        machine.memory(0).store(target, VALUE);
        assertThat(endpoint.read(IOVA, false)).isEqualTo(VALUE);
        long entry = (machine.units().get(0).readRegister64(0) & 0x000f_ffff_ffff_f000L)
                + endpoint.address().requesterId() * 32L;
        List<RequestStatus> seen = new ArrayList<>();
        memory.spoiling = (address, value) -> {
            if (address == entry && seen.isEmpty()) {
                IotlbGather gather = new IotlbGather();
                assertThat(old.unmap(IOVA, K4, gather)).isEqualTo(K4);
                old.sync(gather);
                endpoint.read(IOVA, false);
                seen.add(endpoint.lastStatus());
            }
            return value;
        };

        assertThat(iommu.allocate(next, device).attach(device).attached()).isTrue();

        assertThat(seen).containsExactly(RequestStatus.TRANSLATION_FAULT);
    }

    @Test
    void withoutAutomaticResponsesALostPageRequestIsAwaitedUntilTheInterfaceIsReset() {
        long enhancedHandling = 1L << 50;
        open(
                Machines.withPageRequests(AmdViUnitProvider.machine("amd-pages", EFR | enhancedHandling, 0)),
                LinuxRelease.NEWEST);
        IommuDomain domain = guest();
        domain.attach(device);
        attachPasid(domain);
        PageRequests requests = device.pageRequests().orElseThrow();
        requests.enable();
        Endpoint tagged = withPasid();
        for (int i = 0; i < LOG_ENTRIES; i++) {
            machine.units()
                    .get(0)
                    .requestPage(
                            endpoint.address().requesterId(),
                            PASID,
                            IOVA + i * K4,
                            RequestFlags.READ | RequestFlags.LAST,
                            100 + i % 400);
        }
        long late = IOVA + (1L << 30);
        assertThat(statusOfRead(tagged, late)).isEqualTo(RequestStatus.PAGE_AWAITED);
        assertThat(take(requests)).hasSize(LOG_ENTRIES);
        assertThat(requests.overflows()).isEqualTo(1);
        assertThat(statusOfRead(tagged, late)).isEqualTo(RequestStatus.PAGE_AWAITED);
        assertThat(take(requests)).isEmpty();
        requests.disable();
        assertThat(PriCapability.of(tagged.config()).orElseThrow().status() & STOPPED)
                .as("an answer is awaited")
                .isZero();
        requests.enable();
        assertThat(statusOfRead(tagged, late)).isEqualTo(RequestStatus.PAGE_AWAITED);
        assertThat(take(requests)).hasSize(1);
    }

    private List<PageRequestGroup> take(PageRequests requests) {
        machine.runPending();
        return requests.take();
    }

    private static RequestStatus statusOfRead(Endpoint requester, long iova) {
        requester.read(iova, false);
        return requester.lastStatus();
    }
}
