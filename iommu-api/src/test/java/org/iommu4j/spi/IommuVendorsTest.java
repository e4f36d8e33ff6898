// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.util.List;
import java.util.Optional;
import org.iommu4j.Iommu;
import org.iommu4j.LinuxRelease;
import org.iommu4j.platform.FirmwareTables;
import org.junit.jupiter.api.Test;

class IommuVendorsTest {
    private record Named(String name, String table) implements IommuVendor {
        @Override
        public boolean claims(FirmwareTables firmware) {
            return firmware.table(table).isPresent();
        }

        @Override
        public HostDescription describe(HostFacts facts, LinuxRelease release) {
            throw new UnsupportedOperationException();
        }

        @Override
        public Iommu open(VendorContext context) {
            throw new UnsupportedOperationException();
        }
    }

    private final IommuVendors vendors =
            IommuVendors.of(List.of(new Named("zeta", "ZETA"), new Named("alpha", "ALPH")));

    @Test
    void vendorsAreSortedByNameWhateverThePathsOrder() {
        assertThat(vendors.all()).extracting(IommuVendor::name).containsExactly("alpha", "zeta");
    }

    @Test
    void aMissListsWhatWasFound() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> vendors.named("amd"))
                .withMessageContaining("'amd'")
                .withMessageContaining("[alpha, zeta]");
    }

    @Test
    void twoVendorsOfOneNameAreRefused() {
        assertThatIllegalStateException()
                .isThrownBy(() -> IommuVendors.of(List.of(new Named("a", "A"), new Named("a", "B"))))
                .withMessageContaining("two IOMMU vendors are called 'a'");
    }

    @Test
    void aVendorClaimsByItsTable() {
        FirmwareTables firmware = signature -> signature.equals("ZETA") ? Optional.of(new byte[0]) : Optional.empty();
        assertThat(vendors.claiming(firmware)).extracting(IommuVendor::name).containsExactly("zeta");
    }
}
