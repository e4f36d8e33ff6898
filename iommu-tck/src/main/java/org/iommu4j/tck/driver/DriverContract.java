// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Errnos.assertRefused;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.LinuxRelease;
import org.iommu4j.device.DeviceId;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.sim.pcie.ConfigSpaceBuilder;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.MachineDescription;
import org.iommu4j.sim.spi.PlatformDeviceDescription;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.iommu4j.tck.Subject;
import org.junit.jupiter.api.Test;

/** {@link Iommu}: its units, what it probes, what it can do, what it allocates. */
public abstract class DriverContract {
    /** A flag that a domain can be allocated with, and the ability that it needs. */
    private static final Map<DomainFlag, Ability> FLAGS = new EnumMap<>(Map.of(
            DomainFlag.DIRTY_TRACKING, Ability.DIRTY_TRACKING,
            DomainFlag.NEST_PARENT, Ability.NESTING,
            DomainFlag.PASID, Ability.PASID));

    /** Made by JUnit. */
    protected DriverContract() {}

    // ---- after opening ---------------------------------------------------------------------------------------------

    @Test
    @Promise("driver-1")
    void everyDeviceIsBlockedAfterOpening(Bench probed) {
        assertBlockedEverywhere(probed, probed.device().id());
        assertBlockedEverywhere(probed, probed.second().id());
        Bench bench = Bench.unprobed(probed.subject());
        for (DeviceId id : bench.ids()) {
            assertBlockedEverywhere(bench, id);
        }
        bench.device();
        bench.second();
        for (DeviceId id : bench.ids()) {
            bench.probe(id);
            assertBlockedEverywhere(bench, id);
        }
        IommuDomain domain = bench.domain();
        bench.map(domain, bench.iova(), bench.scratch());
        bench.assertBlocked(bench.iova());
        bench.attach(domain, bench.device());
        bench.assertReaches(bench.iova(), bench.scratch());
        for (DeviceId id : bench.ids().subList(1, bench.ids().size())) {
            assertBlockedEverywhere(bench, id);
        }
    }

    private static void assertBlockedEverywhere(Bench bench, DeviceId id) {
        Requester requester = Requester.of(bench.machine(), id);
        bench.store(bench.scratch(), 0x1234);
        bench.store(bench.granule(), 0x1234);
        for (long address : new long[] {0, bench.granule(), bench.scratch(), bench.iova()}) {
            bench.assertBlocked(requester, address);
        }
        assertThat(bench.load(bench.scratch())).as("memory").isEqualTo(0x1234);
    }

    @Test
    @Promise("driver-2")
    void aUnitHasOneDriverAtATime(Bench bench) {
        IommuVendor vendor = bench.subject().claimant();
        IommuDomain domain = bench.attached();
        bench.map(domain, bench.iova(), bench.scratch());
        long frames = bench.framesInUse();

        for (int i = 0; i < 3; i++) {
            assertRefused(Errno.EBUSY, () -> vendor.open(bench.subject().context(bench.machine())));
        }

        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
        bench.assertReaches(bench.iova(), bench.scratch());
        bench.unmap(domain, bench.iova(), bench.granule());
        bench.assertBlocked(bench.iova());
        bench.detach(domain, bench.device());
        bench.iommu().close();
        vendor.open(bench.subject().context(bench.machine())).close();
    }

    @Test
    @Promise("driver-3")
    void threadsUseADriverAtOnce(Bench ignored) {
        Bench bench = new Bench(ignored.subject().flat());
        Iommu iommu = bench.iommu();
        long before = bench.framesInUse();
        Set<IommuDevice> found = new Together(4).all(thread -> {
            DeviceId id = bench.ids().get(thread % 2);
            IommuDevice device = bench.probe(id);
            for (int i = 0; i < 60; i++) {
                assertThat(bench.probe(id)).isSameAs(device);
                iommu.capable(device, IommuCapability.CACHE_COHERENCY);
                iommu.takeFaults();
                IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
                domain.map(bench.iova(), bench.scratch(), bench.granule(), 1, Bench.READ_WRITE);
                domain.syncMap(bench.iova(), bench.granule());
                if (thread < 2) {
                    assertThat(domain.attach(device).attached()).isTrue();
                    domain.detach(device);
                }
                domain.close();
            }
            return device;
        });
        assertThat(found).containsExactlyInAnyOrder(bench.device(), bench.second());
        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(before);
        IommuDomain domain = bench.attached();
        bench.map(domain, bench.iova(), bench.scratch());
        bench.assertReaches(bench.iova(), bench.scratch());
        bench.detach(domain, bench.device());
        iommu.close();
        assertThat(bench.framesInUse()).isZero();
    }

    /** Threads that probe a function for the first time, all at once, get one device. */
    @Test
    @Promise({"driver-3", "probe-1"})
    void threadsThatProbeAtOnceGetOneDevice(Bench ignored) {
        for (int round = 0; round < 20; round++) {
            Bench bench = Bench.unprobed(ignored.subject().flat());
            assertThat(new Together(4).all(thread -> bench.probe(bench.ids().get(0))))
                    .hasSize(1);
        }
    }

    // ---- what it says of itself ------------------------------------------------------------------------------------

    @Test
    @Promise("driver-vendor-1")
    void theVendorsNameIsTheOneThatTheVendorHas(Bench bench) {
        String name = bench.subject().claimant().name();
        assertThat(bench.iommu().vendor()).isEqualTo(name);
        bench.attached();
        assertThat(bench.iommu().vendor()).isEqualTo(name);
    }

    @Test
    @Promise("driver-release-1")
    void theReleaseIsTheOneThatItWasOpenedUnder(Bench bench) {
        assertThat(bench.iommu().release()).isEqualTo(bench.subject().release());
        IommuVendor vendor = bench.subject().claimant();
        for (LinuxRelease release : LinuxRelease.known()) {
            if (!vendor.supports(release)) {
                continue;
            }
            Subject other = bench.subject().flat().under(release);
            Iommu iommu = vendor.open(other.context(other.build()));
            assertThat(iommu.release()).isEqualTo(release);
            iommu.close();
            assertThat(iommu.release()).as("when it is closed").isEqualTo(release);
        }
    }

    @Test
    @Promise("shares-ops-1")
    void whetherFormatsHaveTheSameOpsIsAnsweredAlikeAlways(Bench bench) {
        Iommu iommu = bench.iommu();
        boolean shares = iommu.sharesOps();
        IommuDomain domain = bench.attached();
        assertThat(iommu.sharesOps()).as("attached").isEqualTo(shares);
        bench.detach(domain, bench.device());
        domain.close();
        iommu.close();
        assertThat(iommu.sharesOps()).as("closed").isEqualTo(shares);
    }

    @Test
    @Promise("units-1")
    void unitsAreNamedInTheOrderOfTheTable(Bench bench) {
        List<String> units = Bench.unprobed(bench.subject()).iommu().units();
        assertThat(bench.iommu().units()).as("with devices").isEqualTo(units);
        assertThat(units).doesNotHaveDuplicates().isEqualTo(names(Described.of(bench)));
        Set<String> needed = new LinkedHashSet<>();
        bench.ids().forEach(id -> needed.add(bench.unitOf(id).spec().name()));
        assertThat(units).containsAll(needed);
        assertThat(bench.machine().units().stream()
                        .map(unit -> unit.spec().name())
                        .filter(units::contains)
                        .toList())
                .as("the machine's units that it has, which the subject lists in the table's order")
                .isEqualTo(units);
        IommuDomain domain = bench.attached();
        assertThat(bench.iommu().units()).as("while a device is attached").isEqualTo(units);
        bench.detach(domain, bench.device());
        bench.iommu().close();
        assertThat(bench.iommu().units()).as("when it is closed").isEqualTo(units);
    }

    private static List<String> names(Described described) {
        return described.host().units().stream().map(unit -> unit.id()).toList();
    }

    // ---- functions -------------------------------------------------------------------------------------------------

    @Test
    @NeedsAbility(Ability.PCI_DEVICES)
    @Promise("probe-1")
    void probingAFunctionAgainReturnsTheSameDevice(Bench bench) {
        for (DeviceId id : bench.ids()) {
            if (!(id instanceof PciAddress address)) {
                continue;
            }
            PciFunction function = bench.function(address);
            IommuDevice device = bench.probe(id);
            long frames = bench.framesInUse();
            IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, device);
            bench.map(domain, bench.iova(), bench.scratch());
            assertSameAgain(bench, function, device);
            bench.attach(domain, device);
            assertSameAgain(bench, function, device);
            bench.assertReaches(Requester.of(bench.machine(), id), bench.iova(), bench.scratch());
            bench.detach(domain, device);
            assertSameAgain(bench, function, device);
            bench.assertBlocked(Requester.of(bench.machine(), id), bench.iova());
            domain.close();
            assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
        }
    }

    private static void assertSameAgain(Bench bench, PciFunction function, IommuDevice device) {
        int own = function.address().requesterId();
        for (int i = 0; i < 3; i++) {
            assertThat(bench.iommu().probe(function, own)).containsSame(device);
            assertThat(bench.iommu().probe(new SameFunction(function), own)).containsSame(device);
        }
        assertThat(bench.iommu().probe(function)).containsSame(device);
    }

    @Test
    @NeedsAbility(Ability.PCI_DEVICES)
    @Promise("probe-2")
    void aliasesAreTranslatedAfterAnAttachmentAndBlockedAfterADetachment(Bench ignored) {
        Bench bench = Bench.unprobed(ignored.subject());
        PciAddress address = pci(bench, 0);
        int[] aliases = aliases(bench, address);
        IommuDevice device =
                bench.iommu().probe(bench.function(address), aliases).orElseThrow();
        IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, device);
        bench.map(domain, bench.iova(), bench.scratch());
        for (int alias : aliases) {
            assertTranslates(bench, address, alias, bench.iova(), IommuDomain.UNMAPPED);
        }
        for (int round = 0; round < 2; round++) {
            bench.attach(domain, device);
            for (int alias : aliases) {
                assertTranslates(bench, address, alias, bench.iova(), bench.scratch());
                assertTranslates(bench, address, alias, bench.iova() + bench.granule(), IommuDomain.UNMAPPED);
            }
            bench.assertReaches(Requester.of(bench.machine(), address), bench.iova(), bench.scratch());
            bench.detach(domain, device);
            for (int alias : aliases) {
                assertTranslates(bench, address, alias, bench.iova(), IommuDomain.UNMAPPED);
            }
        }
        // A move takes all aliases along, and an unmapped page is gone for each.
        IommuDomain other = bench.iommu().allocate(DomainType.UNMANAGED, device);
        bench.map(other, bench.iova(), bench.scratch() + bench.granule());
        bench.attach(domain, device);
        for (int alias : aliases) {
            assertTranslates(bench, address, alias, bench.iova(), bench.scratch());
        }
        bench.attach(other, device);
        for (int alias : aliases) {
            assertTranslates(bench, address, alias, bench.iova(), bench.scratch() + bench.granule());
        }
        bench.unmap(other, bench.iova(), bench.granule());
        for (int alias : aliases) {
            assertTranslates(bench, address, alias, bench.iova(), IommuDomain.UNMAPPED);
        }
    }

    @Test
    @NeedsAbility(Ability.PCI_DEVICES)
    @Promise("probe-3")
    void functionsShareAnAlias(Bench ignored) {
        Bench bench = Bench.unprobed(ignored.subject());
        PciAddress first = pci(bench, 0);
        PciAddress second = neighbour(bench, first, bench.function(first).upstreamBridge());
        int[] aliases = aliases(bench, first);
        int shared = aliases[aliases.length - 1];
        IommuDevice one = bench.iommu().probe(bench.function(first), aliases).orElseThrow();
        IommuDevice two = bench.iommu()
                .probe(bench.function(second), second.requesterId(), shared)
                .orElseThrow();
        assertThat(one.id()).isEqualTo(first);
        assertThat(two.id()).isEqualTo(second);
        assertThat(one.equals(two)).as("two functions are one device").isEqualTo(first.equals(second));
        IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, one);
        bench.map(domain, bench.iova(), bench.scratch());

        bench.attach(domain, one);
        bench.attach(domain, two);

        assertTranslates(bench, first, first.requesterId(), bench.iova(), bench.scratch());
        assertTranslates(bench, first, second.requesterId(), bench.iova(), bench.scratch());
        assertTranslates(bench, first, shared, bench.iova(), bench.scratch());
        bench.detach(domain, one);
        if (!first.equals(second)) {
            assertTranslates(bench, first, first.requesterId(), bench.iova(), IommuDomain.UNMAPPED);
            assertTranslates(bench, first, second.requesterId(), bench.iova(), bench.scratch());
            bench.detach(domain, two);
        }
        assertTranslates(bench, first, second.requesterId(), bench.iova(), IommuDomain.UNMAPPED);
        assertTranslates(bench, first, shared, bench.iova(), IommuDomain.UNMAPPED);
        domain.close();
    }

    /** Returns the n-th function behind a unit. */
    private static PciAddress pci(Bench bench, int n) {
        return (PciAddress) bench.ids().stream()
                .filter(id -> id instanceof PciAddress)
                .skip(n)
                .findFirst()
                .orElseThrow();
    }

    /** Returns another function behind the same unit, or the same one where there is none. */
    private static PciAddress neighbour(Bench bench, PciAddress address, Optional<PciAddress> but) {
        return bench.subject().machine().functions().stream()
                .filter(each -> each.unit()
                        .equals(Optional.of(bench.unitOf(address).spec().name())))
                .map(FunctionDescription::address)
                .filter(other -> !bench.traits().has(Ability.KEEPS_DIRECT_DEVICES)
                        || !bench.traits().isDirect(other))
                .filter(other -> !other.equals(address)
                        && other.segment() == address.segment()
                        && !but.equals(Optional.of(other)))
                .reduce((one, another) -> another)
                .orElse(address);
    }

    /**
     * Returns a function's own requester id, those of two functions of its device that are not there (phantom
     * functions), and that of the bridge above it, or of another function of its unit.
     */
    private static int[] aliases(Bench bench, PciAddress address) {
        PciAddress above =
                bench.function(address).upstreamBridge().orElseGet(() -> neighbour(bench, address, Optional.empty()));
        IntStream phantoms = IntStream.range(1, 8)
                .map(function -> address.requesterId() ^ function)
                .filter(id -> bench.machine()
                        .topology()
                        .function(PciAddress.of(address.segment(), id))
                        .isEmpty())
                .limit(2);
        return IntStream.concat(
                        IntStream.concat(IntStream.of(address.requesterId()), phantoms),
                        IntStream.of(above.requesterId()))
                .distinct()
                .toArray();
    }

    private static void assertTranslates(Bench bench, PciAddress address, int requesterId, long iova, long expected) {
        TranslationUnit unit = bench.unitOf(address);
        int source = unit.spec().sourceId(address.segment(), requesterId);
        for (int flags : new int[] {RequestFlags.READ, RequestFlags.WRITE}) {
            long answer = unit.translate(source, TranslationUnit.NO_PASID, iova, flags);
            assertThat(Translation.isFault(answer) ? IommuDomain.UNMAPPED : Translation.address(answer))
                    .as("a request as 0x%x at 0x%x", requesterId, iova)
                    .isEqualTo(expected);
        }
    }

    @Test
    @Promise("probe-4")
    void aFunctionThatNoUnitTranslatesForIsNotTaken(Bench ignored) {
        Subject subject = ignored.subject();
        MachineDescription machine = subject.machine();
        int segment = machine.units().stream()
                        .mapToInt(TranslationUnitSpec::segment)
                        .max()
                        .orElse(0)
                + 1;
        PciAddress stranger = new PciAddress(segment, 0, 3, 0);
        List<FunctionDescription> functions = new ArrayList<>(machine.functions());
        functions.add(new FunctionDescription(
                stranger,
                Optional.empty(),
                ConfigSpaceBuilder.endpoint(0x1b36, 0x0100, ConfigSpaceBuilder.CLASS_ETHERNET)
                        .build(),
                Optional.empty(),
                false));
        Bench bench = new Bench(subject.on(machine.withFunctions(functions)));
        long frames = bench.framesInUse();

        for (int i = 0; i < 2; i++) {
            assertThat(bench.iommu().probe(bench.function(stranger), stranger.requesterId()))
                    .isEmpty();
            assertThat(bench.iommu().probe(bench.function(stranger))).isEmpty();
        }

        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
        for (DeviceId id : bench.ids()) {
            assertThat(bench.probe(id).id()).isEqualTo(id);
        }
        Described described = Described.of(bench);
        for (PciFunction function : bench.machine().topology().functions()) {
            Optional<IommuDevice> device =
                    bench.iommu().probe(function, function.address().requesterId());
            described
                    .translated(function.address())
                    .ifPresent(translated -> assertThat(device.isPresent())
                            .as("a unit translates for %s", function.address())
                            .isEqualTo(translated));
        }
    }

    @Test
    @Promise("probe-5")
    void aClosedDriverTakesNoFunction(Bench bench) {
        bench.iommu().close();
        long digest = bench.machine().digest();
        for (PciFunction function : bench.machine().topology().functions()) {
            assertRefused(
                    Errno.ENODEV,
                    () -> bench.iommu().probe(function, function.address().requesterId()));
            assertRefused(Errno.ENODEV, () -> bench.iommu().probe(function));
        }
        assertThat(bench.framesInUse()).as("frames in use").isZero();
        assertThat(bench.machine().digest()).as("the machine").isEqualTo(digest);
    }

    @Test
    @NeedsAbility(Ability.PCI_DEVICES)
    @Promise("probe-6")
    void probingAFunctionWithoutFramesLeaksNothing(Bench bench) {
        assertProbingLeaksNothing(bench.subject(), pci(bench, 0));
    }

    /** Every allocation fails once; then a pool that is really empty. */
    private static void assertProbingLeaksNothing(Subject subject, DeviceId id) {
        Set<Errno> seen = NthFailure.ofFrames(subject).everyStep(Bench::unprobed, bench -> new Probing(bench, id));
        assertThat(seen).as("errnos without frames").isSubsetOf(Errno.ENOMEM);

        Bench bench = Bench.unprobed(subject);
        long frames = bench.framesInUse();
        List<Long> taken = Frames.takeAll(bench.context().frames());
        Optional<Errno> errno = Errnos.of(() -> bench.probe(id));
        assertThat(errno.isEmpty() || errno.get() == Errno.ENOMEM)
                .as("probing without a frame left: %s", errno)
                .isTrue();
        Frames.giveBack(bench.context().frames(), taken);
        if (errno.isPresent()) {
            assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
        }
        assertThat(bench.framesInUse()).as("frames in use").isBetween(frames, frames + 16);
        new Probing(bench, id).assertDone();
        bench.iommu().close();
        assertThat(bench.framesInUse()).as("frames in use").isZero();
    }

    @Test
    @NeedsAbility(Ability.NAMED_DEVICES)
    @Promise("probe-named-1")
    void probingANamedDeviceAgainReturnsTheSameDevice(Bench bench) {
        for (PlatformDeviceDescription description : bench.subject().machine().platformDevices()) {
            if (description.unit().isEmpty()) {
                continue;
            }
            NamedDevice name = description.id();
            IommuDevice device = bench.probe(name);
            assertThat(bench.iommu().probe(new NamedDevice(name.name()))).containsSame(device);
            IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, device);
            bench.attach(domain, device);
            assertThat(bench.iommu().probe(name)).containsSame(device);
            bench.detach(domain, device);
            assertThat(bench.iommu().probe(name)).containsSame(device);
            domain.close();
        }
    }

    @Test
    @Promise("probe-named-2")
    void aNamedDeviceThatNoUnitTranslatesForIsNotTaken(Bench bench) {
        NamedDevice unknown = new NamedDevice("\\_SB.NONE");
        assertThat(bench.iommu().probe(unknown)).isEmpty();
        IommuDomain domain = bench.attached();
        assertThat(bench.iommu().probe(unknown)).isEmpty();
        bench.detach(domain, bench.device());
        for (PlatformDeviceDescription device : bench.subject().machine().platformDevices()) {
            Optional<IommuDevice> probed = bench.iommu().probe(device.id());
            assertThat(probed.isPresent())
                    .as("%s", device.id())
                    .isEqualTo(device.unit().isPresent());
            probed.ifPresent(each -> assertThat(each.id()).isEqualTo(device.id()));
        }
        for (DeviceId id : bench.ids()) {
            if (id instanceof PciAddress) {
                assertThat(bench.iommu().probe(new NamedDevice(id.toString())))
                        .as("a function by a name")
                        .isEmpty();
            }
        }
    }

    @Test
    @NeedsAbility(Ability.NAMED_DEVICES)
    @Promise("probe-named-3")
    void aClosedDriverTakesNoNamedDevice(Bench bench) {
        bench.iommu().close();
        for (NamedDevice device : bench.machine().namedDevices()) {
            assertRefused(Errno.ENODEV, () -> bench.iommu().probe(device));
        }
        assertRefused(Errno.ENODEV, () -> bench.iommu().probe(new NamedDevice("\\_SB.NONE")));
    }

    @Test
    @NeedsAbility(Ability.NAMED_DEVICES)
    @Promise("probe-named-4")
    void probingANamedDeviceWithoutFramesLeaksNothing(Bench bench) {
        DeviceId name = bench.ids().stream()
                .filter(id -> id instanceof NamedDevice)
                .findFirst()
                .orElseThrow();
        assertProbingLeaksNothing(bench.subject(), name);
    }

    // ---- what devices can do ---------------------------------------------------------------------------------------

    @Test
    @Promise("capable-1")
    void whatADeviceCanDoStaysForItsLife(Bench bench) {
        Map<IommuCapability, Boolean> first = capabilities(bench, bench.device());
        Map<IommuCapability, Boolean> second = capabilities(bench, bench.second());
        IommuDomain domain = bench.attached();
        assertThat(capabilities(bench, bench.device())).as("attached").isEqualTo(first);
        domain.cacheCoherencyEnforcement().ifPresent(control -> control.enforce());
        bench.map(domain, bench.iova(), bench.scratch());
        assertThat(capabilities(bench, bench.device())).as("asked").isEqualTo(first);
        boolean shared = domain.attach(bench.second()).attached();
        assertThat(capabilities(bench, bench.second())).as("attached").isEqualTo(second);
        if (shared) {
            bench.detach(domain, bench.second());
        }
        bench.detach(domain, bench.device());
        assertThat(capabilities(bench, bench.device())).as("detached").isEqualTo(first);
        domain.close();
        bench.iommu().close();
        assertThat(capabilities(bench, bench.device())).as("closed").isEqualTo(first);
        assertThat(capabilities(bench, bench.second())).as("closed").isEqualTo(second);

        Bench again = new Bench(bench.subject());
        assertThat(capabilities(again, again.second())).as("on a like machine").isEqualTo(second);
        assertThat(capabilities(again, again.device())).as("on a like machine").isEqualTo(first);
        assertThat(first.get(IommuCapability.DIRTY_TRACKING))
                .as("written pages are recorded")
                .isEqualTo(bench.traits().has(Ability.DIRTY_TRACKING));
    }

    private static Map<IommuCapability, Boolean> capabilities(Bench bench, IommuDevice device) {
        Map<IommuCapability, Boolean> all = new EnumMap<>(IommuCapability.class);
        for (IommuCapability capability : IommuCapability.values()) {
            all.put(capability, bench.iommu().capable(device, capability));
            assertThat(bench.iommu().capable(device, capability)).isEqualTo(all.get(capability));
        }
        return all;
    }

    @Test
    @Promise("capable-2")
    void anotherDriversDeviceIsNotAskedAbout(Bench bench) {
        Bench other = new Bench(bench.subject());
        for (IommuCapability capability : IommuCapability.values()) {
            for (IommuDevice stranger : List.of(other.device(), other.second())) {
                assertRefused(Errno.ENODEV, () -> bench.iommu().capable(stranger, capability));
            }
        }
    }

    // ---- domains ---------------------------------------------------------------------------------------------------

    private static Set<DomainType> types(Bench bench) {
        Set<DomainType> types = EnumSet.of(DomainType.UNMANAGED, DomainType.DMA, DomainType.BLOCKED);
        if (bench.traits().has(Ability.IDENTITY)) {
            types.add(DomainType.IDENTITY);
        }
        return types;
    }

    @Test
    @Promise("allocate-1")
    void aNewDomainIsEmptyAndTheDeviceStaysWhereItIs(Bench bench) {
        IommuDomain old = bench.attached();
        bench.map(old, bench.iova(), bench.scratch());
        bench.assertReaches(bench.iova(), bench.scratch());
        for (DomainType type : types(bench)) {
            IommuDomain domain = bench.iommu().allocate(type, bench.device());
            assertThat(domain.type()).isEqualTo(type);
            assertThat(domain.iommu()).isSameAs(bench.iommu());
            assertThat(domain.pageSizes() != 0).as("%s has pages", type).isEqualTo(type.isPaging());
            bench.assertReaches(bench.iova(), bench.scratch());
            bench.assertBlocked(bench.secondRequester(), bench.iova());
            assertRefused(Errno.EINVAL, () -> domain.detach(bench.device()));
            if (type.isPaging()) {
                assertThat(domain.translate(bench.iova())).isEqualTo(IommuDomain.UNMAPPED);
                assertThat(domain.translate(domain.apertureStart())).isEqualTo(IommuDomain.UNMAPPED);
                assertThat(domain.translate(domain.apertureEnd())).isEqualTo(IommuDomain.UNMAPPED);
                bench.attach(domain, bench.device());
                bench.assertBlocked(domain.apertureEnd() & -bench.granule());
                bench.assertBlocked(bench.iova());
                bench.assertBlocked(domain.apertureStart());
                bench.map(domain, bench.iova(), bench.scratch() + bench.granule());
                bench.assertReaches(bench.iova(), bench.scratch() + bench.granule());
                bench.attach(old, bench.device());
            }
            domain.close();
        }
        bench.assertReaches(bench.iova(), bench.scratch());
        IommuDomain second = bench.iommu().allocate(DomainType.UNMANAGED, bench.second());
        bench.attach(second, bench.second());
        bench.assertBlocked(bench.secondRequester(), bench.iova());
    }

    @Test
    @Promise("allocate-2")
    void framesAndIdsComeBack(Bench bench) {
        long frames = bench.framesInUse();
        for (DomainType type : types(bench)) {
            for (int i = 0; i < 700; i++) {
                IommuDomain domain = bench.iommu().allocate(type, bench.device());
                if (type.isPaging() && i % 100 == 0) {
                    domain.map(bench.iova(), bench.scratch(), bench.granule(), 3, Bench.READ_WRITE);
                }
                if (i % 50 == 0) {
                    bench.attach(domain, bench.device());
                    bench.detach(domain, bench.device());
                }
                domain.close();
            }
            assertThat(bench.framesInUse()).as("frames in use after %s", type).isEqualTo(frames);
        }
        List<IommuDomain> many = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            many.add(bench.iommu().allocate(i % 2 == 0 ? DomainType.UNMANAGED : DomainType.DMA, bench.device()));
        }
        // Not in the order in which they were made.
        for (int i = 0; i < 100; i++) {
            many.get(i * 37 % 100).close();
        }
        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
        for (DomainFlag flag : FLAGS.keySet()) {
            if (bench.traits().has(FLAGS.get(flag))) {
                for (int i = 0; i < 300; i++) {
                    bench.iommu()
                            .allocate(DomainType.UNMANAGED, bench.device(), Set.of(flag))
                            .close();
                }
                assertThat(bench.framesInUse())
                        .as("frames in use after %s", flag)
                        .isEqualTo(frames);
            }
        }
    }

    @Test
    @NeedsAbility(Ability.ID_PER_DOMAIN)
    @Promise("allocate-4")
    void domainsRunOutOfIdsAndTheIdsComeBack(Bench bench) {
        List<IommuDomain> all = takeAllIds(bench);
        DomainType type = withoutTables(bench);
        assertRefused(Errno.ENOSPC, () -> bench.iommu().allocate(type, bench.device()));
        all.remove(all.size() / 2).close();
        all.add(bench.iommu().allocate(type, bench.device()));
        assertRefused(Errno.ENOSPC, () -> bench.iommu().allocate(type, bench.device()));
        int ids = all.size();
        long frames = bench.framesInUse();
        assertRefused(Errno.ENOSPC, () -> bench.iommu().allocate(DomainType.UNMANAGED, bench.device()));
        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
        all.forEach(IommuDomain::close);
        for (int i = 0; i < 200; i++) {
            bench.iommu().allocate(DomainType.UNMANAGED, bench.device()).close();
        }

        List<IommuDomain> again = takeAllIds(bench);
        assertThat(again).as("ids that can be taken again").hasSize(ids);
    }

    @Test
    @NeedsAbility(Ability.ID_PER_DOMAIN)
    @Promise({"allocate-2", "allocate-3"})
    void anIdComesBackWhenThereIsNoFrameForADomain(Bench bench) {
        List<IommuDomain> all = takeAllIds(bench);
        int ids = all.size();
        all.forEach(IommuDomain::close);
        List<Long> taken = Frames.takeAll(bench.context().frames());
        for (int i = 0; i < 100; i++) {
            assertThat(Errnos.of(() -> bench.iommu().allocate(DomainType.UNMANAGED, bench.device())))
                    .contains(Errno.ENOMEM);
        }
        Frames.giveBack(bench.context().frames(), taken);
        assertThat(takeAllIds(bench)).as("ids that can be taken again").hasSize(ids);
    }

    private static DomainType withoutTables(Bench bench) {
        return bench.traits().has(Ability.IDENTITY) ? DomainType.IDENTITY : DomainType.BLOCKED;
    }

    private static List<IommuDomain> takeAllIds(Bench bench) {
        List<IommuDomain> all = new ArrayList<>();
        DomainType type = withoutTables(bench);
        for (int i = 0; i < 70_000; i++) {
            Optional<Errno> errno = Errnos.of(() -> all.add(bench.iommu().allocate(type, bench.device())));
            if (errno.isPresent()) {
                assertThat(errno).contains(Errno.ENOSPC);
                return all;
            }
        }
        throw new AssertionError("70000 domains were allocated, expected ENOSPC before");
    }

    @Test
    @Promise("allocate-3")
    void aDomainWithoutFramesIsRefusedWithEnomemAndNothingHasLeaked(Bench bench) {
        List<Errno> seen = new ArrayList<>();
        for (DomainType type : types(bench)) {
            seen.addAll(
                    NthFailure.ofFrames(bench.subject()).everyStep(machine -> new Allocating(machine, type, Set.of())));
        }
        for (DomainFlag flag : FLAGS.keySet()) {
            if (bench.traits().has(FLAGS.get(flag))) {
                seen.addAll(NthFailure.ofFrames(bench.subject())
                        .everyStep(machine -> new Allocating(machine, DomainType.UNMANAGED, Set.of(flag))));
            }
        }
        assertThat(seen).as("errnos without frames").containsOnly(Errno.ENOMEM);

        long frames = bench.framesInUse();
        List<Long> taken = Frames.takeAll(bench.context().frames());
        for (DomainType type : types(bench)) {
            for (int i = 0; i < 3; i++) {
                Optional<Errno> errno = Errnos.of(
                        () -> bench.iommu().allocate(type, bench.device()).close());
                assertThat(errno.isEmpty() || errno.get() == Errno.ENOMEM)
                        .as("%s without a frame left: %s", type, errno)
                        .isTrue();
            }
        }
        Frames.giveBack(bench.context().frames(), taken);
        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
        IommuDomain domain = bench.attached();
        bench.map(domain, bench.iova(), bench.scratch());
        bench.assertReaches(bench.iova(), bench.scratch());
    }

    @Test
    @Promise("allocate-5")
    void aTypeThatTheUnitCantDoIsRefused(Bench bench) {
        long frames = bench.framesInUse();
        for (IommuDevice device : List.of(bench.device(), bench.second())) {
            assertRefused(Errno.EOPNOTSUPP, () -> bench.iommu().allocate(DomainType.NESTED, device));
            if (!bench.traits().has(Ability.IDENTITY)) {
                assertRefused(Errno.EOPNOTSUPP, () -> bench.iommu().allocate(DomainType.IDENTITY, device));
            }
        }
        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
    }

    @Test
    @Promise("allocate-6")
    void anotherDriversDeviceGetsNoDomain(Bench bench) {
        Bench other = new Bench(bench.subject());
        long frames = bench.framesInUse();
        for (DomainType type : types(bench)) {
            assertRefused(Errno.ENODEV, () -> bench.iommu().allocate(type, other.device()));
            assertRefused(Errno.ENODEV, () -> bench.iommu().allocate(type, other.second()));
            assertRefused(Errno.ENODEV, () -> bench.iommu().allocate(type, other.second(), Set.of()));
        }
        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
    }

    @Test
    @Promise("allocate-6")
    void aClosedDriverAllocatesNothing(Bench bench) {
        Set<DomainType> types = types(bench);
        bench.iommu().close();
        for (DomainType type : types) {
            assertRefused(Errno.ENODEV, () -> bench.iommu().allocate(type, bench.device()));
            assertRefused(Errno.ENODEV, () -> bench.iommu().allocate(type, bench.second(), Set.of()));
        }
        for (DomainFlag flag : DomainFlag.values()) {
            assertRefused(
                    Errno.ENODEV, () -> bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), Set.of(flag)));
        }
        assertThat(bench.framesInUse()).as("frames in use").isZero();
    }

    @Test
    @Promise("allocate-flags-1")
    void withoutFlagsItIsAnOrdinaryDomain(Bench bench) {
        for (DomainType type : types(bench)) {
            IommuDomain ordinary = bench.iommu().allocate(type, bench.device());
            IommuDomain without = bench.iommu().allocate(type, bench.device(), Set.of());
            assertThat(without.type()).isEqualTo(type);
            assertThat(without.format()).isEqualTo(ordinary.format());
            assertThat(without.pageSizes()).isEqualTo(ordinary.pageSizes());
            assertThat(without.apertureStart()).isEqualTo(ordinary.apertureStart());
            assertThat(without.apertureEnd()).isEqualTo(ordinary.apertureEnd());
            assertThat(without.cacheCoherencyEnforcement().isPresent())
                    .isEqualTo(ordinary.cacheCoherencyEnforcement().isPresent());
            assertThat(without.dirtyTracking().isPresent())
                    .isEqualTo(ordinary.dirtyTracking().isPresent());
            assertThat(without.pasidAttachment().isPresent())
                    .isEqualTo(ordinary.pasidAttachment().isPresent());
            assertThat(without.nesting().isPresent())
                    .isEqualTo(ordinary.nesting().isPresent());
            if (type.isPaging()) {
                bench.attach(without, bench.device());
                bench.map(without, bench.iova(), bench.scratch());
                bench.assertReaches(bench.iova(), bench.scratch());
                bench.detach(without, bench.device());
            }
            without.close();
            ordinary.close();
        }
        if (!bench.traits().has(Ability.IDENTITY)) {
            assertRefused(
                    Errno.EOPNOTSUPP, () -> bench.iommu().allocate(DomainType.IDENTITY, bench.device(), Set.of()));
        }
        assertRefused(Errno.EOPNOTSUPP, () -> bench.iommu().allocate(DomainType.NESTED, bench.device(), Set.of()));
    }

    @Test
    @Promise({"allocate-user-1", "allocate-user-2"})
    void aDomainForUserSpaceIsAnEmptyOneOfAUsers(Bench bench) {
        IommuDomain domain = bench.iommu().allocateForUser(bench.device(), Set.of());
        assertThat(domain.type()).isEqualTo(DomainType.UNMANAGED);
        assertThat(domain.iommu()).isSameAs(bench.iommu());
        assertThat(domain.translate(bench.iova())).isEqualTo(IommuDomain.UNMAPPED);
        if (domain.attach(bench.device()).attached()) {
            bench.assertBlocked(bench.iova());
            bench.map(domain, bench.iova(), bench.scratch());
            bench.assertReaches(bench.iova(), bench.scratch());
            bench.detach(domain, bench.device());
        }
        domain.close();
        Bench stranger = bench.on(UnaryOperator.identity());
        assertRefused(Errno.ENODEV, () -> bench.iommu().allocateForUser(stranger.device(), Set.of()));
        bench.iommu().close();
        assertRefused(Errno.ENODEV, () -> bench.iommu().allocateForUser(bench.device(), Set.of()));
    }

    @Test
    @Promise("blocks-first-2")
    void whetherLinuxBlocksFirstDoesNotChange(Bench bench) {
        boolean first = bench.iommu().blocksBeforeAttach();
        IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, bench.device());
        bench.attach(domain, bench.device());
        assertThat(bench.iommu().blocksBeforeAttach()).isEqualTo(first);
        bench.detach(domain, bench.device());
        assertThat(bench.iommu().blocksBeforeAttach()).isEqualTo(first);
    }

    @Test
    @Promise("nests-1")
    void aDriverThatDoesNotNestHasNoParents(Bench bench) {
        if (bench.traits().has(Ability.NESTING)) {
            assertThat(bench.iommu().nests()).isTrue();
            return;
        }
        IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, bench.device());
        assertThat(domain.nesting()).as("without NEST_PARENT").isEmpty();
        domain.close();
    }

    @Test
    @Promise("allocate-flags-2")
    void aFlagIsKeptOrRefused(Bench bench) {
        Bench other = new Bench(bench.subject());
        FLAGS.forEach((flag, ability) -> {
            Set<DomainFlag> flags = Set.of(flag);
            long frames = bench.framesInUse();
            if (!bench.traits().has(ability)) {
                // The unit may be able to, though the device is not.
                assertRefusedOrAble(bench, flag);
            } else {
                IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), flags);
                assertThat(domain.type()).isEqualTo(DomainType.UNMANAGED);
                switch (flag) {
                    case DIRTY_TRACKING -> assertThat(domain.dirtyTracking()).isPresent();
                    case NEST_PARENT -> assertThat(domain.nesting()).isPresent();
                    case PASID -> assertThat(domain.pasidAttachment()).isPresent();
                }
                bench.attach(domain, bench.device());
                bench.map(domain, bench.iova(), bench.scratch());
                bench.assertReaches(bench.iova(), bench.scratch());
                bench.detach(domain, bench.device());
                domain.close();
                assertRefused(Errno.ENODEV, () -> bench.iommu().allocate(DomainType.UNMANAGED, other.device(), flags));
            }
            assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
        });
    }

    private static void assertRefusedOrAble(Bench bench, DomainFlag flag) {
        IommuDomain[] domain = new IommuDomain[1];
        Optional<Errno> errno =
                Errnos.of(() -> domain[0] = bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), Set.of(flag)));
        if (errno.isPresent()) {
            assertThat(errno).contains(Errno.EOPNOTSUPP);
            return;
        }
        assertThat(flag).as("a flag that only a device can lack").isEqualTo(DomainFlag.PASID);
        assertThat(domain[0].pasidAttachment()).as("how PASIDs are attached").isPresent();
        domain[0].close();
    }

    @Test
    @Promise("allocate-flags-3")
    void flagsThatMakeNoSenseAreRefused(Bench bench) {
        long frames = bench.framesInUse();
        for (DomainFlag flag : DomainFlag.values()) {
            for (DomainType type : types(bench)) {
                if (type != DomainType.UNMANAGED) {
                    assertRefused(
                            bench.traits().has(Ability.DIRTY_TRACKING)
                                            || bench.traits().has(Ability.PASID)
                                            || bench.traits().has(Ability.NESTING)
                                    ? EnumSet.of(Errno.EINVAL)
                                    : EnumSet.of(Errno.EINVAL, Errno.EOPNOTSUPP),
                            () -> bench.iommu().allocate(type, bench.device(), Set.of(flag)));
                }
            }
        }
        for (DomainFlag one : DomainFlag.values()) {
            for (DomainFlag two : DomainFlag.values()) {
                if (one != two) {
                    assertBothOrNeither(bench, Set.of(one, two));
                }
            }
        }
        assertBothOrNeither(bench, EnumSet.allOf(DomainFlag.class));
        assertThat(bench.framesInUse()).as("frames in use").isEqualTo(frames);
    }

    private static void assertBothOrNeither(Bench bench, Set<DomainFlag> flags) {
        boolean able = flags.stream()
                .allMatch(flag -> flag == DomainFlag.PASID || bench.traits().has(FLAGS.get(flag)));
        IommuDomain[] domain = new IommuDomain[1];
        Optional<Errno> errno =
                Errnos.of(() -> domain[0] = bench.iommu().allocate(DomainType.UNMANAGED, bench.device(), flags));
        if (errno.isPresent()) {
            assertThat(errno.get()).as("%s", flags).isIn(Errno.EINVAL, Errno.EOPNOTSUPP);
            return;
        }
        assertThat(able).as("the unit can do %s", flags).isTrue();
        assertThat(domain[0].dirtyTracking().isPresent() || !flags.contains(DomainFlag.DIRTY_TRACKING))
                .isTrue();
        assertThat(domain[0].nesting().isPresent() || !flags.contains(DomainFlag.NEST_PARENT))
                .isTrue();
        assertThat(domain[0].pasidAttachment().isPresent() || !flags.contains(DomainFlag.PASID))
                .isTrue();
        domain[0].close();
    }
}
