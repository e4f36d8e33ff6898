// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Bench.READ_WRITE;
import static org.iommu4j.tck.Errnos.assertRefused;
import static org.iommu4j.tck.driver.EveryType.constants;
import static org.iommu4j.tck.driver.EveryType.detachSecond;
import static org.iommu4j.tck.driver.EveryType.flagged;
import static org.iommu4j.tck.driver.EveryType.ofEveryType;
import static org.iommu4j.tck.driver.Mapped.attachSecond;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.iommu4j.DirtyBitmap;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IotlbGather;
import org.iommu4j.Prot;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.junit.jupiter.api.Test;

/** {@link IommuDomain#close}. */
public abstract class DomainClosingContract {
    /** Made by JUnit. */
    protected DomainClosingContract() {}

    @Test
    @Promise("close-1")
    void whateverADomainMappedOrWasAskedItsFramesComeBack(Bench bench) {
        bench.domain().close();
        long before = bench.framesInUse();
        for (int round = 0; round < 3; round++) {
            IommuDomain domain = bench.attached();
            for (long size : bench.pageSizes(domain)) {
                Spot spot = Spot.of(bench, domain, size);
                domain.map(spot.iova(), spot.physicalAddress(), size, 1, Bench.READ_WRITE);
                bench.unmap(domain, spot.iova(), size);
                domain.map(spot.iova(), spot.physicalAddress(), size, 1, Bench.READ_WRITE);
                bench.unmap(domain, spot.iova(), size);
            }
            domain.cacheCoherencyEnforcement().ifPresent(control -> control.enforce());
            bench.map(domain, bench.iova(), bench.scratch());
            bench.detach(domain, bench.device());
            domain.close();
            assertThat(bench.framesInUse()).as("frames in use, round %d", round).isEqualTo(before);
        }
    }

    @Test
    @Promise("close-1")
    void allThatADomainTookCanBeTakenAgain(Bench bench) {
        long page = bench.granule();
        long span = bench.tableSpan();
        long before = bench.framesInUse();
        for (int round = 0; round < 40; round++) {
            IommuDomain domain = bench.attached();
            Requester other = attachSecond(bench, domain);
            for (int i = 0; i < 1 + round % 3; i++) {
                bench.map(domain, bench.iova() + i * span - page, bench.scratch(), page, 2, READ_WRITE);
            }
            bench.map(domain, domain.apertureStart(), bench.scratch());
            bench.map(domain, domain.apertureEnd() - page + 1, bench.scratch());
            bench.assertReaches(other, bench.iova(), bench.scratch() + page);
            if (round % 2 == 0) {
                bench.unmap(domain, bench.iova(), page);
            }
            bench.detach(domain, bench.device());
            detachSecond(bench, domain);
            domain.close();
            assertThat(bench.framesInUse()).as("frames in use").isEqualTo(before);
        }
        for (int round = 0; round < 40; round++) {
            ofEveryType(bench).forEach(IommuDomain::close);
            assertThat(bench.framesInUse()).as("frames in use").isEqualTo(before);
        }
        bench.assertBlocked(bench.iova());
        bench.assertBlocked(bench.secondRequester(), bench.iova());
    }

    @Test
    @Promise({"close-2", "close-5"})
    void aDomainWithADeviceStaysOpen(Bench bench) {
        for (IommuDomain domain : ofEveryType(bench)) {
            boolean paging = domain.type().isPaging();
            if (paging) {
                bench.map(domain, bench.iova(), bench.scratch(), bench.granule(), 3, READ_WRITE);
            }
            bench.attach(domain, bench.device());
            Requester other = attachSecond(bench, domain);
            for (int devices = 2; devices > 0; devices--) {
                long frames = bench.framesInUse();
                assertRefused(Errno.EBUSY, domain::close);
                assertRefused(Errno.EBUSY, domain::close);
                assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
                if (paging) {
                    assertThat(domain.translate(bench.iova())).isEqualTo(bench.scratch());
                    bench.assertReaches(bench.iova() + 2 * bench.granule(), bench.scratch() + 2 * bench.granule());
                    if (devices == 2) {
                        bench.assertReaches(other, bench.iova(), bench.scratch());
                    }
                } else if (domain.type() == DomainType.IDENTITY) {
                    bench.assertReaches(bench.scratch(), bench.scratch());
                }
                detachSecond(bench, domain);
            }
            if (paging) {
                bench.map(domain, bench.iova() + 3 * bench.granule(), bench.scratch());
                bench.assertReaches(bench.iova() + 3 * bench.granule(), bench.scratch());
            }
            bench.detach(domain, bench.device());
            domain.close();
        }
    }

    @Test
    @NeedsAbility(Ability.PASID)
    @Promise("close-5")
    void aDomainWithAPasidStaysOpen(Bench bench) {
        IommuDomain domain = flagged(bench, DomainFlag.PASID);
        bench.map(domain, bench.iova(), bench.scratch());
        // Some units want the device to have a domain of its own first.
        IommuDomain own = flagged(bench, DomainFlag.PASID);
        bench.attach(own, bench.device());
        domain.pasidAttachment().orElseThrow().attach(bench.device(), 1);
        Requester tagged = bench.requester().withPasid(1);
        bench.assertReaches(tagged, bench.iova(), bench.scratch());
        assertRefused(Errno.EBUSY, domain::close);
        bench.assertReaches(tagged, bench.iova(), bench.scratch());
        domain.pasidAttachment().orElseThrow().detach(bench.device(), 1);
        domain.close();
        bench.assertBlocked(tagged, bench.iova());
    }

    @Test
    @Promise("close-3")
    void closingAgainDoesNothing(Bench bench) {
        long page = bench.granule();
        for (IommuDomain domain : ofEveryType(bench)) {
            if (domain.type().isPaging()) {
                bench.map(domain, bench.iova(), bench.scratch(), page, 3, READ_WRITE);
            }
            domain.close();
            long empty = bench.framesInUse();
            domain.close();
            // Whoever has the frames now keeps them.
            IommuDomain next = bench.attached();
            bench.map(next, bench.iova(), bench.scratch(), page, 3, READ_WRITE);
            long frames = bench.framesInUse();
            domain.close();
            domain.close();
            assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
            for (int i = 0; i < 3; i++) {
                bench.assertReaches(bench.iova() + i * page, bench.scratch() + i * page);
            }
            bench.map(next, bench.iova() + bench.tableSpan(), bench.scratch());
            bench.assertReaches(bench.iova() + bench.tableSpan(), bench.scratch());
            bench.detach(next, bench.device());
            next.close();
            assertThat(bench.framesInUse()).as("frames in use").isEqualTo(empty);
        }
    }

    @Test
    @Promise("close-4")
    void aClosedDomainRefusesWithEnodevWhatWouldDoSomething(Bench bench) {
        List<IommuDomain> all = ofEveryType(bench);
        for (DomainFlag flag : flags(bench)) {
            all.add(flagged(bench, flag));
        }
        bench.traits().guestTables().ifPresent(tables -> {
            IommuDomain parent = flagged(bench, DomainFlag.NEST_PARENT);
            all.add(parent.nesting().orElseThrow().allocateNested(bench.device(), tables.table(bench.iova())));
            all.add(parent);
        });
        for (IommuDomain domain : all) {
            List<Object> constants = constants(domain);
            Map<String, ThrowingCallable> calls = operations(bench, domain);
            domain.close();
            // What has the frames of its tables now is changed by nothing else.
            IommuDomain next = bench.attached();
            bench.map(next, bench.iova(), bench.scratch());
            bench.machine().runPending();
            long frames = bench.framesInUse();
            long digest = bench.machine().digest();
            calls.forEach((name, call) -> {
                bench.steps().note("%s of a closed domain of type %s", name, domain.type());
                assertRefused(Errno.ENODEV, call);
            });
            assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
            assertThat(bench.machine().digest()).as("the machine").isEqualTo(digest);
            assertThat(constants(domain)).isEqualTo(constants);
            bench.assertReaches(bench.iova(), bench.scratch());
            bench.detach(next, bench.device());
            next.close();
            bench.assertBlocked(bench.iova());
        }
    }

    private static List<DomainFlag> flags(Bench bench) {
        List<DomainFlag> flags = new ArrayList<>();
        Map.of(
                        Ability.PASID, DomainFlag.PASID,
                        Ability.DIRTY_TRACKING, DomainFlag.DIRTY_TRACKING,
                        Ability.NESTING, DomainFlag.NEST_PARENT)
                .forEach((ability, flag) -> {
                    if (bench.traits().has(ability)) {
                        flags.add(flag);
                    }
                });
        return flags;
    }

    /** Returns all that can be asked of a domain and does something, or looks into its tables. */
    static Map<String, ThrowingCallable> operations(Bench bench, IommuDomain domain) {
        long page = bench.granule();
        IommuDevice device = bench.device();
        Map<String, ThrowingCallable> all = new LinkedHashMap<>();
        IotlbGather full = new IotlbGather();
        full.addRange(bench.iova(), bench.iova() + page - 1);
        all.put("attach", () -> domain.attach(device));
        all.put("attach of the second", () -> domain.attach(bench.second()));
        all.put("detach", () -> domain.detach(device));
        all.put("map", () -> domain.map(bench.iova(), bench.scratch(), page, 1, Prot.READ_WRITE));
        all.put("syncMap", () -> domain.syncMap(bench.iova(), page));
        all.put("syncMap of nothing", () -> domain.syncMap(0, 0));
        all.put("unmap", () -> domain.unmap(bench.iova(), page, new IotlbGather()));
        all.put("sync", () -> domain.sync(full));
        all.put("sync of nothing", () -> domain.sync(new IotlbGather()));
        all.put("translate", () -> domain.translate(bench.iova()));
        domain.cacheCoherencyEnforcement().ifPresent(control -> all.put("enforce", control::enforce));
        domain.dirtyTracking().ifPresent(tracking -> {
            all.put("setDirtyTracking", () -> tracking.setDirtyTracking(true));
            all.put("setDirtyTracking to what it is", () -> tracking.setDirtyTracking(false));
            all.put(
                    "readAndClearDirty",
                    () -> tracking.readAndClearDirty(new DirtyBitmap(bench.iova(), page, 1), true));
        });
        domain.pasidAttachment().ifPresent(pasids -> {
            all.put("attach of a PASID", () -> pasids.attach(device, 1));
            all.put("detach of a PASID", () -> pasids.detach(device, 1));
        });
        bench.traits().guestTables().ifPresent(tables -> {
            domain.nesting()
                    .ifPresent(nesting -> all.put(
                            "allocateNested", () -> nesting.allocateNested(device, tables.table(bench.iova()))));
            domain.guestInvalidation().ifPresent(guest -> all.put("invalidate", () -> guest.invalidate(tables.all())));
        });
        return all;
    }
}
