// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck.driver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.iommu4j.tck.Errnos.assertRefused;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Random;
import java.util.TreeMap;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.ReservedRegion;
import org.iommu4j.capability.CacheCoherencyEnforcement;
import org.iommu4j.device.DeviceId;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.RegisterSpace;
import org.iommu4j.platform.RegisterWindow;
import org.iommu4j.platform.Waiter;
import org.iommu4j.platform.support.FailNth;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.TranslationUnitSpec;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.DeviceDescription;
import org.iommu4j.spi.HostDescription;
import org.iommu4j.spi.HostFacts;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.LinuxStatements;
import org.iommu4j.spi.RegisterValues;
import org.iommu4j.spi.ShownGroups;
import org.iommu4j.spi.UnitDescription;
import org.iommu4j.spi.VendorContext;
import org.iommu4j.tck.Ability;
import org.iommu4j.tck.Bench;
import org.iommu4j.tck.Errnos;
import org.iommu4j.tck.NeedsAbility;
import org.iommu4j.tck.Promise;
import org.iommu4j.tck.Requester;
import org.iommu4j.tck.Subject;
import org.iommu4j.tck.Traits;
import org.junit.jupiter.api.Test;

/** {@link IommuVendor#open} on hardware that works, or stops to, and {@link IommuVendor#describe} of the same. */
public abstract class OpeningOnMachineContract {
    private static final int MOST_FAILURES = 400;

    /** Made by JUnit. */
    protected OpeningOnMachineContract() {}

    private static IommuVendor vendor(Bench bench) {
        return bench.subject().vendors().claiming(bench.machine().firmware()).get(0);
    }

    /** Returns ports of the bench's machine over some registers. */
    private static VendorContext ports(Machine machine, Subject subject, RegisterSpace registers) {
        return subject.context(machine).withRegisters(registers);
    }

    private static Machine anotherMachine(Bench bench) {
        return bench.subject().build();
    }

    private static void closed(Bench bench) {
        bench.iommu().close();
        assertThat(bench.context().frames().inUse())
                .as("frames in use after closing")
                .isZero();
    }

    // What the last system left.

    /** As after a kexec: the last driver is not closed, and its devices are in its domains. */
    @Test
    @Promise("open-1")
    void unitsThatWereLeftOnAreTakenOverWithEveryDeviceBlocked(Bench bench) {
        Machine machine = anotherMachine(bench);
        // Where ids are few, not every device can be in a domain of its own.
        List<DeviceId> ids =
                bench.traits().has(Ability.ID_PER_ATTACHMENT) ? bench.ids().subList(0, 2) : bench.ids();
        Iommu last = vendor(bench).open(ports(machine, bench.subject(), machine.registers()));
        for (DeviceId id : ids) {
            IommuDomain domain = attach(last, machine, id);
            domain.map(bench.iova(), bench.scratch(), bench.granule(), 1, Bench.READ_WRITE);
            domain.syncMap(bench.iova(), bench.granule());
            assertThat(Requester.of(machine, id).write(bench.iova(), 5, false))
                    .as("%s writes by the last driver's tables", id)
                    .isTrue();
        }
        bench.steps().note("open again, without closing");

        Iommu iommu = vendor(bench).open(bench.subject().context(machine));

        for (DeviceId id : bench.ids()) {
            bench.assertBlocked(Requester.of(machine, id), bench.iova());
            bench.assertBlocked(Requester.of(machine, id), bench.scratch());
        }
        for (DeviceId id : bench.ids()) {
            assertWorks(bench, machine, iommu, id);
        }
    }

    /** Whatever registers hold, as far as they can be written. */
    @Test
    @Promise("open-1")
    void unitsWithAnyRegistersAreTakenOver(Bench bench) {
        Random random = bench.random();
        for (int round = 0; round < 12; round++) {
            Machine machine = anotherMachine(bench);
            for (TranslationUnitSpec unit : bench.subject().machine().units()) {
                RegisterWindow window = machine.registers().map(unit.registerBase(), unit.registerSize());
                for (int i = 0; i < 40; i++) {
                    int offset = 8 * random.nextInt(Math.min(unit.registerSize(), 0x2000) / 8);
                    long value = random.nextInt(3) == 0 ? random.nextLong() : bench.scratch() & random.nextLong();
                    window.write64(offset, value);
                }
            }
            machine.runPending();
            bench.steps().note("open where registers were written, round %d", round);
            Iommu iommu = vendor(bench).open(bench.subject().context(machine));
            for (DeviceId id : bench.ids()) {
                bench.assertBlocked(Requester.of(machine, id), bench.scratch());
            }
            assertWorks(bench, machine, iommu, bench.ids().get(0));
        }
    }

    @Test
    @Promise("open-1")
    void everyDeviceIsBlockedAlsoOneThatWasNeverProbed(Bench bench) {
        Machine machine = anotherMachine(bench);
        vendor(bench).open(bench.subject().context(machine));
        for (DeviceId id : bench.ids()) {
            for (long address : new long[] {bench.iova(), bench.scratch(), 0x10000, 0}) {
                bench.assertBlocked(Requester.of(machine, id), address);
            }
        }
    }

    private static IommuDevice probe(Iommu iommu, Machine machine, DeviceId id) {
        Optional<IommuDevice> found = id instanceof PciAddress address
                ? iommu.probe(machine.topology().function(address).orElseThrow(), address.requesterId())
                : iommu.probe((NamedDevice) id);
        return found.orElseThrow(() -> new AssertionError("no unit translates for " + id));
    }

    private static IommuDomain attach(Iommu iommu, Machine machine, DeviceId id) {
        IommuDevice device = probe(iommu, machine, id);
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        assertThat(domain.attach(device)).as("attach(%s)", id).isEqualTo(AttachResult.ATTACHED);
        return domain;
    }

    /** Asserts that a device can be attached, reaches what is mapped, and nothing after it was detached. */
    private static void assertWorks(Bench bench, Machine machine, Iommu iommu, DeviceId id) {
        IommuDomain domain = attach(iommu, machine, id);
        domain.map(bench.iova(), bench.scratch(), bench.granule(), 1, Bench.READ_WRITE);
        domain.syncMap(bench.iova(), bench.granule());
        Requester requester = Requester.of(machine, id);
        machine.memory(0).store(bench.scratch(), 0x1234567L);
        assertThat(requester.read(bench.iova(), false)).as("%s reads", id).isEqualTo(0x1234567L);
        domain.detach(probe(iommu, machine, id));
        bench.assertBlocked(requester, bench.iova());
        domain.close();
    }

    // Two platforms.

    @Test
    @Promise("open-2")
    void driversOnTwoPlatformsDoNotSeeEachOther(Bench bench) {
        Machine other = anotherMachine(bench);
        VendorContext context = bench.subject().context(other);
        long ofFirst = bench.context().frames().inUse();
        Iommu second = vendor(bench).open(context);
        assertThat(bench.context().frames().inUse())
                .as("the first machine's frames")
                .isEqualTo(ofFirst);
        long before = other.digest();
        long frames = context.frames().inUse();

        IommuDomain domain = bench.attached();
        for (int i = 0; i < 40; i++) {
            bench.map(domain, bench.iova() + i * bench.granule(), bench.scratch() + i * bench.granule());
        }
        bench.assertReaches(bench.iova(), bench.scratch());
        bench.assertBlocked(bench.secondRequester(), bench.iova());
        assertThat(other.digest()).as("the other machine").isEqualTo(before);
        assertThat(context.frames().inUse()).as("the other machine's frames").isEqualTo(frames);
        bench.assertBlocked(Requester.of(other, bench.ids().get(0)), bench.iova());
        assertThat(second.takeFaults())
                .allSatisfy(fault -> assertThat(second.units()).contains(fault.unit()));
        assertThat(Errnos.of(() -> second.allocate(DomainType.UNMANAGED, bench.device())))
                .as("a device of the other driver")
                .isPresent();

        assertWorks(bench, other, second, bench.ids().get(0));
        second.close();
        assertThat(context.frames().inUse()).as("frames of the closed driver").isZero();
        bench.assertReaches(bench.iova(), bench.scratch());
    }

    // What fails.

    @Test
    @Promise("open-4")
    void aUnitThatAnotherDriverHasIsBusy(Bench bench) {
        closed(bench);
        for (TranslationUnitSpec unit : bench.subject().machine().units()) {
            VendorContext context = bench.context();
            RegisterWindow taken = bench.machine()
                    .vendorContext(bench.subject().release())
                    .registers()
                    .map(unit.registerBase(), unit.registerSize());
            bench.steps().note("open while another driver has %s", unit.name());
            for (int attempt = 0; attempt < 2; attempt++) {
                assertRefused(Errno.EBUSY, () -> vendor(bench).open(context));
                assertThat(context.frames().inUse()).as("frames in use").isZero();
            }
            taken.release();
            vendor(bench).open(context).close();
        }
    }

    @Test
    @Promise({"open-6", "open-8"})
    void openFailsWithEnomemWhereAFrameIsMissing(Bench bench) {
        closed(bench);
        FailNth injector = new FailNth();
        VendorContext context = bench.context();
        VendorContext failing = context.withFrames(injector.frames(context.frames()));
        int failures = 0;
        for (int n = 1; n <= MOST_FAILURES; n++) {
            injector.arm(n);
            bench.steps().note("open while allocation %d fails", n);
            Optional<Errno> errno = Errnos.of(() -> vendor(bench).open(failing).close());
            if (!injector.fired()) {
                assertThat(errno).as("opening without a failure").isEmpty();
                break;
            }
            assertThat(errno).as("opening without a frame").contains(Errno.ENOMEM);
            failures++;
            assertOff(bench, context);
        }
        bench.steps().note("open refused %d times", failures);
    }

    /** Nothing is held, and the units do what they do at power-on. */
    private static void assertOff(Bench bench, VendorContext context) {
        assertThat(context.frames().inUse()).as("frames in use").isZero();
        for (TranslationUnitSpec unit : bench.subject().machine().units()) {
            context.registers().map(unit.registerBase(), unit.registerSize()).release();
        }
        for (int i = 0; i < 2; i++) {
            Requester requester = i == 0 ? bench.requester() : bench.secondRequester();
            if (bench.traits().whileOff() == Traits.WhileOff.PASSES) {
                bench.assertReaches(requester, bench.scratch(), bench.scratch());
            } else {
                bench.assertBlocked(requester, bench.scratch());
            }
        }
    }

    @Test
    @Promise({"open-7", "open-8"})
    void aUnitThatIsLateTimesOutAndIsOffAgain(Bench bench) {
        closed(bench);
        FailNth injector = new FailNth();
        VendorContext context = bench.context();
        VendorContext failing = context.withWaiter(injector.waiter(context.waiter()));
        for (int n = 1; n <= MOST_FAILURES; n++) {
            injector.arm(n);
            Iommu[] opened = new Iommu[1];
            bench.steps().note("open while wait %d times out", n);
            Optional<Errno> errno = Errnos.of(() -> opened[0] = vendor(bench).open(failing));
            boolean fired = injector.fired();
            injector.disarm();
            if (opened[0] != null) {
                opened[0].close();
            }
            if (!fired) {
                assertThat(errno).as("opening without a failure").isEmpty();
                break;
            }
            errno.ifPresent(refused -> assertThat(refused).isEqualTo(Errno.ETIMEDOUT));
            assertOff(bench, context);
        }
        vendor(bench).open(context).close();
    }

    /** The unit stops for good at some wait: what it may use is kept, and all registers are given back. */
    @Test
    @Promise({"open-7", "open-8"})
    void aUnitThatStopsTimesOut(Bench bench) {
        closed(bench);
        for (int n = 0; n < MOST_FAILURES; n++) {
            Machine machine = anotherMachine(bench);
            VendorContext context = bench.subject().context(machine);
            List<Integer> waits = new ArrayList<>();
            int last = n;
            Waiter stopping = (condition, ticks) -> {
                waits.add(waits.size());
                return waits.size() <= last ? context.waiter().await(condition, ticks) : condition.getAsBoolean();
            };
            bench.steps().note("open where the unit stops after %d waits", n);
            VendorContext stopped = context.withWaiter(stopping);
            if (Errnos.isDone(EnumSet.of(Errno.ETIMEDOUT), () -> vendor(bench).open(stopped))) {
                break;
            }
            for (TranslationUnitSpec unit : bench.subject().machine().units()) {
                context.registers()
                        .map(unit.registerBase(), unit.registerSize())
                        .release();
            }
        }
    }

    // What a description says of the same machine.

    private static HostDescription describe(Bench bench) {
        RegisterValues values = (unit, base, register) -> {
            for (TranslationUnitSpec spec : bench.subject().machine().units()) {
                if ((base.isPresent()
                                ? base.getAsLong() == spec.registerBase()
                                : spec.name().equals(unit))
                        && spec.registers().containsKey(register)) {
                    return OptionalLong.of(spec.register(register));
                }
            }
            return OptionalLong.empty();
        };
        return vendor(bench)
                .describe(
                        new HostFacts(
                                bench.machine().firmware(),
                                bench.machine().topology(),
                                values,
                                new TreeMap<>(),
                                Map.of(),
                                ShownGroups.NONE,
                                bench.subject().machine().bootOptions(),
                                LinuxStatements.NONE),
                        bench.subject().release());
    }

    @Test
    @Promise("describe-1")
    void aDescriptionTouchesNothing(Bench bench) {
        long before = bench.machine().digest();
        long frames = bench.context().frames().inUse();
        describe(bench);
        assertThat(bench.machine().digest()).as("the machine").isEqualTo(before);
        assertThat(bench.context().frames().inUse()).as("frames in use").isEqualTo(frames);
    }

    @Test
    @Promise("describe-5")
    void aDescriptionHasTheOpenedUnitsInTheirOrder(Bench bench) {
        List<String> described =
                describe(bench).units().stream().map(UnitDescription::id).toList();
        assertThat(described).doesNotHaveDuplicates().containsAll(bench.iommu().units());
        assertThat(described.stream().filter(bench.iommu().units()::contains))
                .isEqualTo(bench.iommu().units());
    }

    /** A description says it, too. */
    @Test
    @NeedsAbility(Ability.KEEPS_DIRECT_DEVICES)
    @Promise("describe-7")
    void aDeviceWhoseMemoryMustStayMappedIsTheKernels(Bench bench) {
        assertThat(describe(bench).directLock())
                .as("why the driver keeps devices")
                .isNotNull();
        for (DeviceId id : bench.traits().directRegions().keySet()) {
            if (bench.traits().isDirect(id)) {
                IommuDevice device = bench.probe(id);
                IommuDomain ofKernel = bench.iommu().allocate(DomainType.DMA, device);
                bench.map(ofKernel, bench.iova(), bench.scratch());
                bench.attach(ofKernel, device);
                IommuDomain ofUser = bench.iommu().allocate(DomainType.UNMANAGED, device);
                assertRefused(Errno.EPERM, () -> ofUser.attach(device));
                bench.assertReaches(Requester.of(bench.machine(), id), bench.iova(), bench.scratch());
            }
        }
    }

    @Test
    @Promise("describe-7")
    void aDescriptionAgreesWithTheOpenedDriver(Bench bench) {
        HostDescription description = describe(bench);
        assertThat(description.vendor()).isEqualTo(bench.iommu().vendor());
        for (FunctionDescription function : bench.subject().machine().functions()) {
            DeviceDescription described = description.devices().stream()
                    .filter(device -> device.id().equals(function.address()))
                    .findFirst()
                    .orElseThrow();
            PciFunction real = bench.function(function.address());
            Optional<IommuDevice> device =
                    bench.iommu().probe(real, function.address().requesterId());
            bench.steps().note("describe and probe %s", function.address());
            assertThat(described.translated())
                    .as("%s is translated", function.address())
                    .isEqualTo(Answer.of(device.isPresent()));
            if (device.isEmpty()) {
                assertThat(described.unit()).isNull();
                continue;
            }
            function.unit().ifPresent(unit -> assertThat(described.unit()).isEqualTo(unit));
            assertThat(described.reservedRegions())
                    .as("regions of %s", function.address())
                    .isEqualTo(device.get().reservedRegions());
            assertThat(described.isolatedInterrupts())
                    .as("interrupts of %s", function.address())
                    .isEqualTo(Answer.of(device.get().isolatedMsi()));
            IommuDomain domain = bench.iommu().allocate(DomainType.UNMANAGED, device.get());
            boolean direct = device.get().reservedRegions().stream()
                    .anyMatch(region -> region.type() == ReservedRegion.Type.DIRECT);
            if (direct && description.directLock() != null) {
                assertRefused(Errno.EPERM, () -> domain.attach(device.get()));
                bench.assertBlocked(Requester.of(bench.machine(), function.address()), bench.iova());
                domain.close();
                IommuDomain ofKernel = bench.iommu().allocate(DomainType.DMA, device.get());
                bench.attach(ofKernel, device.get());
                bench.detach(ofKernel, device.get());
                ofKernel.close();
                continue;
            }
            AttachResult attached = domain.attach(device.get());
            if (attached.attached()) {
                boolean enforced = domain.cacheCoherencyEnforcement()
                        .map(CacheCoherencyEnforcement::enforce)
                        .orElse(false);
                assertThat(described.enforceCacheCoherency())
                        .as("no-snoop of %s is blocked", function.address())
                        .isEqualTo(Answer.of(enforced));
                domain.detach(device.get());
            }
            domain.close();
        }
    }
}
