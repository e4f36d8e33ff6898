// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.util.List;
import java.util.Optional;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.Prot;
import org.iommu4j.ReservedRegion;
import org.iommu4j.core.testvendor.TestDomain;
import org.iommu4j.core.testvendor.TestFunction;
import org.iommu4j.core.testvendor.TestIommu;
import org.iommu4j.device.DeviceId;
import org.iommu4j.device.NamedDevice;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.pci.PciTopology;
import org.junit.jupiter.api.Test;

class IommuCoreTest {
    private static final PciAddress GPU = PciAddress.parse("00:02.0");
    private static final PciAddress PORT = PciAddress.parse("00:07.0");
    private static final PciAddress DOCK = PciAddress.parse("05:00.0");
    private static final NamedDevice DISPLAY = new NamedDevice("\\_SB.GPU0");
    private static final NamedDevice ETHERNET = new NamedDevice("17a80000.ethernet");

    /** A graphics device, and a Thunderbolt port with a device plugged in. */
    private static PciTopology laptop() {
        return TestFunction.topology(
                TestFunction.endpoint("00:02.0"),
                TestFunction.rootPort("00:07.0")
                        .acs(TestFunction.ACS_ALL, 0)
                        .secondaryBus(5)
                        .externalFacingPort(),
                TestFunction.endpoint("05:00.0").below("00:07.0"));
    }

    @Test
    void eachGroupStartsInADmaDomainOfItsOwn() {
        TestIommu iommu = new TestIommu();

        IommuCore core = IommuCore.open(iommu, laptop());

        assertThat(core.groups()).hasSize(3).extracting(IommuGroup::id).containsExactly(0, 1, 2);
        assertThat(core.groups()).extracting(IommuGroup::defaultDomain).doesNotHaveDuplicates();
        for (IommuGroup group : core.groups()) {
            assertThat(group.defaultDomain().type()).isEqualTo(DomainType.DMA);
            assertThat(iommu.domainOf(group.devices().get(0))).isSameAs(group.defaultDomain());
        }
        assertThat(core.group(DOCK).orElseThrow()).hasToString("group 2 {0000:05:00.0}");
    }

    private static IommuCore open(TestIommu iommu, DefaultDomainPolicy policy, NamedDevice... named) {
        return IommuCore.open(List.of(iommu), laptop(), List.of(named), policy);
    }

    @Test
    void aNamedDeviceIsInAGroupOfItsOwnAfterTheFunctions() {
        TestIommu iommu = new TestIommu();

        IommuCore core = open(iommu, DefaultDomainPolicy.DMA, ETHERNET, DISPLAY);

        assertThat(core.groups())
                .extracting(IommuGroup::toString)
                .containsExactly(
                        "group 0 {0000:00:02.0}",
                        "group 1 {0000:00:07.0}",
                        "group 2 {0000:05:00.0}",
                        "group 3 {17a80000.ethernet}",
                        "group 4 {\\_SB.GPU0}");
        IommuGroup group = core.group(DISPLAY).orElseThrow();
        assertThat(group.devices()).containsExactly(core.device(DISPLAY).orElseThrow());
        assertThat(group.defaultDomain().type()).isEqualTo(DomainType.DMA);
        assertThat(iommu.domainOf(iommu.device(DISPLAY))).isSameAs(group.defaultDomain());
        core.close();
        assertThat(iommu.domainOf(iommu.device(DISPLAY))).isNull();
        iommu.close();
    }

    @Test
    void aNamedDeviceIsTrustedAndHasItsOwnAbilities() {
        TestIommu iommu = new TestIommu().capable(DISPLAY, IommuCapability.CACHE_COHERENCY);

        IommuCore core = open(iommu, DefaultDomainPolicy.PASSTHROUGH, DISPLAY, ETHERNET);

        assertThat(core.untrusted(DISPLAY)).isFalse();
        assertThat(defaultType(core, DISPLAY)).isEqualTo(DomainType.IDENTITY);
        assertThat(core.deviceCapable(DISPLAY, IommuCapability.CACHE_COHERENCY)).isTrue();
        assertThat(core.deviceCapable(ETHERNET, IommuCapability.CACHE_COHERENCY))
                .isFalse();
    }

    @Test
    void aNamedDeviceBelongsToTheFirstDriverThatTranslatesForIt() {
        TestIommu forFunctions = new TestIommu().translating(PciAddress.class::isInstance);
        TestIommu forNamed = new TestIommu().translating(DISPLAY::equals);

        IommuCore core = IommuCore.open(
                List.of(forFunctions, forNamed), laptop(), List.of(DISPLAY, ETHERNET), DefaultDomainPolicy.DMA);

        assertThat(core.device(GPU).orElseThrow().iommu()).isSameAs(forFunctions);
        assertThat(core.device(DISPLAY).orElseThrow().iommu()).isSameAs(forNamed);
        assertThat(core.device(ETHERNET)).isEmpty();
        assertThat(core.group(ETHERNET)).isEmpty();
        assertThat(core.deviceCapable(ETHERNET, IommuCapability.CACHE_COHERENCY))
                .isFalse();
    }

    @Test
    void aDeviceThatIsNamedTwiceIsInOneGroup() {
        IommuCore core = open(new TestIommu(), DefaultDomainPolicy.DMA, DISPLAY, DISPLAY);

        assertThat(core.groups()).hasSize(4);
        assertThat(core.groups().get(3)).isSameAs(core.group(DISPLAY).orElseThrow());
    }

    @Test
    void aDirectRegionOfANamedDeviceIsMappedInItsDefaultDomain() {
        ReservedRegion framebuffer = new ReservedRegion(0x8000_0000L, 0x8000_ffffL, ReservedRegion.Type.DIRECT);

        IommuCore core = open(new TestIommu().reserve(DISPLAY, framebuffer), DefaultDomainPolicy.DMA, DISPLAY);

        assertThat(core.group(DISPLAY).orElseThrow().defaultDomain().translate(0x8000_1234L))
                .isEqualTo(0x8000_1234L);
    }

    @Test
    void openingTurnsAcsOnSoThatThePortIsolates() {
        IommuCore core = IommuCore.open(new TestIommu(), laptop());

        assertThat(core.group(PORT)).isNotEqualTo(core.group(DOCK));
    }

    @Test
    void eachFunctionIsProbedWithAllIdsOfItsRequests() {
        TestIommu iommu = new TestIommu();
        IommuCore.open(
                iommu,
                TestFunction.topology(
                        TestFunction.express("03:00.0", 7).secondaryBus(4),
                        TestFunction.conventional("04:01.0").below("03:00.0")));

        assertThat(iommu.aliases(PciAddress.parse("04:01.0"))).isEqualTo("408 400");
        assertThat(iommu.aliases(PciAddress.parse("03:00.0"))).isEqualTo("300");
    }

    @Test
    void aGroupKnowsThePhysicalFunctionOfAVirtualOne() {
        TestFunction physical = TestFunction.endpoint("00:02.0").multiFunction();
        TestFunction listed = TestFunction.endpoint("00:02.1").virtualOf("00:02.0");
        TestFunction alone = TestFunction.endpoint("00:03.1").virtualOf("00:03.0");
        IommuCore core = IommuCore.open(new TestIommu(), TestFunction.topology(physical, listed, alone));

        assertThat(physicalFunction(core, listed)).contains(physical);
        assertThat(physicalFunction(core, alone)).contains(alone);
        assertThat(physicalFunction(core, physical)).isEmpty();
    }

    private static Optional<PciFunction> physicalFunction(IommuCore core, TestFunction function) {
        return core.group(function.address())
                .orElseThrow()
                .physicalFunction(core.device(function.address()).orElseThrow());
    }

    @Test
    void passThroughHoldsForTrustedDevicesOnly() {
        IommuCore core = IommuCore.open(List.of(new TestIommu()), laptop(), DefaultDomainPolicy.PASSTHROUGH);

        assertThat(defaultType(core, GPU)).isEqualTo(DomainType.IDENTITY);
        assertThat(defaultType(core, PORT)).isEqualTo(DomainType.IDENTITY);
        assertThat(defaultType(core, DOCK)).isEqualTo(DomainType.DMA);
        assertThat(core.untrusted(DOCK)).isTrue();
        assertThat(core.untrusted(PORT)).isFalse();
        assertThat(core.untrusted(PciAddress.parse("3f:00.0"))).isFalse();
    }

    @Test
    void directRegionsAreMappedOneToOneBeforeTheDeviceIsAttached() {
        TestIommu iommu = new TestIommu()
                .reserve(
                        GPU,
                        new ReservedRegion(0x0e80_0000L, 0x0e80_2fff, ReservedRegion.Type.DIRECT),
                        new ReservedRegion(0x8c00_0000L, 0x8fff_ffffL, ReservedRegion.Type.DIRECT_RELAXABLE),
                        new ReservedRegion(0x9000_0000L, 0x9000_0fffL, ReservedRegion.Type.RESERVED),
                        new ReservedRegion(0xfee0_0000L, 0xfeef_ffffL, ReservedRegion.Type.MSI));
        iommu.preparing(domain -> domain.recordRuns().admit(device -> {
            if (device.id().equals(GPU) && domain.type() == DomainType.DMA) {
                assertThat(domain.translate(0x0e80_2fff)).isEqualTo(0x0e80_2fff);
            }
            return AttachResult.ATTACHED;
        }));

        IommuCore core = IommuCore.open(iommu, laptop());

        TestDomain domain = (TestDomain) core.group(GPU).orElseThrow().defaultDomain();
        assertThat(domain.runs())
                .containsExactly(
                        new TestDomain.Run(0x0e80_0000L, 0x0e80_0000L, 1 << 12, 3),
                        new TestDomain.Run(0x8c00_0000L, 0x8c00_0000L, 1 << 21, 32));
        assertThat(domain.prot(0x0e80_0000L)).isEqualTo(Prot.READ_WRITE);
        assertThat(domain.translate(0x9000_0000L)).isEqualTo(IommuDomain.UNMAPPED);
        assertThat(domain.translate(0xfee0_0000L)).isEqualTo(IommuDomain.UNMAPPED);
    }

    @Test
    void aDirectRegionIsMappedWithTheRightsThatItHas() {
        ReservedRegion.Type direct = ReservedRegion.Type.DIRECT;
        TestIommu iommu = new TestIommu()
                .reserve(
                        GPU,
                        new ReservedRegion(0x4000, 0x5fff, direct, Prot.READ),
                        new ReservedRegion(0x5000, 0x6fff, direct, Prot.READ_WRITE),
                        new ReservedRegion(0x8000, 0x8fff, ReservedRegion.Type.DIRECT_RELAXABLE, Prot.WRITE));

        IommuCore core = IommuCore.open(iommu, laptop());

        TestDomain domain = (TestDomain) core.group(GPU).orElseThrow().defaultDomain();
        assertThat(domain.prot(0x4000)).isEqualTo(Prot.READ);
        assertThat(domain.prot(0x5000)).as("what is mapped already stays").isEqualTo(Prot.READ);
        assertThat(domain.prot(0x6000)).isEqualTo(Prot.READ_WRITE);
        assertThat(domain.prot(0x8000)).isEqualTo(Prot.WRITE);
    }

    /** Linux's {@code iommu_setup_default_domain} fails too when a mapping that firmware asks for can't be had. */
    @Test
    void aDirectRegionThatGivesNoRightStopsTheOpeningAndEverythingIsFreed() {
        TestIommu iommu =
                new TestIommu().reserve(GPU, new ReservedRegion(0x4000, 0x5fff, ReservedRegion.Type.DIRECT, 0));

        IommuException refusal = catchThrowableOfType(IommuException.class, () -> IommuCore.open(iommu, laptop()));

        assertThat(refusal.errno()).isEqualTo(Errno.EINVAL);
        assertThat(iommu.openDomains()).isZero();
    }

    @Test
    void directRegionsOfTwoDevicesThatOverlapAreMappedOnce() {
        ReservedRegion.Type direct = ReservedRegion.Type.DIRECT;
        TestIommu iommu = new TestIommu()
                .reserve(PciAddress.parse("00:1f.0"), new ReservedRegion(0x4000, 0x6fff, direct))
                .reserve(PciAddress.parse("00:1f.3"), new ReservedRegion(0x2000, 0x8fff, direct));

        IommuCore core = IommuCore.open(
                iommu,
                TestFunction.topology(
                        TestFunction.conventional("00:1f.0").multiFunction(), TestFunction.conventional("00:1f.3")));

        assertThat(((TestDomain) core.groups().get(0).defaultDomain()).mappedPages())
                .isEqualTo(7);
    }

    @Test
    void aFunctionThatNoUnitTranslatesHasNeitherDeviceNorCapability() {
        TestIommu iommu = new TestIommu()
                .translating(address -> !address.equals(GPU))
                .capable(GPU, IommuCapability.CACHE_COHERENCY)
                .capable(DOCK, IommuCapability.CACHE_COHERENCY);

        IommuCore core = IommuCore.open(iommu, laptop());

        assertThat(core.device(GPU)).isEmpty();
        assertThat(core.group(GPU)).isEmpty();
        assertThat(core.deviceCapable(GPU, IommuCapability.CACHE_COHERENCY)).isFalse();
        assertThat(core.deviceCapable(DOCK, IommuCapability.CACHE_COHERENCY)).isTrue();
        assertThat(core.deviceCapable(DOCK, IommuCapability.NOEXEC)).isFalse();
        assertThat(core.deviceCapable(PciAddress.parse("3f:00.0"), IommuCapability.NOEXEC))
                .isFalse();
    }

    @Test
    void thunderboltIsProtectedWhenAPortToTheOutsideWasProtectedBeforeBoot() {
        IommuCapability protection = IommuCapability.PRE_BOOT_PROTECTION;

        assertThat(IommuCore.open(new TestIommu().capable(PORT, protection), laptop())
                        .preBootProtection())
                .isTrue();
        assertThat(IommuCore.open(new TestIommu().capable(DOCK, protection).capable(GPU, protection), laptop())
                        .preBootProtection())
                .as("only the port itself is asked")
                .isFalse();
        assertThat(IommuCore.open(
                                new TestIommu().capable(PORT, protection).translating(address -> !address.equals(PORT)),
                                laptop())
                        .preBootProtection())
                .isFalse();
    }

    @Test
    void theFirstDriverThatTranslatesForAFunctionHasIt() {
        TestIommu one = new TestIommu().translating(GPU::equals);
        TestIommu rest = new TestIommu();

        IommuCore core = IommuCore.open(List.of(one, rest), laptop(), DefaultDomainPolicy.DMA);

        assertThat(core.device(GPU).orElseThrow().iommu()).isSameAs(one);
        assertThat(core.device(DOCK).orElseThrow().iommu()).isSameAs(rest);
        assertThat(rest.device(GPU)).isNull();
    }

    @Test
    void aGroupOfTwoDriversIsRefusedAndEverythingFreed() {
        TestIommu one = new TestIommu().translating(PciAddress.parse("00:1f.0")::equals);
        TestIommu two = new TestIommu();

        IommuException refusal = catchThrowableOfType(
                IommuException.class,
                () -> IommuCore.open(
                        List.of(one, two),
                        TestFunction.topology(
                                TestFunction.endpoint("00:02.0"),
                                TestFunction.conventional("00:1f.0").multiFunction(),
                                TestFunction.conventional("00:1f.3")),
                        DefaultDomainPolicy.DMA));

        assertThat(refusal).hasMessageContaining("group 1 {0000:00:1f.0, 0000:00:1f.3} has devices of two IOMMU");
        assertThat(refusal.errno()).isEqualTo(Errno.EINVAL);
        assertThat(two.openDomains()).isZero();
        two.close();
    }

    @Test
    void aDeviceThatDoesNotFitItsDefaultDomainStopsTheOpeningAndEverythingIsFreed() {
        TestIommu iommu = new TestIommu();
        iommu.preparing(domain -> domain.admit(device -> device.id().equals(PciAddress.parse("00:1f.3"))
                ? AttachResult.incompatible("narrower")
                : AttachResult.ATTACHED));

        IommuException refusal = catchThrowableOfType(
                IommuException.class,
                () -> IommuCore.open(
                        iommu,
                        TestFunction.topology(
                                TestFunction.endpoint("00:02.0"),
                                TestFunction.conventional("00:1f.0").multiFunction(),
                                TestFunction.conventional("00:1f.3"))));

        assertThat(refusal.errno()).isEqualTo(Errno.EINVAL);
        assertThat(refusal).hasMessageContaining("0000:00:1f.3").hasMessageContaining("narrower");
        assertThat(iommu.openDomains()).isZero();
        iommu.close();
    }

    @Test
    void withoutIdentityDomainsPassThroughIsRefused() {
        TestIommu iommu = new TestIommu().without(DomainType.IDENTITY);

        assertThat(catchThrowableOfType(
                                IommuException.class,
                                () -> IommuCore.open(List.of(iommu), laptop(), DefaultDomainPolicy.PASSTHROUGH))
                        .errno())
                .isEqualTo(Errno.EOPNOTSUPP);
    }

    @Test
    void closingIsRefusedWhileAGroupIsUsedAndChangesNothing() {
        TestIommu iommu = new TestIommu();
        IommuCore core = IommuCore.open(iommu, laptop());
        IommuGroup group = core.group(DOCK).orElseThrow();
        IommuDevice device = group.devices().get(0);

        group.useDefaultDomain(device);
        assertThat(closing(core)).isEqualTo(Errno.EBUSY);
        group.unuseDefaultDomain(device);
        group.claimDmaOwner(this);
        assertThat(closing(core)).isEqualTo(Errno.EBUSY);
        group.releaseDmaOwner();
        IommuDomain domain = iommu.allocate(DomainType.UNMANAGED, device);
        group.attach(domain);
        assertThat(closing(core)).isEqualTo(Errno.EBUSY);
        assertThat(core.groups()).allMatch(any -> iommu.domainOf(any.devices().get(0)) == any.domain());
        group.detach(domain);
        domain.close();

        core.close();
        core.close();

        assertThat(iommu.openDomains()).isZero();
        iommu.close();
    }

    @Test
    void closingGoesOnWhenAnInvalidationDoesNotCompleteAndSaysSo() {
        TestIommu iommu = new TestIommu();
        IommuCore core = IommuCore.open(iommu, laptop());
        ((TestDomain) core.groups().get(0).defaultDomain()).failDetach();

        assertThat(closing(core)).isEqualTo(Errno.ETIMEDOUT);

        assertThat(iommu.openDomains()).isZero();
        core.close();
        iommu.close();
    }

    @Test
    void anOpeningThatFailsTellsItsOwnReasonWhenCleaningUpFailsToo() {
        TestIommu iommu = new TestIommu();
        iommu.preparing(domain -> {
            domain.failDetach();
            domain.admit(
                    device -> device.id().equals(DOCK) ? AttachResult.incompatible("narrower") : AttachResult.ATTACHED);
        });

        IommuException refusal = catchThrowableOfType(IommuException.class, () -> IommuCore.open(iommu, laptop()));

        assertThat(refusal).hasMessageContaining("narrower");
        assertThat(refusal.getSuppressed()).hasSize(2);
        assertThat(iommu.openDomains()).isZero();
        iommu.close();
    }

    private static Errno closing(IommuCore core) {
        return catchThrowableOfType(IommuException.class, core::close).errno();
    }

    private static DomainType defaultType(IommuCore core, DeviceId id) {
        return core.group(id).orElseThrow().defaultDomain().type();
    }
}
