// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Errnos.assertRefused;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
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
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.iommu4j.tck.Subject;
import org.junit.jupiter.api.Test;

/** {@link org.iommu4j.Iommu#probe(PciFunction, int...)} and its neighbours. */
public abstract class ProbingContract {
    /** Made by JUnit. */
    protected ProbingContract() {}

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
}
