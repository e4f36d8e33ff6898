// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.mockito.ArgumentMatchers.any;
import static org.mockito.Mockito.doThrow;
import static org.mockito.Mockito.inOrder;
import static org.mockito.Mockito.mock;
import static org.mockito.Mockito.when;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.ReservedRegion;
import org.iommu4j.core.testvendor.TestDomain;
import org.iommu4j.core.testvendor.TestFunction;
import org.iommu4j.core.testvendor.TestIommu;
import org.iommu4j.pci.PciAddress;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.mockito.InOrder;

class IommuGroupTest {
    /** The release under which mocked devices are driven. */
    private LinuxRelease linux = LinuxRelease.NEWEST;

    private final Iommu driver = mock();

    private static final PciAddress ALONE = PciAddress.parse("00:01.0");
    private static final PciAddress FIRST = PciAddress.parse("00:02.0");
    private static final PciAddress SECOND = PciAddress.parse("00:02.1");
    private static final PciAddress THIRD = PciAddress.parse("00:02.2");

    private final TestIommu iommu = new TestIommu();
    private final Object owner = new Object();
    private final IommuCore core = open(iommu);
    private final IommuGroup single = core.group(ALONE).orElseThrow();
    private final IommuGroup triple = core.group(FIRST).orElseThrow();
    private final IommuDevice alone = iommu.device(ALONE);
    private final IommuDevice first = iommu.device(FIRST);
    private final IommuDevice second = iommu.device(SECOND);
    private final IommuDevice third = iommu.device(THIRD);

    /** One line per state, one column per call; -- is success. */
    static Stream<Arguments> ownershipTable() {
        String calls = "use    unuse  claim  nobody release device other  deviceRelease";
        String table = """
                unused               : --     EINVAL --     EINVAL EINVAL --     --     EINVAL
                bound                : --     --     EPERM  EINVAL EINVAL EPERM  EPERM  EINVAL
                claimed              : EBUSY  EINVAL EPERM  EINVAL --     --     EPERM  --
                claimedTwice         : EBUSY  EINVAL EPERM  EINVAL --     --     EPERM  --
                claimedAndAttached   : EBUSY  EINVAL EPERM  EINVAL --     --     EPERM  --
                claimedInDefault     : EBUSY  EINVAL EPERM  EINVAL --     --     EPERM  --
                attached             : --     EINVAL EBUSY  EINVAL EINVAL EBUSY  EBUSY  EINVAL
                boundAndAttached     : EBUSY  --     EPERM  EINVAL EINVAL EPERM  EPERM  EINVAL
                closed               : EPROBE_DEFER EINVAL EPROBE_DEFER EINVAL EINVAL EPROBE_DEFER EPROBE_DEFER EINVAL
                """;
        List<String> names = List.of(calls.split(" +", -1));
        return table.lines().flatMap(line -> {
            List<String> cells = List.of(line.trim().split("[ :]+", -1));
            return Stream.iterate(0, i -> i < names.size(), i -> i + 1)
                    .map(i -> Arguments.of(cells.get(0), names.get(i), cells.get(i + 1)));
        });
    }

    @ParameterizedTest(name = "{0}: {1} gives {2}")
    @MethodSource("ownershipTable")
    void ownershipAnswersInEveryStateAsLinuxDoes(String state, String call, String expected) {
        enter(state);

        assertThat(errno(ownershipCall(call))).isEqualTo(expected);
    }

    private void enter(String state) {
        switch (state) {
            case "unused" -> {}
            case "bound" -> triple.useDefaultDomain(second);
            case "claimed" -> triple.claimDmaOwner(owner);
            case "claimedTwice" -> {
                triple.deviceClaimDmaOwner(first, owner);
                triple.deviceClaimDmaOwner(second, owner);
            }
            case "claimedAndAttached" -> {
                triple.claimDmaOwner(owner);
                triple.attach(unmanaged());
            }
            case "claimedInDefault" -> {
                triple.claimDmaOwner(owner);
                triple.attach(triple.defaultDomain());
            }
            case "attached" -> triple.attach(unmanaged());
            case "boundAndAttached" -> {
                triple.useDefaultDomain(second);
                triple.attach(unmanaged());
            }
            case "closed" -> core.close();
            default -> throw new IllegalArgumentException(state);
        }
    }

    private ThrowingCallable ownershipCall(String name) {
        return switch (name) {
            case "use" -> () -> triple.useDefaultDomain(first);
            case "unuse" -> () -> triple.unuseDefaultDomain(first);
            case "claim" -> () -> triple.claimDmaOwner(owner);
            case "nobody" -> () -> triple.claimDmaOwner(null);
            case "release" -> triple::releaseDmaOwner;
            case "device" -> () -> triple.deviceClaimDmaOwner(first, owner);
            case "other" -> () -> triple.deviceClaimDmaOwner(first, new Object());
            case "deviceRelease" -> () -> triple.deviceReleaseDmaOwner(first);
            default -> throw new IllegalArgumentException(name);
        };
    }

    @Test
    void claimingBlocksAllDevicesAndReleasingReturnsThemToTheDefaultDomain() {
        triple.claimDmaOwner(owner);

        assertThat(triple.dmaOwnerClaimed()).isTrue();
        assertThat(triple.domain().type()).isEqualTo(DomainType.BLOCKED);
        assertThat(triple.devices()).allMatch(device -> iommu.domainOf(device) == triple.domain());

        triple.releaseDmaOwner();

        assertThat(triple.dmaOwnerClaimed()).isFalse();
        assertThat(triple.domain()).isSameAs(triple.defaultDomain());
        assertThat(triple.devices()).allMatch(device -> iommu.domainOf(device) == triple.defaultDomain());
    }

    @Test
    void claimsOfDevicesNestAndOnlyTheLastReleaseReturnsTheGroup() {
        triple.deviceClaimDmaOwner(first, owner);
        triple.deviceClaimDmaOwner(second, owner);
        triple.deviceReleaseDmaOwner(first);
        assertThat(triple.dmaOwnerClaimed()).isTrue();

        triple.deviceReleaseDmaOwner(second);
        assertThat(triple.dmaOwnerClaimed()).isFalse();
        assertThat(triple.domain()).isSameAs(triple.defaultDomain());
    }

    @Test
    void releasingTheGroupEndsNestedClaimsAtOnce() {
        triple.deviceClaimDmaOwner(first, owner);
        triple.deviceClaimDmaOwner(second, owner);

        triple.releaseDmaOwner();

        assertThat(errno(() -> triple.deviceReleaseDmaOwner(first))).isEqualTo("EINVAL");
    }

    @Test
    void driversOfSeveralDevicesShareTheDefaultDomain() {
        triple.useDefaultDomain(first);
        triple.useDefaultDomain(second);
        triple.unuseDefaultDomain(first);
        assertThat(errno(() -> triple.claimDmaOwner(owner))).isEqualTo("EPERM");

        triple.unuseDefaultDomain(second);
        assertThat(errno(() -> triple.claimDmaOwner(owner))).isEqualTo("--");
    }

    @Test
    void aDeviceOfAnotherGroupIsRefused() {
        assertThat(errno(() -> triple.useDefaultDomain(alone))).isEqualTo("ENODEV");
        assertThat(errno(() -> triple.unuseDefaultDomain(alone))).isEqualTo("ENODEV");
        assertThat(errno(() -> triple.deviceClaimDmaOwner(alone, owner))).isEqualTo("ENODEV");
        assertThat(errno(() -> triple.deviceReleaseDmaOwner(alone))).isEqualTo("ENODEV");
        assertThat(errno(() -> triple.attachDevice(alone, unmanaged()))).isEqualTo("ENODEV");
    }

    @Test
    void aDirectRegionForbidsBlockingAndSoTheClaim() {
        TestIommu direct =
                new TestIommu().reserve(SECOND, new ReservedRegion(0x10000, 0x1ffff, ReservedRegion.Type.DIRECT));
        IommuGroup group = open(direct).group(FIRST).orElseThrow();

        assertThat(errno(() -> group.claimDmaOwner(owner))).isEqualTo("EINVAL");

        assertThat(group.dmaOwnerClaimed()).isFalse();
        assertThat(group.domain()).isSameAs(group.defaultDomain());
        assertThat(group.devices())
                .as("the device moved first is back")
                .allMatch(device -> direct.domainOf(device) == group.defaultDomain());
    }

    @Test
    void itDidNotBefore66WhenThatWasUpToDrivers() {
        for (String release : new String[] {"5.15", "6.5", "6.6"}) {
            TestIommu direct = new TestIommu()
                    .of(LinuxRelease.named(release))
                    .reserve(SECOND, new ReservedRegion(0x10000, 0x1ffff, ReservedRegion.Type.DIRECT));
            IommuGroup group = open(direct).group(FIRST).orElseThrow();
            assertThat(errno(() -> group.claimDmaOwner(owner)))
                    .as(release)
                    .isEqualTo(release.equals("6.6") ? "EINVAL" : "--");
            assertThat(IommuGroup.keepsDirectDevices(LinuxRelease.named(release)))
                    .as(release)
                    .isEqualTo(release.equals("6.6"));
        }
    }

    @Test
    void aRelaxableDirectRegionDoesNotForbidTheClaim() {
        TestIommu relaxable = new TestIommu()
                .reserve(SECOND, new ReservedRegion(0x10000, 0x1ffff, ReservedRegion.Type.DIRECT_RELAXABLE));
        IommuGroup group = open(relaxable).group(FIRST).orElseThrow();

        assertThat(errno(() -> group.claimDmaOwner(owner))).isEqualTo("--");
    }

    @Test
    void aDriverWithoutBlockedDomainsBlocksWithAnEmptyOne() {
        TestIommu poor = new TestIommu().without(DomainType.BLOCKED);
        IommuCore poorCore = open(poor);
        IommuGroup group = poorCore.group(FIRST).orElseThrow();

        group.claimDmaOwner(owner);
        assertThat(group.domain().type()).isEqualTo(DomainType.UNMANAGED);
        IommuDomain domain = poor.allocate(DomainType.UNMANAGED, group.devices().get(0));
        assertThat(group.attach(domain).attached()).isTrue();
        group.detach(domain);
        domain.close();
        group.releaseDmaOwner();

        poorCore.close();
        assertThat(poor.openDomains()).isZero();
    }

    @Test
    void anOwnerMayAttachOnlyOneDomainAtATime() {
        triple.claimDmaOwner(owner);
        TestDomain domain = unmanaged();

        assertThat(triple.attach(domain).attached()).isTrue();
        assertThat(errno(() -> triple.attach(unmanaged()))).isEqualTo("EBUSY");
        assertThat(errno(() -> triple.attach(domain))).isEqualTo("EBUSY");
        assertThat(domain.attached()).containsExactlyInAnyOrder(first, second, third);
    }

    @Test
    void detachingGoesToBlockingForAnOwnerAndToTheDefaultDomainWithoutOne() {
        TestDomain domain = unmanaged();
        triple.attach(domain);
        triple.detach(domain);
        assertThat(triple.domain()).isSameAs(triple.defaultDomain());

        triple.claimDmaOwner(owner);
        triple.attach(domain);
        triple.detach(domain);
        assertThat(triple.domain().type()).isEqualTo(DomainType.BLOCKED);
        assertThat(errno(() -> triple.detach(domain))).isEqualTo("EINVAL");
    }

    @Test
    void aSingleDeviceIsAttachedOnlyWhenItIsAloneInItsGroup() {
        TestDomain domain = unmanaged();

        assertThat(errno(() -> triple.attachDevice(first, domain))).isEqualTo("EINVAL");
        assertThat(errno(() -> triple.detachDevice(first, domain))).isEqualTo("EINVAL");
        assertThat(single.attachDevice(alone, domain).attached()).isTrue();
        single.detachDevice(alone, domain);
        assertThat(single.domain()).isSameAs(single.defaultDomain());
    }

    @Test
    void aDomainOfAnotherDriverDoesNotFit() {
        IommuDomain foreign = new TestIommu().allocate(DomainType.UNMANAGED, first);

        assertThat(triple.attach(foreign).attached()).isFalse();
        assertThat(triple.domain()).isSameAs(triple.defaultDomain());
    }

    @Test
    void whenADeviceDoesNotFitAllDevicesStayWhereTheyWere() {
        TestDomain domain = unmanaged();
        domain.admit(
                device -> device == second ? AttachResult.incompatible("no snoop control") : AttachResult.ATTACHED);

        AttachResult result = triple.attach(domain);

        assertThat(result.reason()).isEqualTo("no snoop control");
        assertThat(domain.attached()).isEmpty();
        assertThat(triple.domain()).isSameAs(triple.defaultDomain());
        assertThat(triple.devices()).allMatch(device -> iommu.domainOf(device) == triple.defaultDomain());
    }

    @ParameterizedTest
    @CsvSource({"6.1, false", "6.2, false", "6.2.12, true", "6.3, true", "6.18, true", "6.19, false", "7.1, false"})
    void aDeviceThatTheDriverLeftBlockedIsAttachedToItsOldDomainInSomeReleases(String release, boolean returns) {
        TestIommu blocking = new TestIommu().of(LinuxRelease.of(release));
        IommuGroup group = open(blocking).group(alone.id()).orElseThrow();
        IommuDevice device = group.devices().get(0);
        TestDomain domain = (TestDomain) blocking.allocate(DomainType.UNMANAGED, device);
        domain.admit(moved -> {
            blocking.domainOf(moved).detach(moved);
            throw new IommuException(Errno.ENOMEM, "after blocking, as Linux's Intel driver does");
        });

        assertThat(errno(() -> group.attach(domain))).isEqualTo("ENOMEM");

        assertThat(blocking.domainOf(device)).isEqualTo(returns ? group.defaultDomain() : null);
        assertThat(group.domain()).as("what core believes").isSameAs(group.defaultDomain());
    }

    /** The second of three devices can't be moved. */
    @ParameterizedTest
    @CsvSource({
        "6.1.17, ''",
        "6.1.18, 012",
        "6.2, ''",
        "6.2.12, 012",
        "6.3, 012",
        "6.4, 012",
        "6.5, 01",
        "6.18, 01",
        "6.19, 0"
    })
    void whichDevicesGoBackWhenOneCantBeMoved(String release, String returning) {
        linux = LinuxRelease.of(release);
        List<IommuDevice> devices = List.of(mockDevice(), mockDevice(), mockDevice());
        IommuDomain old = mockDomain();
        IommuDomain target = mockDomain();
        IommuGroup group = new IommuGroup(7, devices, false, Map.of());
        when(driver.allocate(DomainType.DMA, devices.get(0))).thenReturn(old);
        group.start(DefaultDomainPolicy.DMA);
        when(target.attach(devices.get(1))).thenReturn(AttachResult.incompatible("no"));

        assertThat(group.attach(target).attached()).isFalse();

        InOrder order = inOrder(old, target);
        for (IommuDevice device : devices) {
            order.verify(old).attach(device);
        }
        order.verify(target).attach(devices.get(0));
        order.verify(target).attach(devices.get(1));
        for (int i = 0; i < returning.length(); i++) {
            order.verify(old).attach(devices.get(returning.charAt(i) - '0'));
        }
        if (returning.isEmpty()) {
            order.verify(target).detach(devices.get(0));
        }
        order.verifyNoMoreInteractions();
        assertThat(group.domain()).isSameAs(old);
    }

    @ParameterizedTest
    @CsvSource({"5.18, false", "5.19, true"})
    void aClaimLeftTheGroupInItsDefaultDomainUntil519(String release, boolean blocks) {
        TestIommu driven = new TestIommu().of(LinuxRelease.named(release));
        IommuGroup group = open(driven).group(FIRST).orElseThrow();

        group.claimDmaOwner(owner);
        assertThat(group.domain() == group.defaultDomain()).isEqualTo(!blocks);
        assertThat(errno(() -> group.claimDmaOwner(new Object()))).isEqualTo("EPERM");
        IommuDomain domain =
                driven.allocate(DomainType.UNMANAGED, group.devices().get(0));
        assertThat(group.attach(domain).attached()).isTrue();
        group.detach(domain);
        assertThat(group.domain() == group.defaultDomain()).isEqualTo(!blocks);
        group.releaseDmaOwner();

        assertThat(group.domain()).isSameAs(group.defaultDomain());
        assertThat(group.devices()).allMatch(device -> driven.domainOf(device) == group.defaultDomain());
    }

    @Test
    void aDeviceThatIsResetIsBlockedAndItsGroupStays() {
        TestDomain domain = unmanaged();
        triple.attach(domain);

        triple.beginReset(second);

        assertThat(iommu.domainOf(second).type()).isEqualTo(DomainType.BLOCKED);
        assertThat(domain.attached()).containsExactlyInAnyOrder(first, third);
        assertThat(triple.domain()).isSameAs(domain);
        assertThat(errno(() -> triple.attach(unmanaged()))).isEqualTo("EBUSY");
        triple.endReset(second);
        assertThat(domain.attached()).containsExactlyInAnyOrder(first, second, third);
        assertThat(errno(() -> triple.endReset(second))).isEqualTo("EINVAL");
    }

    @Test
    void aGroupThatLeavesItsDomainMeanwhileLeavesTheDeviceThatIsResetAlone() {
        triple.claimDmaOwner(owner);
        TestDomain domain = unmanaged();
        triple.attach(domain);
        triple.beginReset(second);
        IommuDomain blocked = iommu.domainOf(second);

        triple.releaseDmaOwner();

        assertThat(domain.attached()).isEmpty();
        assertThat(iommu.domainOf(second)).isSameAs(blocked);
        assertThat(iommu.domainOf(first)).isSameAs(triple.defaultDomain());
        assertThat(errno(() -> triple.claimDmaOwner(owner))).isEqualTo("EBUSY");
        assertThatThrownBy(core::close).hasMessageContaining("in use");
        triple.endReset(second);
        assertThat(iommu.domainOf(second)).isSameAs(triple.defaultDomain());
        assertThat(errno(() -> triple.claimDmaOwner(owner))).isEqualTo("--");
    }

    @ParameterizedTest
    @CsvSource({"6.19, --, --", "7.0, EBUSY, EBUSY", "7.1, --, --"})
    void resetsOfAGroupExcludeEachOtherIn70Alone(String release, String same, String other) {
        TestIommu driven = new TestIommu().of(LinuxRelease.named(release));
        IommuGroup group = open(driven).group(FIRST).orElseThrow();
        List<IommuDevice> devices = group.devices();

        group.beginReset(devices.get(0));
        assertThat(errno(() -> group.beginReset(devices.get(0)))).isEqualTo(same);
        assertThat(errno(() -> group.beginReset(devices.get(1)))).isEqualTo(other);

        group.endReset(devices.get(0));
        boolean nested = release.equals("7.1");
        boolean back = driven.domainOf(devices.get(0)) == group.defaultDomain();
        assertThat(back).isEqualTo(!nested);
        if (nested) {
            group.endReset(devices.get(0));
            assertThat(driven.domainOf(devices.get(0))).isSameAs(group.defaultDomain());
        }
    }

    @Test
    void aResetThatCantBlockTheDeviceDoesNotBegin() {
        TestDomain domain = unmanaged();
        triple.attach(domain);
        triple.detach(domain);
        triple.claimDmaOwner(owner);
        ((TestDomain) triple.domain()).admit(device -> {
            throw new IommuException(Errno.ETIMEDOUT, "no answer");
        });

        assertThat(errno(() -> triple.beginReset(first))).isEqualTo("ETIMEDOUT");

        assertThat(errno(() -> triple.endReset(first))).isEqualTo("EINVAL");
        assertThat(triple.attach(domain).attached()).isTrue();
    }

    @Test
    void aDeviceThatCantGoBackIsBlockedAndTheFailureTold() {
        linux = LinuxRelease.named("6.18");
        List<IommuDevice> devices = List.of(mockDevice(), mockDevice());
        IommuDomain old = mockDomain();
        IommuDomain target = mockDomain();
        IommuGroup group = new IommuGroup(7, devices, false, Map.of());
        when(driver.allocate(DomainType.DMA, devices.get(0))).thenReturn(old);
        group.start(DefaultDomainPolicy.DMA);
        when(target.attach(devices.get(1))).thenReturn(AttachResult.incompatible("no"));
        when(old.attach(devices.get(0))).thenThrow(new IommuException(Errno.EIO, "broken"));
        doThrow(new IommuException(Errno.EINVAL, "not here")).when(target).detach(devices.get(1));

        IommuException failure = catchThrowableOfType(IommuException.class, () -> group.attach(target));

        assertThat(failure.errno()).isEqualTo(Errno.EINVAL);
        assertThat(failure.getSuppressed()).singleElement().extracting("errno").isEqualTo(Errno.EIO);
        InOrder order = inOrder(old, target);
        order.verify(target).attach(devices.get(1));
        order.verify(old).attach(devices.get(0));
        order.verify(target).detach(devices.get(0));
        order.verify(old).attach(devices.get(1));
    }

    @Test
    void leavingADomainGoesOnWhenADeviceFailsAndBlocksThatDevice() {
        TestDomain domain = unmanaged();
        triple.attach(domain);
        ((TestDomain) triple.defaultDomain()).admit(device -> {
            if (device == second) {
                throw new IommuException(Errno.ETIMEDOUT, "no answer");
            }
            return AttachResult.ATTACHED;
        });

        assertThat(errno(() -> triple.detach(domain))).isEqualTo("ETIMEDOUT");

        assertThat(domain.attached()).isEmpty();
        assertThat(iommu.domainOf(second)).isNull();
        assertThat(iommu.domainOf(third)).isSameAs(triple.defaultDomain());
        assertThat(triple.domain()).isSameAs(triple.defaultDomain());
    }

    @Test
    void closingCoreTakesAllDevicesOutThoughNoneOfThemIsForgotten() {
        TestDomain last = (TestDomain) triple.defaultDomain();
        last.failDetach();

        assertThatThrownBy(core::close)
                .hasMessageContaining(FIRST.toString())
                .satisfies(failure -> assertThat(failure.getSuppressed()).hasSize(2));

        assertThat(last.attached()).isEmpty();
    }

    @Test
    void aFailedReleaseEndsTheOwnershipAllTheSame() {
        triple.claimDmaOwner(owner);
        ((TestDomain) triple.defaultDomain()).admit(device -> AttachResult.incompatible("changed its mind"));

        assertThat(errno(() -> triple.releaseDmaOwner())).isEqualTo("EINVAL");

        assertThat(triple.dmaOwnerClaimed()).isFalse();
        assertThat(triple.devices()).allMatch(device -> iommu.domainOf(device) == null);
    }

    @Test
    void theGroupsRegionsAreSortedAndMergedByType() {
        ReservedRegion.Type msi = ReservedRegion.Type.MSI;
        ReservedRegion.Type direct = ReservedRegion.Type.DIRECT;
        TestIommu regions = new TestIommu()
                .reserve(
                        FIRST,
                        new ReservedRegion(0x8000, 0x8fff, direct),
                        new ReservedRegion(0xfee00000L, 0xfeefffffL, msi))
                .reserve(
                        SECOND,
                        new ReservedRegion(0x4000, 0x85ff, direct),
                        new ReservedRegion(0x8000, 0x8fff, msi),
                        new ReservedRegion(0xfee00000L, 0xfeefffffL, msi));

        assertThat(open(regions).group(FIRST).orElseThrow().reservedRegions())
                .containsExactly(
                        new ReservedRegion(0x4000, 0x8fff, direct),
                        new ReservedRegion(0x8000, 0x8fff, msi),
                        new ReservedRegion(0xfee00000L, 0xfeefffffL, msi));
    }

    @Test
    void interruptsAreIsolatedWhenThoseOfAllDevicesAre() {
        assertThat(triple.isolatedMsi()).isTrue();
        assertThat(open(new TestIommu().withoutIsolatedMsi(THIRD))
                        .group(FIRST)
                        .orElseThrow()
                        .isolatedMsi())
                .isFalse();
    }

    @Test
    void ofManyThreadsThatClaimAGroupOneWins() throws InterruptedException {
        AtomicInteger won = new AtomicInteger();
        List<Throwable> unexpected = new ArrayList<>();
        for (int round = 0; round < 50; round++) {
            CountDownLatch start = new CountDownLatch(1);
            List<Thread> threads = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                Object claimant = new Object();
                Thread thread = new Thread(() -> {
                    try {
                        start.await();
                        triple.claimDmaOwner(claimant);
                        won.incrementAndGet();
                    } catch (IommuException refusal) {
                        if (refusal.errno() != Errno.EPERM) {
                            synchronized (unexpected) {
                                unexpected.add(refusal);
                            }
                        }
                    } catch (InterruptedException interrupted) {
                        Thread.currentThread().interrupt();
                    }
                });
                threads.add(thread);
                thread.start();
            }
            start.countDown();
            for (Thread thread : threads) {
                thread.join();
            }
            triple.releaseDmaOwner();
        }
        assertThat(unexpected).isEmpty();
        assertThat(won).hasValue(50);
    }

    private TestDomain unmanaged() {
        return (TestDomain) iommu.allocate(DomainType.UNMANAGED, first);
    }

    private static IommuCore open(TestIommu iommu) {
        return IommuCore.open(
                iommu,
                TestFunction.topology(
                        TestFunction.endpoint("00:01.0"),
                        TestFunction.endpoint("00:02.0").multiFunction(),
                        TestFunction.endpoint("00:02.1"),
                        TestFunction.endpoint("00:02.2")));
    }

    private IommuDevice mockDevice() {
        when(driver.release()).thenReturn(linux);
        IommuDevice device = mock();
        when(device.iommu()).thenReturn(driver);
        when(device.id()).thenReturn(FIRST);
        when(device.reservedRegions()).thenReturn(List.of());
        return device;
    }

    private IommuDomain mockDomain() {
        IommuDomain domain = mock();
        when(domain.iommu()).thenReturn(driver);
        when(domain.type()).thenReturn(DomainType.UNMANAGED);
        when(domain.attach(any())).thenReturn(AttachResult.ATTACHED);
        return domain;
    }

    private static String errno(ThrowingCallable call) {
        IommuException refusal = catchThrowableOfType(IommuException.class, call);
        return refusal == null ? "--" : refusal.errno().toString();
    }
}
