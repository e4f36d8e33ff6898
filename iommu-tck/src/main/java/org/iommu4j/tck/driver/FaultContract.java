// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Errnos.assertRefused;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.iommu4j.DmaFault;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.iommu4j.capability.PasidAttachment;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.junit.jupiter.api.Test;

/** {@link org.iommu4j.Iommu#takeFaults} and quarantined frames. */
public abstract class FaultContract {
    /** Hardware may tell no more of an address than its page of 4 KiB. */
    private static final long TOLD = -0x1000L;

    /** More refusals than any log has room for. */
    private static final int MANY = 20_000;

    /** Made by JUnit. */
    protected FaultContract() {}

    private static long page(Bench bench, int page) {
        return bench.iova() + page * bench.granule();
    }

    private static void refuse(Requester requester, long iova, boolean write) {
        if (write) {
            assertThat(requester.write(iova, 1, false)).isFalse();
        } else {
            requester.read(iova, false);
        }
        assertThat(requester.fault()).as("the unit's fault code").isNotZero();
    }

    private static void assertReport(
            DmaFault fault, Bench bench, IommuDevice device, long iova, boolean write, int reason, boolean attached) {
        assertThat(fault.unit()).isEqualTo(bench.unitOf(device.id()).spec().name());
        assertThat(bench.iommu().units()).contains(fault.unit());
        assertThat(fault.requester()).as("%s", fault).isEqualTo(device.id());
        // Where tables for PASIDs are in use, ordinary requests may go through that of PASID 0.
        assertThat(fault.pasid())
                .as("PASID of %s", fault)
                .isIn(attached ? List.of(DmaFault.NO_PASID, 0) : List.of(DmaFault.NO_PASID));
        assertThat(fault.address() & TOLD).as("address of %s", fault).isEqualTo(iova & TOLD);
        assertThat(fault.write()).as("%s wrote", fault).isEqualTo(write);
        assertThat(fault.reason()).as("reason of %s", fault).isEqualTo(reason);
        assertThat(fault.description()).as("words of %s", fault).isNotBlank();
    }

    @Test
    @NeedsAbility(Ability.FAULT_REPORTS)
    @Promise("faults-1")
    void eachRefusalIsReportedOnceAndInOrder(Bench bench) {
        assertThat(bench.iommu().takeFaults()).as("before anything is refused").isEmpty();
        for (int round = 0; round < 3; round++) {
            List<String> expected = new ArrayList<>();
            long overflows = bench.iommu().faultOverflows();
            for (int i = 0; i < 3; i++) {
                refuse(bench.requester(), page(bench, i * 2 % 3), i % 2 == 0);
                expected.add(bench.device().id() + " at " + page(bench, i * 2 % 3));
                refuse(bench.secondRequester(), page(bench, 10 - i), false);
                expected.add(bench.second().id() + " at " + page(bench, 10 - i));
            }
            List<String> found = bench.iommu().takeFaults().stream()
                    .map(fault -> fault.requester() + " at " + (fault.address() & TOLD))
                    .toList();
            for (IommuDevice device : List.of(bench.device(), bench.second())) {
                String name = device.id() + " at";
                assertReported(
                        found.stream().filter(each -> each.startsWith(name)).toList(),
                        expected.stream().filter(each -> each.startsWith(name)).toList(),
                        bench.iommu().faultOverflows() > overflows);
            }
            if (bench.unitOf(bench.device().id()) == bench.unitOf(bench.second().id())) {
                assertReported(found, expected, bench.iommu().faultOverflows() > overflows);
            }
            assertThat(bench.iommu().takeFaults()).as("taken again").isEmpty();
        }
        // The same request again is refused again, and asking how many were lost loses none.
        for (int i = 0; i < 3; i++) {
            refuse(bench.requester(), page(bench, 1), false);
        }
        long lost = bench.iommu().faultOverflows();
        List<DmaFault> alike = bench.iommu().takeFaults();
        assertThat(alike.size() == 3 || (bench.iommu().faultOverflows() > 0 && !alike.isEmpty()))
                .as("%d reports of three requests alike, %d overflows", alike.size(), lost)
                .isTrue();
        // What the driver does in between takes nothing out.
        refuse(bench.requester(), page(bench, 0), false);
        IommuDomain domain = bench.attached();
        bench.map(domain, page(bench, 0), bench.scratch());
        bench.assertReaches(page(bench, 0), bench.scratch());
        bench.unmap(domain, page(bench, 0), bench.granule());
        bench.detach(domain, bench.device());
        domain.close();
        assertThat(bench.iommu().takeFaults())
                .extracting(fault -> fault.address() & TOLD)
                .as("reports from before domains changed")
                .containsExactly(page(bench, 0));
        assertThat(bench.iommu().takeFaults()).isEmpty();
    }

    /** All are reported in order; of a log that overflowed, those that found room. */
    private static void assertReported(List<String> found, List<String> expected, boolean overflowed) {
        if (overflowed) {
            List<String> reported = expected.stream().filter(found::contains).toList();
            assertThat(found).as("reports of %s", expected).isEqualTo(reported);
        } else {
            assertThat(found).as("reports").isEqualTo(expected);
        }
    }

    @Test
    @NeedsAbility(Ability.FAULT_REPORTS)
    @Promise("faults-2")
    void aReportHasAllThatHardwareTells(Bench bench) {
        for (IommuDevice device : List.of(bench.device(), bench.second())) {
            Requester requester = Requester.of(bench.machine(), device.id());
            for (long iova : new long[] {
                page(bench, 0), page(bench, 7), bench.granule(), bench.iova() + (1L << 30), bench.scratch()
            }) {
                for (boolean write : new boolean[] {false, true}) {
                    refuse(requester, iova, write);
                    int reason = requester.fault();
                    List<DmaFault> faults = bench.iommu().takeFaults();
                    assertThat(faults).hasSize(1);
                    assertReport(faults.get(0), bench, device, iova, write, reason, false);
                }
            }
            IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, device);
            bench.attach(domain, device);
            bench.map(domain, page(bench, 0), bench.scratch(), bench.granule(), 1, Prot.READ);
            bench.iommu().takeFaults();
            if (!Attached.cachesTranslations(requester)) {
                refuse(requester, page(bench, 0), true);
                assertReport(one(bench), bench, device, page(bench, 0), true, requester.fault(), true);
                refuse(requester, page(bench, 3), false);
                assertReport(one(bench), bench, device, page(bench, 3), false, requester.fault(), true);
            }
            bench.detach(domain, device);
            domain.close();
        }
    }

    private static DmaFault one(Bench bench) {
        List<DmaFault> faults = bench.iommu().takeFaults();
        assertThat(faults).hasSize(1);
        return faults.get(0);
    }

    @Test
    @NeedsAbility({Ability.PCI_DEVICES, Ability.FAULT_REPORTS, Ability.PASID, Ability.FAULT_PASIDS})
    @Promise("faults-2")
    void aReportHasThePasid(Bench bench) {
        for (int pasid : new int[] {1, 5}) {
            assertReported(bench, pasid, bench.iova());
        }
        IommuDomain ordinary = pasidDomain(bench);
        bench.attach(ordinary, bench.device());
        IommuDomain domain = pasidDomain(bench);
        bench.map(domain, bench.iova(), bench.scratch());
        int last = bench.device().maxPasids() - 1;
        for (int pasid : new int[] {1, 5, last}) {
            assertReported(bench, pasid, bench.iova());
            PasidAttachment pasids = domain.pasidAttachment().orElseThrow();
            assertThat(pasids.attach(bench.device(), pasid).attached()).isTrue();
            bench.assertReaches(bench.requester().withPasid(pasid), bench.iova(), bench.scratch());
            assertReported(bench, pasid, bench.iova() + bench.granule());
            pasids.detach(bench.device(), pasid);
            assertReported(bench, pasid, bench.iova());
        }
    }

    private static IommuDomain pasidDomain(Bench bench) {
        return bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), Set.of(DomainFlag.PASID));
    }

    /**
     * Asserts what is reported of an untranslated request. It is made at the unit: a device may have no PASIDs while it
     * is blocked, and one with a translation cache asks first, which is no fault.
     */
    private static void assertReported(Bench bench, int pasid, long iova) {
        TranslationUnit unit = bench.unitOf(bench.device().id());
        PciAddress address = (PciAddress) bench.device().id();
        bench.steps().note("a read with PASID %d at 0x%x", pasid, iova);
        long answer = unit.translate(
                unit.spec().sourceId(address.segment(), address.requesterId()), pasid, iova, RequestFlags.READ);
        assertThat(Translation.isFault(answer)).as("refused").isTrue();
        List<DmaFault> faults = bench.iommu().takeFaults();
        assertThat(faults)
                .extracting(DmaFault::pasid)
                .as("PASIDs of the reports")
                .containsExactly(pasid);
        assertThat(faults)
                .extracting(fault -> fault.address() & TOLD)
                .as("addresses of the reports")
                .containsExactly(iova & TOLD);
    }

    @Test
    @NeedsAbility(Ability.FAULT_REPORTS)
    @Promise({"faults-3", "faults-4"})
    void aFullLogIsSaidToHaveOverflowedAndRecordingGoesOn(Bench bench) {
        long before = bench.iommu().faultOverflows();
        assertThat(before).isZero();
        for (int round = 0; round < 3; round++) {
            for (int i = 0; i < MANY; i++) {
                bench.requester().read(page(bench, i % 1000), false);
            }
            List<DmaFault> faults = bench.iommu().takeFaults();
            long overflows = bench.iommu().faultOverflows();
            assertThat(faults).as("reports").isNotEmpty();
            assertThat(faults.size() == MANY || overflows > before)
                    .as("%d of %d refusals are reported, %d overflows", faults.size(), MANY, overflows - before)
                    .isTrue();
            assertThat(overflows - before).as("overflows").isBetween(0L, (long) MANY);
            assertThat(bench.iommu().faultOverflows()).as("asked again").isEqualTo(overflows);

            for (int i = 0; i < 5; i++) {
                for (Requester requester : List.of(bench.requester(), bench.secondRequester())) {
                    refuse(requester, page(bench, 2000 + i), i % 2 == 0);
                    assertThat(bench.iommu().takeFaults())
                            .extracting(fault -> fault.address() & TOLD)
                            .as("reports after the overflow")
                            .containsExactly(page(bench, 2000 + i));
                }
            }
            assertThat(bench.iommu().faultOverflows()).as("overflows").isEqualTo(overflows);
            before = overflows;
        }
        bench.iommu().close();
        assertThat(bench.iommu().faultOverflows()).as("closed").isEqualTo(before);
    }

    // ---- quarantine ------------------------------------------------------------------------------------------------

    @Test
    @NeedsAbility(Ability.COMPLETION)
    @Promise({"quarantine-1", "quarantine-2"})
    void framesThatWaitForAnInvalidationThatNeverCompletesAreKeptAndCounted(Bench given) {
        Silence silence = new Silence(given.subject());
        Bench bench = silence.bench();
        IommuDomain domain = bench.attached();
        int count = (int) ((4L << 20) / bench.granule());
        bench.map(domain, bench.iova(), bench.scratch(), bench.granule(), count, Bench.READ_WRITE);
        bench.assertReaches(bench.iova(), bench.scratch());
        assertThat(bench.iommu().quarantinedFrames()).isZero();
        IotlbGather gather = bench.unmapOnly(domain, bench.iova(), count * bench.granule());
        long frames = bench.framesInUse();
        long waiting = 0;
        for (int i = 0; i < gather.frameCount(); i++) {
            waiting += 1L << gather.order(i);
        }

        silence.begin();
        assertRefused(Errno.ETIMEDOUT, () -> domain.sync(gather));
        silence.end();

        assertThat(bench.iommu().quarantinedFrames()).as("quarantined frames").isEqualTo(waiting);
        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
        IommuDomain other = bench.iommu().allocate(DomainType.UNMANAGED, bench.second());
        other.map(bench.iova(), bench.scratch(), bench.granule(), 1, Bench.READ_WRITE);
        other.unmap(bench.iova(), bench.granule(), new IotlbGather());
        other.close();
        assertThat(bench.iommu().quarantinedFrames()).as("they stay").isEqualTo(waiting);
        assertRefused(Errno.EIO, () -> domain.detach(bench.device()));
        domain.close();
        long kept = bench.iommu().quarantinedFrames();
        assertThat(kept).isGreaterThanOrEqualTo(waiting);
        bench.iommu().close();
        assertThat(bench.framesInUse())
                .as("only what is counted is kept")
                .isEqualTo(bench.iommu().quarantinedFrames());
        assertThat(bench.iommu().quarantinedFrames()).isEqualTo(bench.iommu().quarantinedFrames());
        bench.iommu().close();
        assertThat(bench.framesInUse()).isEqualTo(bench.iommu().quarantinedFrames());
    }

    @Test
    @NeedsAbility(Ability.COMPLETION)
    @Promise({"quarantine-1", "driver-close-2"})
    void whatAUnitMayStillUseWhenTheDriverIsClosedIsKeptAndCounted(Bench given) {
        Silence silence = new Silence(given.subject());
        Bench bench = silence.bench();
        IommuDomain domain = bench.attached();
        bench.map(domain, bench.iova(), bench.scratch());
        bench.assertReaches(bench.iova(), bench.scratch());
        bench.detach(domain, bench.device());
        assertThat(bench.iommu().quarantinedFrames()).isZero();

        silence.begin();
        bench.iommu().close();
        silence.end();

        long kept = bench.iommu().quarantinedFrames();
        assertThat(kept).as("quarantined frames").isPositive();
        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(kept);
        bench.iommu().close();
        domain.close();
        assertThat(bench.iommu().quarantinedFrames()).as("closed again").isEqualTo(kept);
        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(kept);
    }

    @Test
    @Promise({"quarantine-1", "quarantine-2"})
    void nothingIsQuarantinedWhereAllIsConfirmed(Bench bench) {
        IommuDomain domain = bench.attached();
        for (int i = 0; i < 5; i++) {
            bench.map(domain, bench.iova(), bench.scratch(), bench.granule(), 600, Bench.READ_WRITE);
            bench.assertReaches(bench.iova(), bench.scratch());
            bench.unmap(domain, bench.iova(), 600 * bench.granule());
        }
        bench.attach(domain, bench.second());
        bench.detach(domain, bench.second());
        assertThat(bench.iommu().quarantinedFrames()).isZero();
        bench.detach(domain, bench.device());
        domain.close();
        assertThat(bench.iommu().quarantinedFrames()).isZero();
        bench.iommu().close();
        assertThat(bench.iommu().quarantinedFrames()).isZero();
        assertThat(bench.framesInUse()).as("frames in use").isZero();
    }

    @Test
    @Promise("faults-3")
    void overflowsAreNoneWhereNothingIsLost(Bench bench) {
        for (int i = 0; i < 5; i++) {
            refuse(bench.requester(), page(bench, i), i % 2 == 0);
            bench.iommu().takeFaults();
            assertThat(bench.iommu().faultOverflows()).isZero();
        }
    }
}
