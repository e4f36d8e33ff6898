// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Optional;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.Prot;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.pcie.ConfigSpaceBuilder;
import org.iommu4j.sim.pcie.FunctionConfig;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.vfio.testvendor.TestDevice;
import org.iommu4j.vfio.testvendor.TestDomain;
import org.iommu4j.vfio.testvendor.TestHost;
import org.iommu4j.vfio.testvendor.TestProcess;
import org.iommu4j.vfio.type1.Enforcement;
import org.iommu4j.vfio.type1.Type1Info;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What VFIO did differently from release to release. */
class VfioReleaseTest {
    private static final int READ_WRITE = VfioContainer.MAP_READ | VfioContainer.MAP_WRITE;

    private final TestHost host = new TestHost();
    private final TestDevice device = host.add("00:05.0");
    private final TestDevice other = host.add("00:06.0");
    private final TestProcess process = new TestProcess().place(0x10000, 0x70_0000, 64, true);

    private void under(String release) {
        host.with(VfioOptions.DEFAULT.withRelease(LinuxRelease.of(release)));
    }

    private static void refused(Errno errno, Runnable call) {
        assertThatThrownBy(call::run)
                .isInstanceOfSatisfying(
                        IommuException.class,
                        refusal -> assertThat(refusal.errno()).isEqualTo(errno));
    }

    @Test
    void everyKnownReleaseHasRules() {
        for (LinuxRelease release : LinuxRelease.known()) {
            assertThatCode(() -> new Vfio(host.core(), VfioOptions.DEFAULT.withRelease(release)))
                    .as("VFIO of %s", release)
                    .doesNotThrowAnyException();
        }
    }

    /** A function with MSI-X and 64 KiB of registers at BAR 0. */
    private VfioDevice openDeviceWithRegisters(String release) {
        TestHost of = new TestHost().with(VfioOptions.DEFAULT.withRelease(LinuxRelease.of(release)));
        ConfigSpaceBuilder builder = ConfigSpaceBuilder.endpoint(0x1b36, 0x0100, ConfigSpaceBuilder.CLASS_ETHERNET)
                .registers(0, 0xe000_0000L, 0x1_0000);
        byte[] bytes = builder.build();
        bytes[0x41] = (byte) 0x90;
        bytes[0x90] = 0x11;
        TestDevice endpoint = of.add(
                "00:07.0",
                new FunctionConfig(new FunctionDescription(
                        PciAddress.parse("00:07.0"),
                        Optional.empty(),
                        bytes,
                        Optional.empty(),
                        false,
                        builder.barSizes())));
        VfioDevice registered = of.vfio().register(endpoint.id());
        VfioContainer container = of.vfio().openContainer(process);
        VfioGroup group = of.vfio().openGroup(registered.groupId());
        group.setContainer(container);
        container.setIommu(VfioExtension.TYPE1_IOMMU);
        return group.openDevice(endpoint.id());
    }

    @Test
    void since65VectorsOfMsiXCanBeAdded() {
        for (String release : List.of("6.4", "6.5")) {
            assertThat(openDeviceWithRegisters(release).interruptInfo(2).flags() & VfioInterruptInfo.NORESIZE)
                    .as(release)
                    .isEqualTo(release.equals("6.4") ? VfioInterruptInfo.NORESIZE : 0);
        }
    }

    @Test
    void since619ARegionIsExported() {
        for (String release : List.of("6.18", "6.19")) {
            VfioDevice opened = openDeviceWithRegisters(release);
            if (release.equals("6.18")) {
                refused(Errno.ENOTTY, () -> opened.exportDmaBuf(9, 9, List.of()));
            } else {
                assertThat(opened.exportDmaBuf(0, 0, List.of(new DmaBufRange(0, 4096)))
                                .size())
                        .isEqualTo(4096);
            }
        }
    }

    @Test
    void since71AnEmptyRegionIsClaimedFirst() {
        for (String release : List.of("7.0", "7.1")) {
            VfioDevice opened = openDeviceWithRegisters(release);
            refused(
                    release.equals("7.0") ? Errno.EINVAL : Errno.ENODEV,
                    () -> opened.exportDmaBuf(1, 0, List.of(new DmaBufRange(0, 4096))));
        }
    }

    @ParameterizedTest
    @CsvSource({"5.15, false", "5.18, false", "5.19-posted, true", "5.19, true", "6.1, true", "7.1, true"})
    void aDeviceMustHaveCoherentDmaSince519(String release, boolean refused) {
        under(release);
        device.cacheCoherency = false;
        if (refused) {
            refused(Errno.EINVAL, () -> host.vfio().register(device.id()));
        } else {
            assertThat(host.vfio().register(device.id()).id()).isEqualTo(device.id());
        }
    }

    /** Then the capability meant both, and said whether the units of the whole platform can block no-snoop. */
    @ParameterizedTest
    @CsvSource({"5.15, true", "5.15, false", "5.18, true", "5.18, false"})
    void before519MappingsAreMadeWithCacheWhereThePlatformIsCapable(String release, boolean capable) {
        under(release);
        device.cacheCoherency = capable;
        // What the operation would answer; nobody asks.
        device.snoopControl = !capable;
        VfioContainer container = host.container(process, VfioExtension.TYPE1V2_IOMMU, device);
        container.map(0x1000, 0x10000, 0x1000, READ_WRITE);

        assertThat(prot(container, 0)).isEqualTo(Prot.READ_WRITE | (capable ? Prot.CACHE : 0));
        assertThat(container.domains().get(0).enforcement()).isEqualTo(Enforcement.ABSENT);
        assertThat(container.checkExtension(VfioExtension.DMA_CC_IOMMU)).isEqualTo(capable ? 1 : 0);
    }

    @ParameterizedTest
    @ValueSource(strings = {"5.19-posted", "5.19", "6.1", "7.1"})
    void since519EveryMappingHasCacheAndTheDomainIsAsked(String release) {
        under(release);
        device.snoopControl = false;
        VfioContainer container = host.container(process, VfioExtension.TYPE1V2_IOMMU, device);
        container.map(0x1000, 0x10000, 0x1000, READ_WRITE);

        assertThat(prot(container, 0)).isEqualTo(Prot.READ_WRITE | Prot.CACHE);
        assertThat(container.domains().get(0).enforcement()).isEqualTo(Enforcement.REFUSED);
        assertThat(container.checkExtension(VfioExtension.DMA_CC_IOMMU)).isZero();
    }

    /** Two platforms in one host do not exist; it shows that the domains are compared, and each replayed as it is. */
    @Test
    void before519ADomainWithAnotherAnswerHoldsTheSameMappingsWithItsOwnProt() {
        under("5.18");
        other.cacheCoherency = false;
        VfioContainer container = host.container(process, VfioExtension.TYPE1V2_IOMMU, device);
        container.map(0x1000, 0x10000, 0x1000, READ_WRITE);
        host.openGroupOf(other).setContainer(container);
        container.map(0x2000, 0x11000, 0x1000, VfioContainer.MAP_READ);

        assertThat(container.domains()).hasSize(2);
        assertThat(prot(container, 0)).isEqualTo(Prot.READ_WRITE | Prot.CACHE);
        assertThat(prot(container, 1)).isEqualTo(Prot.READ_WRITE);
        assertThat(container.checkExtension(VfioExtension.DMA_CC_IOMMU)).isZero();
    }

    private static int prot(VfioContainer container, int index) {
        TestDomain domain = (TestDomain) container.domains().get(index).domain();
        String mapping = domain.pages().get(0x1000L);
        return Integer.parseInt(mapping.substring(mapping.indexOf('/') + 1));
    }

    /** KVM is told too early: nothing to hold against the group without a container, everything without an IOMMU. */
    @ParameterizedTest
    @ValueSource(strings = {"5.15", "5.19", "6.0", "6.1"})
    void upTo61AFileAnswersForItsContainer(String release) {
        under(release);
        VfioGroup group = host.openGroupOf(device);
        assertThat(group.enforcedCoherent()).as("without a container").isTrue();

        VfioContainer container = host.vfio().openContainer(process);
        group.setContainer(container);
        assertThat(group.enforcedCoherent()).as("without an IOMMU").isFalse();

        container.setIommu(VfioExtension.TYPE1V2_IOMMU);
        assertThat(group.enforcedCoherent()).as("with an IOMMU").isTrue();

        other.snoopControl = false;
        other.cacheCoherency = !release.equals("5.15");
        VfioGroup second = host.openGroupOf(other);
        second.setContainer(container);
        assertThat(group.enforcedCoherent())
                .as("with another group that is not")
                .isFalse();

        second.unsetContainer();
        assertThat(group.enforcedCoherent()).as("alone again").isTrue();
    }

    @ParameterizedTest
    @CsvSource({"5.15, true", "5.18, true", "5.19-posted, true", "5.19, false", "6.1, false", "7.3, false"})
    void until518KvmTakesAGroupWithAnIommuAlone(String release, boolean needsIommu) {
        under(release);
        VfioGroup group = host.openGroupOf(device);
        VfioContainer container = host.vfio().openContainer(process);

        assertThat(refusal(group::checkExternalUser))
                .as("without a container")
                .isEqualTo(needsIommu ? Errno.EINVAL : null);
        group.setContainer(container);
        assertThat(refusal(group::checkExternalUser))
                .as("without an IOMMU")
                .isEqualTo(needsIommu ? Errno.EINVAL : null);
        container.setIommu(VfioExtension.TYPE1V2_IOMMU);
        assertThat(refusal(group::checkExternalUser)).as("with an IOMMU").isNull();

        group.hold();
        assertThat(refusal(group::unsetContainer)).as("while KVM has it").isEqualTo(needsIommu ? Errno.EBUSY : null);
        group.drop();
        assertThat(group.containerSet()).isEqualTo(needsIommu);
    }

    private static @Nullable Errno refusal(Runnable call) {
        try {
            call.run();
            return null;
        } catch (IommuException e) {
            return e.errno();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"6.2", "6.7", "7.1"})
    void since62AFileAnswersForItsDevices(String release) {
        under(release);
        VfioGroup group = host.openGroupOf(device);
        other.snoopControl = false;
        VfioGroup second = host.openGroupOf(other);
        assertThat(second.enforcedCoherent()).as("without a container").isFalse();

        VfioContainer container = host.vfio().openContainer(process);
        group.setContainer(container);
        assertThat(group.enforcedCoherent()).as("without an IOMMU").isTrue();

        container.setIommu(VfioExtension.TYPE1V2_IOMMU);
        second.setContainer(container);
        assertThat(group.enforcedCoherent())
                .as("with another group that is not")
                .isTrue();
        assertThat(container.checkExtension(VfioExtension.DMA_CC_IOMMU)).isZero();
    }

    @Test
    void aCorrectedFileAnswersForAllDevicesOfItsGroup() {
        TestDevice one = host.add("00:07.0", true);
        TestDevice stranger = host.add("00:07.1", true);
        for (boolean snoops : List.of(true, false)) {
            stranger.snoopControl = snoops;
            for (List<LinuxRelease.Fix> fixes :
                    List.of(List.<LinuxRelease.Fix>of(), List.of(new LinuxRelease.Fix("filesAskWholeGroups", null)))) {
                Vfio vfio = new Vfio(host.core(), VfioOptions.DEFAULT.withRelease(LinuxRelease.NEWEST.with(fixes)));
                int group = vfio.register(one.id()).groupId();
                assertThat(vfio.openGroup(group).enforcedCoherent())
                        .as("%s, %s", snoops, fixes)
                        .isEqualTo(snoops || fixes.isEmpty());
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"5.15, false", "6.1, false", "6.2, true", "7.1, true"})
    void whetherAFileAsksItsDevicesCanBeAskedBeforeThereIsOne(String release, boolean asks) {
        assertThat(VfioGroup.asksDevices(LinuxRelease.of(release))).isEqualTo(asks);
    }

    @ParameterizedTest
    @CsvSource({"5.15, EINVAL", "6.1, EINVAL", "6.17, EINVAL", "6.18, EOVERFLOW", "7.1, EOVERFLOW"})
    void aRangeThatWrapsAroundIsRefused(String release, Errno errno) {
        under(release);
        device.apertureEnd = -1L;
        VfioContainer container = host.container(process, VfioExtension.TYPE1V2_IOMMU, device);

        refused(errno, () -> container.map(-4096L, 0x10000, 0x2000, READ_WRITE));
        refused(errno, () -> container.map(0x1000, -4096L, 0x2000, READ_WRITE));
        refused(errno, () -> container.unmap(-4096L, 0x2000, 0));
    }

    /** Before, its end was taken for 0; the page stayed mapped and pinned until the container let all go. */
    @ParameterizedTest
    @CsvSource({"6.1, 0", "6.17, 0", "6.18, 4096", "7.1, 4096"})
    void theLastPageOfTheAddressSpaceIsUnmapped(String release, long unmapped) {
        under(release);
        device.apertureEnd = -1L;
        VfioContainer container = host.container(process, VfioExtension.TYPE1V2_IOMMU, device);
        container.map(0x1000, 0x10000, 0x1000, READ_WRITE);
        container.map(-4096L, 0x11000, 0x1000, READ_WRITE);

        assertThat(container.unmap(-4096L, 0x1000, 0)).isEqualTo(unmapped);
        assertThat(container.unmap(0, 0, VfioContainer.UNMAP_ALL)).isEqualTo(0x2000 - unmapped);
    }

    @ParameterizedTest
    @CsvSource({"5.15, false", "5.18, false", "5.19, true", "7.3, true"})
    void since519AGroupIsClaimedWhenItEntersItsContainer(String release, boolean claimed) {
        under(release);
        VfioGroup group = host.openGroupOf(device);
        host.core().group(device.id()).orElseThrow().useDefaultDomain(device);
        VfioContainer container = host.vfio().openContainer(process);
        assertThat(group.viable()).isFalse();
        if (claimed) {
            refused(Errno.EPERM, () -> group.setContainer(container));
            refused(Errno.ENODEV, () -> group.openDevice(other.id()));
        } else {
            group.setContainer(container);
            container.setIommu(VfioExtension.TYPE1V2_IOMMU);
            assertThat(group.viable()).isFalse();
            refused(Errno.EINVAL, () -> group.openDevice(device.id()));
            refused(Errno.EINVAL, () -> group.openDevice(other.id()));
            host.core().group(device.id()).orElseThrow().unuseDefaultDomain(device);
            assertThat(group.openDevice(device.id()).id()).isEqualTo(device.id());
        }
    }

    @ParameterizedTest
    @CsvSource({"5.15, EINVAL", "6.1, EINVAL", "6.2, EBADFD", "7.3, EBADFD"})
    void since62AFileOfAnotherKindHasAnErrnoOfItsOwn(String release, Errno errno) {
        under(release);
        VfioGroup group = host.openGroupOf(device);
        refused(errno, () -> group.setContainer("/dev/null"));
        refused(errno, () -> group.setContainer(group));
        refused(Errno.EBADF, () -> group.setContainer(null));
        group.setContainer(host.vfio().openContainer(process));
        refused(Errno.EINVAL, () -> group.setContainer("/dev/null"));
    }

    @ParameterizedTest
    @CsvSource({
        "5.15, false",
        "6.1, false",
        "6.1.15, false",
        "6.1.16, true",
        "6.1.176, true",
        "6.2, false",
        "6.3, true",
        "7.3, true"
    })
    void since63ANewVirtualAddressExcludesEmulatedDevices(String release, boolean excludes) {
        under(release);
        VfioContainer container = host.vfio().openContainer(process);
        assertThat(container.checkExtension(VfioExtension.UPDATE_VADDR)).isEqualTo(excludes ? 0 : 1);
        host.openGroupOf(device).setContainer(container);
        container.setIommu(VfioExtension.TYPE1V2_IOMMU);
        assertThat(container.checkExtension(VfioExtension.UPDATE_VADDR)).isEqualTo(1);
        VfioDevice emulated = host.vfio().registerEmulated(new NamedDevice("mdev0"), (iova, size) -> {});
        container.map(0x1000, 0x10000, 0x1000, READ_WRITE);
        container.unmap(0x1000, 0x1000, VfioContainer.UNMAP_VADDR);
        TestProcess child = new TestProcess();
        container.map(child, 0x1000, 0x10000, 0x1000, VfioContainer.MAP_VADDR);
        assertThat(child.charged()).isEqualTo(excludes ? 1 : 0);
        assertThat(process.charged()).isEqualTo(excludes ? 0 : 1);

        host.vfio().openGroup(emulated.groupId()).setContainer(container);
        assertThat(container.checkExtension(VfioExtension.UPDATE_VADDR)).isEqualTo(excludes ? 0 : 1);
        if (excludes) {
            refused(Errno.EBUSY, () -> container.unmap(0x1000, 0x1000, VfioContainer.UNMAP_VADDR));
        } else {
            assertThat(container.unmap(0x1000, 0x1000, VfioContainer.UNMAP_VADDR))
                    .isEqualTo(0x1000);
        }
    }

    @ParameterizedTest
    @CsvSource({"5.15, 116", "6.5, 116", "6.6, 120", "7.3, 120"})
    void since66CapabilitiesAreAligned(String release, int bytes) {
        under(release);
        VfioContainer container = host.container(process, VfioExtension.TYPE1V2_IOMMU, device);
        Type1Info small = container.info(Type1Info.SIZE);
        assertThat(small.argsz()).isEqualTo(bytes);
        assertThat(small.capabilityOffset()).isZero();
        assertThat(container.info(bytes - 1).capabilityOffset()).isZero();
        assertThat(container.info(bytes).capabilityOffset()).isEqualTo(Type1Info.SIZE);
    }

    @ParameterizedTest
    @CsvSource({"5.15, 1", "6.12, 1", "6.13, 0", "7.3, 0"})
    void until612ThereIsAnExtensionForNesting(String release, int there) {
        under(release);
        VfioContainer container = host.vfio().openContainer(process);
        host.openGroupOf(device).setContainer(container);
        assertThat(container.checkExtension(VfioExtension.TYPE1_NESTING_IOMMU)).isEqualTo(there);
        refused(there == 1 ? Errno.EINVAL : Errno.ENODEV, () -> container.setIommu(VfioExtension.TYPE1_NESTING_IOMMU));
        container.setIommu(VfioExtension.TYPE1V2_IOMMU);
    }

    /** The devices of a group may be behind IOMMUs that differ in it. */
    @ParameterizedTest
    @CsvSource({"5.15, false", "6.2, false", "6.3, true", "7.3, true"})
    void since63TheInterruptsOfEveryDeviceMustBeRemapped(String release, boolean refused) {
        under(release);
        TestDevice remapped = host.add("00:07.0", true);
        TestDevice not = host.add("00:07.1", true);
        not.isolatedMsi = false;
        if (refused) {
            refused(Errno.EPERM, () -> host.container(process, VfioExtension.TYPE1V2_IOMMU, remapped));
        } else {
            assertThat(host.container(process, VfioExtension.TYPE1V2_IOMMU, remapped)
                            .domains())
                    .hasSize(1);
        }
    }

    @Test
    void noReleaseTakesAGroupOfWhichNoDeviceIsRemapped() {
        for (LinuxRelease release : LinuxRelease.known()) {
            TestHost fresh = new TestHost().with(VfioOptions.DEFAULT.withRelease(release));
            TestDevice alone = fresh.add("00:05.0");
            alone.isolatedMsi = false;
            refused(Errno.EPERM, () -> fresh.container(process, VfioExtension.TYPE1V2_IOMMU, alone));
        }
    }
}
