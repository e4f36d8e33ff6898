// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.domain;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.iommu4j.DirtyBitmap;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.IotlbGather;
import org.iommu4j.PageRequest;
import org.iommu4j.PageRequestGroup;
import org.iommu4j.PageResponse;
import org.iommu4j.Prot;
import org.iommu4j.capability.GuestTable;
import org.iommu4j.capability.PageRequests;
import org.iommu4j.intel.nesting.FirstStageInvalidation;
import org.iommu4j.intel.nesting.FirstStageTable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What is closed refuses with ENODEV, in every vendor and for every kind of domain, and leaves the machine alone. */
class UseAfterCloseTest {
    private static final long PAGE = 4096;
    private static final GuestTable GUEST_TABLE = new FirstStageTable(0x10_0000, 48, 0);

    /** A machine, and a domain to allocate there; nested ones on a parent with these flags. */
    private record Kind(Configuration configuration, DomainType type, Set<DomainFlag> flags) {
        Bench open() {
            return new Bench(configuration);
        }

        IommuDomain allocate(Bench bench) {
            if (type != DomainType.NESTED) {
                return bench.iommu().allocate(type, bench.device(), flags);
            }
            IommuDomain parent = bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), flags);
            return parent.nesting().orElseThrow().allocateNested(bench.device(), GUEST_TABLE);
        }

        @Override
        public String toString() {
            return configuration + ", " + type + " " + flags;
        }
    }

    static List<Kind> kinds() {
        Configuration legacy = IntelConfigurations.configurations().get(0);
        Configuration intel = DomainConfigurations.withEveryAbility().get(0);
        Configuration amd = DomainConfigurations.withEveryAbility().get(1);
        Configuration smallest = DomainConfigurations.smallest();
        return List.of(
                new Kind(legacy, DomainType.BLOCKED, Set.of()),
                new Kind(legacy, DomainType.IDENTITY, Set.of()),
                new Kind(legacy, DomainType.UNMANAGED, Set.of()),
                new Kind(intel, DomainType.DMA, Set.of()),
                new Kind(intel, DomainType.UNMANAGED, Set.of(DomainFlag.PASID)),
                new Kind(intel, DomainType.UNMANAGED, Set.of(DomainFlag.DIRTY_TRACKING)),
                new Kind(intel, DomainType.UNMANAGED, Set.of(DomainFlag.NEST_PARENT)),
                new Kind(intel, DomainType.NESTED, Set.of(DomainFlag.NEST_PARENT)),
                new Kind(amd, DomainType.BLOCKED, Set.of()),
                new Kind(amd, DomainType.IDENTITY, Set.of()),
                new Kind(amd, DomainType.DMA, Set.of()),
                new Kind(amd, DomainType.UNMANAGED, Set.of()),
                new Kind(amd, DomainType.UNMANAGED, Set.of(DomainFlag.PASID)),
                new Kind(amd, DomainType.UNMANAGED, Set.of(DomainFlag.DIRTY_TRACKING)),
                new Kind(smallest, DomainType.BLOCKED, Set.of()),
                new Kind(smallest, DomainType.DMA, Set.of()),
                new Kind(smallest, DomainType.UNMANAGED, Set.of()));
    }

    /** Returns all that can be asked of a domain and does something, or looks into its tables. */
    private static Map<String, ThrowingCallable> operations(IommuDomain domain, IommuDevice device) {
        Map<String, ThrowingCallable> all = new LinkedHashMap<>();
        IotlbGather full = new IotlbGather();
        full.addRange(0, PAGE - 1);
        all.put("attach", () -> domain.attach(device));
        all.put("detach", () -> domain.detach(device));
        all.put("map", () -> domain.map(0, PAGE, PAGE, 1, Prot.READ_WRITE));
        all.put("syncMap", () -> domain.syncMap(0, PAGE));
        all.put("syncMap of nothing", () -> domain.syncMap(0, 0));
        all.put("unmap", () -> domain.unmap(0, PAGE, new IotlbGather()));
        all.put("sync", () -> domain.sync(full));
        all.put("sync of nothing", () -> domain.sync(new IotlbGather()));
        all.put("translate", () -> domain.translate(0));
        domain.cacheCoherencyEnforcement().ifPresent(control -> all.put("enforce", control::enforce));
        domain.dirtyTracking().ifPresent(tracking -> {
            all.put("setDirtyTracking", () -> tracking.setDirtyTracking(true));
            all.put("setDirtyTracking to what it is", () -> tracking.setDirtyTracking(false));
            all.put("readAndClearDirty", () -> tracking.readAndClearDirty(new DirtyBitmap(0, PAGE, 1), true));
        });
        domain.pasidAttachment().ifPresent(pasids -> {
            all.put("attach a PASID", () -> pasids.attach(device, 1));
            all.put("detach a PASID", () -> pasids.detach(device, 1));
        });
        domain.nesting()
                .ifPresent(nesting -> all.put("allocateNested", () -> nesting.allocateNested(device, GUEST_TABLE)));
        domain.guestInvalidation()
                .ifPresent(
                        guest -> all.put("invalidate", () -> guest.invalidate(new FirstStageInvalidation(0, 1, true))));
        return all;
    }

    private static void assertAllRefused(Bench bench, Map<String, ThrowingCallable> operations) {
        long frames = bench.framesInUse();
        long digest = bench.machine().digest();
        operations.forEach((what, operation) -> {
            assertEnodev(what, operation);
            assertThat(bench.framesInUse()).as("frames after %s", what).isEqualTo(frames);
            assertThat(bench.machine().digest())
                    .as("the machine after %s", what)
                    .isEqualTo(digest);
        });
    }

    private static void assertEnodev(String what, ThrowingCallable operation) {
        assertThatThrownBy(operation)
                .as(what)
                .isInstanceOfSatisfying(
                        IommuException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ENODEV));
    }

    private static List<Object> constants(IommuDomain domain) {
        return List.of(
                domain.type(),
                domain.iommu(),
                domain.format(),
                domain.pageSizes(),
                domain.apertureStart(),
                domain.apertureEnd(),
                domain.cacheCoherencyEnforcement(),
                domain.dirtyTracking(),
                domain.pasidAttachment(),
                domain.nesting(),
                domain.guestInvalidation());
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void aClosedDomainDoesNothingMoreAndGoesOnSayingWhatItIs(Kind kind) {
        Bench bench = kind.open();
        IommuDomain domain = kind.allocate(bench);
        Map<String, ThrowingCallable> operations = operations(domain, bench.device());
        List<Object> constants = constants(domain);
        domain.close();
        // Who gets the frames of its tables now sees them changed by nobody else.
        IommuDomain next = bench.attached();
        long iova = Bench.iovaIn(next);
        bench.map(next, iova, Bench.SCRATCH);

        assertAllRefused(bench, operations);

        assertThat(constants(domain)).isEqualTo(constants);
        domain.close();
        bench.assertReaches(iova, Bench.SCRATCH);
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void aDomainOfAClosedDriverIsClosed(Kind kind) {
        Bench bench = kind.open();
        IommuDomain domain = kind.allocate(bench);
        Map<String, ThrowingCallable> operations = operations(domain, bench.device());
        List<Object> constants = constants(domain);
        bench.iommu().close();

        assertAllRefused(bench, operations);

        assertThat(constants(domain)).isEqualTo(constants);
        domain.close();
        assertThat(bench.framesInUse()).isZero();
    }

    static List<Configuration> askers() {
        List<Configuration> all = new ArrayList<>(DomainConfigurations.withEveryAbility());
        all.add(DomainConfigurations.smallest());
        return all;
    }

    @ParameterizedTest
    @MethodSource("askers")
    void aClosedDriverTakesNoDevicesAndMakesNoDomainsAndGoesOnSayingWhatItWas(Configuration configuration) {
        Bench bench = new Bench(configuration);
        Iommu iommu = bench.iommu();
        IommuDevice device = bench.device();
        Optional<PageRequests> requests = device.pageRequests();
        List<String> units = iommu.units();
        iommu.close();
        PageRequestGroup group =
                new PageRequestGroup(device.id(), 1, 0, List.of(new PageRequest(0, true, false, false, false)));
        Map<String, ThrowingCallable> operations = new LinkedHashMap<>();
        operations.put(
                "probe",
                () -> iommu.probe(bench.machine().topology().functions().get(0)));
        operations.put("allocate", () -> iommu.allocate(DomainType.UNMANAGED, device));
        operations.put("allocate without flags", () -> iommu.allocate(DomainType.UNMANAGED, device, Set.of()));
        requests.ifPresent(asking -> {
            // Its driver knows the flag.
            operations.put(
                    "allocate with flags",
                    () -> iommu.allocate(DomainType.UNMANAGED, device, Set.of(DomainFlag.PASID)));
            operations.put("enable page requests", asking::enable);
            operations.put("respond", () -> asking.respond(group, PageResponse.SUCCESS));
        });

        assertAllRefused(bench, operations);

        long digest = bench.machine().digest();
        requests.ifPresent(asking -> {
            asking.disable();
            assertThat(asking.take()).isEmpty();
            assertThat(asking.overflows()).isZero();
        });
        assertThat(iommu.takeFaults()).isEmpty();
        assertThat(iommu.faultOverflows()).isZero();
        assertThat(iommu.quarantinedFrames()).isZero();
        assertThat(iommu.units()).isEqualTo(units);
        assertThat(iommu.capable(device, IommuCapability.CACHE_COHERENCY)).isTrue();
        assertThat(device.pageRequests()).isEqualTo(requests);
        assertThat(device.iommu()).isSameAs(iommu);
        iommu.close();
        assertThat(bench.machine().digest()).isEqualTo(digest);
    }
}
