// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.amd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Set;
import org.iommu4j.DomainFlag;
import org.iommu4j.DomainType;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.spi.BootOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What is forbidden on hosts of confidential guests, whose device table entries need host tables. */
class SnpTest {
    private static final long SNP_SUP = 1L << 63;
    private static final long MODE0_SUP = 1L << 13;

    private final TestPlatform platform = new TestPlatform();

    SnpTest() {
        platform.efr |= SNP_SUP | 1L << 48 | 1 << 4 | 1 << 1; // GIoSup, GTSup, PPRSup
        platform.bootOptions = new BootOptions("iommu4j.amd=snp,pasids");
    }

    private Iommu open(String release) {
        platform.release = LinuxRelease.named(release);
        return platform.open();
    }

    private IommuDevice device(Iommu iommu) {
        return iommu.probe(platform.expressFunction(1, 0, 8)).orElseThrow();
    }

    /** Answers ALLOCATION or ATTACH, which was refused with EINVAL, or NOTHING. */
    private static String refusesIdentity(Iommu iommu, IommuDevice device) {
        IommuDomain identity;
        try {
            identity = iommu.allocate(DomainType.IDENTITY, device);
        } catch (IommuException e) {
            assertThat(e.errno()).isEqualTo(Errno.EINVAL);
            return "ALLOCATION";
        }
        boolean attached = identity.attach(device).attached();
        if (attached) {
            identity.detach(device);
        }
        identity.close();
        return attached ? "NOTHING" : "ATTACH";
    }

    private static boolean givesPasidDomains(Iommu iommu, IommuDevice device) {
        try {
            iommu.allocateForUser(device, Set.of(DomainFlag.PASID)).close();
            return true;
        } catch (IommuException e) {
            assertThat(e.errno()).isEqualTo(Errno.EOPNOTSUPP);
            return false;
        }
    }

    @ParameterizedTest(name = "Linux {0} refuses {1}; with Mode 0 {2}, and a domain for PASIDs: {3}")
    @CsvSource({
        "6.8, NOTHING, NOTHING, false",
        "6.9, ALLOCATION, ALLOCATION, false",
        "6.12, ALLOCATION, ALLOCATION, false",
        "6.13, ATTACH, ATTACH, false",
        "7.2, ATTACH, ATTACH, false",
        "7.3, ATTACH, NOTHING, true"
    })
    void whatAReleaseForbidsWithSnp(String release, String refused, String withMode0, boolean pasids) {
        Iommu iommu = open(release);
        IommuDevice device = device(iommu);
        assertThat(refusesIdentity(iommu, device)).isEqualTo(refused);
        assertThat(givesPasidDomains(iommu, device)).as("a v2 table").isFalse();
        assertThat(device.maxPasids()).isZero();
        IommuDomain host = iommu.allocate(DomainType.UNMANAGED, device);
        assertThat(host.format()).isEqualTo("amd-host-v1");
        assertThat(host.attach(device).attached()).isTrue();
        host.detach(device);
        host.close();
        iommu.close();
        platform.unit.registers[0x1a0 / 8] = MODE0_SUP;
        Iommu newer = open(release);
        IommuDevice again = device(newer);
        assertThat(refusesIdentity(newer, again)).as("with Mode 0").isEqualTo(withMode0);
        assertThat(givesPasidDomains(newer, again)).isEqualTo(pasids);
    }

    /** Where SNP is left off, nothing is forbidden. */
    @ParameterizedTest
    @CsvSource({
        "iommu4j.amd=pasids, true",
        "iommu4j.amd=snp iommu=pt, true",
        "iommu4j.amd=snp iommu.passthrough=1, true",
        "iommu4j.amd=snp amd_iommu=pgtbl_v2, true",
        "iommu4j.amd=snp amd_iommu=pgtbl_v2 amd_iommu=pgtbl_v1, false",
        "iommu4j.amd=snp iommu=pt iommu=nopt, false",
        "iommu4j.amd=snp, false"
    })
    void itIsLeftOffWhereDomainsHaveNoHostTablesByDefault(String commandLine, boolean off) {
        platform.bootOptions = new BootOptions(commandLine);
        Iommu iommu = open("7.2");
        assertThat(refusesIdentity(iommu, device(iommu))).isEqualTo(off ? "NOTHING" : "ATTACH");
    }

    @Test
    void everyUnitMustHaveIt() {
        platform.efr &= ~SNP_SUP;
        Iommu iommu = open("7.2");
        IommuDevice device = device(iommu);
        assertThat(refusesIdentity(iommu, device)).isEqualTo("NOTHING");
        assertThat(givesPasidDomains(iommu, device)).isTrue();
    }

    /** The v2 table keeps the driver's promise no better here than elsewhere. */
    @Test
    void withMode0ADomainForPasidsPromisesToBlockNoSnoopToo() {
        platform.unit.registers[0x1a0 / 8] = MODE0_SUP;
        Iommu iommu = open("7.3");
        IommuDomain domain = iommu.allocateForUser(device(iommu), Set.of(DomainFlag.PASID));
        assertThat(domain.format()).isEqualTo("amd-guest-v2");
        assertThat(domain.cacheCoherencyEnforcement().orElseThrow().enforce()).isTrue();
        assertThatThrownBy(() -> iommu.allocateForUser(device(iommu), Set.of(DomainFlag.PASID, DomainFlag.NEST_PARENT)))
                .isInstanceOf(IommuException.class);
    }
}
