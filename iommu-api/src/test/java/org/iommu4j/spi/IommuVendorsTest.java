// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.platform.FirmwareTables;
import org.iommu4j.platform.support.FlatMemory;
import org.iommu4j.platform.support.FramePool;
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

    /** A vendor whose table every machine has, and whose driver records that it is opened and closed. */
    private record Recording(String name, boolean opens, List<String> events) implements IommuVendor {
        @Override
        public boolean claims(FirmwareTables firmware) {
            return true;
        }

        @Override
        public HostDescription describe(HostFacts facts, LinuxRelease release) {
            throw new UnsupportedOperationException();
        }

        @Override
        public Iommu open(VendorContext context) {
            if (!opens) {
                throw new IommuException(Errno.EBUSY, name + " is busy");
            }
            events.add("opens " + name);
            return (Iommu) Proxy.newProxyInstance(
                    Iommu.class.getClassLoader(), new Class<?>[] {Iommu.class}, (proxy, method, arguments) -> {
                        if (!method.getName().equals("close")) {
                            return name;
                        }
                        events.add("closes " + name);
                        throw new IommuException(Errno.EIO, name + " does not close");
                    });
        }
    }

    private static VendorContext context(FirmwareTables firmware) {
        FlatMemory memory = new FlatMemory(1 << 16);
        return new VendorContext(
                memory,
                new FramePool(0x1000, 0x1000),
                (base, size) -> {
                    throw new UnsupportedOperationException();
                },
                (condition, deadline) -> false,
                firmware,
                List::of,
                BootOptions.DEFAULT,
                LinuxRelease.NEWEST);
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
    void allDriversOfAMachineAreOpened() {
        List<String> events = new ArrayList<>();
        List<Iommu> opened = IommuVendors.of(
                        List.of(new Recording("b", true, events), new Recording("a", true, events)))
                .open(context(signature -> Optional.empty()));
        assertThat(opened).extracting(Iommu::vendor).containsExactly("a", "b");
        assertThat(events).containsExactly("opens a", "opens b");
        assertThat(vendors.open(context(signature -> Optional.empty()))).isEmpty();
    }

    @Test
    void theDriversThatWereOpenedAreClosedWhenOneFails() {
        List<String> events = new ArrayList<>();
        IommuVendors all = IommuVendors.of(List.of(
                new Recording("a", true, events), new Recording("b", true, events), new Recording("c", false, events)));
        assertThatExceptionOfType(IommuException.class)
                .isThrownBy(() -> all.open(context(signature -> Optional.empty())))
                .withMessageContaining("c is busy")
                .satisfies(failure -> assertThat(failure.getSuppressed())
                        .extracting(Throwable::getMessage)
                        .anyMatch(text -> text.contains("a does not close"))
                        .anyMatch(text -> text.contains("b does not close")));
        assertThat(events).containsExactly("opens a", "opens b", "closes a", "closes b");
    }

    @Test
    void aDriverIsBuiltForEveryKnownReleaseUnlessItSaysOtherwise() {
        IommuVendor vendor = vendors.named("zeta");
        assertThat(LinuxRelease.known()).allMatch(vendor::supports);
        assertThat(vendor.supports(LinuxRelease.of("6.12.95"))).isTrue();
        assertThat(vendor.supports(new LinuxRelease(5, 4))).isFalse();
    }

    @Test
    void aVendorClaimsByItsTable() {
        FirmwareTables firmware = signature -> signature.equals("ZETA") ? Optional.of(new byte[0]) : Optional.empty();
        assertThat(vendors.claiming(firmware)).extracting(IommuVendor::name).containsExactly("zeta");
    }
}
