// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.iommu4j.AttachResult;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.IommuCapability;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.ReservedRegion;
import org.iommu4j.core.testvendor.TestDomain;
import org.iommu4j.core.testvendor.TestFunction;
import org.iommu4j.core.testvendor.TestIommu;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciTopology;
import org.iommu4j.platform.Architecture;
import org.iommu4j.spi.BootOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The kind of a group's default domain: at boot, and changed later. */
class GroupTypeTest {
    private static final PciAddress NIC = PciAddress.parse("00:02.0");

    private final TestIommu iommu = new TestIommu();

    @ParameterizedTest
    @CsvSource({
        "'', DMA_FQ, DMA",
        "quiet iommu.strict=1, DMA, DMA",
        "iommu.strict=0, DMA_FQ, DMA_FQ",
        "iommu.strict=1 iommu.strict=0, DMA_FQ, DMA_FQ",
        "'intel_iommu=on,strict iommu.strict=0', DMA, DMA",
        "amd_iommu=fullflush, DMA, DMA",
        "iommu.passthrough=1 iommu.strict=1, PASSTHROUGH, PASSTHROUGH",
        "iommu.passthrough=1 iommu.passthrough=0, DMA_FQ, DMA",
        "iommu=pt, PASSTHROUGH, DMA",
        "'iommu=pt iommu=soft,nopt', DMA_FQ, DMA",
        "iommu.passthrough=0 iommu=pt, PASSTHROUGH, DMA"
    })
    void theCommandLineChoosesForAllGroups(String line, DefaultDomainPolicy x86, DefaultDomainPolicy riscv) {
        BootOptions boot = new BootOptions(line);

        assertThat(DefaultDomainPolicy.of(boot, Architecture.X86_64)).isEqualTo(x86);
        assertThat(DefaultDomainPolicy.of(boot, Architecture.RISCV64)).isEqualTo(riscv);
        assertThat(DefaultDomainPolicy.of(boot, Architecture.ARM64)).isEqualTo(riscv);
    }

    /** The witness of {@link CoreRules#defersByTables}. */
    @ParameterizedTest
    @CsvSource({"5.15, false, DMA", "7.0, false, DMA", "7.0, true, DMA_FQ", "7.1, false, DMA_FQ", "7.3, true, DMA_FQ"})
    void lazyBecomesStrictWhereAFlushCantBeDeferred(String release, boolean capable, DefaultDomainPolicy type) {
        iommu.of(LinuxRelease.named(release));
        if (capable) {
            iommu.capable(NIC, IommuCapability.DEFERRED_FLUSH);
        }

        IommuGroup group = open(DefaultDomainPolicy.DMA_FQ);

        assertThat(group.type()).isEqualTo(type);
        assertThat(group.defaultDomain().type()).isEqualTo(DomainType.DMA);
        assertThat(group.automaticType()).isEqualTo(DefaultDomainPolicy.DMA_FQ);
    }

    @ParameterizedTest
    @CsvSource({"DMA_FQ", "PASSTHROUGH"})
    void whatIsNotTrustedIsStrictAtBoot(DefaultDomainPolicy policy) {
        IommuGroup group = openUntrusted(policy);

        assertThat(group.type()).isEqualTo(DefaultDomainPolicy.DMA);
        assertThat(group.automaticType()).isEqualTo(DefaultDomainPolicy.DMA);
    }

    @Test
    void aStrictDomainBecomesLazyWhileItIsUsed() {
        IommuGroup group = open(DefaultDomainPolicy.DMA);
        group.useDefaultDomain(device(group));
        var domain = group.defaultDomain();

        group.changeType(DefaultDomainPolicy.DMA_FQ);

        assertThat(group.type()).isEqualTo(DefaultDomainPolicy.DMA_FQ);
        assertThat(group.defaultDomain()).isSameAs(domain);
        assertThat(errno(() -> group.changeType(DefaultDomainPolicy.DMA))).isEqualTo(Errno.EPERM);
        assertThat(group.type()).isEqualTo(DefaultDomainPolicy.DMA_FQ);
    }

    @Test
    void anotherTypeIsANewDomainWithTheDirectMappings() {
        iommu.reserve(NIC, new ReservedRegion(0x5000, 0x5fff, ReservedRegion.Type.DIRECT));
        IommuGroup group = open(DefaultDomainPolicy.DMA);
        TestDomain old = (TestDomain) group.defaultDomain();

        group.changeType(DefaultDomainPolicy.PASSTHROUGH);
        assertThat(group.defaultDomain().type()).isEqualTo(DomainType.IDENTITY);
        assertThat(iommu.domainOf(device(group))).isSameAs(group.defaultDomain());
        assertThat(old.closed()).isTrue();
        group.changeType(DefaultDomainPolicy.DMA);

        assertThat(group.defaultDomain().translate(0x5123)).isEqualTo(0x5123);
        assertThat(iommu.domainOf(device(group))).isSameAs(group.defaultDomain());
        assertThat(iommu.openDomains()).isEqualTo(1);
    }

    @Test
    void aChangeThatFailsLeavesTheGroupAsItWas() {
        IommuGroup group = open(DefaultDomainPolicy.DMA_FQ);
        var old = group.defaultDomain();
        iommu.preparing(domain -> domain.admit(device -> AttachResult.incompatible("no")));
        assertThat(errno(() -> group.changeType(DefaultDomainPolicy.PASSTHROUGH)))
                .isEqualTo(Errno.EINVAL);
        iommu.without(DomainType.IDENTITY);
        assertThat(errno(() -> group.changeType(DefaultDomainPolicy.PASSTHROUGH)))
                .isEqualTo(Errno.EOPNOTSUPP);

        assertThat(group.defaultDomain()).isSameAs(old);
        assertThat(group.type()).isEqualTo(DefaultDomainPolicy.DMA_FQ);
        assertThat(iommu.domainOf(device(group))).isSameAs(old);
        assertThat(iommu.openDomains()).isEqualTo(1);
    }

    /** The witness of {@link CoreRules#typeChange}. */
    @ParameterizedTest
    @CsvSource({"5.15, EINVAL, EBUSY, EINVAL", "6.3, EINVAL, EBUSY, EINVAL", "6.4, none, EPERM, none"})
    void whichGroupsMayChangeTheirType(String release, String ofTwo, Errno bound, String untrustedLazy) {
        iommu.of(LinuxRelease.named(release));
        IommuGroup two = IommuCore.open(
                        iommu,
                        TestFunction.topology(
                                TestFunction.conventional("00:1f.0").multiFunction(),
                                TestFunction.conventional("00:1f.3")))
                .groups()
                .get(0);
        assertThat(outcome(() -> two.changeType(DefaultDomainPolicy.PASSTHROUGH)))
                .isEqualTo(ofTwo);

        IommuGroup one = open(DefaultDomainPolicy.DMA);
        one.useDefaultDomain(device(one));
        assertThat(errno(() -> one.changeType(DefaultDomainPolicy.PASSTHROUGH))).isEqualTo(bound);

        IommuGroup outside = openUntrusted(DefaultDomainPolicy.DMA);
        assertThat(errno(() -> outside.changeType(DefaultDomainPolicy.PASSTHROUGH)))
                .isEqualTo(Errno.EINVAL);
        assertThat(outcome(() -> outside.changeType(DefaultDomainPolicy.DMA_FQ)))
                .as("a hole since 6.4")
                .isEqualTo(untrustedLazy);
    }

    @Test
    void aClaimedGroupKeepsItsType() {
        IommuGroup group = open(DefaultDomainPolicy.DMA);
        group.claimDmaOwner(this);

        assertThat(errno(() -> group.changeType(DefaultDomainPolicy.PASSTHROUGH)))
                .isEqualTo(Errno.EPERM);
    }

    @Test
    void whatIsKeptWithADefaultDomainIsFreedWithIt() {
        int[] closed = new int[1];
        IommuGroup group = open(DefaultDomainPolicy.DMA);
        DefaultDomainCookie first = group.cookie(DefaultDomainCookie.class, domain -> () -> closed[0]++);

        assertThat(group.cookie(DefaultDomainCookie.class, domain -> () -> {})).isSameAs(first);
        group.changeType(DefaultDomainPolicy.PASSTHROUGH);
        assertThat(closed[0]).isEqualTo(1);
        assertThat(group.cookie(DefaultDomainCookie.class, domain -> () -> closed[0] += 10))
                .isNotSameAs(first);
        group.changeType(DefaultDomainPolicy.DMA);
        assertThat(closed[0]).isEqualTo(11);
    }

    private IommuGroup open(DefaultDomainPolicy policy) {
        return open(TestFunction.topology(TestFunction.endpoint("00:02.0")), policy);
    }

    private IommuGroup openUntrusted(DefaultDomainPolicy policy) {
        return open(
                TestFunction.topology(
                        TestFunction.rootPort("00:1c.0")
                                .acs(TestFunction.ACS_ALL, 0)
                                .secondaryBus(1)
                                .externalFacingPort(),
                        TestFunction.endpoint("01:00.0").below("00:1c.0")),
                policy);
    }

    private IommuGroup open(PciTopology topology, DefaultDomainPolicy policy) {
        List<IommuGroup> groups =
                IommuCore.open(List.of(iommu), topology, policy).groups();
        return groups.get(groups.size() - 1);
    }

    private static IommuDevice device(IommuGroup group) {
        return group.devices().get(0);
    }

    private static String outcome(ThrowingCallable call) {
        IommuException refusal = catchThrowableOfType(IommuException.class, call);
        return refusal == null ? "none" : refusal.errno().toString();
    }

    private static Errno errno(ThrowingCallable call) {
        return Errno.valueOf(outcome(call));
    }
}
